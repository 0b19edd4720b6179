"""The home of who looks after customers: what needs me today, and what is at stake."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db import connection
from django.db.models import Count, Min, Q, Sum

from crm_site.lib.money import from_minor
from crm_site.lib.permissions import Actor
from crm_site.lib.registry import WORK_REASONS
from crm_site.work import selectors as work
from crm_site.work.models import Task, TaskStatus
from customers.conditions import both, fact_is
from customers.facts import CHURN_ALARM_PCT
from customers.models import Standing
from customers.models.standing import deposit_trend
from customers.selectors.lists import matching
from relationship import links
from relationship.models import Assignment, Rule
from relationship.placement import quarter_start

FIRST = 8  # rows of the worklist
ASIDE = 4
SWING_PCT = 20
LOAN_TREND_CUSTOMERS = 2000  # a larger portfolio (a teller's) shows no loan trend


@dataclass(frozen=True, slots=True)
class Portfolio:
    """What the actor looks after, as of the newest night. Trends: month-ends oldest first, then now; of today's
    customers. `arrived`: customers that came this month, not those the bank's data began with."""

    by_tier: Mapping[int, int]
    customers: int
    contacted: int
    high: int
    high_contacted: int
    deposits: Decimal
    deposits_before: Decimal
    deposit_months: Sequence[Decimal]
    loans: Decimal
    loan_months: Sequence[Decimal]
    arrived: int

    @property
    def segments(self) -> list[tuple[str, int]]:
        return [("high", self.by_tier.get(3, 0)), ("mid", self.by_tier.get(2, 0)), ("general", self.general)]

    @property
    def general(self) -> int:
        return self.customers - self.by_tier.get(3, 0) - self.by_tier.get(2, 0)

    @property
    def deposits_change(self) -> float | None:
        return float(self.deposits / self.deposits_before) - 1 if self.deposits_before else None

    @property
    def loans_change(self) -> float | None:
        before = self.loan_months[-2] if len(self.loan_months) > 1 else Decimal(0)
        return float(self.loans / before) - 1 if before else None

    @property
    def coverage(self) -> float | None:
        return self.contacted / self.customers if self.customers else None


def portfolio(actor: Actor, day: dt.date) -> Portfolio:
    """Four statements over the actor's own customers."""
    mine = Standing.objects.filter(responsible__in=actor.portfolio, customer__is_prospect=False)
    since = quarter_start(day)
    rows = list(
        mine.order_by()
        .values("value_tier")
        .annotate(
            n=Count("pk"),
            contacted=Count("pk", filter=Q(last_contact_date__gte=since)),
            deposits=Sum("deposits_adb"),
            before=Sum("adb_previous"),
            lent=Sum("loans"),
        )
    )
    zero = Decimal("0.00")
    by_tier = {row["value_tier"]: row["n"] for row in rows}
    customers = sum(by_tier.values())
    deposits = sum((row["deposits"] for row in rows), zero)
    loans = sum((row["lent"] for row in rows), zero)
    arrived = (
        Assignment.objects.filter(
            manager__in=actor.portfolio, applied=True, from_date__gte=day.replace(day=1)
        )
        .exclude(rule=Rule.ADOPTED)
        .count()
    )
    return Portfolio(
        by_tier=by_tier,
        customers=customers,
        contacted=sum(row["contacted"] for row in rows),
        high=by_tier.get(3, 0),
        high_contacted=sum(row["contacted"] for row in rows if row["value_tier"] == 3),
        deposits=deposits,
        deposits_before=sum((row["before"] for row in rows), zero),
        deposit_months=deposit_trend(_deposit_months(actor), deposits),
        loans=loans,
        loan_months=[*_loan_months(actor, day), loans] if loans and customers <= LOAN_TREND_CUSTOMERS else [],
        arrived=arrived,
    )


def _deposit_months(actor: Actor) -> list[Decimal]:
    sql = """
        select array_length(s.deposits_13, 1) - m.position, sum(m.amount)::bigint
        from customers_standing s, unnest(s.deposits_13) with ordinality as m (amount, position)
        where s.bank_id = %s and s.responsible_id = any(%s)
        group by 1 order by 1 desc
    """
    with connection.cursor() as cursor:
        cursor.execute(sql, [actor.bank_id, list(actor.portfolio)])
        return [from_minor(amount) for _age, amount in cursor.fetchall()]


def _loan_months(actor: Actor, day: dt.date) -> list[Decimal]:
    sql = """
        select m.month_end, sum(m.loans)::bigint
        from customers_standing s
        join customers_monthend m on m.bank_id = s.bank_id and m.customer_id = s.customer_id
        where s.bank_id = %s and s.responsible_id = any(%s) and m.month_end > %s and m.month_end < %s
        group by 1 order by 1
    """
    with connection.cursor() as cursor:
        cursor.execute(sql, [actor.bank_id, list(actor.portfolio), day - dt.timedelta(days=400), day])
        return [from_minor(amount) for _month, amount in cursor.fetchall()]


@dataclass(frozen=True, slots=True)
class Hidden:
    """Tasks that the home does not list: how many, what is at stake, the earliest deadline, and of what kinds."""

    count: int
    stake: Decimal
    until: dt.date | None
    kinds: Sequence[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Today:
    """The actor's work now; `total`, `done`: rows, a customer once however many its reasons. `items`, `promises`, `waiting`: rows of work.selectors.task_rows."""

    items: Sequence[dict[str, Any]]
    stake: Decimal
    hidden: Hidden
    total: int
    done: int
    promises: Sequence[dict[str, Any]]
    promises_total: int
    waiting: Sequence[dict[str, Any]]
    waiting_total: int

    @property
    def all_of_today(self) -> int:
        return self.total + self.done


def today(actor: Actor, day: dt.date, midnight: dt.datetime) -> Today:
    """First the most urgent and valuable, and what is not shown; nine statements."""
    first = list(work.worklist(actor, day)[:FIRST])
    rest = (
        work.worklist(actor, day)
        .exclude(pk__in=[task.pk for task in first])
        .order_by()
        .values("reason")
        .annotate(n=Count("pk"), amount=Sum("stake"), until=Min("due_date"))
    )
    kinds = sorted(rest, key=lambda row: -row["n"])
    done = Task.objects.filter(closed_by=actor.staff_id, status=TaskStatus.DONE, closed_at__gte=midnight)
    standing = work.worklist(actor, day).filter(customer_id__isnull=False).order_by().values("customer_id")
    finished = done.exclude(customer_id__in=standing).aggregate(
        customers=Count("customer_id", distinct=True), others=Count("pk", filter=Q(customer_id__isnull=True))
    )
    promises = list(
        Task.objects.open()
        .filter(owner__in=actor.portfolio, reason="promise")
        .order_by("due_date", "pk")[:50]
    )
    waiting = with_others(actor)
    rows = work.task_rows(actor, promises[:ASIDE], day)
    hidden = Hidden(
        count=sum(row["n"] for row in kinds),
        stake=sum((row["amount"] for row in kinds), Decimal("0.00")),
        until=min((row["until"] for row in kinds), default=None),
        kinds=[
            (
                str(WORK_REASONS[row["reason"]].label) if row["reason"] in WORK_REASONS else row["reason"],
                row["n"],
            )
            for row in kinds
        ],
    )
    return Today(
        items=work.worklist_rows(actor, first, day),
        stake=sum((task.stake for task in first), Decimal("0.00")),
        hidden=hidden,
        total=len(first) + hidden.count,
        done=finished["customers"] + finished["others"],
        promises=rows,
        promises_total=len(promises),
        waiting=others_rows(actor, waiting[:ASIDE], day),
        waiting_total=len(waiting),
    )


def with_others(actor: Actor) -> list[Task]:
    """Open tasks that the actor has made for others or handed to them, the soonest due first; at most fifty."""
    found = Task.objects.open().filter(Q(handed_over_by=actor.staff_id) | Q(created_by=actor.staff_id))
    return list(
        found.exclude(owner__in=actor.portfolio).select_related("owner").order_by("due_date", "pk")[:50]
    )


def others_rows(actor: Actor, tasks: Sequence[Task], day: dt.date) -> list[dict[str, Any]]:
    """Rows of tasks with the name of who has them."""
    owners = [task.owner.name if task.owner else "" for task in tasks]
    rows = work.task_rows(actor, tasks, day)
    return [{**row, "owner": owner} for row, owner in zip(rows, owners, strict=True)]


@dataclass(frozen=True, slots=True)
class Change:
    """A line of "last night": a count and the list behind it."""

    code: str
    count: int
    url: str


def last_night(actor: Actor, business_date: dt.date) -> list[Change]:
    """What the newest night changed among the actor's customers. One statement each: the list's own."""
    date = business_date.isoformat()
    conditions = {
        "rose": fact_is("tier_rose", date),
        "fell": fact_is("tier_fell", date),
        "swing": {
            "any": [
                fact_is("adb_change_pct", str(SWING_PCT), ">"),
                fact_is("adb_change_pct", str(-SWING_PCT), "<"),
            ]
        },
        "churn": fact_is("churn", str(CHURN_ALARM_PCT), ">="),
    }
    changes = []
    for code, condition in conditions.items():
        count = matching(actor, both(links.REAL, links.ME, condition), as_of=business_date).count()
        changes.append(Change(code, count, links.list_url(links.ME, condition)))
    return changes
