"""A policy's tiers as one SQL expression: the first line that fits decides, the last one takes the rest.

The night ranks by it, and so does the preview of a version that nobody has published yet.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import SmallIntegerField

from customers.conditions import Condition, StandingSQL, compile_condition

Tiers = Sequence[Mapping[str, Any]]


def rank_sql(tiers: Tiers, *, c: str = "c", s: str = "s", as_of: dt.date) -> tuple[str, list[Any]]:
    """The rank as SQL over the aliases of a customer and its figures, with its parameters. Raises ConditionError."""
    whens, params = [], []
    for tier in tiers[:-1]:
        sql, values = compile_condition(tier["condition"], c=c, s=s, as_of=as_of, dated=True)
        whens.append(f"WHEN {sql} THEN {int(tier['rank'])}")
        params.extend(values)
    return f"CASE {' '.join(whens)} ELSE {int(tiers[-1]['rank'])} END", params


def asks_customer(sql: str) -> bool:
    """Whether SQL over `c` and `s` reads the wide row of the customer."""
    return "c." in sql


class RankBy(StandingSQL):
    """The rank as an annotation of a Standing queryset. Joins the customer only where a condition asks it something."""

    output_field = SmallIntegerField()

    def __init__(self, tiers: Tiers, *, as_of: dt.date) -> None:
        sql, _params = rank_sql(tiers, as_of=as_of)
        super().__init__(customer=asks_customer(sql))
        self.tiers, self.as_of = tiers, as_of

    def compiled(self, c: str, s: str) -> tuple[str, list[Any]]:
        return rank_sql(self.tiers, c=c, s=s, as_of=self.as_of)


def falls_into(tiers: Tiers, rank: int) -> list[Condition]:
    """What holds of whoever gets a rank: its own condition, and none of the better tiers'."""
    found: list[Condition] = []
    for tier in tiers:
        if tier["rank"] == rank:
            return [*found, *([tier["condition"]] if tier["condition"] else [])]
        found.append({"not": tier["condition"]})
    raise ValueError(rank)
