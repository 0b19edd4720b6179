"""What people's spreadsheets say, in the words of the feeds: the one place where an upload is read kindly.

Applied to uploads alone, before the shared validation; the API stays with ISO dates, plain numbers and codes.
What cannot be read without guessing is refused with what to write instead. Pure: knows no Django model.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from decimal import Decimal

from crm_site.lib.formats import is_chinese
from customers.ingest.columns import Bad, Column
from customers.ingest.feeds import Feed
from customers.ingest.reading import Row, Shape

Reader = Callable[[str], str]

# code of a choice -> what a Chinese bank's files call it; only codes that the column has count.
WORDS: dict[str, tuple[str, ...]] = {
    "F": ("女", "女性"), "M": ("男", "男性"), "X": ("未知", "其他"),
    "1": ("第一阶段", "阶段一"), "2": ("第二阶段", "阶段二"), "3": ("第三阶段", "阶段三"),
    "personal": ("个人", "个人客户", "对私", "自然人", "零售", "个人条线"),
    "corporate": ("公司", "公司客户", "对公", "企业", "企业客户", "法人", "公司条线"),
    "household": ("农户", "家庭", "家庭客户"), "rural": ("三农", "三农条线", "涉农"),
    "large": ("大型", "大型企业", "大"), "medium": ("中型", "中型企业", "中"),
    "small": ("小型", "小型企业", "小"), "micro": ("微型", "微型企业", "微"),
    "active": ("正常", "有效", "活动", "存续", "在册"), "dormant": ("睡眠", "休眠", "不动户"),
    "closed": ("注销", "已注销", "销户", "已销户", "关闭"),
    "repaid": ("结清", "已结清", "已还清"), "written_off": ("核销", "已核销"),
    "current": ("活期", "活期存款", "结算"), "savings": ("储蓄", "活期储蓄"), "term": ("定期", "定期存款"),
    "notice": ("通知", "通知存款"), "margin": ("保证金", "保证金存款"),
    "owner": ("户主", "主户", "所有人", "持有人"), "joint": ("共有", "联名", "共有人", "联名人"),
    "head_office": ("总行",), "branch": ("支行", "分行"), "sub_branch": ("分理处", "网点", "二级支行"),
    "senior": ("高级", "高级客户经理"), "level_1": ("一级", "一级客户经理"), "level_2": ("二级", "二级客户经理"),
    "level_3": ("三级", "三级客户经理"), "level_4": ("四级", "四级客户经理"), "trainee": ("见习", "见习客户经理"),
    "deposit": ("存款",), "loan": ("贷款",), "card": ("银行卡", "卡"), "wealth": ("理财",), "fund": ("基金",),
    "insurance": ("保险",), "payroll": ("代发", "代发工资"), "acquiring": ("收单",), "trade": ("贸易融资", "国际业务"),
    "other": ("其他",),
    "family": ("家庭成员", "亲属", "家庭"), "parent_company": ("母公司",), "common_control": ("同一控制", "同一实际控制人"),
    "shareholder": ("股东",), "beneficial_owner": ("受益所有人",), "guarantor": ("担保人", "保证人"),
    "supplier": ("供应商", "上游"), "legal_representative": ("法定代表人", "法人代表", "法人"),
    "call": ("电话",), "visit": ("拜访", "上门", "走访"), "message": ("消息", "短信", "微信"), "email": ("邮件", "电子邮件"),
    "credit_bureau": ("征信", "征信报告", "人行征信"), "core": ("核心", "核心系统"),
    "line": ("授信", "授信额度"), "contingent": ("表外", "承兑", "保函"), "promise": ("对外担保",),
    "normal": ("正常",), "special_mention": ("关注",), "substandard": ("次级",), "doubtful": ("可疑",), "loss": ("损失",),
    "counter": ("柜面", "柜台"), "call_centre": ("客服中心", "呼叫中心"), "mobile_bank": ("手机银行",),
}  # fmt: skip


def choice_word(code: str) -> str:
    """A choice as the reader writes it: the first Chinese word for its code, or the code."""
    return WORDS[code][0] if is_chinese() and code in WORDS else code


CURRENCY_WORDS = {
    "人民币": "CNY", "RMB": "CNY", "美元": "USD", "欧元": "EUR", "港币": "HKD", "港元": "HKD", "日元": "JPY", "英镑": "GBP",
    "捷克克朗": "CZK",
}  # fmt: skip
_YEAR_FIRST = re.compile(r"(\d{4})([-/.])(\d{1,2})\2(\d{1,2})$", re.ASCII)
_CHINESE = re.compile(r"(\d{4})年(\d{1,2})月(\d{1,2})日?$", re.ASCII)
_EIGHT = re.compile(r"(\d{4})(\d{2})(\d{2})$", re.ASCII)
_YEAR_LAST = re.compile(r"\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}$", re.ASCII)
_MIDNIGHT = re.compile(r"[ T]0{1,2}:00(:00(\.0+)?)?$", re.ASCII)
_TIME = re.compile(r"(.+?)[ T]+(\d{1,2}):(\d{2})(:\d{2})?$", re.ASCII)
_GROUPED = re.compile(r"-?\d{1,3}(,\d{3})+(\.\d+)?$", re.ASCII)
_PLAIN = re.compile(r"-?\d+(\.\d+)?$", re.ASCII)
_MONTH_FIRST = "ambiguous_date"


def plain(text: str) -> str:
    """Full-width digits, signs and letters as the plain ones they stand for."""
    return text if text.isascii() else unicodedata.normalize("NFKC", text).replace("−", "-").strip()


def date(text: str) -> str:
    """2026/1/5, 2026.1.5, 2026年1月5日, 20260105 as 2026-01-05; what may be day or month first raises Bad."""
    said = _MIDNIGHT.sub("", plain(text))
    found = _YEAR_FIRST.match(said)
    parts = (found[1], found[3], found[4]) if found else None
    if parts is None and (found := _CHINESE.match(said.replace(" ", "")) or _EIGHT.match(said)):
        parts = (found[1], found[2], found[3])
    if parts is not None:
        return f"{parts[0]}-{int(parts[1]):02d}-{int(parts[2]):02d}"
    if _YEAR_LAST.match(said):
        raise Bad(_MONTH_FIRST, given=said)
    return said


def moment(text: str) -> str:
    """A date as above, with or without a time of day; ISO 8601 stays as it is."""
    said = plain(text)
    found = _TIME.match(said)
    if found is None:
        return date(said)
    return f"{date(found[1])}T{int(found[2]):02d}:{found[3]}{found[4] or ''}"


def number(text: str) -> str:
    """1,234.50, ￥1,234.50, 1234.50元, (1,234.50) as 1234.50; commas elsewhere than between thousands stay."""
    if _PLAIN.match(text):
        return text
    said = plain(text).removeprefix("¥").removeprefix("CNY").removesuffix("元").replace(" ", "")
    if said.startswith("(") and said.endswith(")"):
        said = "-" + said[1:-1]
    return said.replace(",", "") if _GROUPED.match(said) else said


def rate(text: str) -> str:
    """As a number; 4.35% is 0.0435."""
    said = number(text)
    share = said.removesuffix("%")
    return str(Decimal(share).scaleb(-2)) if share != said and _PLAIN.match(share) else said


def _choice(column: Column) -> Reader:
    known = {word: code for code in column.choices for word in WORDS.get(code, ())}
    known |= {code.lower(): code for code in column.choices} | {code: code for code in column.choices}

    def read(text: str) -> str:
        said = plain(text)
        return known.get(said) or known.get(said.lower(), said)

    return read


def _choices(column: Column) -> Reader:
    """Several choices, between what people put between words."""
    read = _choice(column)
    return lambda text: ";".join(read(word) for word in re.split(r"[;,/、，；\s]+", text) if word)


def _currency(text: str) -> str:
    said = plain(text).upper()
    return CURRENCY_WORDS.get(said, said)


_READERS: dict[str, Reader] = {
    "date": date, "datetime": moment, "money": number, "rate": rate, "integer": number, "currency": _currency,
}  # fmt: skip


def reader_of(column: Column) -> Reader | None:
    """How a person's cell of the column is read; None: as it stands (names and notes keep every character)."""
    if column.type == "choice":
        return _choice(column)
    if column.type == "choices":
        return _choices(column)
    return None if column.type == "text" else _READERS.get(column.type, plain)


def as_meant(rows: Iterator[Row], feed: Feed) -> Iterator[Row]:
    """The rows of an upload with every cell as the feed writes it. A cell that may mean two things refuses its row."""
    readers = {column.name: reader for column in feed.columns if (reader := reader_of(column))}
    plans: dict[Shape, list[tuple[int, str, Reader]]] = {}
    for row in rows:
        if row.bad is not None:
            yield row
            continue
        plan = plans.get(row.shape)
        if plan is None:
            plan = plans[row.shape] = [
                (i, name, readers[name]) for i, name in enumerate(row.shape.columns) if name in readers
            ]
        yield _read(row, plan)


def _read(row: Row, plan: list[tuple[int, str, Reader]]) -> Row:
    cells = list(row.cells)
    for index, name, reader in plan:
        text = cells[index].strip()
        if text:
            try:
                cells[index] = reader(text)
            except Bad as bad:
                return row._replace(bad=bad, bad_column=name)
    return row._replace(cells=cells)
