"""What a tier policy that is not in force yet would do to the book as it stands: who moves, and what moves along (B1, B2)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db.models import Count, F, Q, SmallIntegerField, Sum, Value
from django.db.models.expressions import BaseExpression, Combinable

from crm_site.accounts.versions import OPEN, VersionState
from crm_site.lib.permissions import Actor
from customers.conditions import Condition, ConditionError, both, fact_is, validate
from customers.models import CustomerKind, Standing
from segmentation.models import TierPolicy
from segmentation.own_schemes import standing_in
from segmentation.ranking import RankBy, falls_into
from segmentation.selectors.book import FACT, RANK_COLUMN, RANKS, REAL
from segmentation.selectors.policies import policies_on

FIGURES = ("deposits_adb", "loans", "aum")


@dataclass(frozen=True, slots=True)
class Sums:
    """Customers, how many of them somebody looks after, and their balances in the bank's currency."""

    customers: int = 0
    led: int = 0
    deposits_adb: Decimal = Decimal(0)
    loans: Decimal = Decimal(0)
    aum: Decimal = Decimal(0)

    def __add__(self, other: Sums) -> Sums:
        return Sums(*(getattr(self, name) + getattr(other, name) for name in self.__slots__))

    def __sub__(self, other: Sums) -> Sums:
        return Sums(*(getattr(self, name) - getattr(other, name) for name in self.__slots__))


@dataclass(frozen=True)
class Effect:
    """The book of `as_of` by the rank a customer has (0: none) and the rank the version gives it.

    `tiers`: the version's, best first. `conditions`: (rank, rank) -> of the customers behind it, {} where the reader
    may not ask that. `apart`: kinds of customer that have a policy of their own and are not counted.
    """

    as_of: dt.date
    tiers: Sequence[Mapping[str, Any]]
    cells: Mapping[tuple[int, int], Sums]
    conditions: Mapping[tuple[int, int], Condition]
    apart: Sequence[str]

    def sums(self, chosen: Callable[[int, int], bool]) -> Sums:
        """Those whose ranks before and after are chosen, together."""
        return sum((sums for (a, b), sums in self.cells.items() if chosen(a, b)), Sums())

    def today(self, rank: int) -> Sums:
        """Who has a rank."""
        return self.sums(lambda a, _b: a == rank)

    def under(self, rank: int) -> Sums:
        """Who gets a rank by the version."""
        return self.sums(lambda _a, b: b == rank)

    @property
    def total(self) -> Sums:
        return self.sums(lambda a, b: True)

    @property
    def up(self) -> Sums:
        return self.sums(lambda a, b: 0 < a < b)

    @property
    def down(self) -> Sums:
        return self.sums(lambda a, b: a > b)

    @property
    def moved(self) -> Sums:
        return self.up + self.down

    @property
    def share(self) -> Decimal | None:
        """Of all customers counted, who moves."""
        total = self.total.customers
        return Decimal(self.moved.customers) / total if total else None


def is_ahead(policy: TierPolicy, state: VersionState) -> bool:
    """Whether a version has yet to decide anything: a draft, a proposal, or one that begins later."""
    return policy.status in OPEN or state == VersionState.PENDING


def effect_of(actor: Actor, policy: TierPolicy, day: dt.date) -> Effect:
    """Rank every customer that the actor sees by a version, on the figures of the newest business date, `day`.

    One pass over the standing of the whole book; no sample. Customers that no night has decided yet are left out.
    Raises ConditionError for a draft whose conditions are not said yet.
    """
    for tier in policy.tiers[:-1]:
        validate(tier["condition"] or {"fact": ""}, dated=True)
    in_force = policies_on(day).get(policy.scheme.code, {})
    apart = [] if policy.kind else sorted(kind for kind in in_force if kind)
    book = Standing.objects.visible_to(actor).filter(value_tier__gt=0)
    book = book.filter(kind=policy.kind) if policy.kind else book.exclude(kind__in=apart)
    rows = (
        book.annotate(was=_held(policy, in_force, day), becomes=RankBy(policy.tiers, as_of=day))
        .order_by()
        .values("was", "becomes")
        .annotate(
            customers=Count("pk"),
            led=Count("pk", filter=Q(responsible__isnull=False)),
            **{f"sum_{name}": Sum(name) for name in FIGURES},
        )
    )
    cells = {
        (row["was"], row["becomes"]): Sums(
            row["customers"], row["led"], *(row[f"sum_{name}"] for name in FIGURES)
        )
        for row in rows
    }
    behind = {key: _behind(actor, policy, apart, *key) for key in cells}
    return Effect(day, policy.tiers, cells, behind, [str(CustomerKind(kind).label) for kind in apart])


def _held(
    policy: TierPolicy, in_force: Mapping[str, TierPolicy], day: dt.date
) -> BaseExpression | Combinable:
    """The rank a customer has: as the night wrote it, or in a scheme of the bank's own as its version in force says."""
    if policy.scheme.code in RANK_COLUMN:
        return F(RANK_COLUMN[policy.scheme.code])
    standing = in_force.get(policy.kind) or in_force.get("")
    if standing is None:
        return Value(0, output_field=SmallIntegerField())
    return RankBy(standing.tiers, as_of=day)


def _behind(actor: Actor, policy: TierPolicy, apart: Sequence[str], was: int, becomes: int) -> Condition:
    scheme = policy.scheme.code
    held = None
    if was:
        held = fact_is(FACT[scheme], RANKS[scheme][was]) if scheme in FACT else standing_in(scheme, was)
    condition = both(
        REAL,
        fact_is("kind", policy.kind) if policy.kind else None,
        *({"fact": "kind", "op": "!=", "value": kind} for kind in apart),
        held,
        *falls_into(policy.tiers, becomes),
    )
    try:
        return validate(condition, actor=actor)
    except ConditionError:
        return {}
