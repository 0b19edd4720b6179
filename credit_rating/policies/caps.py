"""The regulator's concentration caps (C5), as shares of the bank's capital; a bank may be stricter, never looser.

商业银行法 第39条; 《商业银行大额风险暴露管理办法》(银保监会令2018年第1号); 《商业银行集团客户授信业务风险管理指引》(银监会, 2010 修订);
《银行保险机构关联交易管理办法》(银保监会令2022年第1号).
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from credit_rating.engine.exposure import Caps
from credit_rating.engine.groups import CONTROL, TIES, Bonds
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
TIE_LABELS = {
    "common_control": gettext_lazy("Common control"),
    "parent_company": gettext_lazy("Parent and subsidiary"),
    "shareholder": gettext_lazy("Shareholding"),
    "beneficial_owner": gettext_lazy("Beneficial ownership"),
    "family": gettext_lazy("Family of who controls"),
    "mutual": gettext_lazy("They guarantee each other"),
    "guarantor": gettext_lazy("Guarantee, part of the guarantor's capacity"),
    "supplier": gettext_lazy("Sales to one buyer"),
}
TIE_CHOICES = tuple((kind, TIE_LABELS[kind]) for kind in TIES)
# Economic dependence as the regulator asks about it; a policy of before the question says the same.
DEPENDENCE_PCT = {"guarantee_pct": "50", "trade_pct": "50", "dependence_pct": "5"}


def default(kind: str) -> Mapping[str, Any]:
    caps = {f"{code}_pct": str(most) for code, (_label, most) in CAPS.items()}
    return {
        "params": {**caps, "warn_pct": "85", "control_pct": "50", "ties": list(TIES), **DEPENDENCE_PCT}, "tables": {}
    }  # fmt: skip


def _check(body: Body) -> Mapping[str, str]:
    if not set(CONTROL) <= set(body.params["ties"]):
        return {"ties": _("Control always makes a group; only the other ties may be left out.")}
    return {}


SHAPE = Shape(
    subject="caps",
    label=gettext_lazy("Concentration caps"),
    description=gettext_lazy("How much of the bank's capital one customer, group or related party may take"),
    default=default,
    check=_check,
    params=(
        *(
            Column(f"{code}_pct", label, "percent", minimum=Decimal("0.01"), maximum=Decimal(most), unit="%")
            for code, (label, most) in CAPS.items()
        ),
        Column("warn_pct", gettext_lazy("Early warning from this part of a cap on"), "percent",
               minimum=Decimal(1), maximum=Decimal(100), unit="%"),
        Column("control_pct", gettext_lazy("A share that makes a group"), "percent", minimum=Decimal(1),
               maximum=Decimal(50), unit="%"),
        Column("ties", gettext_lazy("What holds a group or connected customers together"), "choices", TIE_CHOICES,
               fallback=list(TIES)),
        Column("guarantee_pct", gettext_lazy("A guarantor depends on the debtor from this part of what he can promise on"),
               "percent", minimum=Decimal(1), maximum=Decimal(100), unit="%",
               fallback=DEPENDENCE_PCT["guarantee_pct"]),
        Column("trade_pct", gettext_lazy("A supplier depends on a buyer from this part of his sales on"), "percent",
               minimum=Decimal(1), maximum=Decimal(100), unit="%", fallback=DEPENDENCE_PCT["trade_pct"]),
        Column("dependence_pct",
               gettext_lazy("Dependence is asked where one end has more credit than this part of tier-1 net capital"),
               "percent", minimum=Decimal("0.01"), maximum=Decimal(5), unit="%",
               fallback=DEPENDENCE_PCT["dependence_pct"]),
    ),
)  # fmt: skip


def caps_of(body: Body) -> Caps:
    """The caps as the engine takes them."""
    return Caps(**{code: body.params[f"{code}_pct"] for code in CAPS}, warn=body.params["warn_pct"])


def bonds_of(body: Body) -> Bonds:
    """What holds customers together, as the engine takes it."""
    params = body.params
    return Bonds(
        frozenset(params["ties"]), params["control_pct"], params["guarantee_pct"], params["trade_pct"]
    )


def dependence_share(body: Body) -> Decimal:
    """The part of tier-1 net capital above which somebody's credit calls for asking who depends on whom."""
    share: Decimal = body.params["dependence_pct"]
    return share
