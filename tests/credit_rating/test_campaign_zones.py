"""A campaign of thousands: cut into zones at once, taken and given together, its phases put off, its job stopped."""

from __future__ import annotations

import datetime as dt

import pytest
from django.core.exceptions import PermissionDenied

from credit_rating.models import CampaignZone
from credit_rating.models.campaigns import PHASES
from credit_rating.selectors import campaigns
from credit_rating.selectors.campaign_batches import batches_to_sign
from credit_rating.selectors.campaigns import MemberQuery
from credit_rating.selectors.waiting import ratings_to_decide
from credit_rating.services.campaigns import batches, opening, rating, zones
from credit_rating.services.campaigns.rules import CampaignFault
from crm_site.lib.errors import Conflict
from crm_site.work.models import Notification
from customers.models import Address
from tests.conftest import NOW, TODAY, House
from tests.credit_rating.campaign import GOOD, Season, collect, household, opened, plan, run_here

Cut = dict[str, int]


def listed(season: Season, count: int = 3) -> Season:
    """A draft of a campaign with so many households that nobody has put into a zone."""
    season.households = [household(season, f"Family {i}", GOOD) for i in range(count)]
    season.campaign = opening.create_campaign(season.rural.actor, plan=plan(), now=NOW)
    numbers = [c.number for c in season.households]
    opening.list_members(
        season.rural.actor, campaign_id=season.campaign.pk, condition=None, numbers=numbers, day=TODAY
    )
    return season


def names(season: Season) -> Cut:
    found = CampaignZone.objects.filter(campaign=season.campaign)
    return {zone.name: zone.members.count() for zone in found}


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("branch", {"North": 3}),
        ("manager", {"North · Collector collector": 2, "North": 1}),
        ("town", {"North · 石港镇": 2, "North · Songze": 1}),
        ("village", {"North · 石港镇上河村": 1, "North · 石港镇下河社区": 1, "North · Songze": 1}),
    ],
)
def test_the_whole_list_is_cut_at_once(inside: House, by: str, expected: Cut) -> None:
    season = listed(Season(inside))
    for one, line in zip(season.households, ("上河村21组230号", "下河社区1号"), strict=False):
        Address.objects.filter(customer=one).update(region="东江省松泽市石港镇", line=line)
    season.households[2].responsible = None
    season.households[2].save()
    assert zones.cut_zones(season.rural.actor, campaign_id=season.campaign.pk, by=by) == (len(expected), 3)
    assert names(season) == expected
    with pytest.raises(CampaignFault):  # nobody is left
        zones.cut_zones(season.rural.actor, campaign_id=season.campaign.pk, by=by)
    later = household(season, "Later", GOOD, responsible=None)
    Address.objects.filter(customer=later).update(region="Songze", line="")
    opening.list_members(
        season.rural.actor, campaign_id=season.campaign.pk, condition=None, numbers=[later.number], day=TODAY
    )
    made, put = zones.cut_zones(season.rural.actor, campaign_id=season.campaign.pk, by=by)
    assert (made, put) == (0, 1)  # joins the zone of its name


def test_a_branch_takes_and_gives_its_zones_together(inside: House) -> None:
    season = listed(Season(inside))
    season.households[2].responsible = None
    season.households[2].save()
    zones.cut_zones(season.rural.actor, campaign_id=season.campaign.pk, by="manager")
    key = season.campaign.pk
    opening.open_campaign(season.rural.actor, campaign_id=key, now=NOW)
    assert zones.take_zones(season.rm.actor, campaign_id=key, now=NOW) == 0
    assert zones.take_zones(season.manager.actor, campaign_id=key, now=NOW) == 2
    assert zones.take_zones(season.manager.actor, campaign_id=key, now=NOW) == 0
    # The zone whose customer has no manager is left to be given by hand.
    assert zones.give_zones(season.manager.actor, campaign_id=key, now=NOW, today=TODAY) == (1, 1)
    assert zones.give_zones(season.manager.actor, campaign_id=key, now=NOW, today=TODAY) == (0, 1)
    assert Notification.objects.filter(staff=season.rm.staff, code="campaign.zone_given").count() == 1
    rest = CampaignZone.objects.get(campaign=key, name="North")
    zones.give_zone(season.manager.actor, zone_id=rest.pk, staff_id=season.rm.staff.pk, now=NOW, today=TODAY)
    rest = campaigns.zone(rest.pk)
    assert campaigns.of_others(season.manager.actor, rest) == 1  # whom its new manager does not see


def test_phases_are_put_off_and_what_was_reckoned_by_stays(inside: House) -> None:
    season = listed(Season(inside))
    key, later = season.campaign.pk, TODAY + dt.timedelta(90)
    draft = plan(ceiling=150_000, name="Autumn")
    opening.change_campaign(season.rural.actor, campaign_id=key, plan=draft)
    opening.open_campaign(season.rural.actor, campaign_id=key, now=NOW)
    put_off = plan(ceiling=150_000, name="Autumn", approve_by=later)
    changed = opening.change_campaign(season.rural.actor, campaign_id=key, plan=put_off)
    assert (changed.approve_by, changed.ceiling) == (later, 150_000)
    for wrong in (plan(), plan(ceiling=150_000, term_months=24), plan(ceiling=150_000, collect_by=later)):
        with pytest.raises(CampaignFault):
            opening.change_campaign(season.rural.actor, campaign_id=key, plan=wrong)
    with pytest.raises(PermissionDenied):
        opening.change_campaign(season.manager.actor, campaign_id=key, plan=put_off)
    opening.close_campaign(season.rural.actor, campaign_id=key, now=NOW)
    with pytest.raises(Conflict):
        opening.change_campaign(season.rural.actor, campaign_id=key, plan=put_off)


def test_who_is_left_in_a_phase_is_its_list(inside: House) -> None:
    season = opened(Season(inside), 2)
    thin = household(season, "Thinner", GOOD | {"household_wages": ""})
    opening.list_members(
        season.rural.actor, campaign_id=season.campaign.pk, condition=None, numbers=[thin.number], day=TODAY
    )
    actor, key = season.rural.actor, season.campaign.pk

    def left() -> list[int]:
        whole = campaigns.coverage(actor, key)
        counts = [campaigns.member_count(actor, key, MemberQuery(left=phase)) for phase, _label in PHASES]
        assert counts == [whole.left(phase) for phase, _label in PHASES]
        return counts

    # Complete to the policy's share, but without the wages that a line is calculated from: to be visited again.
    assert left() == [1, 2, 0, 3]
    run_here(rating.start_rating(actor, campaign_id=key, zone_id=None, day=TODAY, now=NOW))
    assert left() == [1, 0, 0, 3]
    collect(season.rm, thin, GOOD)
    run_here(rating.start_rating(actor, campaign_id=key, zone_id=None, day=TODAY, now=NOW))
    assert left() == [1, 0, 0, 3]  # counted when its form is submitted or a run finds nobody else


def test_the_job_is_stopped_by_who_may_start_it_and_goes_on(inside: House) -> None:
    season = opened(Season(inside), 2)
    key = season.campaign.pk
    run = rating.start_rating(season.rural.actor, campaign_id=key, zone_id=None, day=TODAY, now=NOW)
    for stranger in (season.manager, season.rm):
        with pytest.raises((PermissionDenied, CampaignFault)):
            rating.stop_rating(stranger.actor, campaign_id=key, run_id=run.pk, now=NOW)
    for _twice in range(2):
        stopped = rating.stop_rating(season.rural.actor, campaign_id=key, run_id=run.pk, now=NOW)
    assert stopped.status == "cancelled"
    again = rating.start_rating(season.rural.actor, campaign_id=key, zone_id=None, day=TODAY, now=NOW)
    assert again.pk != run.pk
    run_here(again)
    assert campaigns.coverage(season.rural.actor, key).reached("calculated") == 2


def test_a_waiting_batch_is_in_the_inbox_of_who_signs_it_and_its_ratings_in_nobodys(inside: House) -> None:
    season = opened(Season(inside), 2)
    run_here(
        rating.start_rating(
            season.rural.actor, campaign_id=season.campaign.pk, zone_id=None, day=TODAY, now=NOW
        )
    )
    batch, _out = batches.propose_batch(season.rm.actor, zone_id=season.zone.pk, today=TODAY, now=NOW)
    assert batches_to_sign(season.manager.actor, TODAY) == [batch]
    assert batches_to_sign(season.rm.actor, TODAY) == batches_to_sign(season.rural.actor, TODAY) == []
    assert not ratings_to_decide(season.manager.actor, TODAY).exists()
    batches.return_batch(season.manager.actor, batch_id=batch.pk, text="Again.", today=TODAY, now=NOW)
    assert batches_to_sign(season.manager.actor, TODAY) == []
