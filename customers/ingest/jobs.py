"""Deliveries as jobs: one run of the pipeline "ingest" for each, in a chunk of one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext_lazy as _

from crm_site.accounts.models import Bank
from crm_site.accounts.selectors import business_date
from crm_site.jobs.models import Run
from crm_site.jobs.services import start_run
from crm_site.lib.permissions import Actor
from crm_site.lib.registry import Counts, Pipeline, RunContext, Step, add_pipeline, add_step
from crm_site.lib.tenancy import require_bank
from customers.ingest import ledger, lending, parties, places, relations
from customers.ingest.services import fail, process_batch
from customers.models.ingest import Batch

PIPELINE = "ingest"


def start(actor: Actor, batch: Batch) -> Run:
    """Start the run that lands a delivery; workers take it from there."""
    bank = Bank.objects.get(pk=require_bank())
    run = start_run(
        actor,
        pipeline=PIPELINE,
        business_date=batch.business_date or business_date(bank),
        params={"batch": batch.pk},
        key=f"{batch.feed} {batch.pk}",
    )
    batch.run_id = run.pk
    batch.save(update_fields=["run_id"])
    return run


def _land(context: RunContext, _payload: Mapping[str, Any]) -> Counts:
    batch = process_batch(context.params["batch"], progress=context.progress)
    return Counts(batch.rows_received, batch.rows_inserted + batch.rows_updated)


def _give_up(context: RunContext, error: str) -> None:
    fail(context.params["batch"], error)


def register() -> None:
    """Called once when the apps are ready."""
    for room in (ledger, lending, parties, places, relations):
        room.register()
    add_pipeline(Pipeline(PIPELINE, _("Delivery"), action="ingest.run", on_failure=_give_up))
    add_step(Step("land", _("Rows into the bank's tables"), _land, pipeline=PIPELINE))
