"""A campaign is made, listed, opened and closed by the line department of headquarters."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from credit_rating.models import (
    BatchStatus,
    Campaign,
    CampaignBatch,
    CampaignMember,
    CampaignStatus,
    CreditKind,
    customer_kind,
)
from credit_rating.models.kinds import SMALL
from credit_rating.services.campaigns.rules import (
    MANAGE,
    CampaignFault,
    collect_stage,
    fault,
    locked_campaign,
    manages,
    running,
)
from crm_site.accounts.models import Bank
from crm_site.lib.errors import Conflict
from crm_site.lib.permissions import Actor, require_person
from crm_site.lib.postgres.statistics import analyze
from crm_site.lib.tenancy import require_bank
from customers.conditions import Matches
from customers.models import Customer, Product, Standing

MOST_NUMBERS = 100_000


@dataclass(frozen=True, slots=True)
class Plan:
    """What a campaign is to be. `ceiling`: the most that one line may come to, in the bank's currency."""

    name: str
    kind: str
    product: Product
    ceiling: Decimal
    term_months: int
    purpose: str
    collect_by: dt.date
    rate_by: dt.date
    review_by: dt.date
    approve_by: dt.date


@dataclass(frozen=True, slots=True)
class Listed:
    """What listing did: customers added, those that were on the list already, in another open campaign, of another
    kind (or out of sight), and numbers that nobody has."""

    added: int
    known: int
    elsewhere: int
    other_kind: int
    unknown: list[str]


def create_campaign(actor: Actor, *, plan: Plan, now: dt.datetime) -> Campaign:
    """A draft without members. Raises CampaignFault with the fields that are wrong."""
    staff_id = require_person(actor, MANAGE)
    if not manages(actor, plan.kind):
        raise fault("kind", _("These customers are of another line department."), "line")
    _check(plan)
    values = {name: getattr(plan, name) for name in Plan.__slots__}
    try:
        with transaction.atomic():
            return Campaign.objects.create(created_by_id=staff_id, created_at=now, **values)
    except IntegrityError as error:
        raise fault("name", _("There is a campaign of this name."), "name") from error


def _check(plan: Plan) -> None:
    faults = {}
    if not plan.name.strip():
        faults["name"] = _("This is needed.")
    if not plan.product.is_for(customer_kind(plan.kind)):
        faults["product"] = _("This product is not for these customers.")
    if plan.ceiling <= 0:
        faults["ceiling"] = _("The amount must be above zero.")
    if not 0 < plan.term_months <= 360:
        faults["term_months"] = _("Between 1 and 360 months.")
    if not plan.purpose.strip():
        faults["purpose"] = _("Say what for.")
    phases = ("collect_by", "rate_by", "review_by", "approve_by")
    for before, after in itertools.pairwise(phases):
        if getattr(plan, after) < getattr(plan, before):
            faults[after] = _("A phase ends no sooner than the one before it.")
    if faults:
        raise CampaignFault(next(iter(faults.values())), code="campaign", fields=faults)


def change_campaign(actor: Actor, *, campaign_id: int, plan: Plan) -> Campaign:
    """Change what a campaign is to be: a draft wholly but for its kind once somebody is listed, a running one its name
    and the last days of its phases (ratings and lines were reckoned by the rest). Raises CampaignFault with the fields
    that are wrong, Conflict once it is closed."""
    require_person(actor, MANAGE)
    with transaction.atomic():
        campaign = _mine(actor, campaign_id)
        if campaign.status == CampaignStatus.CLOSED:
            raise Conflict(_("The campaign is closed."), code="campaign_status")
        if not manages(actor, plan.kind):
            raise fault("kind", _("These customers are of another line department."), "line")
        _check(plan)
        for name in fixed_of(campaign):
            if getattr(plan, name) != getattr(campaign, name):
                raise fault(name, _("This cannot be changed any more."), "fixed")
        for name in Plan.__slots__:
            setattr(campaign, name, getattr(plan, name))
        try:
            with transaction.atomic():
                campaign.save(update_fields=list(Plan.__slots__))
        except IntegrityError as error:
            raise fault("name", _("There is a campaign of this name."), "name") from error
    return campaign


def fixed_of(campaign: Campaign) -> tuple[str, ...]:
    """Fields of Plan that a campaign keeps."""
    if campaign.status == CampaignStatus.DRAFT:
        return ("kind",) if campaign.members.exists() else ()
    return ("kind", "product", "ceiling", "term_months", "purpose")


def list_members(
    actor: Actor,
    *,
    campaign_id: int,
    condition: Mapping[str, Any] | None,
    numbers: Sequence[str],
    day: dt.date,
) -> Listed:
    """Add the customers of a condition, of customer numbers, or of both, to a campaign that is not closed.

    Repeating it adds nobody twice. Who is in another open campaign of the kind stays there and is counted. Raises
    ConditionError, CampaignFault for too many numbers, Conflict for a closed campaign.
    """
    require_person(actor, MANAGE)
    if len(numbers) > MOST_NUMBERS:
        raise fault("numbers", _("At most %s numbers at once.") % MOST_NUMBERS, "numbers")
    with transaction.atomic():
        campaign = _mine(actor, campaign_id)
        if campaign.status == CampaignStatus.CLOSED:
            raise Conflict(_("The campaign is closed."), code="campaign_status")
        given = list(dict.fromkeys(n.strip() for n in numbers if n.strip()))
        seen = Customer.objects.visible_to(actor).customers()
        by_number = dict(seen.filter(number__in=given).values_list("number", "pk")) if given else {}
        wanted = set(by_number.values())
        if condition is not None:
            matched = Standing.objects.visible_to(actor).filter(Matches(condition, as_of=day, actor=actor))
            wanted |= set(matched.filter(customer__is_prospect=False).values_list("customer_id", flat=True))
            if campaign.status == CampaignStatus.DRAFT:
                campaign.condition = dict(condition)
                campaign.save(update_fields=["condition"])
        fitting = _of_kind(wanted, campaign.kind)
        added, known, elsewhere = _add(campaign, fitting, day)
    unknown = [n for n in given if n not in by_number]
    return Listed(added, known, elsewhere, len(wanted) - len(fitting), unknown)


def _mine(actor: Actor, campaign_id: int) -> Campaign:
    """A campaign of the actor's line, its row taken. Raises PermissionDenied."""
    campaign = locked_campaign(campaign_id)
    if not manages(actor, campaign.kind):
        raise PermissionDenied(MANAGE)
    return campaign


def _of_kind(customers: set[int], kind: str) -> set[int]:
    """Those that are judged as this kind: models.kinds.credit_kind, set-based."""
    found = Customer.objects.filter(pk__in=customers)
    if kind == CreditKind.SME:
        found = found.filter(kind=CreditKind.CORPORATE, size__in=SMALL)
    elif kind == CreditKind.CORPORATE:
        found = found.filter(kind=kind).exclude(size__in=SMALL)
    else:
        found = found.filter(kind=kind)
    return set(found.values_list("pk", flat=True))


def _add(campaign: Campaign, customers: set[int], day: dt.date) -> tuple[int, int, int]:
    """(added, on the list already, in another open campaign)."""
    before = set(
        CampaignMember.objects.filter(campaign=campaign, customer_id__in=customers).values_list(
            "customer_id", flat=True
        )
    )
    new = sorted(customers - before)
    # Two campaigns that list the same customer at once: the unique key lets one of them have it.
    CampaignMember.objects.bulk_create(
        [CampaignMember(campaign=campaign, customer_id=key, kind=campaign.kind) for key in new],
        batch_size=5_000, ignore_conflicts=True,
    )  # fmt: skip
    made = CampaignMember.objects.filter(campaign=campaign, customer_id__in=new)
    keys = list(made.values_list("pk", flat=True))
    collect_stage(keys, campaign.kind, day)
    analyze([CampaignMember._meta.db_table])
    return len(keys), len(before), len(new) - len(keys)


def open_campaign(actor: Actor, *, campaign_id: int, now: dt.datetime) -> Campaign:
    """Let branches take zones. Twice changes nothing. Raises CampaignFault for one that lists nobody."""
    staff_id = require_person(actor, MANAGE)
    with transaction.atomic():
        campaign = _mine(actor, campaign_id)
        if campaign.status == CampaignStatus.OPEN:
            return campaign
        if campaign.status == CampaignStatus.CLOSED:
            raise Conflict(_("The campaign is closed."), code="campaign_status")
        if not campaign.members.exists():
            raise CampaignFault(_("List the customers first."), code="empty")
        campaign.status, campaign.opened_by_id, campaign.opened_at = CampaignStatus.OPEN, staff_id, now
        campaign.save(update_fields=["status", "opened_by", "opened_at"])
    return campaign


def close_campaign(actor: Actor, *, campaign_id: int, now: dt.datetime) -> Campaign:
    """End a campaign: its customers may be listed by another. Raises Conflict while a batch waits for approval."""
    require_person(actor, MANAGE)
    with transaction.atomic():
        campaign = running(_mine(actor, campaign_id))
        if CampaignBatch.objects.filter(campaign=campaign, status=BatchStatus.PROPOSED).exists():
            raise Conflict(_("A batch waits for its approval."), code="batch_waits")
        campaign.status, campaign.closed_at = CampaignStatus.CLOSED, now
        campaign.save(update_fields=["status", "closed_at"])
        campaign.members.update(is_open=False)
    return campaign


def bank_currency() -> str:
    """The currency of the bank's campaigns."""
    return str(Bank.objects.values_list("currency", flat=True).get(pk=require_bank()))
