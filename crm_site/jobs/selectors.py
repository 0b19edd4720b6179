"""Reads about runs, steps and chunks for pages, API and metrics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Q, QuerySet

from crm_site.jobs.models import (
    UNFINISHED,
    Chunk,
    ChunkKind,
    ChunkProgress,
    Run,
    RunStatus,
    Step,
    StepStatus,
)
from crm_site.lib.permissions import Actor
from crm_site.lib.registry import PIPELINES, STEPS

PAGE = 30


@dataclass(frozen=True, slots=True)
class StepView:
    """A step as the page and the API show it. `share`: what is done of it, 0..1. `helpers`: chunks under work now."""

    name: str
    label: Any
    status: str
    status_label: Any
    share: float
    chunks: int
    chunks_done: int
    helpers: int
    tries: int
    rows_in: int
    rows_changed: int
    seconds: float | None
    error: str

    @property
    def percent(self) -> int:
        return int(self.share * 100)


def recent_runs(actor: Actor) -> QuerySet[Run]:
    """The bank's runs, newest first."""
    return Run.objects.visible_to(actor).select_related("requested_by", "cancelled_by")


def step_views(run: Run) -> list[StepView]:
    """Every step of a run with its progress: three queries whatever the number of chunks."""
    steps = list(run.steps.order_by("position"))
    parts: dict[int, float] = {}
    helpers: dict[int, int] = {}
    tries = dict(
        Chunk.objects.filter(run_id=run.pk, bank_id=run.bank_id, tries__gt=1)
        .values_list("step_id")
        .annotate(n=Count("id"))
    )
    reports = {p.chunk_id: p for p in _progress_of(run)}
    for chunk_id, step_id in Chunk.objects.filter(pk__in=reports, done_at__isnull=True).values_list(
        "id", "step_id"
    ):
        report = reports[chunk_id]
        helpers[step_id] = helpers.get(step_id, 0) + 1
        parts[step_id] = parts.get(step_id, 0.0) + (min(report.done / report.total, 1) if report.total else 0)
    return [_view(run, step, parts.get(step.pk, 0.0), helpers.get(step.pk, 0), tries) for step in steps]


def _progress_of(run: Run) -> QuerySet[ChunkProgress]:
    under_work = Chunk.objects.filter(
        Q(due_at__isnull=False), run_id=run.pk, bank_id=run.bank_id, done_at__isnull=True
    )
    return ChunkProgress.objects.filter(chunk_id__in=under_work.values("pk"))


def _view(run: Run, step: Step, part: float, helpers: int, tries: dict[int, int]) -> StepView:
    spec = STEPS.get(f"{run.pipeline}:{step.name}")
    share = 1.0 if step.status == StepStatus.DONE else 0.0
    if share == 0.0 and step.chunks:
        share = min((step.chunks_done + part) / step.chunks, 0.99)
    stopped = run.status == RunStatus.CANCELLED and step.status in (StepStatus.READY, StepStatus.RUNNING)
    return StepView(
        name=step.name,
        label=spec.label if spec else step.name,
        status=RunStatus.CANCELLED.value if stopped else step.status,
        status_label=RunStatus.CANCELLED.label if stopped else StepStatus(step.status).label,
        share=share,
        chunks=step.chunks,
        chunks_done=step.chunks_done,
        helpers=helpers if not stopped and step.status in (StepStatus.RUNNING, StepStatus.READY) else 0,
        tries=tries.get(step.pk, 0),
        rows_in=step.rows_in,
        rows_changed=step.rows_changed,
        seconds=step.seconds,
        error=step.error,
    )


def share_done(run: Run, views: list[StepView]) -> float:
    """How much of a run is done, each step counting the same, 0..1."""
    return sum(view.share for view in views) / len(views) if views else 1.0


def unfinished_chunks(run: Run, step_name: str) -> list[Chunk]:
    """What of a step is not done, for the page of a failed one: at most 100, most tried first."""
    step = run.steps.filter(name=step_name).first()
    if step is None:
        return []
    rows = Chunk.objects.filter(
        bank_id=run.bank_id, step_id=step.pk, done_at__isnull=True, kind__in=ChunkKind.values
    )
    return list(rows.order_by("-errors", "-tries", "position")[:100])


def run_page(actor: Actor, before: str) -> dict[str, Any]:
    """The bank's runs, newest first, `before` a run by key; `busy` while one of them is not finished."""
    key = int(before) if before.isascii() and before.isdigit() and len(before) < 19 else 0
    runs = recent_runs(actor)
    rows = list((runs.filter(pk__lt=key) if key else runs).order_by("-id")[: PAGE + 1])
    return {
        "rows": [{"run": run, "label": pipeline_label(run)} for run in rows[:PAGE]],
        "busy": any(not run.is_finished for run in rows[:PAGE]),
        "next_url": f"?before={rows[PAGE - 1].pk}" if len(rows) > PAGE else "",
        "first_url": "?" if key else "",
        "here": f"?before={key}" if key else "?",
    }


def run_state(run: Run) -> dict[str, Any]:
    """A run with its steps, as its page and every poll of it show them."""
    views = step_views(run)
    queue = 0
    if run.status == RunStatus.QUEUED:
        queue = Run.objects.filter(pipeline=run.pipeline, status__in=UNFINISHED).exclude(pk=run.pk).count()
    return {
        "run": run,
        "label": pipeline_label(run),
        "steps": views,
        "percent": int(share_done(run, views) * 100),
        "ahead": queue,
        "failed": [view for view in views if view.status == StepStatus.FAILED],
        "done_count": sum(view.status == StepStatus.DONE for view in views),
        "waiting_count": sum(view.status not in (StepStatus.DONE, StepStatus.FAILED) for view in views),
        "holds_day": run.whole
        and run.is_newest
        and getattr(PIPELINES.get(run.pipeline), "closes_day", False),
    }


def step_label(run: Run, step_name: str) -> Any:
    """What a step of a run is called; its name where the program knows it no longer."""
    return getattr(STEPS.get(f"{run.pipeline}:{step_name}"), "label", step_name)


def pipeline_label(run: Run) -> Any:
    return run.label
