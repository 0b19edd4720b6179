"""Every feed as data: its columns, natural key and where it lands.

Validation, the API's schema, the upload's mapping and docs/feeds.md are all made from this.
References use the bank's own numbers: customer number, account number, branch code, staff number, product code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _

from crm_site.lib.registry import Registry
from customers.ingest.columns import Column

KINDS = ("personal", "corporate", "household")
# Headers that mean the same in every feed.
_CUSTOMER_HEADERS = ("customer number", "customer no", "client number", "客户号", "客户编号", "客户号码")
_BRANCH_HEADERS = ("branch code", "机构号", "机构编号", "网点号", "开户机构", "开户支行", "支行")
_ACCOUNT_HEADERS = ("account number", "account no", "账号", "账户号", "卡号/账号")
_AMOUNT_HEADERS = ("金额", "发生额")
_CURRENCY_HEADERS = ("ccy", "币种", "货币")
_NAME_HEADERS = ("full name", "姓名", "名称", "客户名称", "客户姓名", "户名")


@dataclass(frozen=True)
class Feed:
    """One kind of delivery. `key`: columns whose values name a row; `table`: where it lands. `examples`: its rows of
    the documents' example bank, each by what differs from the columns' own examples; delivered in the order of the
    document they all land."""

    name: str
    title: Any
    description: str
    table: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    examples: tuple[Mapping[str, str], ...] = ({},)

    @property
    def is_uploadable(self) -> bool:
        """Whether people may upload it: what an undo can take back row by row."""
        return self.name in UPLOADABLE

    def column(self, name: str) -> Column:
        """KeyError for a column that the feed does not have."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def required(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns if column.required)


UPLOADABLE = frozenset(
    {
        "customers",
        "prospects",
        "interactions",
        "relations",
        "products",
        "cards",
        "standing-orders",
        "fees",
        "fx-rates",
    }
)
FEEDS: Registry[Feed] = Registry("feed")
AS_OF = Column(
    "source_as_of",
    "datetime",
    "when the source knew this; a row older than what stands never overwrites it",
    "2026-01-31T18:00:00+08:00",
    to="-",
    synonyms=("as of", "数据时间", "更新时间"),
)


def _feed(
    name: str,
    title: Any,
    description: str,
    table: str,
    key: tuple[str, ...],
    *columns: Column,
    examples: tuple[Mapping[str, str], ...] = ({},),
) -> Feed:
    return FEEDS.add(name, Feed(name, title, description, table, key, (*columns, AS_OF), examples))


def _customer(name: str = "customer", what: str = "customer number", **options: Any) -> Column:
    options.setdefault("synonyms", _CUSTOMER_HEADERS)
    return Column(name, "code", what, "100001", reference="customer", most=32, **options)


def _account(**options: Any) -> Column:
    return Column(
        "account", "code", "account number", "6222000100001", reference="account", most=40,
        synonyms=_ACCOUNT_HEADERS, **options,
    )  # fmt: skip


def _branch(what: str = "branch code", **options: Any) -> Column:
    return Column(
        "branch", "code", what, "B01", reference="branch", most=30, synonyms=_BRANCH_HEADERS, **options
    )


def _product(**options: Any) -> Column:
    return Column(
        "product", "code", "product code", "SAV01", reference="product", most=30,
        synonyms=("product code", "产品代码", "产品"), **options,
    )  # fmt: skip


def _currency(**options: Any) -> Column:
    options.setdefault("required", True)
    return Column("currency", "currency", "currency", "CNY", synonyms=_CURRENCY_HEADERS, **options)


_feed(
    "organisation",
    _("Organisation"),
    "Branches and sub-branches. A unit without parent hangs on the head office; kind head_office renames it.",
    "accounts_orgunit",
    ("code",),
    Column("code", "code", "branch code", "B01", required=True, most=30, synonyms=_BRANCH_HEADERS),
    Column("name", "text", "name", "城东支行", required=True, most=120, synonyms=("机构名称", "网点名称")),
    Column(
        "kind", "choice", "kind of unit", "branch", choices=("head_office", "branch", "sub_branch"),
        default="'branch'", synonyms=("机构类型",),
    ),
    Column("parent", "code", "code of the unit above, known or in this delivery", "HO", most=30, to="-",
           synonyms=("上级机构", "上级机构号")),
    Column("region", "text", "region", "杭州市上城区", most=120, synonyms=("地区", "区域")),
    Column("is_open", "boolean", "open for business", "true", default="true", synonyms=("是否营业",)),
)  # fmt: skip
_feed(
    "staff",
    _("Staff"),
    "People of the bank. A feed never gives a role: roles are granted by a second person in the program.",
    "accounts_staff",
    ("number",),
    Column("number", "code", "staff number", "S0101", required=True, most=30, synonyms=("工号", "员工号")),
    Column("name", "text", "name", "李静", required=True, most=80, synonyms=("姓名",)),
    _branch("code of the unit the person works in", required=True, to="unit_id"),
    Column("email", "email", "e-mail", "li.jing@bank.example", most=190, synonyms=("邮箱",)),
    Column(
        "grade", "choice", "relationship manager grade", "level_2", synonyms=("等级", "客户经理等级"),
        choices=("senior", "level_1", "level_2", "level_3", "level_4", "trainee"),
    ),
    Column(
        "line_department", "choice", "line department", "personal", choices=("corporate", "personal", "rural"),
        synonyms=("条线",),
    ),
    Column("left_date", "date", "last day at the bank; from then on no sign-in", "", synonyms=("离职日期",)),
)  # fmt: skip
_feed(
    "products",
    _("Products"),
    "The product master: what an account, loan, card or holding is an instance of.",
    "customers_product",
    ("code",),
    Column("code", "code", "product code", "SAV01", required=True, most=30, synonyms=("产品代码",)),
    Column("name", "text", "name", "活期储蓄", required=True, most=120, synonyms=("产品名称",)),
    Column(
        "family", "choice", "family", "deposit", required=True, synonyms=("产品类别",),
        choices=("deposit", "loan", "card", "wealth", "fund", "insurance", "payroll", "acquiring", "trade", "other"),
    ),
    Column("is_active", "boolean", "on sale", "true", default="true", synonyms=("是否在售",)),
    Column("customer_kinds", "choices", "kinds of customers it is for; empty: for all", "personal;household",
           choices=KINDS, synonyms=("适用客户类型", "适用客户")),
)  # fmt: skip

_PARTY = (
    Column("number", "code", "customer number", "100001", required=True, most=32, synonyms=_CUSTOMER_HEADERS),
    Column("name", "text", "name", "张伟明", required=True, most=160, synonyms=_NAME_HEADERS),
    Column("kind", "choice", "kind of customer", "personal", required=True, choices=KINDS,
           synonyms=("客户类型", "客户种类", "客户类别", "客户性质", "类型", "type")),
    Column("birth_date", "date", "date of birth", "1982-05-17", synonyms=("出生日期", "生日", "birthday")),
    Column("founded_date", "date", "date of foundation", "", synonyms=("成立日期",)),
    Column("gender", "choice", "F, M or X", "M", choices=("F", "M", "X"), synonyms=("性别", "sex")),
    Column("industry", "code", "GB/T 4754 class", "5211", most=8, synonyms=("行业", "行业代码")),
    Column("size", "choice", "size of a company", "", choices=("large", "medium", "small", "micro"),
           synonyms=("企业规模", "规模")),
    Column("employees", "integer", "people employed", "", positive=True, synonyms=("员工人数", "职工人数")),
    Column("resident_id", "resident_id", "resident identity number", "11010519491231002X", protected=True, to="-",
           synonyms=("身份证", "身份证号", "身份证号码", "证件号码", "identity number")),
    Column("uscc", "uscc", "unified social credit code", "91110000600037341L", protected=True, to="-",
           synonyms=("统一社会信用代码", "信用代码")),
    Column("lei", "lei", "legal entity identifier", "5493006MHB84DD0ZWV18", protected=True, to="-",
           synonyms=("法人识别编码",)),
    Column("passport", "document", "passport number", "", protected=True, to="-", synonyms=("护照号", "护照")),
    Column("other_document", "document", "number of another document", "", protected=True, to="-",
           synonyms=("其他证件号",)),
    Column("phone", "phone", "first telephone", "13812345678", protected=True, to="-",
           synonyms=("手机", "手机号", "手机号码", "电话", "联系电话", "mobile", "telephone")),
    Column("phone_2", "phone", "second telephone", "", protected=True, to="-", synonyms=("第二电话", "备用电话")),
    Column("email", "email", "e-mail", "", protected=True, to="-", synonyms=("邮箱", "电子邮箱", "e-mail")),
    Column("region", "text", "province / city / county", "浙江省杭州市上城区", most=120, to="-", synonyms=("地区", "所在地区")),
    Column("address", "text", "street and number", "清泰街12号", most=240, to="-", synonyms=("地址", "住址", "联系地址")),
)  # fmt: skip
_feed(
    "customers",
    _("Customers"),
    "Personal, corporate and rural household customers. Only what the core owns: what people record in the "
    "program is never touched. A delivered prospect number becomes a customer.",
    "customers_customer",
    ("number",),
    *_PARTY,
    Column("status", "choice", "status", "active", choices=("active", "dormant", "closed"), default="'active'",
           synonyms=("客户状态", "状态")),
    Column("customer_since", "date", "customer since", "2015-03-02", synonyms=("开户日期", "建立关系日期")),
    _branch("branch of the opening; a new customer waits in its queue", to="opening_branch_id"),
    Column("won_by", "code", "staff number of who won the customer", "S0101", reference="staff", most=30,
           synonyms=("营销人", "开户经理")),
    Column("is_related_party", "boolean", "on the bank's register of related parties", "false", synonyms=("关联方",)),
    Column("is_excluded", "boolean", "on the exclusion list", "false", synonyms=("禁入名单",)),
    examples=(
        {"uscc": "", "lei": ""},
        {"number": "100002", "name": "浙江云杉机械有限公司", "kind": "corporate", "birth_date": "", "gender": "",
         "industry": "3421", "resident_id": "", "phone": "057188886666", "address": "江干路8号"},
        {"number": "100003", "name": "李静", "birth_date": "1984-11-02", "gender": "F", "resident_id": "", "uscc": "",
         "lei": "", "phone": "13900001111"},
    ),
)  # fmt: skip
_feed(
    "prospects",
    _("Prospects"),
    "Target customers who do not bank here yet. A number that is a customer already is refused.",
    "customers_customer",
    ("number",),
    *_PARTY,
    _branch("branch that takes the prospect", to="opening_branch_id"),
    Column(
        "source",
        "text",
        "where the prospect comes from",
        "工业园区名单",
        most=30,
        synonyms=("来源", "名单来源"),
    ),
    examples=(
        {
            "number": "Q00017",
            "name": "杭州青竹食品有限公司",
            "kind": "corporate",
            "birth_date": "",
            "gender": "",
            "industry": "1411",
            "resident_id": "",
            "uscc": "",
            "lei": "",
            "phone": "13700002222",
        },
    ),
)
_feed(
    "accounts",
    _("Accounts"),
    "Deposit accounts and their owner. The owner is entered as a holder too.",
    "customers_account",
    ("number",),
    Column("number", "code", "account number", "6222000100001", required=True, most=40, synonyms=_ACCOUNT_HEADERS),
    _customer("owner", "customer number of the owner", required=True, synonyms=("customer", *_CUSTOMER_HEADERS)),
    _product(),
    _branch(),
    Column("kind", "choice", "kind", "savings", choices=("current", "savings", "term", "notice", "margin"),
           default="'current'", synonyms=("账户类型", "储种")),
    _currency(),
    Column("opened_date", "date", "opened", "2015-03-02", required=True, synonyms=("开户日期", "开户日")),
    Column("closed_date", "date", "closed", "", synonyms=("销户日期",)),
    Column("maturity_date", "date", "maturity of a term deposit", "", synonyms=("到期日", "到期日期")),
    Column("interest_rate", "rate", "yearly rate as a fraction", "0.0015", synonyms=("利率",)),
)  # fmt: skip
_feed(
    "holders",
    _("Account holders"),
    "Who holds an account: its owner, and joint holders. A second owner replaces the first.",
    "customers_accountholder",
    ("account", "customer"),
    _account(required=True),
    _customer(required=True),
    Column("role", "choice", "role", "joint", required=True, choices=("owner", "joint"), synonyms=("角色",)),
    Column("removed", "boolean", "true: no longer a holder", "false", to="-", synonyms=("是否解除",)),
    examples=({"role": "owner"}, {"customer": "100003"}),
)
_feed(
    "balances",
    _("Balances"),
    "End-of-day balances in the account's currency. Stored only where they differ from the day before; a row that "
    "comes late is put in its place.",
    "customers_balancechange",
    ("account", "date"),
    _account(required=True),
    Column("date", "date", "day", "2026-01-31", required=True, synonyms=("日期", "余额日期")),
    Column("balance", "money", "end-of-day balance, negative when overdrawn", "15320.55", required=True,
           synonyms=("余额", "日终余额")),
)  # fmt: skip
_feed(
    "transactions",
    _("Transactions"),
    "Entries of accounts: positive in, negative out, in the account's currency. The core's reference is unique "
    "within its booking date.",
    "customers_transaction",
    ("booked_date", "reference"),
    Column("reference", "code", "the core's entry number", "T20260131000001", required=True, most=40,
           synonyms=("流水号", "交易流水号")),
    _account(required=True),
    Column("booked_date", "date", "booking date", "2026-01-31", required=True, synonyms=("交易日期", "记账日期")),
    Column("amount", "money", "amount, positive in, negative out", "-250.00", required=True, synonyms=_AMOUNT_HEADERS),
    Column("kind", "code", "kind of entry", "transfer", most=20, synonyms=("交易类型", "摘要代码")),
    Column("channel", "code", "channel", "mobile_bank", most=20, synonyms=("渠道",)),
    _branch(),
    Column("counterparty", "text", "name of the other side", "杭州西湖茶叶有限公司", most=160, synonyms=("对方户名",)),
    Column("counterparty_account", "code", "account of the other side", "", most=40, synonyms=("对方账号",)),
    Column("counterparty_bank", "text", "bank of the other side", "", most=40, synonyms=("对方行", "对方行号")),
    Column("purpose", "text", "purpose", "货款", most=80, synonyms=("用途", "摘要", "附言")),
)  # fmt: skip
_feed(
    "loans",
    _("Loans"),
    "Loans with what is outstanding, and their schedule: either `schedule`, or instalment_amount with the day of "
    "the month (from the first such day after granted_date up to the maturity).",
    "customers_loan",
    ("number",),
    Column("number", "code", "loan number", "L2026000123", required=True, most=40,
           synonyms=("借据号", "贷款账号", "合同号")),
    _customer(required=True),
    _account(),
    _product(),
    _branch(),
    _currency(),
    Column("amount", "money", "amount granted", "300000.00", required=True, positive=True,
           synonyms=("贷款金额", "放款金额")),
    Column("outstanding", "money", "outstanding principal on the business date", "285000.00", required=True,
           positive=True, to="-", synonyms=("贷款余额", "余额")),
    Column("granted_date", "date", "granted", "2025-06-10", required=True, synonyms=("放款日", "发放日期")),
    Column("maturity_date", "date", "final maturity", "2028-06-10", required=True, synonyms=("到期日", "到期日期")),
    Column("closed_date", "date", "paid back or written off", "", synonyms=("结清日期",)),
    Column("interest_rate", "rate", "yearly rate as a fraction", "0.0435", synonyms=("利率",)),
    Column("purpose", "text", "purpose", "经营周转", most=80, synonyms=("贷款用途", "用途")),
    Column("status", "choice", "status", "active", choices=("active", "repaid", "written_off"), default="'active'",
           synonyms=("贷款状态",)),
    Column("as_of", "date", "day of `outstanding`; the business date of the delivery when empty", "2026-01-31",
           to="-", synonyms=("余额日期",)),
    Column("instalment_amount", "money", "amount due each month", "9100.00", positive=True, to="-",
           synonyms=("每期还款额",)),
    Column("instalment_day", "integer", "day of the month it is due (1 to 31)", "12", positive=True, to="-",
           synonyms=("还款日",)),
    Column("schedule", "schedule", "due dates and amounts", "2026-02-12:9100.00;2026-03-12:9100.00", to="-",
           synonyms=("还款计划",)),
)  # fmt: skip
_feed(
    "arrears",
    _("Arrears"),
    "A loan's outstanding principal and what is overdue on a date.",
    "customers_loanbalance",
    ("loan", "date"),
    Column("loan", "code", "loan number", "L2026000123", required=True, reference="loan", most=40,
           synonyms=("借据号", "贷款账号")),
    Column("date", "date", "day", "2026-01-31", required=True, synonyms=("日期",)),
    Column("outstanding", "money", "outstanding principal", "285000.00", required=True, positive=True,
           synonyms=("贷款余额",)),
    Column("overdue_amount", "money", "amount overdue", "9100.00", required=True, positive=True, default="0",
           synonyms=("逾期金额",)),
    Column("overdue_since", "date", "due date of the oldest instalment not covered", "2026-01-12",
           synonyms=("逾期起始日",)),
)  # fmt: skip
_feed(
    "cards",
    _("Cards"),
    "Cards. Never the full card number: the core's reference and the last four digits.",
    "customers_card",
    ("reference",),
    Column("reference", "code", "the core's card reference", "C000123", required=True, most=40,
           synonyms=("卡片编号",)),
    Column("number_tail", "code", "last four digits", "4321", most=4, synonyms=("卡号后四位",)),
    _customer(required=True),
    _account(),
    _product(),
    Column("issued_date", "date", "issued", "2024-02-01", required=True, synonyms=("发卡日期",)),
    Column("expires_date", "date", "expires", "2029-02-28", synonyms=("有效期",)),
    Column("closed_date", "date", "closed", "", synonyms=("销卡日期",)),
)  # fmt: skip
_feed(
    "standing-orders",
    _("Standing orders"),
    "Regular payments out of an account.",
    "customers_standingorder",
    ("reference",),
    Column("reference", "code", "the core's order number", "O000123", required=True, most=40, synonyms=("编号",)),
    _account(required=True),
    Column("amount", "money", "amount", "2452.00", required=True, positive=True, synonyms=_AMOUNT_HEADERS),
    _currency(),
    Column("to_bank", "text", "bank of the receiver", "", most=40, synonyms=("收款行",)),
    Column("to_account", "code", "account of the receiver", "", most=40, synonyms=("收款账号",)),
    Column("purpose", "text", "purpose", "房租", most=80, synonyms=("用途",)),
    Column("closed_date", "date", "ended", "", synonyms=("终止日期",)),
)  # fmt: skip
_feed(
    "holdings",
    _("Holdings"),
    "Wealth products, funds and insurance: market value on a date. 0 ends it.",
    "customers_holding",
    ("reference", "date"),
    Column("reference", "code", "the source's number of the holding", "W000123", required=True, most=40,
           synonyms=("持仓编号",)),
    _customer(required=True),
    _product(required=True),
    Column("date", "date", "day of the value", "2026-01-31", required=True, synonyms=("日期", "估值日期")),
    Column("value", "money", "market value", "50000.00", required=True, positive=True, synonyms=("市值", "持有金额")),
    _currency(),
    Column("maturity_date", "date", "maturity", "2026-06-30", synonyms=("到期日",)),
)  # fmt: skip
_feed(
    "fees",
    _("Fees"),
    "Fees and commissions the customer paid.",
    "customers_fee",
    ("reference",),
    Column(
        "reference", "code", "the source's number", "F000123", required=True, most=40, synonyms=("流水号",)
    ),
    _customer(required=True),
    _product(),
    Column("date", "date", "day", "2026-01-31", required=True, synonyms=("日期",)),
    Column("amount", "money", "amount", "12.50", required=True, synonyms=_AMOUNT_HEADERS),
    _currency(),
)
_feed(
    "fx-rates",
    _("Exchange rates"),
    "Units of the bank's currency for one unit of a foreign one, valid until the next rate.",
    "customers_fxrate",
    ("currency", "rate_date"),
    _currency(),
    Column("rate_date", "date", "day", "2026-01-31", required=True, synonyms=("日期",)),
    Column("rate", "rate", "rate, more than 0", "7.1094", required=True, positive=True, synonyms=("汇率",)),
    examples=({"currency": "USD"},),
)
_feed(
    "relations",
    _("Relations"),
    "`customer` is <kind> of `other`, for example shareholder of. A tie that staff recorded is the core's from its first "
    "delivery on; until then `removed` does not end it and counts as unchanged.",
    "customers_relation",
    ("customer", "other", "kind"),
    _customer(required=True),
    _customer("other", "customer number of the other side", required=True, synonyms=("关联客户号", "对方客户号")),
    Column("kind", "choice", "relation", "shareholder", required=True, synonyms=("关系", "关系类型"),
           choices=("family", "parent_company", "common_control", "shareholder", "beneficial_owner", "guarantor",
                    "supplier", "legal_representative")),
    Column("share", "rate", "share as a fraction; of a supplier: of its sales that goes to the buyer", "0.35", positive=True,
           synonyms=("持股比例",)),
    Column("note", "text", "note", "", most=120, synonyms=("备注",)),
    Column("removed", "boolean", "true: the relation has ended", "false", to="-", synonyms=("是否解除",)),
    examples=({"other": "100002"},),
)  # fmt: skip
_feed(
    "interactions",
    _("Contacts"),
    "Contacts on any channel, with their real author and time. Without a reference, the same contact (customer, "
    "time, channel, note) counts once.",
    "customers_interaction",
    ("source", "reference"),
    Column("reference", "code", "the source's number", "I000123", most=40, synonyms=("编号",)),
    _customer(required=True),
    Column("channel", "choice", "channel", "call", required=True, synonyms=("渠道", "方式"),
           choices=("call", "visit", "message", "email", "counter", "call_centre", "mobile_bank")),
    Column("at", "datetime", "when", "2026-01-30T10:15:00+08:00", required=True, synonyms=("时间", "联系时间", "日期")),
    Column("author", "code", "staff number of the author", "S0101", most=30, to="-",
           synonyms=("工号", "客户经理工号")),
    Column("author_name", "text", "name of the author, kept as delivered", "李静", most=80, synonyms=("客户经理", "作者")),
    Column("result", "code", "result", "reached", most=20, synonyms=("结果",)),
    Column("note", "text", "what was said", "", most=4000, synonyms=("内容", "备注", "记录")),
    Column("promise", "text", "what was promised", "", most=200, synonyms=("承诺",)),
    Column("promise_date", "date", "until when", "", synonyms=("承诺日期",)),
    Column("source", "code", "system it comes from", "old-crm", most=30, default="'import'", synonyms=("来源",)),
)  # fmt: skip
