"""Starting and retrying runs, and working one off in the foreground. Called inside the bank but for run_to_end."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from crm_site.accounts.models import Bank
from crm_site.jobs import runs
from crm_site.jobs.crew import Crew
from crm_site.jobs.models import UNFINISHED, Run, RunStatus, Step, StepStatus
from crm_site.lib.errors import Conflict, DomainError
from crm_site.lib.permissions import Actor, require
from crm_site.lib.registry import PIPELINES, pipeline_steps
from crm_site.lib.tenancy import bank, require_bank

NIGHTLY = "nightly"
STOPPED = (RunStatus.FAILED, RunStatus.CANCELLED)


def refuse_day_to_come(day: dt.date, today: dt.date) -> None:
    """Whoever asks from outside may not run ahead of the calendar: its balances cannot be there yet, and every real
    night after it would count as late. DomainError."""
    if day > today:
        message = _("This day is still to come.")
        raise DomainError(message, code="future_date", fields={"business_date": message})


def start_run(
    actor: Actor,
    *,
    pipeline: str,
    business_date: dt.date,
    params: Mapping[str, Any] | None = None,
    key: str = "",
    steps: Sequence[str] | None = None,
    now: dt.datetime | None = None,
) -> Run:
    """Start a pipeline for a business date: writes rows only; workers take them from there.

    `key` lets a pipeline have several runs of one date at once (a batch's id). `steps`: only these, in the
    pipeline's order. Started twice, the unfinished run is returned; Conflict when it was asked for something else.
    A bank's runs of a serial pipeline wait for each other. Raises DomainError for an unknown pipeline or step.
    """
    if pipeline not in PIPELINES:
        raise DomainError(_("There is no pipeline “%s”.") % pipeline, code="unknown_pipeline")
    require(actor, PIPELINES[pipeline].action)
    names = _chosen(pipeline, steps)
    at, given = now or timezone.now(), dict(params or {})
    runs.hold(pipeline)
    running = Run.objects.filter(
        pipeline=pipeline, business_date=business_date, key=key, status__in=UNFINISHED
    ).first()
    if running is not None:
        under_way = list(running.steps.order_by("position").values_list("name", flat=True))
        if running.params != given or under_way != names:
            raise Conflict(
                _("A run for %s is under way with other steps or parameters.") % business_date.isoformat(),
                code="run_under_way",
            )
        return running
    run = Run.objects.create(
        pipeline=pipeline,
        business_date=business_date,
        key=key,
        params=given,
        whole=steps is None,
        requested_by_id=actor.staff_id,
        requested_as=actor.label[:120],
        requested_at=at,
    )
    Step.objects.bulk_create(
        Step(bank_id=run.bank_id, run=run, name=name, position=i) for i, name in enumerate(names, 1)
    )
    runs.admit(run, now=at)
    return run


def _chosen(pipeline: str, steps: Sequence[str] | None) -> list[str]:
    names = [step.name for step in pipeline_steps(pipeline)]
    unknown = sorted(set(steps or ()) - set(names))
    if unknown:
        raise DomainError(
            _("Unknown steps: %(unknown)s. There are: %(names)s.")
            % {"unknown": ", ".join(unknown), "names": ", ".join(names)},
            code="unknown_step",
            fields={"steps": ", ".join(unknown)},
        )
    return names if steps is None else [name for name in names if name in set(steps)]


def retry_run(actor: Actor, *, run_id: int, now: dt.datetime | None = None) -> Run:
    """Go on with a failed run from the step that failed, with a cancelled one from where it stopped; what is done stays done. Idempotent while it runs.

    Raises Conflict when a newer run of the same date is under way or has already replaced it.
    """
    run = Run.objects.visible_to(actor).get(pk=run_id)
    require(actor, PIPELINES[run.pipeline].action)
    list(run.steps.filter(status=StepStatus.FAILED).select_for_update(no_key=True))
    runs.hold(run.pipeline)
    run.refresh_from_db()
    if run.status in UNFINISHED:
        if run.cancel_asked_at is not None:
            raise Conflict(_("This run is stopping; go on with it when it has stopped."), code="run_stopping")
        return run
    if run.status not in STOPPED:
        raise Conflict(_("This run is done; there is nothing to retry."), code="run_done")
    same = Run.objects.filter(pipeline=run.pipeline, business_date=run.business_date, key=run.key)
    if same.filter(pk__gt=run.pk).exclude(status__in=STOPPED).exists():
        raise Conflict(_("A newer run for this date has taken its place."), code="run_replaced")
    at = now or timezone.now()
    if run.started_at is not None and run.finished_at is not None:
        run.standstill += at - run.finished_at
    run.status, run.finished_at, run.cancel_asked_at, run.cancelled_by = RunStatus.QUEUED, None, None, None
    run.save(update_fields=["status", "finished_at", "standstill", "cancel_asked_at", "cancelled_by"])
    runs.admit(run, now=at)
    return run


def cancel_run(actor: Actor, *, run_id: int, now: dt.datetime | None = None) -> Run:
    """Stop a run after the pieces in hand: what is done stays, the rest is left, the date can be run again.

    The run ends by itself when the last piece in hand is ticked off (or its dead worker's piece is taken up and
    left). Again: no change. Raises Conflict for a run that has ended otherwise.
    """
    # Who may start a pipeline may stop its runs, and needs not watch over all jobs of the bank for that.
    run = Run.objects.get(pk=run_id)
    require(actor, PIPELINES[run.pipeline].action)
    runs.hold(run.pipeline)
    run.refresh_from_db()
    if run.status == RunStatus.CANCELLED or (run.status in UNFINISHED and run.cancel_asked_at is not None):
        return run
    if run.status not in UNFINISHED:
        raise Conflict(_("This run has ended already."), code="run_ended")
    run.cancel_asked_at, run.cancelled_by_id = now or timezone.now(), actor.staff_id
    run.save(update_fields=["cancel_asked_at", "cancelled_by_id"])
    runs.cancel(run, now=run.cancel_asked_at)
    return run


def next_business_date(pipeline: str = NIGHTLY) -> dt.date | None:
    """The date to run next: the day after the bank's business date; before the first run, what the data says."""
    newest = Bank.objects.values_list("business_date", flat=True).get(pk=require_bank())
    if newest is not None:
        return newest + dt.timedelta(days=1)
    first = PIPELINES[pipeline].first_date
    return first() if first is not None else None


def run_to_end(
    run: Run,
    *,
    workers: int = 1,
    watch: Callable[[Run], None] | None = None,
    worker_command: Sequence[str] = (),
) -> Run:
    """Work a run off in the foreground, without any Celery, and return it finished (done or failed).

    With one worker the chunks are done in this process; with more, in that many processes of their own, which are
    replaced when they are killed. Celery workers may help. Call outside every bank. `watch(run)` is called a few
    times a second. Raises DomainError when the worker processes cannot start.
    """

    def reported(_done: int, _total: int) -> None:
        if watch is not None:
            watch(run)

    with Crew(run, workers=workers, command=worker_command, watch=reported) as crew:
        while True:
            with bank(run.bank_id):
                run = Run.objects.get(pk=run.pk)
            reported(0, 0)
            if run.is_finished:
                return run
            crew.carry_on(run)
