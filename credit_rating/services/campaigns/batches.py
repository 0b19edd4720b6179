"""Batches: what needs no second look is proposed by who collected it and approved by one signature over the whole list.

The signature is bound to the hash of exactly what was shown. A run then carries it out, each member as an ordinary case
with the maker and the approver of the batch, so that every rule and every guard of the database holds for each: together
where nothing sets a member apart, else one by one; what is refused falls out with its reason, and nothing else does.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.db.models import Max
from django.utils.timezone import localdate
from django.utils.translation import gettext as _
from django.utils.translation import override

from credit_rating.models import (
    BatchStatus,
    CampaignBatch,
    CampaignMember,
    CampaignZone,
    CreditLine,
    MemberStage,
    Rating,
    RatingStatus,
)
from credit_rating.models.calculations import content_hash
from credit_rating.selectors import campaign_batches as shown
from credit_rating.selectors.campaign_review import (
    beyond_branch,
    case_of,
    judge,
    reckon_again,
    standing_of,
)
from credit_rating.selectors.campaigns import APPROVE_PIPELINE
from credit_rating.services import cases
from credit_rating.services.campaigns.members import terms_of
from credit_rating.services.campaigns.opening import bank_currency
from credit_rating.services.campaigns.progress import note_approved, note_case_ended
from credit_rating.services.campaigns.rules import (
    DECIDE,
    PREPARE,
    CampaignFault,
    fault,
    locked_campaign,
    running,
)
from credit_rating.services.campaigns.writing import update_exceptions
from credit_rating.services.ratings import approve_ratings, confirm_drafts, decide_rating
from crm_site.accounts.models import Bank, Staff
from crm_site.accounts.selectors import actor_for
from crm_site.jobs.models import Run
from crm_site.jobs.services import start_run
from crm_site.lib.errors import Conflict, DomainError
from crm_site.lib.permissions import Actor, may, require_person
from crm_site.lib.tenancy import act_as
from crm_site.work.models import Notification
from crm_site.work.services import notify
from customers.models import Customer

SPOKEN_FOR = ("case.ended", "rating.decided")
MOST = 500  # members that one signature covers
# Members that lock and judge together: rows of a batch with what they rest on.
_RELATED = ("rating", "calculation")


def propose_batch(
    actor: Actor, *, zone_id: int, today: dt.date, now: dt.datetime
) -> tuple[CampaignBatch, dict[int, tuple[str, ...]]]:
    """Put the members of a zone that need no second look forward for approval, at most MOST; returns the batch and why
    others are exceptions. Their ratings are confirmed with it. By the zone's manager, or who leads its branch.

    What would come out otherwise now ("changed") and what is beyond the branch's authority stays out. Raises Conflict
    while another batch of the zone waits, CampaignFault when nobody is left.
    """
    staff_id = require_person(actor, PREPARE)
    with transaction.atomic():
        zone = _locked_zone(zone_id)
        if zone.owner_id != staff_id and (
            zone.branch is None or not may(actor, "campaign.zone", zone.branch)
        ):
            raise PermissionDenied(PREPARE)
        if CampaignBatch.objects.filter(zone=zone, status=BatchStatus.PROPOSED).exists():
            raise Conflict(_("Another batch of this zone waits for approval."), code="batch_waits")
        ready = CampaignMember.objects.visible_to(actor).filter(
            zone=zone, stage=MemberStage.CALCULATED, is_exception=False, case=None, batch=None
        )
        members = _members(ready, MOST)
        judged = _judge_again(zone, members, today)
        members = [m for m in members if not judged[m.pk]]
        update_exceptions({k: v for k, v in judged.items() if v})
        batch = _put_forward(actor, zone, members, today, now) if members else None
    if batch is None:  # why is kept on each, outside what was refused
        raise CampaignFault(_("Nobody of this zone is ready for a batch."), code="nobody")
    return batch, {k: v for k, v in judged.items() if v}


def _put_forward(
    actor: Actor, zone: CampaignZone, members: Sequence[CampaignMember], today: dt.date, now: dt.datetime
) -> CampaignBatch:
    locked_campaign(zone.campaign_id)  # two zones that propose at once: their numbers follow one another
    serial = CampaignBatch.objects.filter(campaign=zone.campaign).aggregate(n=Max("serial"))["n"] or 0
    batch = CampaignBatch.objects.create(
        campaign=zone.campaign, zone=zone, serial=serial + 1, proposed_by_id=actor.staff_id, proposed_at=now,
        proposed_count=len(members),
    )  # fmt: skip
    CampaignMember.objects.filter(pk__in=[m.pk for m in members]).update(batch=batch)
    confirm_drafts(actor, ratings=[m.rating_id for m in members if m.rating_id], now=now)
    people = shown.approvers(batch, today)
    params = {"batch": batch.number, "zone": zone.name, "count": len(members)}
    notify(people, "campaign.batch_proposed", params, address(batch), now=now)
    return batch


def _judge_again(
    zone: CampaignZone, members: Sequence[CampaignMember], today: dt.date
) -> dict[int, tuple[str, ...]]:
    """member -> why it is an exception as things are now, the branch's authority included."""
    currency = bank_currency()
    customers = {
        c.pk: c
        for c in Customer.objects.filter(pk__in=[m.customer_id for m in members]).select_related(
            "home_branch"
        )
    }
    found = judge(
        zone.campaign, members, day=today, currency=currency,
        now_reckoned=reckon_again(zone.campaign, members, customers, today),
    )  # fmt: skip
    at = standing_of(zone.campaign, list(customers), today, currency)
    ready = {m.customer_id: m for m in members if not found[m.pk]}
    would_be = [case_of(zone.campaign, m, customers[key], at[key].line, currency) for key, m in ready.items()]
    grades = {key: m.rating.grade for key, m in ready.items() if m.rating is not None}
    for customer in beyond_branch(would_be, grades, today):
        found[ready[customer].pk] = ("beyond_authority",)
    return found


def approve_batch(
    actor: Actor, *, batch_id: int, seen: str, text: str, today: dt.date, now: dt.datetime
) -> tuple[CampaignBatch, Run]:
    """Sign for a batch as it was shown (`seen`: the hash of selectors.campaign_batches.list_of) and let it be carried
    out. By who decides at the branch for its customers, and has had no hand in it.

    First everything is reckoned again; who would come out otherwise falls out for good, and then as whenever the list
    is not what was shown Stale is raised: nothing is approved, and the new list must be signed. Raises Conflict when
    somebody was first (the same person again carries on what is left), CampaignFault for a maker or without a word.
    """
    staff_id = require_person(actor, DECIDE)
    if not text.strip():
        raise fault("text", _("Say why."))
    dropped = _bring_up_to_date(actor, batch_id, today)
    with transaction.atomic():
        batch = _locked_batch(batch_id)
        if batch.status == BatchStatus.APPROVED and batch.decided_by_id == staff_id:
            return batch, _start(actor, batch, now)
        _waiting(batch)
        if not shown.may_approve(actor, batch, today):
            raise PermissionDenied(DECIDE)
        found = shown.list_of(actor, batch, today)
        if found.against:
            raise CampaignFault(cases.objection_words()["maker"], code="four_eyes_maker")
        if dropped or found.hash != seen:
            raise StaleBatch(dropped)
        if not found.rows:
            raise CampaignFault(_("Nothing of this batch is yours to approve."), code="nobody")
        batch.status, batch.decided_by_id, batch.decided_at = BatchStatus.APPROVED, staff_id, now
        batch.note, batch.content, batch.content_hash = text.strip()[:400], found.content, found.hash
        batch.save(update_fields=["status", "decided_by", "decided_at", "note", "content", "content_hash"])
        out = {row.member_id: [row.why] for row in found.fallen}
        update_exceptions(out)
        CampaignMember.objects.filter(pk__in=out).update(batch=None)
        _tell(batch, True, now)
        return batch, _start(actor, batch, now)


class StaleBatch(Conflict):
    """The list is not what was shown; `dropped`: members that have fallen out, with why."""

    def __init__(self, dropped: dict[int, tuple[str, ...]]) -> None:
        super().__init__(_("The list is not what you were shown. Look at it again."), code="stale_batch")
        self.dropped = dropped


def _bring_up_to_date(actor: Actor, batch_id: int, today: dt.date) -> dict[int, tuple[str, ...]]:
    """Members that have become exceptions since the batch was proposed leave it; kept even when the act is refused."""
    with transaction.atomic():
        batch = _locked_batch(batch_id)
        if batch.status != BatchStatus.PROPOSED or not shown.may_approve(actor, batch, today):
            return {}
        members = _members(CampaignMember.objects.filter(batch=batch))
        judged = {k: v for k, v in _judge_again(batch.zone, members, today).items() if v}
        update_exceptions(judged)
        CampaignMember.objects.filter(pk__in=judged).update(batch=None)
    return judged


def _start(actor: Actor, batch: CampaignBatch, now: dt.datetime) -> Run:
    day = localdate(batch.decided_at or now)
    return start_run(
        actor,
        pipeline=APPROVE_PIPELINE,
        business_date=day,
        params={"batch": batch.pk},
        key=str(batch.pk),
        now=now,
    )


def return_batch(
    actor: Actor, *, batch_id: int, text: str, today: dt.date, now: dt.datetime
) -> CampaignBatch:
    """Send a batch back with a word: its ratings are returned, its members are to be rated anew."""
    staff_id = require_person(actor, DECIDE)
    if not text.strip():
        raise fault("text", _("Say what is to be done again."))
    with transaction.atomic():
        batch = _locked_batch(batch_id)
        if batch.status == BatchStatus.RETURNED and batch.decided_by_id == staff_id:
            return batch
        _waiting(batch)
        if not shown.may_approve(actor, batch, today):
            raise PermissionDenied(DECIDE)
        if shown.list_of(actor, batch, today).against:
            raise CampaignFault(cases.objection_words()["maker"], code="four_eyes_maker")
        members = CampaignMember.objects.filter(batch=batch)
        Rating.objects.filter(
            pk__in=list(members.values_list("rating_id", flat=True)), status=RatingStatus.SUBMITTED
        ).update(
            status=RatingStatus.RETURNED, decided_by_id=staff_id, decided_at=now, decision_note=text.strip()[:400]
        )  # fmt: skip
        members.update(stage=MemberStage.COLLECTED, batch=None, exceptions=[], is_exception=False)
        batch.status, batch.decided_by_id, batch.decided_at = BatchStatus.RETURNED, staff_id, now
        batch.note = text.strip()[:400]
        batch.save(update_fields=["status", "decided_by", "decided_at", "note"])
        _tell(batch, False, now)
    return batch


def plan_ranges(*, batch_id: int, size: int) -> list[dict[str, int]]:
    """The signed members that are not carried out yet, cut into ranges of ids."""
    keys = list(_left(batch_id).values_list("pk", flat=True))
    pieces = [keys[i : i + size] for i in range(0, len(keys), size)]
    return [{"lo": piece[0], "hi": piece[-1], "rows": len(piece)} for piece in pieces]


def _left(batch_id: int) -> Any:
    return CampaignMember.objects.filter(batch=batch_id, stage=MemberStage.CALCULATED).order_by("pk")


def carry_out(
    *, batch_id: int, members: tuple[int, int], today: dt.date, now: dt.datetime, run_id: int
) -> tuple[int, int]:
    """Carry out a signed batch for the members with ids first..last; returns (looked at, changed). Safe to repeat."""
    batch = CampaignBatch.objects.select_related(
        "campaign__product", "zone", "proposed_by", "decided_by"
    ).get(pk=batch_id)
    if batch.status != BatchStatus.APPROVED or batch.decided_by is None:
        return 0, 0
    if content_hash(batch.content) != batch.content_hash:
        raise CampaignFault(_("The signed list is not what was signed."), code="batch_broken")
    rows = _members(_left(batch_id).filter(pk__gte=members[0], pk__lte=members[1]))
    maker, approver = (
        replace(_actor(who, today), reason=batch.number) for who in (batch.proposed_by, batch.decided_by)
    )
    signed = {row["member"]: row for row in batch.content["rows"]}
    work = _Work(batch, signed, maker, approver, bank_currency(), now, today)
    # No reader asks in a job: what it writes on the cases' forms is in the bank's own language.
    with override(Bank.objects.values_list("language", flat=True).get(pk=batch.bank_id)):
        at_once = _together(work, rows)
        for member in rows:
            if member.pk not in at_once:
                _one(work, member)
    # The one notice of the batch tells it; those of each case and rating stay on record, read.
    Notification.objects.filter(code__in=SPOKEN_FOR, created_at=now, read_at=None).update(read_at=now)
    return len(rows), len(rows)


def _actor(staff: Staff, day: dt.date) -> Actor:
    """The person with the roles of the day; none for who has left."""
    return (
        actor_for(staff, day=day) if staff.is_active else Actor(staff.bank_id, staff.name, staff_id=staff.pk)
    )


@dataclass(frozen=True, slots=True)
class _Work:
    """A signed batch that is carried out, its signed rows by member, and who made and who signed it, as of now."""

    batch: CampaignBatch
    signed: Mapping[int, dict[str, Any]]
    maker: Actor
    approver: Actor
    currency: str
    now: dt.datetime
    today: dt.date

    def lines(self, members: Sequence[CampaignMember]) -> dict[int, CreditLine]:
        return shown.lines_of(self.batch.campaign, members, self.currency)

    def is_signed(self, member: CampaignMember, line: CreditLine | None) -> bool:
        """Whether the member is what was signed."""
        return self.signed.get(member.pk) == shown.signed_row(member, line)


def _together(work: _Work, rows: Sequence[CampaignMember]) -> set[int]:
    """Carry out at once whom nothing sets apart; returns them. The others are left to `_one`, which says why not."""
    lines = work.lines(rows)
    members = [m for m in rows if m.is_open and work.is_signed(m, lines.get(m.customer_id))]
    while members:
        try:
            with transaction.atomic():
                _decide_together(work, members, lines)
        except cases.Apart as error:
            left = [m for m in members if m.customer_id not in error.customers]
            members = left if len(left) < len(members) else []
        except (DomainError, PermissionDenied, IntegrityError):
            return set()
        else:
            return {m.pk for m in members}
    return set()


def _decide_together(work: _Work, members: Sequence[CampaignMember], lines: Mapping[int, CreditLine]) -> None:
    """`_decide` for many: their ratings are approved, their cases made and approved, their lines opened."""
    batch = work.batch
    act_as(work.approver)
    seen = {m.rating.pk: m.rating.stamp for m in members if m.rating is not None}
    refused = approve_ratings(work.approver, seen=seen, note=batch.number, day=work.today, now=work.now)
    if refused:
        raise cases.Apart(m.customer_id for m in members if m.rating_id in refused)
    for member in members:
        member.campaign = batch.campaign
    orders = [(m.customer, terms_of(m, lines.get(m.customer_id), work.currency)) for m in members]
    made = cases.approve_together(
        work.maker, work.approver, orders, investigation=_investigation(batch), text=batch.note, now=work.now,
        today=work.today,
    )  # fmt: skip
    for member, case in zip(members, made, strict=True):
        member.case = case
    note_approved(members, work.now)


def _one(work: _Work, member: CampaignMember) -> None:
    """One member: its rating is decided, its case made, submitted and decided, its line opened; or it falls out."""
    try:
        with transaction.atomic():
            line = work.lines([member]).get(member.customer_id)
            if not work.is_signed(member, line):
                raise Conflict(_("It is not what was signed."), code="changed")
            _decide(work, member, line)
    except DomainError as error:
        _fall_out(member, _code(error), error.message)
    except PermissionDenied:
        _fall_out(member, "beyond_authority", _("This is not yours to decide."))
    except IntegrityError:
        _fall_out(member, "changed", _("Somebody has decided here meanwhile."))


def _code(error: DomainError) -> str:
    known = {"four_eyes_maker": "maker", "four_eyes_own": "own", "four_eyes_relative": "relative",
             "case_open": "case_open", "beyond_authority": "beyond_authority", "excluded": "excluded"}  # fmt: skip
    return known.get(error.code, "changed")


def _fall_out(member: CampaignMember, code: str, why: str) -> None:
    update_exceptions({member.pk: [code]})
    CampaignMember.objects.filter(pk=member.pk).update(batch=None, reason=why[:200])


def _decide(work: _Work, member: CampaignMember, line: CreditLine | None) -> None:
    batch, maker, approver, now, today = work.batch, work.maker, work.approver, work.now, work.today
    rating = member.rating
    assert rating is not None  # noqa: S101 - narrows the type: it was signed with its rating
    act_as(approver)
    decide_rating(
        approver, rating_id=rating.pk, seen=rating.stamp, approve=True, note=batch.number, day=today, now=now
    )
    act_as(maker)
    member.campaign = batch.campaign
    terms = terms_of(member, line, work.currency)
    case = cases.create_case(maker, customer=member.customer, terms=terms, now=now)
    cases.edit_case(maker, case_id=case.pk, terms=terms, investigation=_investigation(batch), now=now)
    case = cases.submit_case(maker, case_id=case.pk, now=now, today=today)
    if case.route != ["branch"]:
        raise Conflict(_("It is beyond the branch's authority."), code="beyond_authority")
    act_as(approver)
    cases.decide(
        approver, case_id=case.pk, verdict="approve", text=batch.note, dossier_hash=case.dossier_hash, now=now,
        today=today,
    )  # fmt: skip
    case.refresh_from_db()
    CampaignMember.objects.filter(pk=member.pk).update(case=case)
    note_case_ended(case)


def _investigation(batch: CampaignBatch) -> str:
    return _("Campaign %(campaign)s, zone %(zone)s, batch %(batch)s; list signed as %(hash)s.") % {
        "campaign": batch.campaign.name, "zone": batch.zone.name, "batch": batch.number, "hash": batch.content_hash,
    }  # fmt: skip


def _members(found: Any, most: int | None = None) -> list[CampaignMember]:
    """The first `most` members by id (None: all), their rows taken."""
    rows = found.select_for_update(of=("self",)).select_related(*_RELATED, "customer", "zone", "campaign")
    return list(rows.defer("rating__content", "calculation__content").order_by("pk")[:most])


def _locked_zone(zone_id: int) -> CampaignZone:
    CampaignZone.objects.select_for_update(of=("self",)).get(pk=zone_id)
    zone = CampaignZone.objects.select_related("campaign__product", "branch").get(pk=zone_id)
    running(zone.campaign)
    return zone


def _locked_batch(batch_id: int) -> CampaignBatch:
    CampaignBatch.objects.select_for_update(of=("self",)).defer("content").get(pk=batch_id)
    return CampaignBatch.objects.select_related(
        "campaign__product", "zone__campaign__product", "zone__branch", "decided_by"
    ).get(pk=batch_id)


def _waiting(batch: CampaignBatch) -> None:
    if batch.status != BatchStatus.PROPOSED:
        who = batch.decided_by.name if batch.decided_by else ""
        raise Conflict(
            _("Meanwhile the batch's state is: %s.") % f"{batch.get_status_display()} ({who})",
            code="batch_status",
        )


def _tell(batch: CampaignBatch, approved: bool, now: dt.datetime) -> None:
    params = {"batch": batch.number, "zone": batch.zone.name, "approved": approved}
    notify([batch.proposed_by_id], "campaign.batch_decided", params, address(batch), now=now)


def address(batch: CampaignBatch) -> str:
    """Where a notification leads."""
    return f"/credit/campaigns/batches/{batch.pk}/"
