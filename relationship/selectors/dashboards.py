"""Dashboards of a branch and of the bank: from the night's summaries, and a few rows by index (D10).

Every figure of the newest date comes with the address of the list behind it, and agrees with it to the unit.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from hashlib import sha256
from typing import Any

from django.core.cache import caches
from django.db import connection
from django.db.models import Count, Q, QuerySet, Sum, Window

from crm_site.accounts.models import OrgUnit
from crm_site.lib.money import money
from crm_site.lib.permissions import WHOLE_BANK, Actor, Role
from crm_site.lib.tenancy import require_bank
from customers.conditions import fact_is
from customers.facts import CHURN_ALARM_BP, CHURN_ALARM_PCT
from customers.models import PortfolioMonth, Standing
from customers.models.parties import LINE_KINDS
from customers.models.standing import VALUE_TIERS
from customers.tokens import sort_key
from relationship import links
from relationship.models import AssignmentProposal
from segmentation.churn_reasons import sentence
from segmentation.models import ChurnScore, MigrationMonth

TIERS = (3, 2, 1)
NOTHING = Decimal("0.00")
TOP = 6
_SUMS = ("customers", "borrowers", "churn_high", "without_manager")
_AMOUNTS = ("deposits_adb", "loans", "overdue_amount", "churn_high_deposits")


@dataclass(frozen=True, slots=True)
class Scope:
    """What a dashboard covers: a unit with all below it, for a customer kind or all, within the actor's reach."""

    actor: Actor
    unit: OrgUnit
    kind: str = ""

    @property
    def cells(self) -> Q:
        """Rows of the summaries: by home branch and kind."""
        found = Q()
        if self.unit.parent_id is not None:
            found &= Q(home_branch__lft__gte=self.unit.lft, home_branch__lft__lte=self.unit.rgt)
        if self.kind:
            found &= Q(kind=self.kind)
        kinds = self.line_kinds
        return found if kinds is None else found & Q(kind__in=kinds)

    @property
    def line_kinds(self) -> tuple[str, ...] | None:
        """The kinds that a line department is bound to; None without such a bound."""
        if self.actor.has({Role.LINE_DEPARTMENT}) and not self.actor.has(WHOLE_BANK):
            return tuple(LINE_KINDS.get(self.actor.line_department, ()))
        return None

    @property
    def standings(self) -> QuerySet[Standing]:
        """Customers as they stand: what the list shows for the same scope."""
        found = Standing.objects.visible_to(self.actor).filter(customer__is_prospect=False)
        if self.unit.parent_id is not None:
            found = found.filter(
                home_branch__in=OrgUnit.objects.filter(lft__gte=self.unit.lft, lft__lte=self.unit.rgt)
            )
        return found.filter(kind=self.kind) if self.kind else found

    def url(self, *conditions: dict[str, Any] | None, sort: str = "-deposits_adb") -> str:
        """The list behind a figure of this scope."""
        return links.list_url(links.in_unit(self.unit), links.of_kind(self.kind), *conditions, sort=sort)


@dataclass(slots=True)
class Sums:
    """Sums of cells of the summary. Churn and who waits are known of the newest date alone."""

    customers: int = 0
    borrowers: int = 0
    churn_high: int = 0
    without_manager: int = 0
    deposits_adb: Decimal = NOTHING
    loans: Decimal = NOTHING
    overdue_amount: Decimal = NOTHING
    churn_high_deposits: Decimal = NOTHING

    def add(self, row: Mapping[str, Any]) -> None:
        for name in (*_SUMS, *_AMOUNTS):
            setattr(self, name, getattr(self, name) + (row[f"sum_{name}"] or 0))

    @property
    def average(self) -> Decimal | None:
        return self.deposits_adb / self.customers if self.customers else None


def change(now: Decimal | int, before: Decimal | int | None) -> float | None:
    """Relative change as a fraction; None without anything to compare with."""
    return float(now) / float(before) - 1 if before else None


@dataclass(frozen=True, slots=True)
class Month:
    """A month-end or the newest date: sums by tier and together."""

    day: dt.date
    by_tier: Mapping[int, Sums]
    total: Sums


def _summed(scope: Scope, days: Iterable[dt.date], *by: str) -> list[dict[str, Any]]:
    names = (*_SUMS, *_AMOUNTS)
    found = PortfolioMonth.objects.filter(scope.cells, as_of__in=list(days))
    return list(
        found.order_by().values("as_of", *by).annotate(**{f"sum_{name}": Sum(name) for name in names})
    )


# From date to date along the index: DISTINCT would read every cell of every date.
_DAYS = """
    WITH RECURSIVE days AS (
        SELECT max(as_of) AS day FROM customers_portfoliomonth WHERE bank_id = %(bank)s
        UNION ALL
        SELECT (SELECT max(as_of) FROM customers_portfoliomonth WHERE bank_id = %(bank)s AND as_of < days.day)
        FROM days WHERE days.day IS NOT NULL
    )
    SELECT day FROM days WHERE day IS NOT NULL LIMIT 13
"""


def counted_days() -> list[dt.date]:
    """The newest counted date and the month-ends before it, newest first, thirteen at most."""
    with connection.cursor() as cursor:
        cursor.execute(_DAYS, {"bank": require_bank()})
        return [day for (day,) in cursor.fetchall()]


def months(scope: Scope, days: Sequence[dt.date]) -> list[Month]:
    """The scope at each day, oldest first."""
    tiers: dict[dt.date, dict[int, Sums]] = {day: {} for day in sorted(days)}
    totals = {day: Sums() for day in tiers}
    for row in _summed(scope, days, "value_tier"):
        tiers[row["as_of"]].setdefault(row["value_tier"], Sums()).add(row)
        totals[row["as_of"]].add(row)
    return [Month(day, tiers[day], totals[day]) for day in tiers]


@dataclass(frozen=True, slots=True)
class TierLine:
    """A tier's line of the table under the chart, shares of the total as fractions."""

    code: str
    sums: Sums
    share: float | None
    deposit_share: float | None
    url: str
    loans_url: str


def tier_lines(scope: Scope, month: Month) -> list[TierLine]:
    lines = []
    for rank in TIERS:
        sums = month.by_tier.get(rank, Sums())
        tier = fact_is("value_tier", VALUE_TIERS[rank])
        lines.append(
            TierLine(
                code=VALUE_TIERS[rank],
                sums=sums,
                share=sums.customers / month.total.customers if month.total.customers else None,
                deposit_share=float(sums.deposits_adb / month.total.deposits_adb)
                if month.total.deposits_adb
                else None,
                url=scope.url(tier),
                loans_url=scope.url(tier, fact_is("loans", "0", ">"), sort="-loans"),
            )
        )
    return lines


@dataclass(frozen=True, slots=True)
class Moves:
    """Who moved between value tiers from `before` to the newest date; `cells`: (from, to) -> (customers, deposits)."""

    before: dt.date
    day: dt.date
    cells: Mapping[tuple[int, int], tuple[int, Decimal]]

    def count(self, before: int, after: int) -> int:
        return self.cells.get((before, after), (0, NOTHING))[0]

    @property
    def up(self) -> tuple[int, Decimal]:
        return self._sum({key for key in self.cells if 0 < key[0] < key[1]})

    @property
    def down(self) -> tuple[int, Decimal]:
        return self._sum({key for key in self.cells if key[0] > key[1] > 0})

    def _sum(self, keys: Iterable[tuple[int, int]]) -> tuple[int, Decimal]:
        chosen = [self.cells[key] for key in keys]
        return sum(n for n, _d in chosen), sum((d for _n, d in chosen), NOTHING)


def moves(scope: Scope, day: dt.date) -> Moves | None:
    """Movements since the last month-end; None where that one was not recorded."""
    rows = list(
        MigrationMonth.objects.filter(scope.cells, as_of=day, scheme="value")
        .order_by()
        .values("before", "from_rank", "to_rank")
        .annotate(n=Sum("customers"), amount=Sum("deposits_adb"))
    )
    if not rows:
        return None
    return Moves(
        rows[0]["before"], day, {(r["from_rank"], r["to_rank"]): (r["n"], r["amount"]) for r in rows}
    )


# What the summaries of a scope depend on: the nights (only a night writes them, and a failed one may go on under its
# old number), and the units below, which may be moved between two nights.
_STATE = """
    SELECT max(id), max(finished_at), count(*) FILTER (WHERE finished_at IS NULL),
        (SELECT array_agg(id ORDER BY id) FROM accounts_orgunit
         WHERE bank_id = %(bank)s AND lft BETWEEN %(lft)s AND %(rgt)s)
    FROM jobs_run WHERE bank_id = %(bank)s AND pipeline = 'nightly'
"""


def summary(scope: Scope) -> tuple[list[Month], Moves | None]:
    """The scope at each counted day, oldest first, and who moved to the newest one.

    Added up once between two nights; while one runs, and in a bank without any, for every reader anew.
    """
    with connection.cursor() as cursor:
        cursor.execute(_STATE, {"bank": require_bank(), "lft": scope.unit.lft, "rgt": scope.unit.rgt})
        newest, finished_at, unfinished, units = cursor.fetchone()
    if newest is None or unfinished:
        return _summary(scope)
    state = repr((newest, finished_at, units, scope.kind, scope.line_kinds))
    key = f"summary:{scope.unit.pk}:{sha256(state.encode()).hexdigest()}"
    kept: tuple[list[Month], Moves | None] | None = caches["drawn"].get(key)
    if kept is None:
        kept = _summary(scope)
        caches["drawn"].set(key, kept, timeout=86_400)
    return kept


def _summary(scope: Scope) -> tuple[list[Month], Moves | None]:
    days = counted_days()
    return (months(scope, days), moves(scope, days[0])) if days else ([], None)


@dataclass(frozen=True, slots=True)
class Leaver:
    """A high or mid customer at or above the churn alarm, with the first reason of its score in words."""

    customer_id: int
    name: str
    tier: str
    deposits: Decimal
    reason: str
    chance: float
    manager: str


def likely_to_leave(scope: Scope, currency: str) -> list[Leaver]:
    """The most likely of the high and mid customers; two statements."""
    rows = list(
        scope.standings.filter(churn_bp__gte=CHURN_ALARM_BP, value_tier__gte=2)
        .order_by("-churn_bp", "-customer_id")
        .values_list(
            "customer_id", "customer__name", "value_tier", "deposits_adb", "churn_bp", "responsible__name", "as_of",
            named=True,
        )[:TOP]
    )  # fmt: skip
    # A score lies in its date's partition: ask for the dates that the customers stand at, not for the newest.
    scores = ChurnScore.objects.filter(
        customer__in=[row.customer_id for row in rows], as_of__in={row.as_of for row in rows if row.as_of}
    )
    reasons = {}
    for score in scores:
        for code, value in score.reasons[:1]:
            reasons[score.customer_id] = sentence(code, value, currency)
    return [
        Leaver(
            customer_id=row.customer_id,
            name=row.customer__name,
            tier=VALUE_TIERS[row.value_tier],
            deposits=row.deposits_adb,
            reason=reasons.get(row.customer_id, ""),
            chance=row.churn_bp / 10_000,
            manager=row.responsible__name or "",
        )
        for row in rows
    ]


@dataclass(frozen=True, slots=True)
class Borrower:
    """A borrower in arrears."""

    customer_id: int
    name: str
    days_past_due: int
    overdue_amount: Decimal
    loans: Decimal
    manager: str


@dataclass(frozen=True, slots=True)
class Overdue:
    """Borrowers in arrears: how many, how much, and the longest."""

    count: int
    amount: Decimal
    rows: Sequence[Borrower]


def overdue(scope: Scope) -> Overdue:
    """One statement: the sums stand beside each row."""
    rows = list(
        scope.standings.filter(overdue_amount__gt=money(0))
        .annotate(all_of_them=Window(Count("pk")), together=Window(Sum("overdue_amount")))
        .order_by("-days_past_due", "-overdue_amount", "customer_id")
        .values_list(
            "customer_id", "customer__name", "days_past_due", "overdue_amount", "loans", "responsible__name",
            "all_of_them", "together",
        )[:TOP]
    )  # fmt: skip
    if not rows:
        return Overdue(0, NOTHING, [])
    longest = [
        Borrower(customer_id, name, days, amount, loans, manager or "")
        for customer_id, name, days, amount, loans, manager, _count, _sum in rows
    ]
    return Overdue(rows[0][-2], rows[0][-1], longest)


def leavers_url(scope: Scope, *where: dict[str, Any]) -> str:
    """Everybody at or above the alarm, of any tier: what the column of the branches counts."""
    return scope.url(*where, fact_is("churn", str(CHURN_ALARM_PCT), ">="), sort="-churn")


def churn_url(scope: Scope, tier: str = "") -> str:
    alarm = fact_is("churn", str(CHURN_ALARM_PCT), ">=")
    which = fact_is("value_tier", tier) if tier else fact_is("value_tier", "mid", ">=")
    return scope.url(which, alarm, sort="-churn")


def overdue_url(scope: Scope, *where: dict[str, Any]) -> str:
    return scope.url(*where, fact_is("overdue_amount", "0", ">"), sort="-loans")


def move_url(scope: Scope, before: int, after: int) -> str:
    return scope.url(
        fact_is("tier_before", VALUE_TIERS.get(before, "none")), fact_is("value_tier", VALUE_TIERS[after])
    )


# The bank: every branch below the head office, with everything under it.


@dataclass(frozen=True, slots=True)
class BranchLine:
    """A branch compared with the others; `unit` None: who belongs to none of them. Growth: since the last month-end."""

    unit: OrgUnit | None
    sums: Sums
    high: int
    mid: int
    growth: float | None
    loan_growth: float | None
    waiting: int
    urls: Mapping[str, str]

    @property
    def overdue_share(self) -> float | None:
        return float(self.sums.overdue_amount / self.sums.loans) if self.sums.loans else None


# What the lines of the branches are sorted by; None: unknown, last in both directions.
SORTS: Mapping[str, Callable[[BranchLine], Any]] = {
    "branch": lambda line: sort_key(line.unit.name) if line.unit else "",
    "customers": lambda line: line.sums.customers,
    "high": lambda line: line.high,
    "mid": lambda line: line.mid,
    "deposits": lambda line: line.sums.deposits_adb,
    "growth": lambda line: line.growth,
    "loans": lambda line: line.sums.loans,
    "loan_growth": lambda line: line.loan_growth,
    "churn": lambda line: line.sums.churn_high,
    "queue": lambda line: line.waiting,
    "overdue": lambda line: line.sums.overdue_amount,
}


def sort_of(text: str) -> str:
    """A name of SORTS, with "-" before it for the highest first; what is not known sorts by the branch."""
    return text if text.removeprefix("-") in SORTS else "branch"


def _sorted(lines: Sequence[BranchLine], sort: str) -> list[BranchLine]:
    """`sort`: as `sort_of` says."""
    value, down = SORTS[sort.removeprefix("-")], sort.startswith("-")
    known = [line for line in lines if value(line) is not None]
    return [
        *sorted(known, key=value, reverse=down),
        *(line for line in lines if value(line) is None),
    ]


def branch_lines(scope: Scope, day: dt.date, before: dt.date | None, sort: str) -> list[BranchLine]:
    """Every branch of the bank, and last who belongs to none, so that the lines add up; four statements."""
    branches = list(
        OrgUnit.objects.filter(parent__isnull=False, parent__parent__isnull=True).order_by("lft").distinct()
    )
    lefts = dict(OrgUnit.objects.values_list("pk", "lft"))
    home = _root_finder(branches, lefts)
    now: dict[int, Sums] = defaultdict(Sums)
    then: dict[int, Sums] = defaultdict(Sums)
    tiers: dict[tuple[int, int], int] = defaultdict(int)
    for row in _summed(scope, [day, *([before] if before else [])], "home_branch", "value_tier"):
        root = home(row["home_branch"]) or 0
        (now if row["as_of"] == day else then)[root].add(row)
        if row["as_of"] == day:
            tiers[root, row["value_tier"]] += row["sum_customers"]
    waiting: dict[int, int] = defaultdict(int)
    for unit_id, count in _waiting(scope):
        waiting[home(unit_id) or 0] += count

    def line(unit: OrgUnit | None) -> BranchLine:
        pk = unit.pk if unit else 0
        return BranchLine(
            unit=unit,
            sums=now[pk],
            high=tiers[pk, 3],
            mid=tiers[pk, 2],
            growth=change(now[pk].deposits_adb, then[pk].deposits_adb),
            loan_growth=change(now[pk].loans, then[pk].loans),
            waiting=waiting[pk],
            urls=_branch_urls(Scope(scope.actor, unit, scope.kind))
            if unit
            else _branch_urls(scope, _nowhere(scope.unit)),
        )

    lines = _sorted([line(unit) for unit in branches], sort_of(sort))
    return [*lines, line(None)] if now[0].customers or waiting[0] else lines


def _nowhere(head_office: OrgUnit) -> dict[str, Any]:
    """Customers that belong to no branch."""
    return {"any": [{"fact": "home_branch", "op": "is_null"}, fact_is("home_branch", head_office.pk)]}


def _branch_urls(scope: Scope, *where: dict[str, Any]) -> dict[str, str]:
    return {
        "all": scope.url(*where),
        "high": scope.url(*where, fact_is("value_tier", "high")),
        "mid": scope.url(*where, fact_is("value_tier", "mid")),
        "loans": scope.url(*where, fact_is("loans", "0", ">"), sort="-loans"),
        "churn": leavers_url(scope, *where),
        "overdue": overdue_url(scope, *where),
    }


def _root_finder(branches: Sequence[OrgUnit], lefts: Mapping[int, int]) -> Any:
    def find(unit_id: int | None) -> int | None:
        left = lefts.get(unit_id or 0)
        if left is None:
            return None
        return next((unit.pk for unit in branches if unit.lft <= left <= unit.rgt), None)

    return find


def _waiting(scope: Scope) -> Iterable[tuple[int, int]]:
    found = AssignmentProposal.objects.visible_to(scope.actor).open()
    kinds = scope.line_kinds
    if scope.kind or kinds is not None:
        found = found.filter(customer__kind__in=[scope.kind] if scope.kind else kinds)
    return found.order_by().values_list("unit").annotate(n=Count("pk"))
