"""Samples and developments as jobs: one run each, in a chunk of one transaction, so that a killed one starts over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext_lazy as _

from credit_rating.models import Development, DevelopmentSample, WorkStatus
from credit_rating.models.samples import DEVELOP
from credit_rating.services.developing import carry_out, read_in
from credit_rating.services.samples import DEVELOP_CARD, READ
from crm_site.jobs.models import LEFT
from crm_site.lib.registry import Counts, Pipeline, RunContext, Step, add_pipeline, add_step

HUNDRED = 100


def _read(context: RunContext, _payload: Mapping[str, Any]) -> Counts:
    sample = read_in(context.params["sample"])
    return Counts(sample.rows, int(sample.status == WorkStatus.DONE))


def _develop(context: RunContext, _payload: Mapping[str, Any]) -> Counts:
    found = carry_out(
        context.params["development"], run_id=context.run_id,
        progress=lambda _what, share: context.progress(int(share * HUNDRED), HUNDRED),
    )  # fmt: skip
    return Counts(found.sample.rows, int(found.scorecard_id is not None))


def _give_up_sample(context: RunContext, error: str) -> None:
    waiting = DevelopmentSample.objects.filter(pk=context.params["sample"], status=WorkStatus.WAITING)
    waiting.update(status=WorkStatus.FAILED, **fault_of(error))


def _give_up_development(context: RunContext, error: str) -> None:
    waiting = Development.objects.filter(pk=context.params["development"], status=WorkStatus.WAITING)
    waiting.update(status=WorkStatus.FAILED, **fault_of(error))


def fault_of(error: str) -> dict[str, Any]:
    """Why a job gave up: cancelled, or the error's type: what follows it may quote the file."""
    if error == LEFT:
        return {"fault": "cancelled", "fault_params": {}}
    return {"fault": "broke", "fault_params": {"why": error.partition(":")[0][:60]}}


def register() -> None:
    """Called once when the apps are ready."""
    add_pipeline(Pipeline(READ, _("Development sample"), action=DEVELOP, on_failure=_give_up_sample))
    add_step(Step("read", _("Columns of the file"), _read, pipeline=READ))
    add_pipeline(
        Pipeline(
            DEVELOP_CARD, _("Development of a scorecard"), action=DEVELOP, on_failure=_give_up_development
        )
    )
    add_step(Step("develop", _("Card and validation"), _develop, pipeline=DEVELOP_CARD))
