"""The home of a teller: who stands at the counter, what is due, what to ask, what was heard and handed up."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from crm_site.lib.permissions import Actor
from crm_site.work import selectors as work
from customers.conditions import both, fact_is
from customers.facts import MISSING_ITEMS
from customers.models import Interaction
from customers.selectors.lists import matching
from customers.selectors.recent import complaints_heard
from relationship import links
from relationship.selectors.home import others_rows, with_others

DUE = 8  # rows of the worklist
BIRTHDAY_DAYS = 7
NAMED = 6  # birthdays by name
ASKED = ("phone", "birth_date", "occupation")  # what is asked at a counter in passing


@dataclass(frozen=True, slots=True)
class Gap:
    """Something the counter can ask for: how many customers lack it, and their list."""

    label: Any
    count: int
    url: str


@dataclass(frozen=True, slots=True)
class Birthday:
    customer_id: int
    name: str
    tier: int
    day: dt.date


@dataclass(frozen=True, slots=True)
class Counter:
    """A teller's day. `due`: rows of the worklist without data to be completed, which `gaps` sum up."""

    customers: int
    due: Sequence[dict[str, Any]]
    due_count: int
    today_count: int
    gaps: Sequence[Gap]
    birthdays: Sequence[Birthday]
    birthday_count: int
    birthday_url: str
    complaints: Sequence[Interaction]
    handed_up: Sequence[dict[str, Any]]
    handed_up_total: int


def counter(actor: Actor, day: dt.date, business_date: dt.date, now: dt.datetime) -> Counter:
    """What a teller needs on a working day, of the customers he looks after: fourteen statements."""
    mine = both(links.REAL, links.ME)
    rows = work.worklist(actor, day).exclude(reason="missing")
    soon = fact_is("birthday_in", BIRTHDAY_DAYS, "<=")
    born = [
        Birthday(pk, name, tier, _next(birth, business_date))
        for pk, name, tier, birth in matching(actor, both(mine, soon), as_of=business_date)
        .order_by()
        .values_list("customer_id", "customer__name", "value_tier", "customer__birth_date")
    ]
    labels = {item.code: item.label for item in MISSING_ITEMS}
    gaps = []
    for code in ASKED:
        lacks = fact_is("missing", code)
        count = matching(actor, both(mine, lacks), as_of=business_date).count()
        gaps.append(Gap(labels[code], count, links.list_url(links.ME, lacks)))
    handed_up = with_others(actor)
    return Counter(
        customers=matching(actor, mine, as_of=business_date).count(),
        due=work.worklist_rows(actor, rows[:DUE], day),
        due_count=rows.count(),
        today_count=rows.filter(due_date__lte=day).count(),
        gaps=gaps,
        birthdays=sorted(born, key=lambda b: (b.day, -b.tier, b.customer_id))[:NAMED],
        birthday_count=len(born),
        birthday_url=links.list_url(links.ME, soon),
        complaints=complaints_heard(actor, now),
        handed_up=others_rows(actor, handed_up[:NAMED], day),
        handed_up_total=len(handed_up),
    )


def _next(birth: dt.date, day: dt.date) -> dt.date:
    """The next birthday on or after a day; of 29 February: the 28th in other years."""
    for year in (day.year, day.year + 1):
        try:
            at = birth.replace(year=year)
        except ValueError:
            at = dt.date(year, 2, 28)
        if at >= day:
            return at
    raise AssertionError("unreachable: next year's birthday lies ahead")
