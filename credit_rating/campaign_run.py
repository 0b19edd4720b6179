"""The two jobs of a campaign: `campaign_rate` (members are rated, their lines calculated) and `campaign_approve` (what
was signed is carried out, case by case). Both in chunks, each in one transaction with its tick-off, safe to repeat."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from credit_rating.selectors.campaigns import APPROVE_PIPELINE, RATE_PIPELINE
from credit_rating.services.campaigns import batches, rating
from credit_rating.services.campaigns.rules import DECIDE, RATE
from crm_site.lib import formats
from crm_site.lib.registry import (
    Counts,
    NoticeKind,
    Pipeline,
    RunContext,
    Step,
    add_notice,
    add_pipeline,
    add_step,
)

CHUNK = 500  # members that are rated in one transaction
# Members that are carried out in one: it holds the bank's case numbers, and others make cases meanwhile.
APPROVALS = 50


def plan_rating(context: RunContext) -> Iterable[Mapping[str, Any]]:
    return rating.plan_ranges(
        campaign_id=int(context.params["campaign"]), zone_id=context.params["zone"], size=CHUNK
    )


def rate(context: RunContext, chunk: Mapping[str, Any]) -> Counts:
    looked, changed = rating.rate_range(
        campaign_id=int(context.params["campaign"]), zone_id=context.params["zone"],
        members=(int(chunk["lo"]), int(chunk["hi"])), by=int(context.params["by"]), run_id=context.run_id,
        day=context.business_date, now=timezone.now(),
    )  # fmt: skip
    return Counts(looked, changed)


def plan_approval(context: RunContext) -> Iterable[Mapping[str, Any]]:
    return batches.plan_ranges(batch_id=int(context.params["batch"]), size=APPROVALS)


def approve(context: RunContext, chunk: Mapping[str, Any]) -> Counts:
    looked, changed = batches.carry_out(
        batch_id=int(context.params["batch"]), members=(int(chunk["lo"]), int(chunk["hi"])),
        today=context.business_date, now=timezone.now(), run_id=context.run_id,
    )  # fmt: skip
    return Counts(looked, changed)


def _with_day(params: Mapping[str, Any]) -> dict[str, Any]:
    return {**params, "day": formats.day(dt.date.fromisoformat(str(params["day"])))}


def _say_zone(params: Mapping[str, Any]) -> str:
    return _("Zone %(zone)s of campaign %(campaign)s is yours, to be collected by %(day)s") % _with_day(
        params
    )


def _say_zones(params: Mapping[str, Any]) -> str:
    return _("%(count)s zones of campaign %(campaign)s are yours, to be collected by %(day)s") % _with_day(
        params
    )


def _say_proposed(params: Mapping[str, Any]) -> str:
    return _("Batch %(batch)s of zone %(zone)s waits for approval: %(count)s") % params


def _say_decided(params: Mapping[str, Any]) -> str:
    if params["approved"]:
        return _("Batch %(batch)s of zone %(zone)s was approved") % params
    return _("Batch %(batch)s of zone %(zone)s was returned") % params


def register() -> None:
    """Make the jobs known (AppConfig.ready)."""
    add_pipeline(Pipeline(RATE_PIPELINE, gettext_lazy("Rating campaign"), action=RATE))
    add_step(Step("rate", gettext_lazy("Rate and calculate"), rate, plan=plan_rating, pipeline=RATE_PIPELINE))
    add_pipeline(Pipeline(APPROVE_PIPELINE, gettext_lazy("Batch approval"), action=DECIDE))
    add_step(
        Step("approve", gettext_lazy("Carry out what was approved"), approve, plan=plan_approval,
             pipeline=APPROVE_PIPELINE)
    )  # fmt: skip
    add_notice(NoticeKind("campaign.zone_given", "map-pin", _say_zone))
    add_notice(NoticeKind("campaign.zones_given", "map-pin", _say_zones))
    add_notice(NoticeKind("campaign.batch_proposed", "checks", _say_proposed))
    add_notice(NoticeKind("campaign.batch_decided", "gavel", _say_decided))
