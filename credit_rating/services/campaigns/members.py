"""What people do with single members: set aside with a reason, taken out of the batches, made an ordinary case."""

from __future__ import annotations

import datetime as dt

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils.translation import gettext as _

from credit_rating.models import (
    BatchStatus,
    CampaignMember,
    CaseKind,
    CaseStatus,
    CreditCase,
    CreditLine,
    MemberStage,
)
from credit_rating.models.campaigns import SET_ASIDE, SETTLED
from credit_rating.selectors.campaign_batches import lines_of
from credit_rating.services import cases
from credit_rating.services.campaigns.opening import bank_currency
from credit_rating.services.campaigns.rules import (
    DECIDE,
    PREPARE,
    CampaignFault,
    collected_among,
    fault,
    running,
)
from crm_site.audit.services import record
from crm_site.lib.errors import Conflict
from crm_site.lib.permissions import Actor, may, require_person

TABLE = CampaignMember._meta.db_table


def locked_member(actor: Actor, member_id: int) -> CampaignMember:
    """A member of a running campaign whom the actor sees, its row taken. Raises CampaignMember.DoesNotExist."""
    found = CampaignMember.objects.visible_to(actor).select_for_update(of=("self",))
    one: CampaignMember = found.select_related("campaign__product", "customer", "batch").get(pk=member_id)
    running(one.campaign)
    return one


def _free(one: CampaignMember) -> CampaignMember:
    """A member that is in no signed or waiting batch. Raises Conflict."""
    if one.stage == MemberStage.APPROVED:
        raise Conflict(_("The member is approved already."), code="member_approved")
    if one.batch is not None and one.batch.status != BatchStatus.RETURNED:
        raise Conflict(_("The member is in batch %s.") % one.batch.number, code="member_in_batch")
    return one


def set_aside(actor: Actor, *, member_id: int, stage: str, reason: str, now: dt.datetime) -> CampaignMember:
    """The customer declines, or is exempt (moved away, no need): with its reason, on the record. Twice is the same."""
    staff_id = require_person(actor, PREPARE)
    if stage not in SET_ASIDE:
        raise fault("stage", _("Choose one."))
    if not reason.strip():
        raise fault("reason", _("Say why."))
    with transaction.atomic():
        one = _free(locked_member(actor, member_id))
        one.stage, one.reason, one.settled_by_id, one.settled_at = stage, reason.strip()[:200], staff_id, now
        one.save(update_fields=["stage", "reason", "settled_by", "settled_at"])
        record(
            actor,
            "decide",
            TABLE,
            key=one.pk,
            customer_id=one.customer_id,
            reason=one.reason,
            changes={"stage": stage},
        )
    return one


def take_back(actor: Actor, *, member_id: int, day: dt.date) -> CampaignMember:
    """Who was set aside or taken out is a member like any other again: collected, or to be collected."""
    require_person(actor, PREPARE)
    with transaction.atomic():
        one = _free(locked_member(actor, member_id))
        if one.stage not in SET_ASIDE and "by_hand" not in one.exceptions:
            return one
        is_collected = bool(collected_among([one.customer_id], one.kind, day))
        one.stage = MemberStage.COLLECTED if is_collected else MemberStage.LISTED
        one.reason, one.settled_by_id, one.settled_at, one.exceptions = "", None, None, []
        one.is_exception = False
        one.save(update_fields=["stage", "reason", "settled_by", "settled_at", "exceptions", "is_exception"])
        record(
            actor, "decide", TABLE, key=one.pk, customer_id=one.customer_id, changes={"stage": str(one.stage)}
        )
    return one


def take_out(actor: Actor, *, member_id: int, reason: str, now: dt.datetime) -> CampaignMember:
    """A member that somebody wants decided by itself, out of the waiting batch too: by who prepares or who decides."""
    if actor.staff_id is None or not (may(actor, PREPARE) or may(actor, DECIDE)):
        raise PermissionDenied(DECIDE)
    if not reason.strip():
        raise fault("reason", _("Say why."))
    with transaction.atomic():
        one = locked_member(actor, member_id)
        if "by_hand" in one.exceptions and one.batch is None:
            return one
        if one.stage in SETTLED or (one.batch is not None and one.batch.status == BatchStatus.APPROVED):
            raise Conflict(_("It is too late for that."), code="member_status")
        one.exceptions = [*(c for c in one.exceptions if c != "by_hand"), "by_hand"]
        one.is_exception, one.batch, one.reason = True, None, reason.strip()[:200]
        one.settled_by_id, one.settled_at = actor.staff_id, now
        one.save(update_fields=["exceptions", "is_exception", "batch", "reason", "settled_by", "settled_at"])
        record(
            actor, "decide", TABLE, key=one.pk, customer_id=one.customer_id, reason=one.reason,
            changes={"exceptions": one.exceptions},
        )  # fmt: skip
    return one


def make_case(actor: Actor, *, member_id: int, now: dt.datetime) -> CreditCase:
    """An exception becomes an ordinary case in draft, with the calculation of the run; the one it has is returned.

    Raises CampaignFault without a line to ask for, Conflict while the customer has another case for the product.
    """
    require_person(actor, PREPARE)
    with transaction.atomic():
        one = _free(locked_member(actor, member_id))
        open_case = CreditCase.objects.filter(
            customer=one.customer_id, product=one.campaign.product_id
        ).exclude(
            status__in=(CaseStatus.REJECTED, CaseStatus.WITHDRAWN, CaseStatus.EXPIRED, CaseStatus.APPROVED)
        )
        case = open_case.first()
        if case is None:
            if not one.proposed:
                raise CampaignFault(_("There is no line to ask for."), code="no_line")
            currency = bank_currency()
            line = lines_of(one.campaign, [one], currency).get(one.customer_id)
            terms = terms_of(one, line, currency)
            case = cases.create_case(actor, customer=one.customer, terms=terms, now=now)
        one.case = case
        one.save(update_fields=["case"])
    return case


def terms_of(one: CampaignMember, line: CreditLine | None, currency: str) -> cases.Terms:
    """What is asked for a member: a new line, or its own (selectors.campaign_batches.lines_of) renewed, raised, lowered."""
    campaign, amount = one.campaign, one.proposed
    assert amount is not None  # noqa: S101 - narrows the type: whoever asks has looked
    kind = CaseKind.NEW
    if line is not None:
        kind = CaseKind.RENEWAL
        if amount != line.limit:
            kind = CaseKind.INCREASE if amount > line.limit else CaseKind.DECREASE
    rate = one.calculation.rate_bp if one.calculation else None
    return cases.Terms(
        kind=kind, product=campaign.product, currency=currency, amount=amount, term_months=campaign.term_months,
        purpose=campaign.purpose, rate_bp=rate, line=line, calculation_id=one.calculation_id,
    )  # fmt: skip
