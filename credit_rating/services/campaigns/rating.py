"""The campaign's run: members are rated and their lines calculated, a chunk at a time; safe to repeat."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Count, Q
from django.utils.translation import gettext as _

from credit_rating.models import (
    OPEN_RATINGS,
    BatchStatus,
    Campaign,
    CampaignMember,
    CampaignZone,
    LineCalculation,
    MemberStage,
    Rating,
    RatingStatus,
)
from credit_rating.models.calculations import content_hash
from credit_rating.selectors.calculations import as_content as calculation_content
from credit_rating.selectors.campaign_review import judge
from credit_rating.selectors.campaigns import RATE_PIPELINE
from credit_rating.selectors.many import Reckoned, reckon_many
from credit_rating.selectors.ratings import as_content
from credit_rating.services.campaigns.opening import bank_currency
from credit_rating.services.campaigns.rules import (
    RATE,
    CampaignFault,
    collect_stage,
    collected_among,
    fault,
    manages,
    running,
)
from credit_rating.services.campaigns.writing import (
    calculation_row,
    insert_calculations,
    insert_ratings,
    rating_row,
    update_exceptions,
    update_members,
)
from credit_rating.services.scorecards import ensure_default_scorecards
from crm_site.jobs.models import Run
from crm_site.jobs.services import cancel_run, start_run
from crm_site.lib.errors import Conflict
from crm_site.lib.money import to_minor
from crm_site.lib.permissions import Actor, may, require_person
from customers.models import Customer

# Whom a run looks at: whoever has come so far and is in no batch that waits for its approval, and in no case.
RATEABLE = (MemberStage.COLLECTED, MemberStage.RATED, MemberStage.CALCULATED)


def start_rating(
    actor: Actor, *, campaign_id: int, zone_id: int | None, day: dt.date, now: dt.datetime
) -> Run:
    """Rate and calculate a campaign, or one zone of it, in the background; a run under way is returned.

    The line department may for all, a branch manager for a zone that his branch has taken. Who starts it has made what
    comes out, and so never approves it.
    """
    staff_id = require_person(actor, RATE)
    campaign = running(Campaign.objects.get(pk=campaign_id))
    if zone_id is not None:
        CampaignZone.objects.get(pk=zone_id, campaign=campaign)
    _require_reach(actor, campaign, zone_id)
    if not _rateable(campaign, zone_id).exists() and not _newly_collected(campaign, zone_id, day):
        raise fault("campaign", _("Nobody is collected yet: there is nothing to rate."), "nobody")
    ensure_default_scorecards(now)
    params = {"campaign": campaign.pk, "by": staff_id, "zone": zone_id}
    try:
        return start_run(
            actor, pipeline=RATE_PIPELINE, business_date=day, params=params, key=str(campaign.pk), now=now
        )
    except Conflict as error:
        raise Conflict(
            _("Another part of this campaign is being rated; start again when it is done."), code=error.code
        ) from error


def stop_rating(actor: Actor, *, campaign_id: int, run_id: int, now: dt.datetime) -> Run:
    """Stop a campaign's job after the pieces in hand, by who might have started it; what is rated stays, and starting
    it again goes through the rest. Raises Conflict once it has ended.
    """
    require_person(actor, RATE)
    campaign = Campaign.objects.get(pk=campaign_id)
    run = Run.objects.filter(pk=run_id, pipeline=RATE_PIPELINE, key=str(campaign.pk)).first()
    if run is None:
        raise Conflict(_("This run has ended already."), code="run_ended")
    _require_reach(actor, campaign, run.params["zone"])
    return cancel_run(actor, run_id=run.pk, now=now)


def _require_reach(actor: Actor, campaign: Campaign, zone_id: int | None) -> None:
    """Headquarters' department reaches the whole campaign, a branch manager a zone that his branch has taken."""
    if manages(actor, campaign.kind):
        return
    if zone_id is None:
        raise fault(
            "zone", _("Rate a zone that your branch has taken; the whole campaign is headquarters'."), "zone"
        )
    zone = CampaignZone.objects.select_related("branch").get(pk=zone_id, campaign=campaign)
    if zone.branch is None or not may(actor, RATE, zone.branch):
        raise PermissionDenied(RATE)


def may_rate(actor: Actor, campaign: Campaign, zone_id: int | None) -> bool:
    """Whether the actor may start, and so stop, the job for a campaign or one zone of it."""
    try:
        require_person(actor, RATE)
        _require_reach(actor, campaign, zone_id)
    except (PermissionDenied, CampaignFault):
        return False
    return True


def _rateable(campaign: Campaign, zone_id: int | None) -> Any:
    found = CampaignMember.objects.filter(campaign=campaign, stage__in=RATEABLE, case=None)
    found = found.filter(Q(batch=None) | ~Q(batch__status=BatchStatus.PROPOSED))
    return found if zone_id is None else found.filter(zone=zone_id)


def _newly_collected(campaign: Campaign, zone_id: int | None, day: dt.date) -> int:
    listed = CampaignMember.objects.filter(campaign=campaign, stage=MemberStage.LISTED)
    if zone_id is not None:
        listed = listed.filter(zone=zone_id)
    return collect_stage(listed.values_list("pk", flat=True), campaign.kind, day)


def plan_ranges(*, campaign_id: int, zone_id: int | None, size: int) -> list[dict[str, int]]:
    """The members that a run looks at, cut into ranges of ids."""
    keys = list(
        _rateable(Campaign.objects.get(pk=campaign_id), zone_id).order_by("pk").values_list("pk", flat=True)
    )
    pieces = [keys[i : i + size] for i in range(0, len(keys), size)]
    return [{"lo": piece[0], "hi": piece[-1], "rows": len(piece)} for piece in pieces]


def rate_range(
    *, campaign_id: int, zone_id: int | None, members: tuple[int, int], by: int, run_id: int, day: dt.date,
    now: dt.datetime,
) -> tuple[int, int]:  # fmt: skip
    """Rate and calculate the members with ids first..last; returns (looked at, changed).

    Each is rated as services.ratings.generate_rating would and given the line that selectors.calculations.reckon would.
    A draft that says the same stands, so that the same run again changes nothing.
    """
    campaign = Campaign.objects.select_related("product").get(pk=campaign_id)
    with transaction.atomic():
        rows = list(
            _rateable(campaign, zone_id)
            .filter(pk__gte=members[0], pk__lte=members[1])
            .select_for_update(of=("self",))
            .order_by("pk")
        )
        # The customer's row is the lock under which ratings and calculations get their numbers.
        ids = sorted(m.customer_id for m in rows)
        customers = {
            c.pk: c
            for c in Customer.objects.filter(pk__in=ids).select_for_update(of=("self",)).order_by("pk")
        }
        still = collected_among(ids, campaign.kind, day)
        changed = _rate(
            campaign, [m for m in rows if m.customer_id in still], customers, by, run_id, day, now
        )
        # What was collected has grown too old: it is to be collected again.
        gone = [m.pk for m in rows if m.customer_id not in still]
        changed += CampaignMember.objects.filter(pk__in=gone).update(stage=MemberStage.LISTED)
    return len(rows), changed


def _rate(
    campaign: Campaign, members: Sequence[CampaignMember], customers: dict[int, Customer], by: int, run_id: int,
    day: dt.date, now: dt.datetime,
) -> int:  # fmt: skip
    ids = [m.customer_id for m in members]
    waiting = {
        r.customer_id: r
        for r in Rating.objects.filter(customer_id__in=ids, status__in=OPEN_RATINGS).defer("content")
    }
    confirmed = {k: r.grade for k, r in waiting.items() if r.status == RatingStatus.SUBMITTED}
    found = reckon_many(
        [customers[key] for key in ids], kind=campaign.kind, term_months=campaign.term_months,
        requested=Decimal(campaign.ceiling), day=day,
        grade_of=lambda one: confirmed.get(one.customer.pk, one.grade),
    )  # fmt: skip
    ratings = _ratings(found, waiting, by, now)
    calculations = _calculations(found, by, now)
    made = [
        _member_row(member, found[member.customer_id], ratings[0], calculations[0], run_id)
        for member in members
    ]
    moved = update_members(made)
    keys = [m.pk for m in members]
    fresh = CampaignMember.objects.filter(pk__in=keys).select_related("rating", "calculation")
    judged = judge(
        campaign,
        list(fresh.defer("rating__content", "calculation__content")),
        day=day,
        currency=bank_currency(),
    )
    return ratings[1] + calculations[1] + moved + update_exceptions(judged)


def _ratings(
    found: dict[int, Reckoned], waiting: dict[int, Rating], by: int, now: dt.datetime
) -> tuple[dict[int, int], int]:
    """(customer -> its rating, how many were made). One that waits for its reviewer stays; another draft gives way."""
    standing: dict[int, int] = {}
    rows, replaced = [], []
    counts = _counts(Rating, found)
    for key, one in found.items():
        opened = waiting.get(key)
        content = as_content(one.assessed)
        digest = content_hash(content)
        if opened is not None and (opened.status == RatingStatus.SUBMITTED or opened.content_hash == digest):
            standing[key] = opened.pk
            continue
        if opened is not None:
            replaced.append(opened.pk)
        rows.append(rating_row(one.assessed, content, digest, counts.get(key, 0), by, now))
    Rating.objects.filter(pk__in=replaced).update(status=RatingStatus.REPLACED)
    return {**standing, **insert_ratings(rows)}, len(rows)


def _calculations(found: dict[int, Reckoned], by: int, now: dt.datetime) -> tuple[dict[int, int], int]:
    """(customer -> its calculation, how many were saved). The same as the customer's newest is that one."""
    newest = LineCalculation.objects.filter(customer_id__in=list(found)).order_by("customer_id", "-id")
    last = {
        key: (pk, digest)
        for key, pk, digest in newest.distinct("customer_id").values_list("customer_id", "pk", "content_hash")
    }
    counts = _counts(LineCalculation, found)
    standing: dict[int, int] = {}
    rows = []
    for key, one in found.items():
        if one.reckoning.limit is None:
            continue
        pk, digest = last.get(key, (0, ""))
        content = calculation_content(one.reckoning)
        if digest == (new := content_hash(content)):
            standing[key] = pk
        else:
            rows.append(calculation_row(one.reckoning, content, new, counts.get(key, 0), by, now))
    return {**standing, **insert_calculations(rows)}, len(rows)


def _counts(model: Any, found: dict[int, Reckoned]) -> dict[int, int]:
    rows = model.objects.filter(customer_id__in=list(found)).order_by().values_list("customer_id")
    return dict(rows.annotate(n=Count("id")))


def _member_row(
    member: CampaignMember, one: Reckoned, ratings: dict[int, int], calculations: dict[int, int], run_id: int
) -> list[Any]:
    proposed = one.proposed
    stage = MemberStage.CALCULATED if proposed else MemberStage.RATED
    minor = None if proposed is None else to_minor(proposed)
    key = member.customer_id
    return [member.pk, stage.value, ratings[key], calculations.get(key), minor, one.assessed.missing, run_id]
