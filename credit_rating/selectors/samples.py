"""Samples and developments as their pages show them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from credit_rating.models import Development, DevelopmentSample, SampleOrigin, Trial, WorkStatus
from credit_rating.sample_words import fault_text, reason_text
from credit_rating.selectors.outcomes import BAD_CODES
from crm_site.jobs.models import Run
from crm_site.jobs.selectors import run_state
from crm_site.lib.permissions import Actor

PAGE = 30
OUTCOME_WORDS = (
    "outcome",
    "status",
    "target",
    "default",
    "bad",
    "class",
    "y",
    "creditability",
    "good_bad",
    "违约",
    "结果",
)


@dataclass(frozen=True, slots=True)
class Work:
    """How far a job is. `state`: "waiting", "failed" (then `fault` says why) or "done"."""

    state: str
    percent: int
    fault: str

    @property
    def under_way(self) -> bool:
        return self.state == "waiting"


def samples(actor: Actor) -> QuerySet[DevelopmentSample]:
    """Samples that the actor may work with, newest first."""
    return DevelopmentSample.objects.visible_to(actor).select_related("made_by")


def developments(actor: Actor) -> QuerySet[Development]:
    """Orders of the samples that the actor may see, newest first."""
    seen = DevelopmentSample.objects.visible_to(actor)
    return Development.objects.filter(sample__in=seen).select_related("sample", "ordered_by", "scorecard")


def work_of(thing: DevelopmentSample | Development | Trial) -> Work:
    """How far a sample's reading, a development or a trial is."""
    if thing.status == WorkStatus.FAILED:
        return Work("failed", 100, fault_text(thing.fault, thing.fault_params))
    run = Run.objects.filter(pk=thing.run_id or 0).first() if thing.status == WorkStatus.WAITING else None
    return Work("done", 100, "") if run is None else Work("waiting", run_state(run)["percent"], "")


def window_of(sample: DevelopmentSample) -> str:
    """Which time a sample of outcomes is of; "" for a file, whose developer knows."""
    if sample.origin != SampleOrigin.OUTCOMES:
        return ""
    return _("loans granted %(first)s to %(last)s, outcomes observed by %(as_of)s") % sample.asked


def usual_bad(sample: DevelopmentSample) -> Sequence[str]:
    """Values of the outcome that are bad unless a developer says otherwise; none where nothing is known of them."""
    return BAD_CODES if sample.origin == SampleOrigin.OUTCOMES else ()


def outcome_columns(columns: Iterable[Mapping[str, Any]]) -> list[str]:
    """Columns that can be an outcome (two values or some more), the likeliest first."""
    fit = [c for c in columns if c["distinct"] >= 2 and c["labels"]]
    return [c["name"] for c in sorted(fit, key=lambda c: (_unlikely(c["name"]), c["distinct"] != 2))]


def _unlikely(name: str) -> bool:
    return name.strip().lower() not in OUTCOME_WORDS


def column_rows(columns: Iterable[Mapping[str, Any]], rows: int) -> list[dict[str, Any]]:
    """Columns with the share that is not known and why one is no factor, in words."""
    return [
        {**c, "missing": (rows - c["known"]) / rows if rows else None, "why": reason_text(c["left_out"])}
        for c in columns
    ]
