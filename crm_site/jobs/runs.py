"""The life of a run: admitted, steps made ready as those before them are done, finished or failed, retried.

Everything here runs inside the run's bank. Whoever changes a run's state holds the lock of its bank and pipeline
(`_hold`), taken after any chunk's and step's row: one order, so nobody waits in a circle.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Container, Iterable, Mapping
from typing import Any

from django.db import connection
from django.db.models import Q, Sum
from django.utils import timezone

from crm_site.accounts.banks import forget_banks
from crm_site.accounts.models import Bank
from crm_site.jobs import outbox
from crm_site.jobs.models import LEFT, Chunk, ChunkKind, Run, RunStatus, Step, StepStatus
from crm_site.lib.registry import PIPELINES, STEPS, RunContext
from crm_site.lib.tenancy import require_bank

FINISHED_TOPIC = "run.finished"


def hold(pipeline: str) -> None:
    """One at a time changes the state of a bank's runs of a pipeline; released with the transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, %s))", [pipeline, require_bank()])


def admit(run: Run, *, now: dt.datetime) -> None:
    """Let a run begin (again), or leave it waiting while its bank has another run of a serial pipeline."""
    pipeline = PIPELINES[run.pipeline]
    if pipeline.serial and _others(run).filter(status=RunStatus.RUNNING).exists():
        return
    newest = Bank.objects.values_list("business_date", flat=True).get(pk=run.bank_id)
    run.status, run.error, run.finished_at = RunStatus.RUNNING, "", None
    run.started_at = run.started_at or now
    run.cancel_asked_at = run.cancelled_by = None
    run.is_newest = newest is None or run.business_date >= newest
    run.save(
        update_fields=[
            "status",
            "error",
            "finished_at",
            "started_at",
            "is_newest",
            "cancel_asked_at",
            "cancelled_by",
        ]
    )
    for step in run.steps.filter(status__in=(StepStatus.FAILED, StepStatus.READY, StepStatus.RUNNING)):
        _revive(step, now=now)
    advance(run, now=now)


def _others(run: Run) -> Any:
    return Run.objects.filter(pipeline=run.pipeline).exclude(pk=run.pk)


def _revive(step: Step, *, now: dt.datetime) -> None:
    """Due again from where it stopped, with all its tries."""
    begun = StepStatus.READY if step.status == StepStatus.READY else StepStatus.RUNNING
    stood = now - step.finished_at if step.finished_at else dt.timedelta()
    Step.objects.filter(pk=step.pk).update(
        status=begun, error="", finished_at=None, standstill=step.standstill + stood
    )
    stopped = Chunk.objects.filter(step_id=step.pk, bank_id=step.bank_id, done_at__isnull=True)
    ids = list(stopped.select_for_update(skip_locked=True).values_list("pk", flat=True))
    Chunk.objects.filter(pk__in=ids).update(
        due_at=timezone.now(), tries=0, errors=0, error="", worker="", claimed_until=None
    )


def advance(run: Run, *, now: dt.datetime) -> None:
    """Make every step ready whose predecessors in this run are done; finish the run when none is left."""
    steps = {step.name: step for step in run.steps.all()}
    if all(step.status == StepStatus.DONE for step in steps.values()):
        _succeed(run, now=now)
        return
    for step in steps.values():
        if step.status != StepStatus.WAITING:
            continue
        if all(steps[name].status == StepStatus.DONE for name in _before(run.pipeline, step.name, steps)):
            _make_ready(run, step, now=now)


def _before(pipeline: str, name: str, present: Container[str]) -> set[str]:
    """The steps of a run that a step waits for: a predecessor left out of the run hands on what it waits for."""
    found: set[str] = set()
    asked = list(STEPS[f"{pipeline}:{name}"].after)
    while asked:
        before = asked.pop()
        if before in present:
            found.add(before)
        else:
            asked.extend(STEPS[f"{pipeline}:{before}"].after)
    return found


def _make_ready(run: Run, step: Step, *, now: dt.datetime) -> None:
    spec = STEPS[f"{run.pipeline}:{step.name}"]
    step.status, step.ready_at = StepStatus.READY, now
    step.chunks = 0 if spec.plan else 1
    step.save(update_fields=["status", "ready_at", "chunks"])
    add_chunk(step, ChunkKind.PLAN if spec.plan else ChunkKind.WORK)


def add_chunk(step: Step, kind: ChunkKind) -> None:
    Chunk.objects.create(
        bank_id=step.bank_id, run_id=step.run_id, step_id=step.pk, kind=kind, due_at=timezone.now()
    )


def add_chunks(bank_id: int, run_id: int, step_id: int, payloads: Iterable[Mapping[str, Any]]) -> int:
    """A step's planned work, due now; returns how many chunks."""
    now = timezone.now()
    made = Chunk.objects.bulk_create(
        (
            Chunk(
                bank_id=bank_id, run_id=run_id, step_id=step_id, position=i, payload=dict(payload), due_at=now
            )
            for i, payload in enumerate(payloads, 1)
        ),
        batch_size=1000,
    )
    Step.objects.filter(pk=step_id).update(chunks=len(made))
    return len(made)


def close_step(step: Step, *, now: dt.datetime) -> None:
    """The step's last chunk is ticked off: mark it done and let its run go on."""
    step.status, step.finished_at, step.error = StepStatus.DONE, now, ""
    step.save(update_fields=["status", "finished_at", "error"])
    pipeline = Run.objects.values_list("pipeline", flat=True).get(pk=step.run_id)
    hold(pipeline)
    run = Run.objects.get(pk=step.run_id)
    if run.status == RunStatus.RUNNING and run.cancel_asked_at is None:
        advance(run, now=now)


def cancel(run: Run, *, now: dt.datetime) -> None:
    """Leave every piece that nobody has in hand; the run ends at once when no other is left, else with the last one.

    The caller holds the pipeline and has set `cancel_asked_at`.
    """
    idle = Chunk.objects.filter(run_id=run.pk, bank_id=run.bank_id, done_at__isnull=True)
    leave(list(idle.select_for_update(skip_locked=True).values_list("pk", flat=True)))
    end_cancelled(run, now=now)


def leave(chunk_ids: list[int]) -> None:
    """Park pieces of a cancelled run until it is resumed."""
    Chunk.objects.filter(pk__in=chunk_ids).update(due_at=None, claimed_until=None, error=LEFT)


def end_cancelled(run: Run, *, now: dt.datetime) -> None:
    """End a run that was asked to stop, once no piece of it is in hand; the next run of the bank begins.

    The caller holds the pipeline, so that of two pieces that end together the second one sees the first.
    """
    if run.status not in (RunStatus.QUEUED, RunStatus.RUNNING) or run.cancel_asked_at is None:
        return
    in_hand = Chunk.objects.filter(
        run_id=run.pk, bank_id=run.bank_id, done_at__isnull=True, due_at__isnull=False
    )
    if in_hand.exists():
        return
    pipeline = PIPELINES[run.pipeline]
    first = run.steps.order_by("position").first()
    if pipeline.on_failure is not None and first is not None:
        context = RunContext(run.bank_id, run.pk, first.pk, run.business_date, run.is_newest, run.params)
        pipeline.on_failure(context, LEFT)
    run.steps.filter(status=StepStatus.RUNNING).update(finished_at=now)
    _end(run, RunStatus.CANCELLED, "", now=now)


def fail_step(step_id: int, error: str, *, now: dt.datetime) -> None:
    """A chunk has used up its tries: its step and run fail, what has not begun is parked, the next run begins."""
    step = Step.objects.select_for_update(no_key=True).get(pk=step_id)
    if step.status == StepStatus.FAILED:
        return
    step.status, step.finished_at, step.error = StepStatus.FAILED, now, error[:500]
    step.save(update_fields=["status", "finished_at", "error"])
    idle = Chunk.objects.filter(step_id=step_id, bank_id=step.bank_id, done_at__isnull=True)
    ids = list(idle.select_for_update(skip_locked=True).values_list("pk", flat=True))
    Chunk.objects.filter(pk__in=ids).update(due_at=None)
    pipeline = PIPELINES[Run.objects.values_list("pipeline", flat=True).get(pk=step.run_id)]
    hold(pipeline.name)
    run = Run.objects.get(pk=step.run_id)
    if run.status != RunStatus.RUNNING:
        return
    if pipeline.on_failure is not None:
        pipeline.on_failure(
            RunContext(run.bank_id, run.pk, step.pk, run.business_date, run.is_newest, run.params), step.error
        )
    _end(run, RunStatus.FAILED, f"{step.name}: {step.error}", now=now)


def _succeed(run: Run, *, now: dt.datetime) -> None:
    if PIPELINES[run.pipeline].closes_day and run.whole and run.is_newest:
        later = Q(business_date__isnull=True) | Q(business_date__lt=run.business_date)
        Bank.objects.filter(later, pk=run.bank_id).update(business_date=run.business_date)
        forget_banks()
    _end(run, RunStatus.DONE, "", now=now)


def _end(run: Run, status: RunStatus, error: str, *, now: dt.datetime) -> None:
    totals = run.steps.aggregate(rows_in=Sum("rows_in"), rows_changed=Sum("rows_changed"))
    run.status, run.error, run.finished_at = status, error[:500], now
    run.rows_in, run.rows_changed = totals["rows_in"] or 0, totals["rows_changed"] or 0
    run.save(update_fields=["status", "error", "finished_at", "rows_in", "rows_changed"])
    outbox.put(FINISHED_TOPIC, {"run": run.pk}, now=now)
    following = _others(run).filter(status=RunStatus.QUEUED).order_by("business_date", "pk").first()
    if following is not None:
        admit(following, now=now)
