"""What collateral and guarantors count for: rates by type, how often they are valued again (C4).

Rates are the upper ends customary with Chinese commercial banks, for each bank to replace; that a bank sets rates by
type and values again at least once a year is asked by 《商业银行押品管理指引》(银监发〔2017〕16号).
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext_lazy

from credit_rating.policies.shapes import Body, Column, Shape, Table

MORTGAGE, PLEDGE = "mortgage", "pledge"
ASSET_TYPES = (
    ("residence", gettext_lazy("Dwelling"), MORTGAGE, "70", 12),
    ("shop", gettext_lazy("Shop or office"), MORTGAGE, "60", 12),
    ("factory", gettext_lazy("Factory building"), MORTGAGE, "60", 12),
    ("land_use", gettext_lazy("Land use right"), MORTGAGE, "60", 12),
    ("farm_land", gettext_lazy("Right to farm land"), MORTGAGE, "50", 12),
    ("forest", gettext_lazy("Forest right"), MORTGAGE, "50", 12),
    ("equipment", gettext_lazy("Machinery"), MORTGAGE, "50", 12),
    ("vehicle", gettext_lazy("Vehicle"), MORTGAGE, "40", 6),
    ("livestock", gettext_lazy("Livestock"), MORTGAGE, "40", 6),
    ("stock", gettext_lazy("Inventory"), PLEDGE, "50", 3),
    ("deposit", gettext_lazy("Deposit certificate"), PLEDGE, "95", 12),
    ("treasury_bond", gettext_lazy("Treasury bond"), PLEDGE, "90", 12),
    ("bank_bill", gettext_lazy("Bank acceptance bill"), PLEDGE, "90", 6),
    ("receivable", gettext_lazy("Receivables"), PLEDGE, "50", 3),
    ("shares", gettext_lazy("Shares"), PLEDGE, "50", 3),
    ("patent", gettext_lazy("Intellectual property"), PLEDGE, "30", 12),
)
TYPE_LABELS = {code: label for code, label, *_rest in ASSET_TYPES}
TYPE_CHOICES = [(code, label) for code, label, *_rest in ASSET_TYPES]
KIND_OF_TYPE = {code: kind for code, _label, kind, *_rest in ASSET_TYPES}


def default(kind: str) -> Mapping[str, Any]:
    rows = [
        {"type": t, "rate_pct": rate, "months": str(months)} for t, _label, _kind, rate, months in ASSET_TYPES
    ]
    return {
        "params": {"overdue_pct": "0", "guarantor_rate_pct": "100", "guarantor_capacity_pct": "70",
                   "guarantor_months": "12", "warn_pct": "85", "remind_days": "30"},
        "tables": {"types": rows},
    }  # fmt: skip


def _pct(name: str, label: Any, help_text: Any = "") -> Column:
    return Column(name, label, "percent", minimum=Decimal(0), maximum=Decimal(100), unit="%", help=help_text)


SHAPE = Shape(
    subject="haircuts",
    label=gettext_lazy("Guarantees and haircuts"),
    description=gettext_lazy("What collateral and guarantors count for, and when they are valued again"),
    default=default,
    params=(
        _pct("overdue_pct", gettext_lazy("A valuation that is overdue counts for")),
        _pct("guarantor_rate_pct", gettext_lazy("A guarantor's promise counts for")),
        _pct("guarantor_capacity_pct", gettext_lazy("Capacity to guarantee, of the guarantor's net assets")),
        Column("guarantor_months", gettext_lazy("A capacity holds for"), "whole", minimum=Decimal(1),
               maximum=Decimal(36), unit=gettext_lazy("months")),
        _pct("warn_pct", gettext_lazy("Warn when a capacity is used by")),
        Column("remind_days", gettext_lazy("Remind of a valuation before it is due by"), "whole",
               minimum=Decimal(0), maximum=Decimal(180), unit=gettext_lazy("days")),
    ),
    tables=(
        Table(
            "types", gettext_lazy("Collateral by type"),
            (Column("type", gettext_lazy("Type"), "choice", choices=TYPE_CHOICES),
             _pct("rate_pct", gettext_lazy("Counts for at most")),
             Column("months", gettext_lazy("Valued again after"), "whole", minimum=Decimal(1),
                    maximum=Decimal(36), unit=gettext_lazy("months"))),
            key=("type",),
        ),
    ),
)  # fmt: skip


def rule_of(body: Body, asset_type: str) -> tuple[Decimal, int]:
    """(rate, months until the next valuation) of a type; a type that the policy does not name counts nothing."""
    for row in body.tables["types"]:
        if row["type"] == asset_type:
            return row["rate_pct"], row["months"]
    return Decimal(0), 12
