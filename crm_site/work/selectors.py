"""Reads about tasks and notifications: the worklist, what waits, the inbox."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db import connection
from django.db.models import Count, Exists, ExpressionWrapper, OuterRef, Q, QuerySet, Sum
from django.urls import reverse

from crm_site.accounts.models import GrantStatus, OrgUnit, RoleGrant, Staff
from crm_site.accounts.selectors import actors_for
from crm_site.jobs.models import Run, RunStatus
from crm_site.lib.money import MoneyField
from crm_site.lib.permissions import HEADQUARTERS, SUBTREE, Actor, Role
from crm_site.lib.registry import NOTICES, SIGHT, SUBJECTS, WORK_REASONS, NoticeKind, Subject, WorkReason
from crm_site.work.models import Notification, Task, TaskStatus

ORDER = ("-urgency", "-stake", "due_date", "id")
_STAKE = ExpressionWrapper(OuterRef("stake"), output_field=MoneyField())
_BEFORE = (  # stands before another task of the same customer: ORDER, said as a condition
    Q(urgency__gt=OuterRef("urgency"))
    | Q(urgency=OuterRef("urgency"), stake__gt=_STAKE)
    | Q(urgency=OuterRef("urgency"), stake=_STAKE, due_date__lt=OuterRef("due_date"))
    | Q(
        urgency=OuterRef("urgency"),
        stake=_STAKE,
        due_date=OuterRef("due_date"),
        id__lt=OuterRef("id"),
    )
)


def _mine(actor: Actor, as_of: dt.date, *, later: bool = False, reason: str = "") -> QuerySet[Task]:
    """Open tasks of the actor and of whom he covers for: those to be seen on the day, or those put off beyond it."""
    if not actor.portfolio:
        return Task.objects.none()
    mine = Task.objects.open().filter(owner__in=actor.portfolio)
    mine = mine.filter(show_from__gt=as_of) if later else mine.filter(show_from__lte=as_of)
    return mine.filter(reason=reason) if reason else mine


def worklist(actor: Actor, as_of: dt.date, *, later: bool = False, reason: str = "") -> QuerySet[Task]:
    """The rows of the actor's worklist, most urgent first: of each customer the task that comes first.

    A customer's other tasks of the list are what `worklist_rows` says below it. Tasks about nobody stand alone.
    """
    mine = _mine(actor, as_of, later=later, reason=reason)
    before = mine.filter(_BEFORE, customer_id=OuterRef("customer_id"))
    return mine.filter(~Exists(before)).order_by(*ORDER)


GRAVITY = ("", "watch", "risk")


def worklist_rows(
    actor: Actor, leads: Iterable[Task], as_of: dt.date, *, later: bool = False
) -> list[dict[str, Any]]:
    """Rows of the worklist: `task_rows` of the leads, each with its customer's other reasons (`also`) by urgency.

    Reasons that say the same cause are one: the sentence that says more, and the other's label (`beside`).
    """
    listed = list(leads)
    also: dict[int, list[Task]] = {}
    customers = {task.customer_id for task in listed if task.customer_id}
    waiting = _mine(actor, as_of, later=later).filter(customer_id__in=customers)
    for task in waiting.exclude(pk__in=[t.pk for t in listed]).order_by(*ORDER) if customers else ():
        also.setdefault(task.customer_id or 0, []).append(task)
    rows = task_rows(actor, listed, as_of)
    for row, task in zip(rows, listed, strict=True):
        others = also.get(task.customer_id or 0, [])
        row["also"] = _folded([task, *others], [row, *(task_row(other, None, as_of) for other in others)])
    return rows


def _folded(tasks: Sequence[Task], rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What stands below the first of a customer's rows. Those that say the same cause are one row: done and due are the
    most urgent one's, reason and sentence those of the one that says more, the edge the graver one's."""
    there = {task.reason for task in tasks}
    causes: dict[str, list[int]] = {}
    for place, task in enumerate(tasks):
        known = WORK_REASONS.get(task.reason)
        same = known.same(task.params) if known else ""
        causes.setdefault(same if same in there else f"{task.reason} {place}", []).append(place)
    for cause, places in causes.items():
        own = next((place for place, task in enumerate(tasks) if task.reason == cause), None)
        if own is None:
            continue
        first, *folded = sorted({*places, own})
        labels = dict.fromkeys(rows[place]["reason"] for place in (first, *folded))
        level = max((rows[place]["level"] for place in (first, *folded)), key=GRAVITY.index)
        rows[first].update({said: rows[own][said] for said in ("why", "reason", "icon")}, level=level)
        rows[first]["beside"] = [label for label in labels if label != rows[first]["reason"]]
        for place in folded:
            rows[place]["is_folded"] = True
    return [row for row in rows[1:] if "is_folded" not in row]


def row_of(actor: Actor, task: Task, as_of: dt.date) -> list[Task]:
    """The tasks that share the task's row of the actor's worklist, the first one first; else the task alone."""
    if task.customer_id is None or task.owner_id not in actor.portfolio:
        return [task]
    mine = _mine(actor, as_of, later=task.show_from > as_of).filter(customer_id=task.customer_id)
    return list(mine.order_by(*ORDER)) or [task]


@dataclass(frozen=True, slots=True)
class Counts:
    """A person's work on a day, in rows of the worklist (a customer once). `by_reason`: rows with that reason, so a
    customer may count under several; `stake` of the rows' first reasons, in the bank's currency; `done_today`: tasks."""

    open: int
    later: int
    done_today: int
    overdue: int
    stake: Decimal
    by_reason: Mapping[str, int]


def counts(actor: Actor, as_of: dt.date, since: dt.datetime, *, later: bool = False) -> Counts:
    """How much of the actor's work is open, hidden until later, overdue, and done since a moment (midnight).

    What is overdue, at stake and of which reasons: of what is put off when `later`, else of what is open now.
    """
    rows = Count("customer_id", distinct=True) + Count("id", filter=Q(customer_id__isnull=True))
    by_reason = dict(_mine(actor, as_of, later=later).order_by().values_list("reason").annotate(n=rows))
    other = _mine(actor, as_of, later=not later).aggregate(n=rows)["n"]
    sums = (
        worklist(actor, as_of, later=later)
        .order_by()
        .aggregate(n=Count("id"), overdue=Count("id", filter=Q(due_date__lt=as_of)), stake=Sum("stake"))
    )
    done = Task.objects.filter(closed_by=actor.staff_id, status=TaskStatus.DONE, closed_at__gte=since).count()
    now, put_off = (other, sums["n"]) if later else (sums["n"], other)
    return Counts(now, put_off, done, sums["overdue"], sums["stake"] or Decimal(0), by_reason)


def task_rows(actor: Actor, tasks: Iterable[Task], as_of: dt.date) -> list[dict[str, Any]]:
    """Tasks as templates/_shared/worklist_row.html wants them: names by one query, sentences by their reason."""
    listed = list(tasks)
    subjects = subjects_of(actor, {task.customer_id for task in listed if task.customer_id})
    return [task_row(task, subjects.get(task.customer_id or 0), as_of) for task in listed]


def task_row(task: Task, subject: Subject | None, as_of: dt.date) -> dict[str, Any]:
    """One task for its row. Without a visible customer the row is named by its reason."""
    known = WORK_REASONS.get(task.reason)
    label = str(known.label) if known else task.reason
    decided_at = known.address(task.params) if known and known.address else ""
    return {
        "id": task.pk,
        "level": _level(known, task),
        "icon": known.icon if known else "checklist",
        "reason": label,
        "name": subject.name if subject else label,
        "url": subject.url if subject else reverse("work:task", args=[task.pk]),
        "tier": subject.tier if subject else "",
        "why": known.sentence(task.params) if known else "",
        "stake": task.stake or None,
        "due": task.due_date,
        "is_today": task.due_date <= as_of,
        "is_late": task.due_date < as_of,
        "needs_result": bool(known and known.needs_result),
        "open_url": decided_at,
        "done_url": "" if decided_at else reverse("work:task-done", args=[task.pk]),
        "later_url": reverse("work:task-later", args=[task.pk]),
        "hand_over_url": reverse("work:task-hand-over", args=[task.pk]),
    }


def task_lines(actor: Actor, tasks: Iterable[Task], as_of: dt.date) -> list[dict[str, Any]]:
    """Tasks as work/_task_line.html wants them: `task_row`, with the owner's name and whether the actor may act."""
    listed = list(tasks)
    mine = set(
        Task.objects.workable_by(actor).filter(pk__in=[t.pk for t in listed]).values_list("pk", flat=True)
    )
    return [
        task_row(task, None, as_of)
        | {"owner": task.owner.name if task.owner else "", "may_act": task.pk in mine}
        for task in listed
    ]


def _level(known: WorkReason | None, task: Task) -> str:
    if known is None:
        return ""
    return known.level_of(task.params) if known.level_of else known.level


def subjects_of(actor: Actor, customer_ids: Iterable[int]) -> dict[int, Subject]:
    """Names and addresses of the customers among these that the actor may see."""
    ids = set(customer_ids)
    found: dict[int, Subject] = {}
    if ids:
        for subjects in SUBJECTS:
            found.update(subjects(actor, ids))
    return found


def possible_owners(actor: Actor) -> QuerySet[Staff]:
    """Whom the actor may give work to: colleagues of his unit, those below a manager, at headquarters anybody."""
    people = Staff.objects.active().filter(left_date__isnull=True).order_by("name", "id")
    if actor.has(HEADQUARTERS) or actor.has({Role.API}):
        return people
    reach = Q(unit=actor.unit_id) if actor.unit_id else Q(pk__in=[])
    for lft, rgt in actor.intervals(SUBTREE):
        reach |= Q(unit__in=OrgUnit.objects.filter(lft__gte=lft, lft__lte=rgt))
    return people.filter(reach)


def who_may_see(people: Sequence[Staff], customer_id: int, day: dt.date) -> set[int]:
    """The ids of those of these people who may see a customer on a day; two statements."""
    actors = actors_for(people, day=day)
    return set().union(*(sight(actors, customer_id) for sight in SIGHT))


def notifications(actor: Actor) -> QuerySet[Notification]:
    """The actor's own inbox, newest first."""
    if actor.staff_id is None:
        return Notification.objects.none()
    return Notification.objects.filter(staff=actor.staff_id)


def unread(actor: Actor) -> int:
    """How many notifications wait for the actor; counting stops at 100. By hand: every page asks."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM (SELECT 1 FROM work_notification"
            " WHERE bank_id = %s AND staff_id = %s AND read_at IS NULL LIMIT 100) waiting",
            [actor.bank_id, actor.staff_id],
        )
        (count,) = cursor.fetchone()
    return int(count)


def notice_rows(notices: Iterable[Notification]) -> list[dict[str, Any]]:
    """Notifications in the reader's language."""
    return [_notice_row(notice, NOTICES.get(notice.code)) for notice in notices]


def _notice_row(notice: Notification, kind: NoticeKind | None) -> dict[str, Any]:
    if kind is None:
        return {"notice": notice, "icon": "bell", "level": "", "text": notice.code}
    return {"notice": notice, "icon": kind.icon, "level": kind.level, "text": kind.sentence(notice.params)}


def failed_run(run_id: int) -> Run | None:
    """The run, when it has failed and not been taken up again."""
    return Run.objects.filter(pk=run_id, status=RunStatus.FAILED).first()


def staff_with_role(role: Role, day: dt.date) -> set[int]:
    """Ids of active staff who hold a role on a day."""
    held = RoleGrant.objects.filter(
        Q(to_date__isnull=True) | Q(to_date__gte=day),
        role=role,
        status=GrantStatus.EFFECTIVE,
        from_date__lte=day,
    )
    return set(held.filter(staff__is_active=True).values_list("staff_id", flat=True))
