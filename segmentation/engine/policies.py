"""The bank's default tiers (B1, B2) as data in the condition language, and what can be read off a policy."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

FIRST_DAY = dt.date(1900, 1, 1)  # a founding policy holds for whatever was before
WEALTH_FROM = {
    "black_gold": 10_000_000,
    "diamond": 5_000_000,
    "premier_platinum": 3_000_000,
    "platinum": 1_000_000,
    "premier_gold": 500_000,
    "gold": 200_000,
}


def at_least(fact: str, amount: Decimal | int) -> dict[str, Any]:
    """A boundary that belongs to the upper tier."""
    return {"fact": fact, "op": ">=", "value": str(Decimal(amount).quantize(Decimal("0.01")))}


def value_tiers(
    high_deposits: Decimal | int = 1_000_000,
    high_loans: Decimal | int = 2_000_000,
    mid_deposits: Decimal | int = 100_000,
    mid_loans: Decimal | int = 500_000,
    measure: str = "deposits_adb",
) -> list[dict[str, Any]]:
    """High, mid and general by deposits or loans. `measure`: deposits_adb, or deposits_balance for a balance."""
    return [
        {"rank": 3, "code": "high", "condition": {"any": [at_least(measure, high_deposits), at_least("loans", high_loans)]}},
        {"rank": 2, "code": "mid", "condition": {"any": [at_least(measure, mid_deposits), at_least("loans", mid_loans)]}},
        {"rank": 1, "code": "general", "condition": None},
    ]  # fmt: skip


def default_wealth_tiers() -> list[dict[str, Any]]:
    """Black gold to standard by assets."""
    levels = [
        {"rank": rank, "code": code, "condition": at_least("aum", amount)}
        for rank, (code, amount) in zip(range(7, 1, -1), WEALTH_FROM.items(), strict=True)
    ]
    return [*levels, {"rank": 1, "code": "standard", "condition": None}]


def thresholds_of(condition: Mapping[str, Any] | None) -> dict[str, Decimal]:
    """fact -> amount of a condition that is one boundary or an "any" of boundaries; {} for anything else."""
    if not condition:
        return {}
    parts = condition.get("any", [condition])
    found = {}
    for part in parts:
        if part.get("op") != ">=" or part["fact"] in found:
            return {}
        try:
            found[part["fact"]] = Decimal(str(part["value"]))
        except ArithmeticError:
            return {}
    return found
