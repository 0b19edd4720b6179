"""Zones (划片包干): headquarters names them, a branch takes one, its manager gives it to one relationship manager."""

from __future__ import annotations

import datetime as dt
import re
from collections import defaultdict
from collections.abc import Sequence

from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.db.models import Count
from django.utils.translation import gettext as _

from credit_rating.models import Campaign, CampaignMember, CampaignStatus, CampaignZone
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


# How headquarters may cut a whole list at once: a zone never crosses a branch, since one branch takes it.
CUTS = ("branch", "manager", "town", "village")
# A village or community as addresses write it: 上河村21组230号.
# Province, city and county in front of a town: they say nothing within one branch. 东江省松泽市石港镇: 石港镇.
ABOVE_TOWN = re.compile(r"^(?:.{1,9}?(?:省|自治区))?(?:.{1,9}?[市州盟])?(?:.{1,9}?[县旗区])?(?=..)")
VILLAGE = re.compile(r"^.{1,20}?(?:村|社区|嘎查|屯)")


def cut_zones(actor: Actor, *, campaign_id: int, by: str) -> tuple[int, int]:
    """Put every member without a zone into one of its home branch: the branch's own, or one for each relationship
    manager, town or village (CUTS) there. Returns (zones made, members put into a zone).

    Again: members listed since then join the zone of the same name. Who has no home branch stays without a zone. Raises
    CampaignFault when there is nobody to put anywhere, Conflict once it is closed.
    """
    require_person(actor, MANAGE)
    if by not in CUTS:
        raise fault("by", _("Choose one."))
    with transaction.atomic():
        campaign = locked_campaign(campaign_id)
        if not manages(actor, campaign.kind):
            raise PermissionDenied(MANAGE)
        if campaign.status == CampaignStatus.CLOSED:
            raise Conflict(_("The campaign is closed."), code="campaign_status")
        groups = _cut(campaign, by)
        if not groups:
            raise fault("by", _("No member without a zone has a home branch."), "nobody")
        known = {z.name: z for z in CampaignZone.objects.filter(campaign=campaign, name__in=groups)}
        new = [
            CampaignZone(campaign=campaign, name=name, home_branch_id=branch)
            for name, (branch, _keys) in groups.items()
            if name not in known
        ]
        for made in CampaignZone.objects.bulk_create(new):
            known[made.name] = made
        for name, (_branch, keys) in groups.items():
            CampaignMember.objects.filter(pk__in=keys).update(zone=known[name])
    return len(new), sum(len(keys) for _branch, keys in groups.values())


def _cut(campaign: Campaign, by: str) -> dict[str, tuple[int, list[int]]]:
    """name of a zone -> (its home branch, its members); in the order of the names."""
    free = CampaignMember.objects.filter(campaign=campaign, zone=None, customer__home_branch__isnull=False)
    rows = list(
        free.order_by("pk").values_list(
            "pk", "customer_id", "customer__home_branch_id", "customer__home_branch__name",
            "customer__responsible__name", "customer__responsible__number",
        )
    )  # fmt: skip
    homes: dict[int, tuple[str, str]] = {}
    if by in ("town", "village"):
        living = Address.objects.filter(customer_id__in=[row[1] for row in rows]).order_by("-kind", "-pk")
        homes = {
            customer: (ABOVE_TOWN.sub("", region.strip()), line)
            for customer, region, line in living.values_list("customer_id", "region", "line")
        }
    groups: dict[str, tuple[int, list[int]]] = {}
    keys: dict[str, list[int]] = defaultdict(list)
    for pk, customer, branch, branch_name, manager, number in rows:
        town, line = homes.get(customer, ("", ""))
        part = {"manager": f"{manager} {number}" if manager else "", "town": town}.get(by, "")
        if by == "village":
            found = VILLAGE.match(line)
            part = f"{town}{found.group()}" if found else town
        name = f"{branch_name} · {part}"[:80] if part else branch_name
        keys[name].append(pk)
        groups[name] = (branch, keys[name])
    return dict(sorted(groups.items()))


def free_zones(actor: Actor, campaign_id: int) -> list[CampaignZone]:
    """The zones of a campaign that nobody has taken and whose customers are of the actor's branch."""
    free = CampaignZone.objects.filter(campaign_id=campaign_id, branch=None, home_branch__isnull=False)
    return [z for z in free.select_related("home_branch") if may(actor, ZONE, z.home_branch)]


def take_zones(actor: Actor, *, campaign_id: int, now: dt.datetime) -> int:
    """The actor's branch takes every zone of its customers that is still free; returns how many. One that another
    branch takes in the same moment is left to it."""
    taken = 0
    for zone in free_zones(actor, campaign_id):
        try:
            take_zone(actor, zone_id=zone.pk, now=now)
        except Conflict:
            continue
        taken += 1
    return taken


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
    actor: Actor,
    *,
    zone_id: int,
    staff_id: int | None,
    now: dt.datetime,
    today: dt.date,
    is_told: bool = True,
) -> CampaignZone:
    """Give a zone that one's branch has taken to one of its relationship managers (None: take it back from him).

    He is told, unless the caller does. Raises CampaignFault for somebody else's people.
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
            if staff_id is not None and is_told:
                _tell(staff_id, [zone], now)
    return zone


def ungiven_zones(actor: Actor, campaign_id: int) -> list[CampaignZone]:
    """The zones that the actor's branch has taken and given to nobody yet."""
    taken = CampaignZone.objects.filter(campaign_id=campaign_id, branch__isnull=False, owner=None)
    return [z for z in taken.select_related("branch").order_by("name", "pk") if may(actor, ZONE, z.branch)]


def give_zones(actor: Actor, *, campaign_id: int, now: dt.datetime, today: dt.date) -> tuple[int, int]:
    """Give each zone of `ungiven_zones` to the relationship manager who looks after most of its customers; returns
    (given, left: nobody of the branch looks after any of theirs). Each manager is told once."""
    require_person(actor, ZONE)
    given: dict[int, list[CampaignZone]] = defaultdict(list)
    found = ungiven_zones(actor, campaign_id)
    for zone in found:
        if (likely := likely_owner(zone, today)) is not None:
            made = give_zone(actor, zone_id=zone.pk, staff_id=likely, now=now, today=today, is_told=False)
            given[likely].append(made)
    for staff_id, zones in given.items():
        _tell(staff_id, zones, now)
    count = sum(len(zones) for zones in given.values())
    return count, len(found) - count


def likely_owner(zone: CampaignZone, day: dt.date) -> int | None:
    """Of the relationship managers of a taken zone's branch the one who looks after most of its customers."""
    if zone.branch is None:
        return None
    rows = zone.members.order_by().filter(customer__responsible__in=managers_of(zone.branch, day))
    counts = (
        rows.values_list("customer__responsible")
        .annotate(n=Count("id"))
        .order_by("-n", "customer__responsible")
    )
    return next((staff for staff, _n in counts[:1]), None)


def _tell(staff_id: int, zones: Sequence[CampaignZone], now: dt.datetime) -> None:
    """One notice, of one zone or of how many."""
    campaign = zones[0].campaign
    told = {"campaign": campaign.name, "day": campaign.collect_by.isoformat()}
    if len(zones) == 1:
        address = f"/credit/campaigns/zones/{zones[0].pk}/"
        notify([staff_id], "campaign.zone_given", {**told, "zone": zones[0].name}, address, now=now)
    else:
        address = f"/credit/campaigns/{campaign.pk}/"
        notify([staff_id], "campaign.zones_given", {**told, "count": len(zones)}, address, now=now)


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
