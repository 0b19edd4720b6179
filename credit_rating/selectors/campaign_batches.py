"""A batch as its approver sees it: what a signature would approve, what falls out for him, and the hash he signs (C9)."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from credit_rating.models import (
    BatchStatus,
    Campaign,
    CampaignBatch,
    CampaignMember,
    CreditCase,
    CreditLine,
    Guarantee,
    MemberStage,
)
from credit_rating.models.calculations import content_hash
from credit_rating.models.guarantees import LIVE
from credit_rating.models.lines import LIVING
from credit_rating.policies.authority import kin_steps_of
from credit_rating.selectors.campaign_review import case_of
from credit_rating.selectors.cases import authority_policy, promised_by, role_holders
from credit_rating.selectors.cases.people import kin_of
from credit_rating.selectors.makers import hands_on
from crm_site.accounts.models import Bank, Staff
from crm_site.lib.errors import DomainError
from crm_site.lib.permissions import SUBTREE, Actor, Role, may
from crm_site.lib.tenancy import require_bank

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Row:
    """A member of a batch. `why`: the code of what keeps it from this approver, "" for what he approves."""

    member_id: int
    member: CampaignMember
    line: CreditLine | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class BatchList:
    """What is shown. `against`: the reader has had a hand in the whole of it. `content` is what is hashed."""

    rows: list[Row]
    fallen: list[Row]
    against: bool
    content: dict[str, Any]

    @property
    def hash(self) -> str:
        return content_hash(self.content)

    @property
    def total(self) -> Decimal:
        return sum((Decimal(row.member.proposed or 0) for row in self.rows), Decimal(0))

    @property
    def by_grade(self) -> list[tuple[str, int]]:
        """(grade, members), best first."""
        ranks = {r.member.rating.grade: -r.member.rating.grade_rank for r in self.rows if r.member.rating}
        counts = Counter(r.member.rating.grade for r in self.rows if r.member.rating)
        return sorted(counts.items(), key=lambda item: ranks[item[0]])

    @property
    def added(self) -> Decimal:
        """By how much the lines come to more than those that the customers have."""
        standing = sum((Decimal(row.line.limit) for row in self.rows if row.line), Decimal(0))
        return self.total - standing


def may_approve(actor: Actor, batch: CampaignBatch, day: dt.date) -> bool:
    """Whether the actor decides at the branch stage for the zone's customers."""
    if actor.staff_id is None or batch.zone.branch is None:
        return False
    branch = batch.zone.branch
    return any(lft <= branch.lft and branch.rgt <= rgt for lft, rgt in actor.intervals(SUBTREE))


def approvers(batch: CampaignBatch, day: dt.date) -> list[int]:
    """Who may be asked to approve a batch: who leads the branch that has taken the zone, but for its maker."""
    branch = batch.zone.branch
    if branch is None:
        return []
    held = Staff.objects.filter(pk__in=role_holders(Role.BRANCH_MANAGER, day))
    reach = held.filter(
        role_grants__role=Role.BRANCH_MANAGER, role_grants__unit__lft__lte=branch.lft,
        role_grants__unit__rgt__gte=branch.rgt,
    )  # fmt: skip
    return sorted(set(reach.values_list("pk", flat=True)) - {batch.proposed_by_id})


def batches_to_sign(actor: Actor, day: dt.date) -> list[CampaignBatch]:
    """Batches that wait for the actor's signature, oldest first: he leads the branch and has not proposed them."""
    if actor.staff_id is None or not may(actor, "credit.decide") or not actor.has({Role.BRANCH_MANAGER}):
        return []
    waits = CampaignBatch.objects.filter(status=BatchStatus.PROPOSED).exclude(proposed_by=actor.staff_id)
    found = waits.defer("content").select_related("zone__branch", "campaign", "proposed_by").order_by("pk")
    return [batch for batch in found if may_approve(actor, batch, day)]


def signers(batch: CampaignBatch, day: dt.date) -> list[str]:
    """The names of who may sign for a batch. Nobody stands in: an absence is bridged case by case (`take_out`)."""
    found = Staff.objects.filter(pk__in=approvers(batch, day), is_active=True)
    return list(found.order_by("name", "pk").values_list("name", flat=True))


def batch_members(batch: CampaignBatch) -> list[CampaignMember]:
    """The members of a batch by id, with what they rest on."""
    found = CampaignMember.objects.filter(batch=batch)
    related = ("customer__home_branch", "customer__responsible", "rating", "calculation", "case__line")
    return list(
        found.select_related(*related).defer("rating__content", "calculation__content").order_by("pk")
    )


def list_of(actor: Actor, batch: CampaignBatch, day: dt.date) -> BatchList:
    """The batch as the actor would sign it now; as it was proposed for who signs none."""
    members = [m for m in batch_members(batch) if m.stage == MemberStage.CALCULATED]
    currency = _currency()
    lines = lines_of(batch.campaign, members, currency)
    decides = may_approve(actor, batch, day)
    would_be = [case_of(batch.campaign, m, m.customer, lines.get(m.customer_id), currency) for m in members]
    makers = _makers(members, _asked(would_be, day), day)
    related = _relatives(actor.staff_id or 0, [m.customer_id for m in members], day)
    rows: list[Row] = []
    fallen: list[Row] = []
    for member in members:
        is_kin = member.customer_id in related
        # What falls out falls out for who would sign; any other reader sees the list.
        why = _why(actor, batch, member, makers.get(member.pk, set()), is_kin) if decides else ""
        (fallen if why else rows).append(Row(member.pk, member, lines.get(member.customer_id), why))
    against = actor.staff_id == batch.proposed_by_id or (
        bool(fallen) and not rows and all(row.why == "maker" for row in fallen)
    )
    campaign = batch.campaign
    content = {
        "batch": batch.number, "campaign": campaign.name, "zone": batch.zone.name, "proposed_by": batch.proposed_by_id,
        "product": campaign.product.code, "term_months": campaign.term_months, "purpose": campaign.purpose,
        "currency": currency, "rows": [signed_row(row.member, row.line) for row in rows],
        "fallen": [{"member": row.member_id, "customer": row.member.customer_id, "why": row.why} for row in fallen],
    }  # fmt: skip
    return BatchList(rows, fallen, against, content)


def signed_row(member: CampaignMember, line: CreditLine | None) -> dict[str, Any]:
    """What of a member is signed: whose, the rating and calculation by number and hash, the line and what it was.
    `line`: of `lines_of`."""
    rating, calculation, customer = member.rating, member.calculation, member.customer
    return {
        "member": member.pk, "customer": customer.pk, "number": customer.number, "name": customer.name,
        "rating": rating.number if rating else "", "rating_stamp": rating.stamp if rating else "",
        "grade": rating.grade if rating else "", "score": f"{rating.score:f}" if rating else "",
        "calculation": calculation.number if calculation else "",
        "calculation_hash": calculation.content_hash if calculation else "",
        "limit": str(calculation.limit) if calculation else "", "amount": str(member.proposed),
        "rate_bp": calculation.rate_bp if calculation else None, "line": line.hashed_number if line else "",
        "standing_limit": str(line.limit) if line else "",
    }  # fmt: skip


def amount_of(row: dict[str, Any]) -> Decimal:
    """The line of a signed row."""
    return Decimal(row["amount"])


def _currency() -> str:
    return str(Bank.objects.values_list("currency", flat=True).get(pk=require_bank()))


def lines_of(campaign: Campaign, members: Collection[CampaignMember], currency: str) -> dict[int, CreditLine]:
    """customer -> its newest living line of the campaign's product."""
    living = CreditLine.objects.filter(
        customer_id__in=[m.customer_id for m in members], product=campaign.product_id, currency=currency,
        status__in=LIVING,
    )  # fmt: skip
    return {line.customer_id: line for line in living.order_by("id")}


def _asked(would_be: list[CreditCase], day: dt.date) -> Mapping[int, Decimal | None]:
    """customer -> what its lines come to by the case that it would be; None (as they are) while an exchange rate is
    missing, for which the cases of those who need it are refused."""
    try:
        return promised_by(would_be, day)
    except DomainError:
        return dict.fromkeys(case.customer_id for case in would_be)


def _makers(
    members: list[CampaignMember], asked: Mapping[int, Decimal | None], day: dt.date
) -> dict[int, set[int | None]]:
    """member -> who had a hand in what it rests on; `asked`: customer -> what its lines come to, as its case will be asked
    by, so that nobody falls out who signed for."""
    hands = hands_on(asked, day)
    found: dict[int, set[int | None]] = {}
    for m in members:
        people: set[int | None] = {staff_id for staff_id, _part in hands[m.customer_id]}
        if m.rating is not None:
            people |= {m.rating.generated_by_id, m.rating.submitted_by_id}
        if m.calculation is not None:
            people.add(m.calculation.created_by_id)
        found[m.pk] = people
    return found


def _relatives(staff_id: int, customers: list[int], day: dt.date) -> set[int]:
    """Of some customers those that are kin of a person by the policy's steps, or whose guarantors are."""
    kin = kin_of(staff_id, day, kin_steps_of(authority_policy(day)[1]))
    pledged = Guarantee.objects.filter(customer_id__in=customers, status__in=LIVE, guarantor__in=kin)
    return kin.intersection(customers) | set(pledged.values_list("customer_id", flat=True))


def _why(
    actor: Actor, batch: CampaignBatch, member: CampaignMember, makers: set[int | None], is_related: bool
) -> str:
    """selectors.cases.objections, set-based; the services of cases ask that one again of each case."""
    if actor.staff_id in makers or actor.staff_id == batch.proposed_by_id:
        return "maker"
    if member.customer.responsible_id == actor.staff_id:
        return "own"
    if is_related:
        return "relative"
    branch = member.customer.home_branch
    inside = branch is not None and any(
        lft <= branch.lft and branch.rgt <= rgt for lft, rgt in actor.intervals(SUBTREE)
    )
    return "" if inside else "beyond_authority"


def done_rows(
    batch: CampaignBatch,
) -> tuple[list[CampaignMember], list[CampaignMember], list[dict[str, Any]]]:
    """(carried out, still to be, signed but fallen out afterwards) of a signed batch."""
    members = batch_members(batch)
    done = [m for m in members if m.stage == MemberStage.APPROVED]
    left = [m for m in members if m.stage == MemberStage.CALCULATED]
    here = {m.pk for m in members}
    signed = batch.content["rows"] if batch.status == BatchStatus.APPROVED and batch.content else []
    gone = [row for row in signed if row["member"] not in here]
    return done, left, gone
