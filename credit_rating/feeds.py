"""Feeds of this room's tables: `financials`, companies' statements, a row a year; `external-exposures`, what customers owe
to other banks, a row an exposure; `impairments`, the expected loss on loans, a row a loan.

Declared here because the tables are this room's; everything else of a feed follows from the declaration.
"""

from __future__ import annotations

from decimal import Decimal

from django.utils.translation import gettext_lazy as _

from credit_rating.engine.ratios import ALL_ITEMS, check_statements
from credit_rating.models import ExposureKind, ExposureSource
from credit_rating.policies.classes import LEVELS
from credit_rating.statement_files import SYNONYMS
from crm_site.lib.money import from_minor
from customers.ingest.columns import Bad, Column
from customers.ingest.feeds import AS_OF, FEEDS, Feed
from customers.ingest.landing import LANDINGS, Counts, Landing

NAME = "financials"
EXTERNAL = "external-exposures"
IMPAIRED = "impairments"
_CUSTOMER = ("customer number", "客户号", "客户编号")


def _item(item: str) -> Column:
    names = tuple(chinese for chinese, code in SYNONYMS.items() if code == item)
    return Column(item, "money", item.replace("_", " "), "1000000.00", to="-", synonyms=names)


# A year's statement that adds up, in thousands.
_STATEMENT = {
    item: f"{thousands}000.00"
    for item, thousands in {
        "cash": 1200, "receivables": 2300, "prepayments": 300, "inventory": 2000, "other_current_assets": 200,
        "current_assets": 6000, "fixed_assets": 3500, "intangible_assets": 400, "other_noncurrent_assets": 100,
        "total_assets": 10000, "short_term_loans": 2000, "payables": 1500, "advances": 300,
        "other_current_liabilities": 200, "current_liabilities": 4000, "long_term_loans": 900,
        "other_noncurrent_liabilities": 100, "total_liabilities": 5000, "paid_in_capital": 3000,
        "retained_earnings": 1500, "other_equity": 500, "equity": 5000, "sales": 18000, "cost_of_sales": 14400,
        "operating_expenses": 2200, "interest_expense": 160, "other_income": 60, "profit_before_tax": 1300,
        "income_tax": 325, "net_profit": 975, "operating_cash_flow": 900, "investing_cash_flow": -400,
        "financing_cash_flow": -300, "net_cash_change": 200,
    }.items()
}  # fmt: skip


FINANCIALS = Feed(
    NAME,
    _("Statements"),
    "Statements of companies, a row a year, in the bank's currency. A row that does not add up is refused; items that are "
    "left out leave what stands.",
    "credit_rating_statement",
    ("customer", "year"),
    (
        Column("customer", "code", "customer number", "100001", reference="customer", required=True, most=32,
               synonyms=_CUSTOMER),
        Column("year", "integer", "financial year", "2025", required=True, positive=True, synonyms=("年度", "会计年度")),
        Column("report_date", "date", "date of the balance sheet", "2025-12-31", required=True,
               synonyms=("报表日期",)),
        Column("is_audited", "boolean", "audited", "true", synonyms=("是否审计",)),
        Column("auditor", "text", "auditor", "立信会计师事务所", most=120, synonyms=("审计机构",)),
        *(_item(item) for item in ALL_ITEMS),
        AS_OF,
    ),
    examples=({"customer": "100002", **_STATEMENT},),
)  # fmt: skip
EXPOSURES = Feed(
    EXTERNAL,
    _("Exposures at other banks"),
    "What customers owe to other banks. All rows of a customer, source and report_date are one report, which tells "
    "everything its source knows: what the newest report leaves out has ended. A report that found nothing is one row "
    "with amounts of 0.",
    "credit_rating_externalexposure",
    ("customer", "source", "report_date", "lender", "reference"),
    (
        Column("customer", "code", "customer number", "100001", reference="customer", required=True, most=32,
               synonyms=_CUSTOMER),
        Column("source", "choice", "who tells it: the credit bureau or the core", "credit_bureau", required=True,
               choices=tuple(ExposureSource.values), synonyms=("来源",)),
        Column("report_date", "date", "date of the report", "2026-01-31", required=True, synonyms=("报告日期",)),
        Column("lender", "text", "bank or lender", "中国农业银行", required=True, most=120,
               synonyms=("机构名称", "授信机构", "贷款机构")),
        Column("reference", "code", "number by which the lender or the bureau knows it", "D10301", required=True, most=64,
               synonyms=("账户编号", "业务编号")),
        Column("kind", "choice", "kind: a loan, a line or card (counts with what may be drawn), an acceptance or guarantee "
               "issued for the customer, or his own promise for another's debt (shown, not counted)", "loan",
               required=True, choices=tuple(ExposureKind.values), synonyms=("业务种类",)),
        Column("currency", "currency", "currency", "CNY", required=True, synonyms=("ccy", "币种", "货币")),
        Column("granted", "money", "amount or limit granted", "3000000.00", positive=True, default="0",
               synonyms=("授信额度", "合同金额", "借款金额")),
        Column("outstanding", "money", "outstanding or drawn on the date of the report", "2400000.00", required=True,
               positive=True, synonyms=("余额", "贷款余额")),
        Column("overdue", "money", "of it overdue", "0.00", positive=True, default="0", synonyms=("逾期金额", "逾期总额")),
        Column("days_past_due", "integer", "longest days overdue on the date of the report; empty: not told", "0",
               positive=True, synonyms=("逾期天数",)),
        Column("level", "choice", "five-level class at the lender", "normal", choices=tuple(LEVELS),
               synonyms=("五级分类",)),
        Column("maturity_date", "date", "final maturity", "2026-11-30", synonyms=("到期日", "到期日期")),
        AS_OF,
    ),
)  # fmt: skip
IMPAIRMENTS = Feed(
    IMPAIRED,
    _("Expected losses on loans"),
    "What the bank's impairment system expects to lose on a loan: a row a loan, the newest report_date stands. Balance and "
    "expected loss are of that date and in the loan's currency. The five-level classes rest on it where it is delivered; "
    "of a loan without a row no expected loss is assumed.",
    "credit_rating_impairment",
    ("loan",),
    (
        Column("loan", "code", "loan number", "L2026000123", reference="loan", required=True, most=40,
               synonyms=("loan number", "借据号", "贷款账号")),
        Column("report_date", "date", "date of the figures", "2026-01-31", required=True, synonyms=("报告日期", "数据日期")),
        Column("stage", "choice", "stage of impairment; 3 is credit-impaired", "1", choices=("1", "2", "3"), required=True,
               synonyms=("减值阶段", "阶段")),
        Column("balance", "money", "gross balance that the loss was reckoned for", "2400000.00", required=True,
               positive=True, synonyms=("账面余额",)),
        Column("expected_loss", "money", "expected credit loss recorded for it, at most the balance", "36000.00",
               required=True, positive=True, synonyms=("预期信用损失", "减值准备")),
        AS_OF,
    ),
)  # fmt: skip
# What the row gives, as {item: text with two decimals}. Column names are those of ALL_ITEMS, no input.
_FIGURES = (
    "jsonb_strip_nulls(jsonb_build_object("
    + ", ".join(f"'{item}', (p.\"{item}\" / 100.0)::numeric(20, 2)::text" for item in ALL_ITEMS)
    + "))"
)


def land_financials(landing: Landing) -> Counts:
    """Refuse what is no company's or does not add up; insert years that are new, change those that differ."""
    strangers = landing.rows(
        "SELECT p.n FROM part p JOIN customers_customer c ON c.bank_id = %(bank)s AND c.id = p.customer_id "
        "WHERE c.kind <> 'corporate' OR p.year NOT BETWEEN 1990 AND 9999"
    )
    landing.reject((n, "customer", Bad("no_statement")) for (n,) in strangers)
    names = ", ".join(f'"{item}"' for item in ALL_ITEMS)
    bad = []
    for n, year, *amounts in landing.rows(f"SELECT n, year, {names} FROM part"):
        given = zip(ALL_ITEMS, amounts, strict=True)
        figures: dict[str, Decimal] = {item: from_minor(a) for item, a in given if a is not None}
        faults = check_statements({year: figures})
        if faults or not figures:
            bad.append((n, faults[0].item if faults else "year", Bad("does_not_add_up")))
    landing.reject(bad)
    total = landing.count_part()
    updated = landing.update_changed(
        extra=[("figures", f"t.figures || {_FIGURES}")],
        also=", source = 'feed', entered_by_id = NULL, entered_at = %(received_at)s",
    )
    inserted = landing.insert_new(
        {"figures": _FIGURES, "source": "'feed'", "entered_at": "%(received_at)s", "explanation": "''"}
    )
    return Counts(inserted=inserted, updated=updated, unchanged=total - inserted - updated)


def land_impairments(landing: Landing) -> Counts:
    """Refuse a loss above its balance; what is of an earlier date than what stands changes nothing."""
    beyond = landing.rows("SELECT n FROM part WHERE expected_loss > balance")
    landing.reject((n, "expected_loss", Bad("beyond_balance")) for (n,) in beyond)
    total = landing.count_part()
    landing.run(
        "DELETE FROM part p USING credit_rating_impairment t"
        " WHERE t.bank_id = %(bank)s AND t.id = p.found_id AND p.report_date < t.report_date"
    )
    updated, inserted = landing.update_changed(), landing.insert_new()
    return Counts(inserted=inserted, updated=updated, unchanged=total - inserted - updated)


def register() -> None:
    """Make the feeds known to ingest (AppConfig.ready)."""
    FEEDS.add(NAME, FINANCIALS)
    LANDINGS[NAME] = land_financials
    FEEDS.add(EXTERNAL, EXPOSURES)
    FEEDS.add(IMPAIRED, IMPAIRMENTS)
    LANDINGS[IMPAIRED] = land_impairments
