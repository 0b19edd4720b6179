"""The timeline over everything that happened with a customer (A3). Rooms above add sources of their own.

A source answers what happened before a moment, newest first: `source(actor, customer, before, limit)`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.utils import timezone

from crm_site.lib.permissions import Actor
from crm_site.lib.registry import Registry
from customers.models import Customer

PAGE = 12


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened: what (finished text), who or where from, and what was promised.

    `view`: business, service or information; `author`: whose words they are, or the source's name;
    `promise_open`: the promise is still somebody's task.
    """

    at: dt.datetime
    icon: str
    view: str
    text: str
    author: str = ""
    promise: str = ""
    promise_date: dt.date | None = None
    promise_open: bool = False
    url: str = ""

    @property
    def day(self) -> dt.date:
        return timezone.localdate(self.at)


Source = Callable[[Actor, Customer, dt.datetime, int], Sequence[Moment]]
TIMELINE: Registry[Source] = Registry("timeline source")


def add_timeline_source(name: str, source: Source) -> Source:
    """Register a source, once, in AppConfig.ready()."""
    return TIMELINE.add(name, source)


def start_of(day: dt.date) -> dt.datetime:
    """The moment a day begins at the bank's place: where something known only by its date stands."""
    return timezone.make_aware(dt.datetime.combine(day, dt.time.min))


def timeline(
    actor: Actor, customer: Customer, *, before: dt.datetime, view: str = "", limit: int = PAGE
) -> tuple[list[Moment], dt.datetime | None]:
    """The newest moments before `before`, and where the next page begins (None: there is nothing older).

    A page ends between days, so that moments of one day are never torn apart or lost.
    """
    moments: list[Moment] = []
    for source in TIMELINE:
        moments.extend(source(actor, customer, before, limit + 1))
    if view:
        moments = [moment for moment in moments if moment.view == view]
    moments.sort(key=lambda moment: moment.at, reverse=True)
    if len(moments) <= limit:
        return moments, None
    last = moments[limit - 1].day
    page = [moment for moment in moments if moment.day >= last]
    return page, start_of(last) if len(page) < len(moments) else None
