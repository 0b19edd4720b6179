"""A campaign of a demo bank that is under way: zones free, taken, half collected, waiting for approval, approved.

Each step is taken through the services by the person whose step it is; only what households said is written at once.
"""

from __future__ import annotations

import datetime as dt
import zlib
from collections import Counter
from decimal import Decimal

from credit_rating.collection import completeness
from credit_rating.models import Campaign, CampaignMember, CampaignZone, CollectionStatus, InformationForm
from credit_rating.selectors.campaign_batches import list_of
from credit_rating.selectors.cases import role_holders
from credit_rating.services.campaigns import batches, opening, rating, zones
from credit_rating.services.campaigns.opening import Plan
from crm_site.accounts.models import Bank, Staff
from crm_site.accounts.selectors import actor_for, bank_today
from crm_site.jobs.models import Run
from crm_site.jobs.services import run_to_end
from crm_site.lib.errors import DomainError
from crm_site.lib.permissions import Actor, Role
from crm_site.lib.tenancy import act_as, bank
from customers.models import Customer, Product

PRODUCT = "L301"
LEAST, MOST_ZONE = 60, 40  # households of the whole, at most of one zone
# How far each zone has come: its part that is collected, and what then happened.
WAYS = ((1.0, "approved"), (0.9, "proposed"), (0.7, "rated"), (0.4, "given"), (0.0, "taken"), (0.0, "free"))
RECORDS = ("clean", "clean", "none", "clean", "short")


def make_campaign(of: Bank, *, now: dt.datetime) -> int:
    """Give a demo bank its campaign; returns how many households it lists. Does nothing in a bank that has one."""
    with bank(of.pk):
        day = bank_today(of, now)
        rural = _rural(day)
        product = Product.objects.filter(code=PRODUCT, family="loan").first()
        if Campaign.objects.exists() or rural is None or product is None:
            return 0
        groups = _groups(day)
        if sum(len(households) for _owner, _lead, households in groups) < LEAST:
            return 0
        made = _open(rural, groups, product, day, now)
        run = rating.start_rating(rural, campaign_id=made.pk, zone_id=None, day=day, now=now)
    run = run_to_end(run, workers=1)
    with bank(of.pk):
        # The job has taken its time: what people do with its results comes after it.
        signed = _propose(made, day, max(now, run.finished_at or now))
    if signed is not None:
        run_to_end(signed, workers=1)
    with bank(of.pk):
        return CampaignMember.objects.filter(campaign=made).count()


def _rural(day: dt.date) -> Actor | None:
    people = Staff.objects.filter(
        pk__in=role_holders(Role.LINE_DEPARTMENT, day), line_department="rural"
    ).order_by("number")
    first = people.first()
    return None if first is None else actor_for(first, day=day)


def _groups(day: dt.date) -> list[tuple[Staff, Actor, list[Customer]]]:
    """(relationship manager, the manager of his branch, his households), those with the most first."""
    managers = role_holders(Role.RELATIONSHIP_MANAGER, day)
    found = Customer.objects.customers().filter(kind="household", responsible__in=managers)
    counts = Counter(found.values_list("responsible_id", flat=True))
    groups = []
    for key, _n in sorted(counts.items(), key=lambda row: (-row[1], row[0])):
        owner = Staff.objects.select_related("unit").get(pk=key)
        households = list(
            found.filter(responsible=owner, home_branch__isnull=False)
            .select_related("home_branch")
            .order_by("number")[:MOST_ZONE]
        )
        if not households:
            continue
        leads = [k for k in role_holders(Role.BRANCH_MANAGER, day, households[0]) if k != key]
        if leads:
            groups.append((owner, actor_for(Staff.objects.get(pk=leads[0]), day=day), households))
        if len(groups) == len(WAYS):
            break
    return groups


def _open(
    rural: Actor,
    groups: list[tuple[Staff, Actor, list[Customer]]],
    product: Product,
    day: dt.date,
    now: dt.datetime,
) -> Campaign:
    act_as(rural)
    since = day - dt.timedelta(days=20)
    plan = Plan(
        "春耕整村授信", "household", product, Decimal(300_000), 12, "春耕生产", day + dt.timedelta(days=10),
        day + dt.timedelta(days=20), day + dt.timedelta(days=30), day + dt.timedelta(days=45),
    )  # fmt: skip
    made = opening.create_campaign(rural, plan=plan, now=now - dt.timedelta(days=20))
    for (_owner, _lead, households), (share, _then) in zip(groups, WAYS, strict=False):
        for number, one in enumerate(households):
            if number < share * len(households):
                _say(one, since + dt.timedelta(days=number % 18), now)
    everybody = [c.number for _owner, _lead, households in groups for c in households]
    opening.list_members(rural, campaign_id=made.pk, condition=None, numbers=everybody, day=day)
    for number, (owner, _lead, households) in enumerate(groups, start=1):
        zones.add_zone(
            rural, campaign_id=made.pk, name=f"{number:02d} {owner.unit.name if owner.unit else ''} · {owner.name}",
            home_branch=None, region="", numbers=[c.number for c in households],
        )  # fmt: skip
    made = opening.open_campaign(rural, campaign_id=made.pk, now=now - dt.timedelta(days=19))
    named = CampaignZone.objects.filter(campaign=made).order_by("name")
    for zone, (owner, lead, _households), (_share, then) in zip(named, groups, WAYS, strict=False):
        if then != "free":
            act_as(lead)
            zones.take_zone(lead, zone_id=zone.pk, now=now - dt.timedelta(days=18))
        if then not in ("free", "taken"):
            try:
                zones.give_zone(
                    lead, zone_id=zone.pk, staff_id=owner.pk, now=now - dt.timedelta(days=18), today=day
                )
            except DomainError:
                continue  # he sits elsewhere than his customers: the zone stays with the branch
    return made


def _say(customer: Customer, day: dt.date, now: dt.datetime) -> None:
    """What a household told its manager; one in seven left some of it open."""
    dice = zlib.crc32(customer.number.encode())
    income = 90_000 + dice % 120 * 1500
    said = {
        "household_income": str(income), "household_costs": str(income * (25 + dice % 35) // 100),
        "household_wages": str(dice % 5 * 8000), "household_members": str(2 + dice % 5),
        "household_assets": str(250_000 + dice % 600 * 1000), "household_debts": str(dice % 60 * 1000),
        "other_banks": str(dice % 3 * 5_000), "trade": ("水稻", "蔬菜", "水产", "果树")[dice % 4],
        "land_mu": str(dice % 35), "repute": ("good", "good", "fair")[dice % 3], "record": RECORDS[dice % 5],
        "purpose": "农资采购", "security": "credit",
    }  # fmt: skip
    if dice % 7 == 0:
        for code in ("land_mu", "trade"):
            said.pop(code)
    at = dt.datetime.combine(day, dt.time(9, 30), tzinfo=now.tzinfo)
    cells = {
        code: {"value": value, "as_of": day.isoformat(), "source": "interview", "by": customer.responsible_id}
        for code, value in said.items()
    }
    InformationForm.objects.create(
        customer=customer, kind="household", status=CollectionStatus.SUBMITTED, values=cells, revision=1,
        completeness_pct=completeness("household", said)[0], started_by_id=customer.responsible_id, started_at=at,
        saved_at=at, submitted_by_id=customer.responsible_id, submitted_at=at,
    )  # fmt: skip


def _propose(made: Campaign, day: dt.date, now: dt.datetime) -> Run | None:
    """The first zone's batch is signed, the second's waits; returns the run that carries out the first."""
    signed = None
    named = CampaignZone.objects.filter(campaign=made).order_by("name").select_related("owner", "branch")
    for zone, (_share, then) in zip(named, WAYS, strict=False):
        if then not in ("approved", "proposed") or zone.owner is None:
            continue
        owner = actor_for(zone.owner, day=day)
        act_as(owner)
        try:
            batch, _why = batches.propose_batch(owner, zone_id=zone.pk, today=day, now=now)
        except DomainError:
            continue
        lead = Staff.objects.filter(pk=zone.taken_by_id).first()
        if then == "approved" and lead is not None:
            actor = actor_for(lead, day=day)
            act_as(actor)
            shown = list_of(actor, batch, day)
            _batch, signed = batches.approve_batch(
                actor, batch_id=batch.pk, seen=shown.hash, text="整村批量授信，同意。", today=day, now=now
            )
    return signed
