"""How lines are calculated: coefficients and caps by grade for each kind of customer (C3).

The defaults are a cautious beginning that each bank replaces by its own: net assets × coefficient and the multiple of
cash flow fall with the grade; 1,000万 for one small business is the boundary of the regulator's inclusive finance
statistics (普惠型小微企业贷款, 单户授信 1000 万元及以下); a service ratio of 55% of income is the upper bound for housing loans
(《商业银行房地产贷款风险管理指引》, 2004, 第36条).
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from credit_rating.policies.grades import GRADES
from credit_rating.policies.shapes import Body, Column, Shape, Table

TABLES = ("corporate", "sme", "personal", "household")
_CHOICES = [(g, g) for g in GRADES]
_MILLION = 1_000_000
# grade: net asset coefficient, cash flow multiple, cap
_CORPORATE = {
    "AAA": ("0.90", "5.0", 500), "AA": ("0.75", "4.0", 200), "A": ("0.60", "3.2", 80), "BBB": ("0.45", "2.5", 40),
    "BB": ("0.30", "1.8", 15), "B": ("0.20", "1.2", 5),
}  # fmt: skip
# grade: net asset coefficient, share of sales %, cap
_SME = {
    "AAA": ("0.80", "25", 10), "AA": ("0.70", "22", 10), "A": ("0.60", "20", 8), "BBB": ("0.45", "16", 5),
    "BB": ("0.30", "12", 3), "B": ("0.20", "8", 1),
}  # fmt: skip
# grade: income multiple (years), service ratio %, cap in 10,000
_PERSONAL = {
    "AAA": ("4.0", "55", 300), "AA": ("3.5", "55", 200), "A": ("3.0", "50", 100), "BBB": ("2.5", "50", 60),
    "BB": ("2.0", "45", 30), "B": ("1.0", "40", 10),
}  # fmt: skip
# grade: income multiple (years), share of net assets %, cap in 10,000
_HOUSEHOLD = {
    "AAA": ("3.0", "50", 50), "AA": ("2.5", "45", 40), "A": ("2.0", "40", 30), "BBB": ("1.5", "30", 20),
    "BB": ("1.0", "20", 10), "B": ("0.5", "10", 5),
}  # fmt: skip


def _rows(
    given: Mapping[str, tuple[str, str, int]], names: tuple[str, str], scale: int
) -> list[dict[str, str]]:
    return [
        {"grade": g, names[0]: a, names[1]: b, "cap": f"{cap * scale}.00"} for g, (a, b, cap) in given.items()
    ]


def default(kind: str) -> Mapping[str, Any]:
    """What a new bank begins with; a grade that is not named gets no line."""
    terms = [("12", "100"), ("24", "95"), ("36", "90"), ("60", "80"), ("360", "70")]
    return {
        "params": {"round_to": "10000.00", "guarantee_share_pct": "20", "guarantee_most_pct": "50",
                   "living_costs": "15000.00"},
        "tables": {
            "corporate": _rows(_CORPORATE, ("net_asset_coefficient", "cash_flow_multiple"), _MILLION),
            "sme": _rows(_SME, ("net_asset_coefficient", "sales_share_pct"), _MILLION),
            "personal": _rows(_PERSONAL, ("income_multiple", "service_ratio_pct"), 10_000),
            "household": _rows(_HOUSEHOLD, ("income_multiple", "asset_share_pct"), 10_000),
            "terms": [{"months": m, "factor_pct": f} for m, f in terms],
        },
    }  # fmt: skip


def check(body: Body) -> Mapping[str, str]:
    """Grades stand best first and their caps do not rise; longer terms do not get more."""
    faults: dict[str, str] = {}
    for name in TABLES:
        rows = body.tables[name]
        for i in range(1, len(rows)):
            if GRADES.index(rows[i]["grade"]) <= GRADES.index(rows[i - 1]["grade"]):
                faults[f"{name}-{i}-grade"] = _("Grades stand best first.")
            if rows[i]["cap"] > rows[i - 1]["cap"]:
                faults[f"{name}-{i}-cap"] = _("The cap must not be above that of the grade above it.")
    terms = body.tables["terms"]
    for i in range(1, len(terms)):
        if terms[i]["months"] <= terms[i - 1]["months"]:
            faults[f"terms-{i}-months"] = _("Terms stand shortest first.")
        if terms[i]["factor_pct"] > terms[i - 1]["factor_pct"]:
            faults[f"terms-{i}-factor_pct"] = _("A longer term must not get more.")
    return faults


def _times(name: str, label: Any) -> Column:
    return Column(name, label, "number", minimum=Decimal(0), maximum=Decimal(20))


def _share(name: str, label: Any, maximum: int = 100) -> Column:
    return Column(name, label, "percent", minimum=Decimal(0), maximum=Decimal(maximum), unit="%")


def _table(name: str, label: Any, *columns: Column) -> Table:
    grade = Column("grade", gettext_lazy("Grade"), "choice", choices=_CHOICES)
    cap = Column("cap", gettext_lazy("Cap for one customer"), "money", minimum=Decimal(0))
    return Table(
        name,
        label,
        (grade, *columns, cap),
        key=("grade",),
        help=gettext_lazy("a grade that is not here gets no line"),
    )


_NET_ASSETS = _times("net_asset_coefficient", gettext_lazy("Net asset coefficient"))
_INCOME = _times("income_multiple", gettext_lazy("Years of income"))
SHAPE = Shape(
    subject="methods",
    label=gettext_lazy("Line calculation methods"),
    description=gettext_lazy("Coefficients and caps by grade, the weight of guarantees, terms and rounding"),
    default=default,
    params=(
        Column("round_to", gettext_lazy("Limits are rounded down to"), "money", minimum=Decimal(1)),
        _share("guarantee_share_pct", gettext_lazy("Part of the usable guarantees that is added")),
        _share("guarantee_most_pct", gettext_lazy("Guarantees add at most, of the figure before")),
        Column("living_costs", gettext_lazy("Living costs of a household member a year"), "money",
               minimum=Decimal(0)),
    ),
    tables=(
        _table("corporate", gettext_lazy("Corporate"), _NET_ASSETS,
               _times("cash_flow_multiple", gettext_lazy("Years of cash flow"))),
        _table("sme", gettext_lazy("Small business"), _NET_ASSETS,
               _share("sales_share_pct", gettext_lazy("Share of sales"))),
        _table("personal", gettext_lazy("Personal"), _INCOME,
               _share("service_ratio_pct", gettext_lazy("Debt service ratio"))),
        _table("household", gettext_lazy("Rural household"), _INCOME,
               _share("asset_share_pct", gettext_lazy("Share of net assets"))),
        Table(
            "terms", gettext_lazy("Factor by term"),
            (Column("months", gettext_lazy("Up to months"), "whole", minimum=Decimal(1), maximum=Decimal(600)),
             _share("factor_pct", gettext_lazy("Factor"))),
            key=("months",), help=gettext_lazy("for companies, small businesses and households"),
        ),
    ),
    check=check,
)  # fmt: skip


def row_of(body: Body, kind: str, grade: str) -> Mapping[str, Any] | None:
    """The coefficients of a kind and grade, or None: this grade gets no line."""
    return next((row for row in body.tables[kind] if row["grade"] == grade), None)


def term_factor(body: Body, months: int) -> Decimal:
    """The factor of a term, a fraction; a term beyond the table gets the last row's."""
    rows = body.tables["terms"]
    return next((r["factor_pct"] for r in rows if months <= r["months"]), rows[-1]["factor_pct"])
