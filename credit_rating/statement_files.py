"""Statements from a file: a sheet with a line of the statement in each row and a year in each column.

CSV and XLSX, read by the ingest layer's readers. Lines are known by their code or by their names in both languages.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Iterable, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import override

from credit_rating import words
from credit_rating.engine.ratios import ITEMS
from crm_site.lib.encodings import read_text
from crm_site.lib.errors import DomainError
from customers.ingest.reading import check_workbook, delimiter_of, sheet_rows

MOST_ROWS, MOST_YEARS = 300, 5
# What banks' and accountants' sheets call the lines beside their own names.
SYNONYMS = {
    "货币资金": "cash", "应收账款": "receivables", "预付款项": "prepayments", "预付账款": "prepayments", "存货": "inventory",
    "流动资产合计": "current_assets", "固定资产": "fixed_assets", "无形资产": "intangible_assets", "资产总计": "total_assets",
    "资产合计": "total_assets", "短期借款": "short_term_loans", "应付账款": "payables", "预收款项": "advances",
    "预收账款": "advances", "合同负债": "advances", "流动负债合计": "current_liabilities", "长期借款": "long_term_loans",
    "负债合计": "total_liabilities", "实收资本": "paid_in_capital", "股本": "paid_in_capital", "未分配利润": "retained_earnings",
    "所有者权益合计": "equity", "股东权益合计": "equity", "净资产": "equity", "营业收入": "sales", "主营业务收入": "sales",
    "营业成本": "cost_of_sales", "主营业务成本": "cost_of_sales", "期间费用": "operating_expenses", "利息支出": "interest_expense",
    "利息费用": "interest_expense", "利润总额": "profit_before_tax", "所得税费用": "income_tax", "净利润": "net_profit",
    "经营活动产生的现金流量净额": "operating_cash_flow", "投资活动产生的现金流量净额": "investing_cash_flow",
    "筹资活动产生的现金流量净额": "financing_cash_flow", "现金及现金等价物净增加额": "net_cash_change",
}  # fmt: skip


class UnreadableFile(DomainError):
    """A file that holds no statements; nothing was taken."""


def read_statements(path: Path, name: str) -> tuple[dict[int, dict[str, Decimal]], list[str]]:
    """({year: {item: amount}}, names of lines that are not known) of a file. Raises UnreadableFile."""
    rows = list(_rows(path, name))
    if not rows:
        raise UnreadableFile(_("The file is empty."), code="empty_file")
    years = _years(rows[0])
    known, unknown, headings = _names(), [], _headings()
    found: dict[int, dict[str, Decimal]] = {year: {} for year in years.values()}
    for number, row in enumerate(rows[1:], start=2):
        label = row[0].strip() if row else ""
        if not label or _folded(label) in headings:
            continue
        item = known.get(_folded(label))
        if item is None:
            unknown.append(label[:60])
            continue
        for column, year in years.items():
            text = row[column].strip() if column < len(row) else ""
            if text:
                found[year][item] = _amount(text, number)
    filled = {year: figures for year, figures in found.items() if figures}
    if not filled and not unknown:
        raise UnreadableFile(_("The file holds no amounts."), code="no_amounts")
    return filled, unknown


def template(years: Sequence[int]) -> bytes:
    """A workbook to fill in, in the reader's language: every line that is known, under its sheet's name, and a column of
    amounts in yuan for each year. `read_statements` reads what comes back."""
    import openpyxl
    from openpyxl.styles import Font

    book = openpyxl.Workbook()
    sheet: Any = book.active
    sheet.append([_("Line (amounts in yuan)"), *years])
    headings = [1]
    for code, items in ITEMS.items():
        sheet.append([str(words.SHEETS[code])])
        headings.append(sheet.max_row)
        for item in items:
            sheet.append([str(words.ITEMS[item])])
    for row in headings:
        for cell in sheet[row]:
            cell.font = Font(bold=True)
    sheet.column_dimensions["A"].width = 36
    for column in range(2, len(years) + 2):
        sheet.column_dimensions[chr(ord("A") + column - 1)].width = 18
    sheet.freeze_panes = "B2"
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def _rows(path: Path, name: str) -> Iterable[Sequence[str]]:
    if name.lower().endswith(".xlsx"):
        check_workbook(path)
        rows: list[Sequence[str]] = []
        for number, cells, has_formula in sheet_rows(path):
            if has_formula:
                raise UnreadableFile(_("Row %s holds a formula: paste its values.") % number, code="formula")
            rows.append(cells)
            if len(rows) > MOST_ROWS:
                raise UnreadableFile(_("The file has too many rows."), code="rows")
        return rows
    try:
        text = read_text(path.read_bytes())
    except ValueError as error:
        raise UnreadableFile(str(error), code="encoding") from None
    head = text.partition("\n")[0]
    rows = [row for row in csv.reader(io.StringIO(text, ""), delimiter=delimiter_of(head)) if any(row)]
    if len(rows) > MOST_ROWS:
        raise UnreadableFile(_("The file has too many rows."), code="rows")
    return rows


def _years(header: Sequence[str]) -> dict[int, int]:
    found: dict[int, int] = {}
    for column, cell in enumerate(header[1:], start=1):
        match = re.search(r"(?<!\d)(19|20)\d\d(?!\d)", cell)
        if match and int(match.group()) not in found.values():
            found[column] = int(match.group())
    if not found or len(found) > MOST_YEARS:
        raise UnreadableFile(
            _("The first row names the years, such as 2023, 2024, 2025; the first column the lines."),
            code="years",
        )
    return found


def _folded(label: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKC", label).lower() if c.isalnum())


def _names() -> dict[str, str]:
    names = {_folded(name): item for name, item in SYNONYMS.items()}
    for language in ("en", "zh-hans"):
        with override(language):
            names |= {_folded(str(label)): item for item, label in words.ITEMS.items()}
    return names | {_folded(item): item for item in words.ITEMS}


def _headings() -> set[str]:
    """The names of the sheets, which stand over their lines."""
    found = set()
    for language in ("en", "zh-hans"):
        with override(language):
            found |= {_folded(str(label)) for label in words.SHEETS.values()}
    return found


def _amount(text: str, row: int) -> Decimal:
    plain = text.replace(",", "").replace("，", "").replace("−", "-")
    if plain.startswith("(") and plain.endswith(")"):
        plain = f"-{plain[1:-1]}"
    try:
        amount = Decimal(plain)
    except InvalidOperation:
        raise UnreadableFile(
            _("Row %(row)s: %(text)s is no amount.") % {"row": row, "text": text[:30]}, code="amount"
        ) from None
    if not amount.is_finite() or abs(amount) >= Decimal(10) ** 15:
        raise UnreadableFile(
            _("Row %(row)s: %(text)s is no amount.") % {"row": row, "text": text[:30]}, code="amount"
        )
    return amount.quantize(Decimal("0.01"))
