"""The queue of a branch: who waits, whom the rules propose and why, what it does to everybody's load."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.db.models import Count, F, Q, QuerySet, Sum

from crm_site.accounts.models import OrgUnit, Staff
from crm_site.lib.money import money
from crm_site.lib.permissions import Actor
from customers.models import Customer, Standing
from customers.models.standing import VALUE_TIERS, WEALTH_LEVELS
from relationship.models import Assignment, AssignmentProposal, Rule
from relationship.wording import reason

PAGE = 50
NOBODY = "nobody"  # the filter for those whom nobody could be proposed for
FILTERS = (Rule.WON_BY, Rule.BORROWER, Rule.DEPOSITOR, Rule.GENERAL, Rule.CHOSEN)


@dataclass(frozen=True, slots=True)
class QueueRow:
    """A customer who waits. Amounts as of the newest night; `held_by`: who looks after it meanwhile."""

    pk: int
    customer: Customer
    tier: str
    wealth: str
    deposits: Decimal
    loans: Decimal
    unit: OrgUnit
    manager: Staff | None
    held_by: str
    rule: str
    reason: str
    since: dt.date


@dataclass(frozen=True, slots=True)
class QueueHead:
    """Numbers of the whole queue: by rule, without anybody, and customers whom the rules have not seen yet."""

    total: int
    value: Decimal
    by_rule: dict[str, int]
    nobody: int
    unseen: int


def in_queue(actor: Actor, unit: OrgUnit, which: str = "") -> QuerySet[AssignmentProposal]:
    """Open proposals of a unit and below that the actor may see; `which`: a rule's code or NOBODY."""
    found = (
        AssignmentProposal.objects.visible_to(actor)
        .open()
        .filter(unit__lft__gte=unit.lft, unit__lft__lte=unit.rgt)
    )
    if which == NOBODY:
        return found.filter(manager__isnull=True)
    return found.filter(rule=which) if which else found


def queue_head(actor: Actor, unit: OrgUnit) -> QueueHead:
    """Two statements."""
    rows = list(
        in_queue(actor, unit)
        .order_by()
        .values("rule")
        .annotate(n=Count("pk"), none=Count("pk", filter=Q(manager__isnull=True)), amount=Sum("value"))
    )
    unseen = (
        Standing.objects.filter(
            responsible__isnull=True,
            customer__is_prospect=False,
            home_branch__lft__gte=unit.lft,
            home_branch__lft__lte=unit.rgt,
        )
        .exclude(customer__status="closed")
        .exclude(customer__in=AssignmentProposal.objects.open().values("customer"))
        .exclude(customer__in=Assignment.objects.filter(applied=False).values("customer"))
        .count()
    )
    return QueueHead(
        total=sum(row["n"] for row in rows),
        value=sum((row["amount"] for row in rows), Decimal("0.00")),
        by_rule={row["rule"]: row["n"] for row in rows},
        nobody=sum(row["none"] for row in rows),
        unseen=unseen,
    )


def queue_page(
    actor: Actor, unit: OrgUnit, which: str = "", after: int | None = None
) -> tuple[list[QueueRow], int | None]:
    """The most valuable who wait, and the proposal to go on after (None: no more). Paged by key."""
    found = in_queue(actor, unit, which).select_related(
        "customer", "customer__responsible", "manager", "unit"
    )
    start = AssignmentProposal.objects.visible_to(actor).filter(pk=after).first() if after else None
    if start is not None:
        value = money(start.value)
        found = found.filter(
            Q(tier__lt=start.tier)
            | Q(tier=start.tier, value__lt=value)
            | Q(tier=start.tier, value=value, customer__gt=start.customer_id)
        )
    rows = list(found.order_by(F("tier").desc(), F("value").desc(), "customer_id")[: PAGE + 1])
    more = rows[PAGE - 1].pk if len(rows) > PAGE else None
    rows = rows[:PAGE]
    standings = {
        s.customer_id: s for s in Standing.objects.filter(customer__in=[r.customer_id for r in rows])
    }
    return [_row(row, standings.get(row.customer_id)) for row in rows], more


def _row(row: AssignmentProposal, standing: Standing | None) -> QueueRow:
    held = row.customer.responsible
    return QueueRow(
        pk=row.pk,
        customer=row.customer,
        tier=VALUE_TIERS.get(row.tier, ""),
        wealth=WEALTH_LEVELS.get(standing.wealth_level, "") if standing and standing.wealth_level > 1 else "",
        deposits=standing.deposits_adb if standing else Decimal("0.00"),
        loans=standing.loans if standing else Decimal("0.00"),
        unit=row.unit,
        manager=row.manager,
        held_by=held.name if held else "",
        rule=row.rule,
        reason=reason(row.rule, row.params),
        since=row.proposed_date,
    )


@dataclass(frozen=True, slots=True)
class Period:
    """A line of a customer's assignment history. `to_date` is the first day no more (None: still)."""

    manager: Staff
    unit: OrgUnit | None
    from_date: dt.date
    to_date: dt.date | None
    reason: str
    decided_by: Staff | None
    waits: bool
    came_along: bool


def history(customer: Customer) -> Sequence[Period]:
    """Who looked after the customer, newest first."""
    rows = Assignment.objects.filter(customer=customer).select_related("manager", "unit", "decided_by")
    return [
        Period(
            manager=row.manager,
            unit=row.unit,
            from_date=row.from_date,
            to_date=row.to_date,
            reason=reason(row.rule, row.params),
            decided_by=row.decided_by,
            waits=not row.applied,
            came_along=row.rule == Rule.ADOPTED,
        )
        for row in rows
        if row.to_date != row.from_date
    ]


def waiting_for(customer: Customer) -> AssignmentProposal | None:
    """The customer's place in its branch's queue, if it has one."""
    return (
        AssignmentProposal.objects.open().filter(customer=customer).select_related("manager", "unit").first()
    )


@dataclass(frozen=True, slots=True)
class Arrival:
    """A customer that came to a person, and why."""

    customer: Customer
    from_date: dt.date
    reason: str


def arrivals(actor: Actor, day: dt.date, days: int = 30, limit: int = 20) -> list[Arrival]:
    """Customers that came to the actor in the last `days`, newest first; not those the bank's data began with."""
    rows = (
        Assignment.objects.visible_to(actor)
        .filter(manager=actor.staff_id, applied=True, from_date__gt=day - dt.timedelta(days=days))
        .exclude(rule=Rule.ADOPTED)
        .select_related("customer")[:limit]
    )
    return [Arrival(row.customer, row.from_date, reason(row.rule, row.params)) for row in rows]
