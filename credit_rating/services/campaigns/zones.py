"""Zones (划片包干): headquarters names them, a branch takes one, its manager gives it to one relationship manager."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from credit_rating.models import CampaignMember, CampaignStatus, CampaignZone
from credit_rating.selectors.cases import role_holders
from credit_rating.services.campaigns.rules import (
    MANAGE,
    ZONE,
    fault,
    locked_campaign,
    manages,
    running,
)
from crm_site.accounts.models import OrgUnit, RoleGrant, Staff
from crm_site.lib.errors import Conflict
from crm_site.lib.permissions import Actor, Role, may, require_person
from crm_site.work.services import notify
from customers.models import Address


def add_zone(
    actor: Actor,
    *,
    campaign_id: int,
    name: str,
    home_branch: OrgUnit | None,
    region: str,
    numbers: Sequence[str],
) -> tuple[CampaignZone, int]:
    """Name a piece of the list: members of a branch, whose address holds a text, or by their numbers; those that are in
    a zone already stay there. Returns it and how many it holds. Raises CampaignFault, Conflict once it is closed."""
    require_person(actor, MANAGE)
    given = [n.strip() for n in numbers if n.strip()]
    if not name.strip():
        raise fault("name", _("This is needed."))
    if home_branch is None and not region.strip() and not given:
        raise fault("region", _("Say which members: by branch, address or number."))
    with transaction.atomic():
        campaign = locked_campaign(campaign_id)
        if not manages(actor, campaign.kind):
            raise PermissionDenied(MANAGE)
        if campaign.status == CampaignStatus.CLOSED:
            raise Conflict(_("The campaign is closed."), code="campaign_status")
        try:
            with transaction.atomic():
                zone = CampaignZone.objects.create(
                    campaign=campaign, name=name.strip()[:80], home_branch=home_branch, region=region.strip()[:120]
                )  # fmt: skip
        except IntegrityError as error:
            raise fault("name", _("The campaign has a zone of this name.")) from error
        members = CampaignMember.objects.filter(campaign=campaign, zone=None)
        if home_branch is not None:
            below = OrgUnit.objects.filter(lft__gte=home_branch.lft, lft__lte=home_branch.rgt)
            members = members.filter(customer__home_branch__in=below)
        if region.strip():
            living = Address.objects.filter(region__contains=region.strip()) | Address.objects.filter(
                line__contains=region.strip()
            )
            members = members.filter(customer_id__in=living.values("customer_id"))
        if given:
            members = members.filter(customer__number__in=given)
        keys = list(members.values_list("pk", flat=True))
        if not keys:
            raise fault("region", _("No member without a zone is like this."))
        count = CampaignMember.objects.filter(pk__in=keys).update(zone=zone)
    return zone, count


def take_zone(actor: Actor, *, zone_id: int, now: dt.datetime) -> CampaignZone:
    """The actor's branch takes a zone upon itself. Twice changes nothing; Conflict when another branch has it."""
    staff_id = require_person(actor, ZONE)
    with transaction.atomic():
        zone = _locked(zone_id)
        unit = OrgUnit.objects.filter(pk=actor.unit_id).first()
        if unit is None or not may(actor, ZONE, unit):
            raise PermissionDenied(ZONE)
        if zone.home_branch is not None and not may(actor, ZONE, zone.home_branch):
            raise fault("zone", _("Its customers belong to another branch."), "other_branch")
        if zone.branch_id == unit.pk:
            return zone
        if zone.branch is not None:
            raise Conflict(_("%s has taken this zone.") % zone.branch.name, code="zone_taken")
        zone.branch, zone.taken_by_id, zone.taken_at = unit, staff_id, now
        zone.save(update_fields=["branch", "taken_by", "taken_at"])
    return zone


def give_zone(
    actor: Actor, *, zone_id: int, staff_id: int | None, now: dt.datetime, today: dt.date
) -> CampaignZone:
    """Give a zone that one's branch has taken to one of its relationship managers (None: take it back from him).

    He is told. Raises CampaignFault for somebody else's people.
    """
    require_person(actor, ZONE)
    with transaction.atomic():
        zone = _locked(zone_id)
        if zone.branch is None:
            raise Conflict(_("Take the zone first."), code="zone_free")
        if not may(actor, ZONE, zone.branch):
            raise PermissionDenied(ZONE)
        if staff_id is not None and staff_id not in managers_of(zone.branch, today):
            raise fault("staff", _("Choose a relationship manager of the branch."), "staff")
        if zone.owner_id != staff_id:
            zone.owner_id, zone.given_at = staff_id, now if staff_id else None
            zone.save(update_fields=["owner", "given_at"])
            if staff_id is not None:
                told = {
                    "zone": zone.name,
                    "campaign": zone.campaign.name,
                    "day": zone.campaign.collect_by.isoformat(),
                }
                notify(
                    [staff_id], "campaign.zone_given", told, f"/credit/campaigns/zones/{zone.pk}/", now=now
                )
    return zone


def managers_of(branch: OrgUnit, day: dt.date) -> list[int]:
    """Active relationship managers whose place is the branch or lies below it."""
    held = RoleGrant.objects.in_force(day).filter(
        role=Role.RELATIONSHIP_MANAGER, unit__lft__gte=branch.lft, unit__rgt__lte=branch.rgt
    )
    known = set(role_holders(Role.RELATIONSHIP_MANAGER, day))
    return sorted(known & set(held.values_list("staff_id", flat=True)))


def candidates(branch: OrgUnit, day: dt.date) -> list[Staff]:
    """The people of `managers_of`, by number."""
    return list(Staff.objects.filter(pk__in=managers_of(branch, day)).order_by("number"))


def _locked(zone_id: int) -> CampaignZone:
    """A zone of a running campaign, its row taken. Raises CampaignZone.DoesNotExist, Conflict."""
    CampaignZone.objects.select_for_update(of=("self",)).get(pk=zone_id)
    zone = CampaignZone.objects.select_related("campaign", "branch", "home_branch").get(pk=zone_id)
    running(zone.campaign)
    return zone
