"""A campaign with households, for tests. Call inside the bank."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from credit_rating import campaign_run
from credit_rating.models import Campaign, CampaignMember, CampaignZone, CollectionStatus, InformationForm
from credit_rating.services.campaigns import opening, zones
from credit_rating.services.campaigns.opening import Plan
from crm_site.jobs.models import Run
from crm_site.lib.permissions import Role
from crm_site.lib.registry import RunContext
from customers.models import Address, Customer, Standing
from tests.conftest import NOW, TODAY, House, Person, hire
from tests.credit_rating.lines import a_product
from tests.customers.factories import make_customer

D = Decimal
GOOD = {
    "household_income": "120000", "household_costs": "40000", "household_wages": "20000", "household_members": "3",
    "household_assets": "600000", "household_debts": "20000", "other_banks": "0", "trade": "rice", "land_mu": "12",
    "repute": "good", "record": "clean", "purpose": "seed", "security": "credit",
}  # fmt: skip


class Season:
    """Everybody a campaign needs: headquarters' rural department, a branch with its manager and one relationship
    manager, a second branch manager of the same place, and households of the branch."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.rural = hire(house, "rural", Role.LINE_DEPARTMENT, house.head_office, line_department="rural")
        self.manager = hire(house, "manager", Role.BRANCH_MANAGER, house.north)
        self.deputy = hire(house, "deputy", Role.BRANCH_MANAGER, house.north)
        self.rm = hire(house, "collector", Role.RELATIONSHIP_MANAGER, house.north)
        self.campaign = Campaign()
        self.zone = CampaignZone()
        self.households: list[Customer] = []


def household(season: Season, name: str, values: dict[str, str] | None = None, **changed: Any) -> Customer:
    """A household of Willow village with a form that says `values` (None: nothing was collected)."""
    given = {"kind": "household", "home_branch": season.house.north, "responsible": season.rm.staff}
    made = make_customer(name, **{**given, "customer_since": dt.date(2019, 3, 4), **changed})
    Address.objects.create(customer=made, kind="home", region="Songze", line="Willow village 7")
    if values is not None:
        collect(season.rm, made, values)
    return made


def collect(person: Person, customer: Customer, values: dict[str, str]) -> None:
    """A form as submitted, without the way there."""
    from credit_rating.collection import completeness

    cells = {
        k: {"value": v, "as_of": TODAY.isoformat(), "source": "interview", "by": person.staff.pk}
        for k, v in values.items()
    }
    InformationForm.objects.create(
        customer=customer, kind="household", status=CollectionStatus.SUBMITTED, values=cells, revision=1,
        completeness_pct=completeness("household", values)[0], started_at=NOW, saved_at=NOW,
        submitted_by=person.staff, submitted_at=NOW,
    )  # fmt: skip


def stand(customer: Customer, deposits: str = "30000", loans: str = "0", days: int = 0) -> None:
    Standing.objects.update_or_create(
        customer=customer,
        defaults={
            "kind": customer.kind, "home_branch": customer.home_branch, "responsible": customer.responsible,
            "as_of": TODAY, "loans": D(loans), "days_past_due": days, "deposits_adb": D(deposits),
        },
    )  # fmt: skip


def plan(**changed: Any) -> Plan:
    given: dict[str, Any] = {
        "name": "Spring 2027", "kind": "household", "product": a_product(), "ceiling": D(200_000), "term_months": 12,
        "purpose": "Farming", "collect_by": TODAY + dt.timedelta(30), "rate_by": TODAY + dt.timedelta(40),
        "review_by": TODAY + dt.timedelta(50), "approve_by": TODAY + dt.timedelta(60), **changed,
    }  # fmt: skip
    return Plan(**given)


def opened(season: Season, count: int = 4) -> Season:
    """A running campaign of `count` good households, all collected, in one zone that the collector has."""
    season.households = [household(season, f"Family {i}", GOOD) for i in range(count)]
    for i, one in enumerate(season.households):
        stand(one, deposits=str(20_000 + 1000 * i))
    season.campaign = opening.create_campaign(season.rural.actor, plan=plan(), now=NOW)
    opening.list_members(
        season.rural.actor, campaign_id=season.campaign.pk, condition=None, day=TODAY,
        numbers=[c.number for c in season.households],
    )  # fmt: skip
    season.zone, _n = zones.add_zone(
        season.rural.actor, campaign_id=season.campaign.pk, name="Willow village", home_branch=season.house.north,
        region="Willow", numbers=[],
    )  # fmt: skip
    season.campaign = opening.open_campaign(season.rural.actor, campaign_id=season.campaign.pk, now=NOW)
    zones.take_zone(season.manager.actor, zone_id=season.zone.pk, now=NOW)
    season.zone = zones.give_zone(
        season.manager.actor, zone_id=season.zone.pk, staff_id=season.rm.staff.pk, now=NOW, today=TODAY
    )
    return season


def run_here(run: Run, *, at: dt.date = TODAY) -> tuple[int, int]:
    """Work a campaign's run off in this transaction: (rows looked at, rows changed)."""
    rating = run.pipeline == "campaign_rate"
    context = RunContext(run.bank_id, run.pk, 0, run.business_date, True, run.params)
    chunks = (campaign_run.plan_rating if rating else campaign_run.plan_approval)(context)
    looked = changed = 0
    for chunk in list(chunks):
        counts = (campaign_run.rate if rating else campaign_run.approve)(context, chunk)
        looked, changed = looked + counts.rows_in, changed + counts.rows_changed
    Run.objects.filter(pk=run.pk).update(status="done")
    return looked, changed


def members(season: Season) -> list[CampaignMember]:
    found = CampaignMember.objects.filter(campaign=season.campaign)
    return list(found.select_related("rating", "calculation", "case", "customer").order_by("pk"))
