"""The actor's own last contacts: whom he is likely to mean next, and the complaints he has heard."""

from __future__ import annotations

import datetime as dt

from crm_site.lib.permissions import Actor
from crm_site.lib.registry import Subject
from crm_site.work.selectors import worklist
from customers.models import Interaction
from customers.models.interactions import Result
from customers.subjects import subjects

RECENT_DAYS = 30
MOST = 8


def recent_customers(actor: Actor, now: dt.datetime, as_of: dt.date) -> tuple[list[Subject], list[Subject]]:
    """Customers of the actor's own contacts of the last thirty days, newest first, and those that today's
    worklist is about, most urgent first; at most eight each, nobody twice. Three statements.
    """
    contacted = _contacted(actor, now)
    due = [task.customer_id for task in worklist(actor, as_of)[: MOST * 2] if task.customer_id]
    known = subjects(actor, {*contacted, *due})
    last = [known[pk] for pk in contacted if pk in known]
    today = [known[pk] for pk in due if pk in known and pk not in contacted]
    return last[:MOST], today[:MOST]


def _contacted(actor: Actor, now: dt.datetime) -> list[int]:
    if actor.staff_id is None:
        return []
    since = now - dt.timedelta(days=RECENT_DAYS)
    rows = (
        Interaction.objects.filter(author=actor.staff_id, at__gte=since)
        .order_by("-at", "-id")
        .values_list("customer_id", flat=True)
    )
    return list(dict.fromkeys(rows[:50]))[:MOST]


def complaints_heard(actor: Actor, now: dt.datetime) -> list[Interaction]:
    """Complaints that the actor has written down in thirty days about customers he still sees, newest first."""
    found = Interaction.objects.visible_to(actor).filter(
        author=actor.staff_id or 0, result=Result.COMPLAINT, at__gte=now - dt.timedelta(days=RECENT_DAYS)
    )
    return list(found.select_related("customer").order_by("-at", "-id")[:MOST])
