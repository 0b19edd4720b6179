"""The credit overview: the night's summaries, the inbox as it is now, and the greatest stakes against the caps.

A fixed number of statements, whatever the size of the bank. A figure of the newest date agrees with the list it opens,
as far as nobody has drawn, rated or answered since: the page says of which date it is.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db.models import Q, QuerySet, Sum

from credit_rating.engine.exposure import CapUse, check_stake
from credit_rating.models import BankCapital, BigStake, CreditCell
from credit_rating.policies.caps import caps_of
from credit_rating.selectors.at_stake import capital_on
from credit_rating.selectors.policies import policy_on
from crm_site.lib.dates import add_months, month_start
from crm_site.lib.permissions import Actor

NOTHING = Decimal("0.00")
TOP = 8


def a_year_before(day: dt.date) -> dt.date:
    """From which day rating migration is counted to `day`."""
    return add_months(day, -12)


@dataclass(frozen=True, slots=True)
class Cell:
    """A figure of the night: how many, how much, and how much of it is in use (lines)."""

    count: int = 0
    amount: Decimal = NOTHING
    used: Decimal = NOTHING

    @property
    def share(self) -> Decimal | None:
        """In use, of the limits."""
        return self.used / self.amount if self.amount else None

    def __add__(self, other: Cell) -> Cell:
        return Cell(self.count + other.count, self.amount + other.amount, self.used + other.used)


@dataclass(frozen=True, slots=True)
class Counted:
    """The tables of a date: (section, key, other) -> Cell."""

    day: dt.date
    cells: Mapping[tuple[str, str, str], Cell]

    def of(self, section: str, key: str, other: str = "") -> Cell:
        return self.cells.get((section, key, other), Cell())

    def total(self, section: str, keys: Iterable[str] | None = None) -> Cell:
        wanted = None if keys is None else set(keys)
        found = (
            c
            for (s, key, _other), c in self.cells.items()
            if s == section and (wanted is None or key in wanted)
        )
        return sum(found, Cell())

    def keys(self, section: str) -> list[str]:
        return sorted({key for s, key, _other in self.cells if s == section})


def counted(actor: Actor) -> list[Counted]:
    """The newest date and the month-ends of the year before it, oldest first; empty before the first night.

    Of the month-ends the tables alone that are compared month on month.
    """
    newest = CreditCell.objects.order_by("-as_of").values_list("as_of", flat=True).first()
    if newest is None:
        return []
    first = month_start(newest)
    days = [newest, *(add_months(first, -months) - dt.timedelta(days=1) for months in range(12))]
    compared = Q(as_of=newest) | Q(section__in=("use", "coverage", "class", "warning"))
    rows = (
        CreditCell.objects.visible_to(actor)
        .filter(compared, as_of__in=days)
        .order_by()
        .values_list("as_of", "section", "key", "other")
        .annotate(n=Sum("count"), limits=Sum("amount"), drawn=Sum("used"))
    )
    found: dict[dt.date, dict[tuple[str, str, str], Cell]] = {newest: {}}
    for day, section, key, other, count, amount, used in rows:
        found.setdefault(day, {})[section, key, other] = Cell(count, Decimal(amount), Decimal(used))
    return [Counted(day, found[day]) for day in sorted(found)]


# -- concentration --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Big:
    """A customer or a group with the cap that leaves it least room; None without capital on record."""

    row: BigStake
    use: CapUse | None


@dataclass(frozen=True, slots=True)
class Biggest:
    """The greatest customers and groups of the newest date, and the capital they are measured against."""

    customers: list[Big]
    groups: list[Big]
    capital: BankCapital | None

    @property
    def over(self) -> int:
        """How many of them are at or over the early warning of a cap."""
        return sum(one.use is not None and one.use.level != "ok" for one in (*self.customers, *self.groups))

    @property
    def tightest(self) -> Big | None:
        """Of all of them the one whose cap is used most; None where no cap is known."""
        known = [one for one in (*self.customers, *self.groups) if one.use is not None]
        return max(known, key=lambda one: one.use.share if one.use else NOTHING, default=None)


def biggest(actor: Actor, day: dt.date) -> Biggest:
    """The greatest stakes among those that the actor sees."""
    found = capital_on(day)
    caps = caps_of(policy_on("caps", day).body)

    def measured(rows: QuerySet[BigStake]) -> list[Big]:
        return [Big(row, _tightest(row, found[0], caps) if found else None) for row in rows]

    seen = BigStake.objects.visible_to(actor).select_related("customer").order_by("-credit", "-pk")
    return Biggest(
        measured(seen.filter(is_group=False)[:TOP]), measured(seen.filter(is_group=True)[:TOP]),
        found[1] if found else None,
    )  # fmt: skip


def _tightest(row: BigStake, capital: Any, caps: Any) -> CapUse:
    uses = check_stake(row.lent, row.credit, row.core_credit, row.credit, capital, caps)
    group, single = ("single_group", "connected_group"), ("single_loan", "single_exposure")
    return min(
        (u for u in uses if u.code in (group if row.is_group else single)), key=lambda u: u.cap - u.amount
    )
