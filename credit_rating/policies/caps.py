"""The regulator's concentration caps (C5), as shares of the bank's capital; a bank may be stricter, never looser.

商业银行法 第39条; 《商业银行大额风险暴露管理办法》(银保监会令2018年第1号); 《商业银行集团客户授信业务风险管理指引》(银监会, 2010 修订);
《银行保险机构关联交易管理办法》(银保监会令2022年第1号).
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext_lazy

from credit_rating.engine.exposure import Caps
from credit_rating.policies.shapes import Body, Column, Shape

# code: label, what the regulation allows in per cent
CAPS = {
    "single_loan": (gettext_lazy("Loans to one customer, of net capital"), 10),
    "single_group": (gettext_lazy("Credit to one group, of net capital"), 15),
    "single_exposure": (gettext_lazy("Exposure to one customer, of tier-1 net capital"), 15),
    "connected_group": (gettext_lazy("Exposure to a connected group, of tier-1 net capital"), 20),
    "related_single": (gettext_lazy("One related party, of last quarter's net capital"), 10),
    "related_group": (gettext_lazy("A related party's group, of last quarter's net capital"), 15),
    "related_all": (gettext_lazy("All related parties, of last quarter's net capital"), 50),
}


def default(kind: str) -> Mapping[str, Any]:
    caps = {f"{code}_pct": str(most) for code, (_label, most) in CAPS.items()}
    return {"params": {**caps, "warn_pct": "85", "control_pct": "50"}, "tables": {}}


SHAPE = Shape(
    subject="caps",
    label=gettext_lazy("Concentration caps"),
    description=gettext_lazy("How much of the bank's capital one customer, group or related party may take"),
    default=default,
    params=(
        *(
            Column(f"{code}_pct", label, "percent", minimum=Decimal("0.01"), maximum=Decimal(most), unit="%")
            for code, (label, most) in CAPS.items()
        ),
        Column("warn_pct", gettext_lazy("Early warning from this part of a cap on"), "percent",
               minimum=Decimal(1), maximum=Decimal(100), unit="%"),
        Column("control_pct", gettext_lazy("A share that makes a group"), "percent", minimum=Decimal(1),
               maximum=Decimal(50), unit="%"),
    ),
)  # fmt: skip


def caps_of(body: Body) -> Caps:
    """The caps as the engine takes them."""
    return Caps(**{code: body.params[f"{code}_pct"] for code in CAPS}, warn=body.params["warn_pct"])
