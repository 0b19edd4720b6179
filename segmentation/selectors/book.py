"""The statistics of the book as an actor may see them: tiers, branches, kinds, use, movement, concentration (B3).

Reads the night's summaries alone; every figure of the newest date carries the condition of the list behind it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db.models import Q, Sum

from crm_site.accounts.models import OrgUnit
from crm_site.accounts.selectors import subtree
from crm_site.lib.permissions import SUBTREE, WHOLE_BANK, Actor, Role
from customers.conditions import both, fact_is
from customers.models import PortfolioMonth
from customers.models.parties import LINE_KINDS
from customers.models.standing import VALUE_TIERS, WEALTH_LEVELS
from segmentation.models import Concentration, MigrationMonth, ProductUseMonth
from segmentation.models.tiers import VALUE, WEALTH

RANKS: dict[str, Mapping[int, str]] = {VALUE: VALUE_TIERS, WEALTH: WEALTH_LEVELS}
RANK_COLUMN = {VALUE: "value_tier", WEALTH: "wealth_level"}
FACT = {VALUE: "value_tier", WEALTH: "wealth_level"}
REAL = fact_is("is_prospect", False)
SUMS = ("customers", "depositors", "borrowers", "deposits_adb", "loans", "aum")


@dataclass(frozen=True)
class Scope:
    """What part of the book is looked at: within the actor's reach, a unit with all below it, a customer kind."""

    unit: OrgUnit | None = None
    kind: str = ""

    @property
    def condition(self) -> dict[str, Any]:
        """The same part as a condition of the customer list."""
        return both(
            REAL,
            fact_is("home_branch", self.unit.pk, "within") if self.unit else None,
            fact_is("kind", self.kind) if self.kind else None,
        )


@dataclass(frozen=True)
class Line:
    """One line of a statistics table: sums, and the condition of the customers behind it ({} when past)."""

    key: Any
    customers: int
    depositors: int
    borrowers: int
    deposits_adb: Decimal
    loans: Decimal
    aum: Decimal
    condition: dict[str, Any]

    @property
    def average(self) -> Decimal | None:
        return self.deposits_adb / self.customers if self.customers else None


def reach(actor: Actor) -> Q:
    """Cells (home_branch x kind) that the actor may see: as visible_rows does for the customers in them."""
    if actor.has(WHOLE_BANK) or actor.has({Role.API}):
        return Q()
    seen = Q(pk__in=[])
    if actor.has({Role.LINE_DEPARTMENT}):
        seen |= Q(kind__in=LINE_KINDS.get(actor.line_department, ()))
    for lft, rgt in actor.intervals(SUBTREE):
        seen |= Q(home_branch__lft__gte=lft, home_branch__lft__lte=rgt)
    return seen


def _within(actor: Actor, scope: Scope) -> Q:
    found = reach(actor)
    if scope.unit is not None:
        found &= Q(home_branch__lft__gte=scope.unit.lft, home_branch__lft__lte=scope.unit.rgt)
    return found & Q(kind=scope.kind) if scope.kind else found


def units_in_reach(actor: Actor) -> list[OrgUnit]:
    """Units whose figures the actor may choose, in the order of the tree."""
    if actor.has(WHOLE_BANK | {Role.API, Role.LINE_DEPARTMENT}):
        return list(OrgUnit.objects.order_by("lft"))
    found = Q(pk__in=[])
    for lft, rgt in actor.intervals(SUBTREE):
        found |= Q(lft__gte=lft, lft__lte=rgt)
    return list(OrgUnit.objects.filter(found).order_by("lft"))


def newest_day() -> dt.date | None:
    """The newest date that has been counted."""
    return PortfolioMonth.objects.order_by("-as_of").values_list("as_of", flat=True).first()


def counted_days() -> list[dt.date]:
    """Month-ends and the newest date that have been counted, newest first; 25 at most."""
    return list(PortfolioMonth.objects.order_by("-as_of").values_list("as_of", flat=True).distinct()[:25])


def _grouped(actor: Actor, scope: Scope, day: dt.date, *columns: str) -> list[dict[str, Any]]:
    cells = PortfolioMonth.objects.filter(_within(actor, scope), as_of=day)
    return list(
        cells.values(*columns).annotate(**{f"sum_{name}": Sum(name) for name in SUMS}).order_by(*columns)
    )


def _line(key: Any, rows: Iterable[Mapping[str, Any]], condition: dict[str, Any]) -> Line:
    rows = list(rows)
    money = {name: sum((row[f"sum_{name}"] for row in rows), Decimal(0)) for name in SUMS[3:]}
    heads = {name: sum(row[f"sum_{name}"] for row in rows) for name in SUMS[:3]}
    figures: dict[str, Any] = {**heads, **money}
    return Line(key, **figures, condition=condition)


def by_tier(actor: Actor, scope: Scope, day: dt.date, scheme: str, *, is_newest: bool) -> list[Line]:
    """A line for each tier of the scheme, best first."""
    rows = _grouped(actor, scope, day, RANK_COLUMN[scheme])
    lines = []
    for rank, code in RANKS[scheme].items():
        condition = both(scope.condition, fact_is(FACT[scheme], code)) if is_newest else {}
        lines.append(_line(code, [r for r in rows if r[RANK_COLUMN[scheme]] == rank], condition))
    return lines


def by_kind(actor: Actor, scope: Scope, day: dt.date, *, is_newest: bool) -> list[Line]:
    """A line for each customer kind in the book."""
    rows = _grouped(actor, scope, day, "kind")
    return [
        _line(row["kind"], [row], both(scope.condition, fact_is("kind", row["kind"])) if is_newest else {})
        for row in rows
    ]


@dataclass(frozen=True)
class BranchLine:
    """A branch with its customers by tier (best first) and its total; `unit` None: without a home branch."""

    unit: OrgUnit | None
    tiers: list[Line]
    total: Line

    @property
    def is_part(self) -> bool:
        """Whether units stand below this one, whose customers its line does not count."""
        return self.unit is not None and self.unit.rgt - self.unit.lft > 1


def by_branch(actor: Actor, scope: Scope, day: dt.date, scheme: str, *, is_newest: bool) -> list[BranchLine]:
    """Branch x tier, in the order of the tree; each unit by itself, so that the lines add up."""
    column = RANK_COLUMN[scheme]
    rows = _grouped(actor, scope, day, "home_branch", column)
    units = {unit.pk: unit for unit in OrgUnit.objects.filter(pk__in={r["home_branch"] for r in rows})}
    base = both(REAL, fact_is("kind", scope.kind) if scope.kind else None)
    lines = []
    for pk in sorted({r["home_branch"] for r in rows}, key=lambda k: units[k].lft if k in units else 2**31):
        here = fact_is("home_branch", pk) if pk else {"fact": "home_branch", "op": "is_null"}
        mine = [r for r in rows if r["home_branch"] == pk]
        tiers = [
            _line(
                code,
                [r for r in mine if r[column] == rank],
                both(base, here, fact_is(FACT[scheme], code)) if is_newest else {},
            )
            for rank, code in RANKS[scheme].items()
        ]
        lines.append(BranchLine(units.get(pk), tiers, _line(pk, mine, both(base, here) if is_newest else {})))
    return lines


@dataclass(frozen=True)
class UseLine:
    """Customers by what they use: a set of "deposit", "loan", "fee" (empty: nothing)."""

    uses: tuple[str, ...]
    customers: int
    deposits_adb: Decimal
    loans: Decimal
    condition: dict[str, Any]


USES = {"deposit": 1, "loan": 2, "fee": 4}
_USE_YES = {
    "deposit": fact_is("deposits_adb", Decimal(0), ">"),
    "loan": fact_is("loans", Decimal(0), ">"),
    "fee": fact_is("pays_fees", True),
}
_USE_NO = {
    "deposit": fact_is("deposits_adb", Decimal(0), "<="),
    "loan": fact_is("loans", Decimal(0), "<="),
    "fee": fact_is("pays_fees", False),
}


def by_use(actor: Actor, scope: Scope, day: dt.date, *, is_newest: bool) -> list[UseLine]:
    """A line for each combination of products in use, most customers first."""
    cells = ProductUseMonth.objects.filter(_within(actor, scope), as_of=day)
    rows = cells.values("use").annotate(n=Sum("customers"), d=Sum("deposits_adb"), owed=Sum("loans"))
    lines = []
    for row in rows.order_by("-n"):
        uses = tuple(name for name, bit in USES.items() if row["use"] & bit)
        parts = [(_USE_YES if name in uses else _USE_NO)[name] for name in USES]
        condition = both(scope.condition, *parts) if is_newest else {}
        lines.append(UseLine(uses, row["n"], row["d"], row["owed"], condition))
    return lines


def trend(
    actor: Actor, scope: Scope, scheme: str, newest: dt.date
) -> dict[dt.date, dict[int, dict[str, Any]]]:
    """Month-ends of the last thirteen months and the newest date -> rank -> sums."""
    days = sorted(day for day in counted_days()[:13] if day <= newest)
    cells = PortfolioMonth.objects.filter(_within(actor, scope), as_of__in=days)
    rows = cells.values("as_of", RANK_COLUMN[scheme]).annotate(
        n=Sum("customers"), d=Sum("deposits_adb"), owed=Sum("loans")
    )
    found: dict[dt.date, dict[int, dict[str, Any]]] = {day: {} for day in days}
    for row in rows:
        found[row["as_of"]][row[RANK_COLUMN[scheme]]] = row
    return found


@dataclass(frozen=True)
class Movement:
    """From -> to over a month: how many customers, and their deposits now."""

    before: dt.date
    as_of: dt.date
    cells: Mapping[tuple[int, int], tuple[int, Decimal]]

    @property
    def up(self) -> tuple[int, Decimal]:
        return self._sum(lambda a, b: 0 < a < b)

    @property
    def down(self) -> tuple[int, Decimal]:
        return self._sum(lambda a, b: a > b)

    def _sum(self, chosen: Any) -> tuple[int, Decimal]:
        moved = [value for (a, b), value in self.cells.items() if chosen(a, b)]
        return sum(n for n, _d in moved), sum((d for _n, d in moved), Decimal(0))


def movement(actor: Actor, scope: Scope, day: dt.date, scheme: str) -> Movement | None:
    """Who moved since the month-end before the day; None when that month-end was not recorded."""
    cells = MigrationMonth.objects.filter(_within(actor, scope), as_of=day, scheme=scheme)
    rows = cells.values("before", "from_rank", "to_rank").annotate(n=Sum("customers"), d=Sum("deposits_adb"))
    found = {(row["from_rank"], row["to_rank"]): (row["n"], row["d"]) for row in rows}
    return Movement(next(iter(rows))["before"], day, found) if found else None


def concentration(actor: Actor, scope: Scope, day: dt.date, measure: str) -> Concentration | None:
    """The curve of the unit looked at, of a customer kind in the whole bank, or of the bank; None where the night
    counted none.

    Deposits only for a unit and a kind. A line department has the curve of its own kind; of a kind within a unit
    there is none.
    """
    unit, kind = scope.unit, scope.kind
    if not actor.has(WHOLE_BANK | {Role.API}) and actor.has({Role.LINE_DEPARTMENT}):
        own = LINE_KINDS.get(actor.line_department, ())
        if len(own) != 1 or kind not in ("", *own):
            return None
        kind = own[0]
    if kind:
        if (unit is not None and unit.parent_id is not None) or not actor.has(
            WHOLE_BANK | {Role.API, Role.LINE_DEPARTMENT}
        ):
            return None
        return Concentration.objects.filter(as_of=day, measure=measure, home_branch=None, kind=kind).first()
    if unit is None and not actor.has(WHOLE_BANK | {Role.API}):
        unit = next((u for u in units_in_reach(actor)), None)
        if unit is None or subtree(unit).count() < len(units_in_reach(actor)):
            return None
    home = None if unit is None or unit.parent_id is None else unit
    return Concentration.objects.filter(as_of=day, measure=measure, home_branch=home, kind="").first()
