"""What is done with tasks and notifications. Rows that a night or another room wants are put here, set-based.

Two people on one task: whoever comes second is told so (Conflict); the same person twice changes nothing.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import connection
from django.db.models import Case, F, SmallIntegerField, Value, When
from django.utils import timezone
from django.utils.timezone import localdate
from django.utils.translation import gettext as _

from crm_site.accounts.models import Staff
from crm_site.lib.errors import Conflict, DomainError
from crm_site.lib.money import to_minor
from crm_site.lib.permissions import OWN, SUBTREE, Actor, Role, require
from crm_site.lib.registry import WORK_REASONS
from crm_site.lib.tenancy import require_bank
from crm_site.work import selectors
from crm_site.work.models import Notification, Task, TaskStatus
from crm_site.work.urgency import SCALE, pressing

UNDO_SECONDS = 10
UNDO_GRACE_SECONDS = 5  # the way of the click to the server
MAX_LATER_DAYS = 92


@dataclass(frozen=True, slots=True)
class TaskRow:
    """A task that a cause calls for. `source_key` names the cause: "maturity:<account>:<date>", never "".

    `stake` in the bank's currency; `urgency` 0..100; `show_from` None: at once.
    """

    reason: str
    source_key: str
    due_date: dt.date
    customer_id: int | None = None
    owner_id: int | None = None
    unit_id: int | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    stake: Decimal = Decimal(0)
    urgency: int = 0
    show_from: dt.date | None = None


@dataclass(frozen=True, slots=True)
class PutCounts:
    """What put_tasks did: rows given, tasks made or changed, tasks whose cause is gone."""

    given: int
    changed: int
    cancelled: int


_STAGE = """
CREATE TEMP TABLE work_stage (reason text, source_key text, customer_id bigint, owner_id bigint, unit_id bigint,
    due_date date, show_from date, stake bigint, urgency smallint, params jsonb) ON COMMIT DROP
"""
# What a person has decided stays: a done task, a later date, another owner. A cause that is back reopens.
_SAME = """(t.status, t.reason, t.customer_id, t.due_date, t.stake, t.urgency, t.params,
        CASE WHEN t.handed_over_by_id IS NULL THEN t.owner_id END, CASE WHEN t.handed_over_by_id IS NULL THEN t.unit_id END)
    IS NOT DISTINCT FROM ('open', n.reason, n.customer_id, n.due_date, n.stake, n.urgency, n.params,
        CASE WHEN t.handed_over_by_id IS NULL THEN n.owner_id END, CASE WHEN t.handed_over_by_id IS NULL THEN n.unit_id END)"""
# Tasks that are as they should be are left out before the upsert, which would lock, and so write, every one of them. Their
# two states are named for the index: nearly all that a bank has had are cancelled.
_UPSERT = f"""
INSERT INTO work_task AS t (bank_id, reason, source_key, customer_id, owner_id, unit_id, due_date, show_from, stake,
    urgency, params, created_at, status, result, run_id)
SELECT %(bank)s, reason, source_key, customer_id, owner_id, unit_id, due_date,
    coalesce(show_from, %(as_of)s), stake, urgency, params, %(now)s, 'open', '', %(run)s
FROM (SELECT DISTINCT ON (source_key) * FROM work_stage ORDER BY source_key, urgency DESC) n
WHERE NOT EXISTS (
    SELECT FROM work_task t WHERE t.bank_id = %(bank)s AND t.source_key = n.source_key AND t.source_key <> ''
        AND (%(first)s::bigint IS NULL OR t.customer_id BETWEEN %(first)s AND %(last)s)
        AND t.status IN ('open', 'done') AND (t.status = 'done' OR {_SAME}))
ON CONFLICT (bank_id, source_key) WHERE source_key <> '' DO UPDATE SET
    reason = excluded.reason, customer_id = excluded.customer_id,
    owner_id = CASE WHEN t.handed_over_by_id IS NULL THEN excluded.owner_id ELSE t.owner_id END,
    unit_id = CASE WHEN t.handed_over_by_id IS NULL THEN excluded.unit_id ELSE t.unit_id END,
    due_date = excluded.due_date, show_from = CASE WHEN t.status = 'open' THEN t.show_from ELSE excluded.show_from END,
    stake = excluded.stake, urgency = excluded.urgency, params = excluded.params, status = 'open',
    closed_at = NULL, run_id = excluded.run_id
WHERE t.status <> 'done' AND NOT {_SAME.replace(" n.", " excluded.")}
"""
_CANCEL = """
UPDATE work_task t SET status = 'cancelled', closed_at = %(now)s, run_id = %(run)s
WHERE t.bank_id = %(bank)s AND t.status = 'open' AND t.source_key ^@ ANY (%(sources)s::text[])
    AND (%(first)s::bigint IS NULL OR t.customer_id BETWEEN %(first)s AND %(last)s)
    AND NOT EXISTS (SELECT FROM work_stage s WHERE s.source_key = t.source_key)
"""


def put_tasks(
    bank_id: int,
    rows: Iterable[TaskRow],
    *,
    sources: Iterable[str],
    as_of: dt.date,
    now: dt.datetime | None = None,
    run_id: int | None = None,
    customers: tuple[int, int] | None = None,
) -> PutCounts:
    """Make the generated tasks of some sources what `rows` say: new ones made, changed ones updated, others closed.

    `sources`: prefixes of source_key that these rows are complete for ("maturity:"); open tasks of them that no row
    calls for are cancelled, only those of customers first..last when `customers` is given (a chunk; or one customer:
    otherwise every task of the bank is looked at). What is done is never reopened; a task postponed or handed over by
    a person keeps that. Repeating it changes nothing. Call inside the bank; several calls may share one transaction.
    """
    prefixes, wanted = list(sources), list(rows)
    foreign = next((r for r in wanted if not any(r.source_key.startswith(p) for p in prefixes)), None)
    if foreign is not None:
        raise ValueError(f"{foreign.source_key!r} belongs to none of the sources {prefixes}")
    with _stage(bank_id) as cursor:
        with cursor.cursor.copy("COPY work_stage FROM STDIN") as copy:
            for row in wanted:
                copy.write_row(_stage_row(row))
        changed, cancelled = _settle(cursor, bank_id, prefixes, as_of, now, run_id, customers)
    return PutCounts(len(wanted), changed, cancelled)


def put_selected_tasks(
    bank_id: int,
    selects: Iterable[str],
    values: Mapping[str, Any],
    *,
    sources: Iterable[str],
    as_of: dt.date,
    run_id: int,
    customers: tuple[int, int],
) -> PutCounts:
    """As put_tasks, for the rows of some SELECTs with `values` as parameters: a night's tasks by the 100,000.

    Each SELECT gives source_key, reason, customer_id, owner_id, unit_id, due_date, stake, urgency, params.
    """
    given = 0
    with _stage(bank_id) as cursor:
        for select in selects:
            cursor.execute(
                "INSERT INTO work_stage (source_key, reason, customer_id, owner_id, unit_id, due_date, stake, urgency, params)"
                + select,
                values,
            )
            given += cursor.rowcount
        changed, cancelled = _settle(cursor, bank_id, list(sources), as_of, None, run_id, customers)
    return PutCounts(given, changed, cancelled)


@contextmanager
def _stage(bank_id: int) -> Iterator[Any]:
    """A cursor with an empty work_stage for what is wanted."""
    if bank_id != require_bank():
        raise ValueError(f"bank {bank_id} is not the active one")
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS pg_temp.work_stage")
        cursor.execute(_STAGE)
        yield cursor


def _settle(
    cursor: Any,
    bank_id: int,
    sources: list[str],
    as_of: dt.date,
    now: dt.datetime | None,
    run_id: int | None,
    customers: tuple[int, int] | None,
) -> tuple[int, int]:
    """Make the sources' tasks what the stage says: (made or changed, cancelled)."""
    first, last = customers or (None, None)
    if first != last:  # a night's: the planner must know whether they are few or many
        cursor.execute("ANALYZE work_stage (source_key)")
    values: dict[str, Any] = {
        "bank": bank_id, "as_of": as_of, "now": now or timezone.now(), "run": run_id, "sources": sources,
        "first": first, "last": last,
    }  # fmt: skip
    cursor.execute(_UPSERT, values)
    changed = cursor.rowcount
    cursor.execute(_CANCEL, values)
    return changed, cursor.rowcount


_encode = json.JSONEncoder(ensure_ascii=False, default=str).encode


def _stage_row(row: TaskRow) -> tuple[Any, ...]:
    return (
        row.reason,
        row.source_key,
        row.customer_id,
        row.owner_id,
        row.unit_id,
        row.due_date,
        row.show_from,
        to_minor(row.stake),
        row.urgency,
        _encode(dict(row.params)),
    )


def create_task(
    actor: Actor,
    *,
    reason: str,
    due_date: dt.date,
    now: dt.datetime,
    params: Mapping[str, Any] | None = None,
    customer_id: int | None = None,
    owner_id: int | None = None,
    unit_id: int | None = None,
    show_from: dt.date | None = None,
    stake: Decimal = Decimal(0),
    urgency: int = 0,
    source_key: str = "",
) -> Task:
    """Make a task. With a `source_key` the same cause gives the same task. The caller has checked the customer.

    `owner_id` None: nobody's yet, it waits in its unit. An owner other than the actor must be one he may give work
    to (selectors.possible_owners) and is notified. What has a deadline by somebody's word is as urgent as that is
    near, at least `urgency`. Raises DomainError with the field's name.
    """
    require(actor, "task.write")
    if reason not in WORK_REASONS:
        raise DomainError(_("There is no such reason for a task."), fields={"reason": _("Choose one.")})
    unit = unit_id
    if owner_id is not None and owner_id != actor.staff_id:
        owner = _receiver(actor, owner_id, field="owner")
        unit = unit or owner.unit_id
    values = {
        "reason": reason,
        "params": dict(params or {}),
        "customer_id": customer_id,
        "owner_id": owner_id,
        "unit_id": unit or actor.unit_id,
        "created_by_id": actor.staff_id,
        "created_at": now,
        "due_date": due_date,
        "show_from": show_from or min(due_date, localdate(now)),
        "stake": stake,
        "urgency": pressing(due_date, localdate(now), urgency) if WORK_REASONS[reason].is_dated else urgency,
    }
    if source_key:
        task, created = Task.objects.get_or_create(source_key=source_key, defaults=values)
    else:
        task, created = Task.objects.create(**values), True
    if created and owner_id is not None and owner_id != actor.staff_id:
        notify([owner_id], "task.given", {"by": actor.label, "reason": reason}, address(task), now=now)
    return task


def finish_task(actor: Actor, *, task_id: int, now: dt.datetime, result: str = "") -> Task:
    """Done, with what came of it where the reason asks for that. Twice by the same person: no change.

    Raises Conflict when somebody else was first, the task is no longer needed or ends with its matter alone, DomainError
    without a result.
    """
    task = locked(actor, task_id)
    if task.status == TaskStatus.DONE and task.closed_by_id == actor.staff_id:
        return task
    _require_open(task)
    known = WORK_REASONS.get(task.reason)
    if known and known.address:
        raise Conflict(_("This task ends when its matter is decided: open it and decide."), code="decide_it")
    result = result.strip()
    if not result and known and known.needs_result:
        raise DomainError(
            _("Say what came of it."), code="result_needed", fields={"result": _("Say what came of it.")}
        )
    task.status, task.result = TaskStatus.DONE, result[:200]
    task.closed_at, task.closed_by_id = now, actor.staff_id
    task.save(update_fields=["status", "result", "closed_at", "closed_by_id"])
    return task


def reopen_task(actor: Actor, *, task_id: int, now: dt.datetime) -> Task:
    """Take "done" back: by who did it, for ten seconds. An open task stays as it is.

    Raises Conflict when the time is over or another person closed it.
    """
    task = locked(actor, task_id)
    if task.status == TaskStatus.OPEN:
        return task
    limit = dt.timedelta(seconds=UNDO_SECONDS + UNDO_GRACE_SECONDS)
    mine = task.status == TaskStatus.DONE and task.closed_by_id == actor.staff_id
    if not mine or task.closed_at is None or now - task.closed_at > limit:
        raise Conflict(_("This can no longer be undone."), code="too_late")
    task.status, task.result, task.closed_at, task.closed_by_id = TaskStatus.OPEN, "", None, None
    task.save(update_fields=["status", "result", "closed_at", "closed_by_id"])
    return task


def postpone_task(actor: Actor, *, task_id: int, until: dt.date, as_of: dt.date) -> Task:
    """Not before `until`: the task leaves the worklist till then. Its deadline stays.

    Raises DomainError for a date that is not ahead or more than a quarter ahead, Conflict for a closed task.
    """
    task = locked(actor, task_id)
    _require_open(task)
    if until <= as_of:
        raise DomainError(_("Choose a day ahead."), fields={"until": _("Choose a day ahead.")})
    if until > as_of + dt.timedelta(days=MAX_LATER_DAYS):
        text = _("At most three months ahead.")
        raise DomainError(text, fields={"until": text})
    if task.show_from != until:
        task.show_from = until
        task.save(update_fields=["show_from"])
    return task


def hand_over_task(
    actor: Actor, *, task_id: int, to_id: int, now: dt.datetime, note: str = "", is_told: bool = True
) -> Task:
    """Give a task to a colleague, who is notified (`is_told`). Twice to the same: no change.

    Raises DomainError for somebody the actor may not give work to, Conflict for a closed task.
    """
    task = locked(actor, task_id, also_given=True)
    if task.status == TaskStatus.OPEN and task.owner_id == to_id and task.handed_over_by_id == actor.staff_id:
        return task
    if not _may_act(actor, task):
        raise Conflict(_("Somebody else has this task by now."), code="task_moved")
    _require_open(task)
    receiver = _receiver(actor, to_id, field="to")
    task.owner, task.unit_id, task.handed_over_by_id = receiver, receiver.unit_id, actor.staff_id
    task.save(update_fields=["owner", "unit_id", "handed_over_by_id"])
    params = {"by": actor.label, "reason": task.reason, "note": note.strip()[:200]}
    if is_told:
        notify([to_id], "task.handed_over", params, address(task), now=now)
    return task


def finish_cause(actor: Actor, *, source_key: str, now: dt.datetime, result: str) -> None:
    """What called for a task was dealt with where it arose: its open task, if there is one, is done by the actor.

    The caller has checked that he may.
    """
    task = Task.objects.select_for_update(of=("self",)).open().filter(source_key=source_key).first()
    if task is not None:
        task.status, task.result = TaskStatus.DONE, result[:200]
        task.closed_at, task.closed_by_id = now, actor.staff_id
        task.save(update_fields=["status", "result", "closed_at", "closed_by_id"])


def move_cause(actor: Actor, *, source_key: str, to: Staff, now: dt.datetime, note: str) -> None:
    """What called for a task was passed on where it arose: its open task goes along, and the receiver is told.

    The caller has checked that he may.
    """
    task = Task.objects.select_for_update(of=("self",)).open().filter(source_key=source_key).first()
    if task is not None:
        task.owner, task.unit_id, task.handed_over_by_id = to, to.unit_id, actor.staff_id
        task.save(update_fields=["owner", "unit_id", "handed_over_by_id"])
        params = {"by": actor.label, "reason": task.reason, "note": note[:200]}
        notify([to.pk], "task.handed_over", params, address(task), now=now)


def reassign_tasks(bank_id: int, owners: Mapping[int, int]) -> int:
    """Open tasks about customers go along to their new manager: {customer: staff}. Returns how many moved.

    Tasks that somebody was given by hand stay with them. Call inside the bank.
    """
    if bank_id != require_bank():
        raise ValueError(f"bank {bank_id} is not the active one")
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE work_task t SET owner_id = n.staff_id, unit_id = s.unit_id
            FROM unnest(%s::bigint[], %s::bigint[]) AS n(customer_id, staff_id)
            JOIN accounts_staff s ON s.bank_id = %s AND s.id = n.staff_id
            WHERE t.bank_id = %s AND t.customer_id = n.customer_id AND t.status = 'open'
                AND t.handed_over_by_id IS NULL AND t.owner_id IS DISTINCT FROM n.staff_id
            """,
            [list(owners.keys()), list(owners.values()), bank_id, bank_id],
        )
        return cursor.rowcount


def notify(
    staff_ids: Iterable[int],
    code: str,
    params: Mapping[str, Any] | None = None,
    url: str = "",
    *,
    now: dt.datetime | None = None,
) -> int:
    """Tell people something in their inbox; returns how many. `code`: a registered notification."""
    at = now or timezone.now()
    rows = [
        Notification(staff_id=staff_id, code=code, params=dict(params or {}), url=url, created_at=at)
        for staff_id in dict.fromkeys(staff_ids)
    ]
    return len(Notification.objects.bulk_create(rows))


def mark_read(actor: Actor, *, now: dt.datetime, notification_id: int | None = None) -> int:
    """One notification, or all, of the actor as read; returns how many changed."""
    mine = selectors.notifications(actor).filter(read_at__isnull=True)
    if notification_id is not None:
        mine = mine.filter(pk=notification_id)
    return mine.update(read_at=now)


def address(task: Task) -> str:
    return f"/tasks/{task.pk}/"


def age_tasks(day: dt.date, *, run_id: int | None = None) -> int:
    """Make the open tasks whose deadline is somebody's word as urgent as it is near on a working day; how many changed.

    Never less urgent than they were: deadlines only come nearer. Repeating it changes nothing. A task that somebody is
    changing at this moment is left to him: to wait for it while holding others would be a deadlock with a page that has
    several. Call inside the bank.
    """
    dated = [known.code for known in WORK_REASONS if known.is_dated]
    steps = [
        When(due_date__lte=day + dt.timedelta(days=days), then=Value(urgency)) for days, urgency in SCALE
    ]
    rule = Case(*steps, default=F("urgency"), output_field=SmallIntegerField())
    near = Task.objects.open().filter(reason__in=dated, urgency__lt=rule)
    free = near.select_for_update(skip_locked=True, no_key=True).values("pk")
    return Task.objects.filter(pk__in=free).update(urgency=rule, run_id=run_id)


def locked(actor: Actor, task_id: int, *, also_given: bool = False) -> Task:
    """The task, locked; Task.DoesNotExist (404) when the actor may not see it, 403 when he may only look."""
    require(actor, "task.write")
    visible = Task.objects.visible_to(actor).select_for_update(of=("self",), no_key=True)
    if also_given and actor.staff_id is not None:
        mine = Task.objects.filter(handed_over_by_id=actor.staff_id, pk=task_id)
        return visible.filter(pk=task_id).first() or mine.select_for_update(no_key=True).get()
    task = visible.get(pk=task_id)
    if not _may_act(actor, task):
        raise PermissionDenied("task.write")
    return task


def _may_act(actor: Actor, task: Task) -> bool:
    """Its owner and who covers for him; whoever leads the unit it lies in; its maker."""
    if task.owner_id is not None and task.owner_id in actor.portfolio:
        return True
    if task.created_by_id is not None and task.created_by_id == actor.staff_id:
        return True
    unit = task.unit
    return unit is not None and any(
        lft <= unit.lft and unit.rgt <= rgt for lft, rgt in actor.intervals(SUBTREE)
    )


def _require_open(task: Task) -> None:
    if task.status == TaskStatus.DONE:
        who = task.closed_by.name if task.closed_by else "–"
        raise Conflict(_("%(who)s has done this already.") % {"who": who}, code="task_done")
    if task.status == TaskStatus.CANCELLED:
        raise Conflict(_("This task is no longer needed."), code="task_cancelled")


def _receiver(actor: Actor, staff_id: int, *, field: str) -> Staff:
    receiver = selectors.possible_owners(actor).filter(pk=staff_id).first()
    if receiver is None:
        text = (
            _("Choose a colleague of your branch.") if actor.has(OWN | SUBTREE) else _("Choose a colleague.")
        )
        raise DomainError(text, code="not_a_receiver", fields={field: text})
    return receiver


def notify_of_run(bank_id: int, payload: Mapping[str, Any]) -> None:
    """A run that failed tells who started it and the administrators. Outbox topic run.finished; safe to repeat."""
    failed = selectors.failed_run(int(payload["run"]))
    if failed is None or failed.finished_at is None:
        return
    url = f"/jobs/{failed.pk}/"
    told = set(
        Notification.objects.filter(
            code="run.failed", url=url, created_at__gte=failed.finished_at
        ).values_list("staff_id", flat=True)
    )
    people = selectors.staff_with_role(Role.ADMINISTRATOR, localdate(failed.finished_at))
    if failed.requested_by_id:
        people.add(failed.requested_by_id)
    notify(
        sorted(people - told),
        "run.failed",
        {"pipeline": failed.pipeline, "date": failed.business_date.isoformat()},
        url,
        now=failed.finished_at,
    )
