"""What a loan must earn (C11): the parts of the price as data, and the LPR with its dates.

LPR: as announced by the National Interbank Funding Center on the 20th of a month; the rows that come with a bank are
announcements of 2024-10-21 and 2025-05-20, later ones are added as new versions. Losses given default and risk weights
are of the order of the foundation and standardised approaches of 《商业银行资本管理办法》(金融监管总局令2023年第4号); funding, costs and
margin are for each bank to set.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from credit_rating.policies.shapes import Body, Column, Shape, Table

KINDS = (
    ("corporate", gettext_lazy("Corporate")), ("sme", gettext_lazy("Small business")),
    ("personal", gettext_lazy("Personal")), ("household", gettext_lazy("Rural household")),
)  # fmt: skip
DISCOUNTS = (
    ("none", gettext_lazy("No discount"), "0"),
    ("settlement", gettext_lazy("Main settlement account with the bank"), "0.10"),
    ("deposits", gettext_lazy("Deposits of a third of the line or more"), "0.20"),
    ("full", gettext_lazy("Settlement, wages and deposits with the bank"), "0.30"),
)
DISCOUNT_LABELS = {code: label for code, label, _pct in DISCOUNTS}
LONG_MONTHS = 60  # the LPR beyond five years holds from here on


def default(kind: str) -> Mapping[str, Any]:
    kinds = {"corporate": ("0.55", "100", "0.95"), "sme": ("0.90", "75", "1.00"), "personal": ("1.00", "75", "1.10"),
             "household": ("1.20", "75", "1.00")}  # fmt: skip
    return {
        "params": {"capital_ratio_pct": "10.5", "return_pct": "8", "lgd_pct": "45", "lgd_secured_pct": "25",
                   "floor_pct": "2.00"},
        "tables": {
            "kinds": [{"kind": k, "operating_pct": o, "risk_weight_pct": w, "margin_pct": m}
                      for k, (o, w, m) in kinds.items()],
            "funding": [{"months": "6", "rate_pct": "1.45"}, {"months": "12", "rate_pct": "1.62"},
                        {"months": "36", "rate_pct": "1.95"}, {"months": "60", "rate_pct": "2.20"},
                        {"months": "360", "rate_pct": "2.45"}],
            "discounts": [{"code": c, "rate_pct": pct} for c, _label, pct in DISCOUNTS],
            "lpr": [{"date": "2024-10-21", "one_year_pct": "3.10", "five_year_pct": "3.60"},
                    {"date": "2025-05-20", "one_year_pct": "3.00", "five_year_pct": "3.50"}],
        },
    }  # fmt: skip


def check(body: Body) -> Mapping[str, str]:
    """Every kind has its row, terms rise, LPR dates are dates and rise."""
    faults: dict[str, str] = {}
    if {row["kind"] for row in body.tables["kinds"]} != {code for code, _label in KINDS}:
        faults["kinds"] = _("Every kind of customer has one row.")
    for i in range(1, len(body.tables["funding"])):
        if body.tables["funding"][i]["months"] <= body.tables["funding"][i - 1]["months"]:
            faults[f"funding-{i}-months"] = _("Terms stand shortest first.")
    before = ""
    for i, row in enumerate(body.tables["lpr"]):
        try:
            dt.date.fromisoformat(row["date"])
        except ValueError:
            faults[f"lpr-{i}-date"] = _("Write a date as 2026-11-20.")
            continue
        if row["date"] <= before:
            faults[f"lpr-{i}-date"] = _("Dates stand oldest first.")
        before = row["date"]
    return faults


def _pct(name: str, label: Any, most: int = 100) -> Column:
    return Column(name, label, "percent", minimum=Decimal(0), maximum=Decimal(most), unit="%")


_MONTHS = Column("months", gettext_lazy("Up to months"), "whole", minimum=Decimal(1), maximum=Decimal(600))
SHAPE = Shape(
    subject="pricing",
    label=gettext_lazy("Loan pricing"),
    description=gettext_lazy("Funding, risk, cost, capital, margin and discount, and the LPR with its dates"),
    default=default,
    params=(
        _pct("capital_ratio_pct", gettext_lazy("Capital held against risk-weighted assets")),
        _pct("return_pct", gettext_lazy("What this capital must earn")),
        _pct("lgd_pct", gettext_lazy("Loss given default, unsecured")),
        _pct("lgd_secured_pct", gettext_lazy("Loss given default, secured")),
        _pct("floor_pct", gettext_lazy("Lowest rate")),
    ),
    tables=(
        Table("kinds", gettext_lazy("Cost, risk weight and margin"),
              (Column("kind", gettext_lazy("Kind"), "choice", choices=KINDS),
               _pct("operating_pct", gettext_lazy("Operating cost")),
               _pct("risk_weight_pct", gettext_lazy("Risk weight"), 1250),
               _pct("margin_pct", gettext_lazy("Margin"))), key=("kind",)),
        Table("funding", gettext_lazy("Funding by term"),
              (_MONTHS, _pct("rate_pct", gettext_lazy("Funding cost"))), key=("months",)),
        Table("discounts", gettext_lazy("Relationship discounts"),
              (Column("code", gettext_lazy("For"), "choice", choices=[(c, label) for c, label, _p in DISCOUNTS]),
               _pct("rate_pct", gettext_lazy("Discount"), 5)), key=("code",)),
        Table("lpr", gettext_lazy("Loan prime rate"),
              (Column("date", gettext_lazy("From"), "text", help="2026-11-20"),
               _pct("one_year_pct", gettext_lazy("One year")),
               _pct("five_year_pct", gettext_lazy("Above five years"))), key=("date",)),
    ),
    check=check,
)  # fmt: skip


def lpr_on(body: Body, day: dt.date, months: int) -> tuple[Decimal, dt.date] | None:
    """(LPR, its date) that holds on a day for a term; None before the first that is known."""
    known = [row for row in body.tables["lpr"] if row["date"] <= day.isoformat()]
    if not known:
        return None
    column = "five_year_pct" if months > LONG_MONTHS else "one_year_pct"
    return known[-1][column], dt.date.fromisoformat(known[-1]["date"])


def funding_of(body: Body, months: int) -> Decimal:
    """Funding cost of a term, a fraction."""
    rows = body.tables["funding"]
    return next((r["rate_pct"] for r in rows if months <= r["months"]), rows[-1]["rate_pct"])
