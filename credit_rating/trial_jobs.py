"""Trials as jobs: one run each, in a chunk of one transaction, so that a killed one starts over."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from credit_rating.models import Trial, WorkStatus
from credit_rating.models.trials import TRY
from credit_rating.sample_jobs import fault_of
from credit_rating.services.trials import PIPELINE, said_by
from credit_rating.trial_warnings import try_warnings
from crm_site.lib.registry import Counts, Pipeline, RunContext, Step, add_pipeline, add_step


def carry_out(trial_id: int, *, progress: Callable[[int, int], None]) -> Trial | None:
    """Try what the version says now, on the date that was asked for, and keep the hash of that with the result.

    Safe to repeat. None when the draft has been thrown away meanwhile.
    """
    found = Trial.objects.select_for_update(of=("self",)).filter(pk=trial_id).first()
    if found is None or found.status == WorkStatus.DONE:
        return found
    begun = time.perf_counter()
    if found.policy is not None:
        found.content_hash, result = said_by(found.policy), try_warnings(found.policy, found.as_of, progress)
    elif found.scorecard is not None:
        from credit_rating.trial_cards import try_card  # NumPy: in workers alone

        found.content_hash, result = (
            said_by(found.scorecard),
            try_card(found.scorecard, found.as_of, progress),
        )
    found.result = {**result, "seconds": round(time.perf_counter() - begun, 1)}
    found.status, found.finished_at = WorkStatus.DONE, timezone.now()
    found.save(update_fields=["content_hash", "result", "status", "finished_at"])
    return found


def _try(context: RunContext, _payload: Mapping[str, Any]) -> Counts:
    found = carry_out(context.params["trial"], progress=context.progress)
    return Counts(int((found.result if found else {}).get("rows", 0)), int(found is not None))


def _give_up(context: RunContext, error: str) -> None:
    waiting = Trial.objects.filter(pk=context.params["trial"], status=WorkStatus.WAITING)
    waiting.update(status=WorkStatus.FAILED, **fault_of(error))


def register() -> None:
    """Called once when the apps are ready."""
    add_pipeline(Pipeline(PIPELINE, _("Trial of a version"), action=TRY, on_failure=_give_up))
    add_step(Step("try", _("The version on the book"), _try, pipeline=PIPELINE))
