"""A campaign in the browser: opened by headquarters, taken, collected on a phone, proposed, signed; within its SQL budget."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from credit_rating.models import (
    Campaign,
    CampaignBatch,
    CampaignMember,
    CampaignZone,
    CreditLine,
    StaffRelation,
)
from credit_rating.services.campaigns import batches, opening, rating
from crm_site.jobs.models import Run
from crm_site.lib.permissions import Role
from crm_site.lib.tenancy import bank
from tests.conftest import NOW, TODAY, House, Person, hire
from tests.credit_rating.campaign import GOOD, Season, household, opened, plan, run_here, stand
from tests.credit_rating.lines import a_product

Browse = Callable[[Person], Client]
PAGES = {"": 30, "members/": 20}


def text(response: Any) -> str:
    return str(response.content.decode())


@pytest.fixture
def season(house: House) -> Season:
    with bank(house.id):
        found = Season(house)
        found.households = [household(found, f"Family {i}", GOOD if i else None) for i in range(3)]
        for one in found.households:
            stand(one)
        a_product()
    return found


def work_off(house: House, pipeline: str) -> None:
    with bank(house.id):
        run_here(Run.objects.filter(pipeline=pipeline).latest("id"))


def test_a_campaign_walks_through_its_pages(
    house: House, season: Season, client_for: Browse, monkeypatch: pytest.MonkeyPatch
) -> None:
    rural, manager, rm = (client_for(p) for p in (season.rural, season.manager, season.rm))
    days = {
        f"{name}_by": (TODAY + dt.timedelta(n)).isoformat()
        for n, name in enumerate(("collect", "rate", "review", "approve"), 30)
    }
    with bank(house.id):
        product = a_product().pk
    given = {"name": "Spring", "kind": "household", "product": product, "ceiling": "200000", "term_months": "12",
             "purpose": "Farming", **days}  # fmt: skip
    wrong = rural.post("/credit/campaigns/new/", given | {"rate_by": "2026-01-01"})
    assert wrong.status_code == 422 and "no sooner" in text(wrong)
    assert rural.post("/credit/campaigns/new/", given).status_code == 302
    with bank(house.id):
        campaign = Campaign.objects.get()
    base = f"/credit/campaigns/{campaign.pk}/"
    refused = rural.post(f"{base}open/")
    assert refused.status_code == 422 and "List the customers first" in text(refused)
    numbers = "\n".join([*(c.number for c in season.households[:2]), "99999"])
    file = SimpleUploadedFile("more.csv", f"number\n{season.households[2].number}\n".encode())
    listed = rural.post(f"{base}listing/", {"numbers": numbers, "file": file}, follow=True)
    assert "3 listed" in text(listed) and "99999" in text(listed)
    assert rural.post(f"{base}zones/new/", {"name": "Willow", "region": "Willow"}).status_code == 302
    assert rural.post(f"{base}open/").status_code == 302
    with bank(house.id):
        zone = CampaignZone.objects.get()
    place = f"/credit/campaigns/zones/{zone.pk}/"
    assert manager.post(f"{place}take/").status_code == 302
    assert manager.post(f"{place}give/", {"staff": season.rm.staff.pk}).status_code == 302
    shown = text(rm.get(place))
    assert (
        "Family 0" in shown
        and "nothing collected yet" in shown
        and f"/customers/{season.households[0].pk}/collection/" in shown
    )
    assert rural.post(f"{base}rate/").status_code == 302
    asked = rural.get(f"{base}run/", headers={"hx-request": "true"})
    assert "Rate and calculate" in text(asked) and "HX-Refresh" not in asked
    work_off(house, "campaign_rate")
    assert rural.get(f"{base}run/", headers={"hx-request": "true"})["HX-Refresh"] == "true"
    assert rm.post(f"{place}propose/").status_code == 302
    with bank(house.id):
        batch = CampaignBatch.objects.get()
    address = f"/credit/campaigns/batches/{batch.pk}/"
    assert "another person approves it" not in text(manager.get(address))
    told = text(rm.get(address))
    assert (
        f"{season.deputy.staff.name}, {season.manager.staff.name}" in told
    )  # who may sign, and who stands in: nobody
    assert "A delegation during absence does not hold for a batch" in told
    assert "It waits for who leads the branch" in text(rm.get(address))
    seen = manager.get(address).context["hash"]
    asked = manager.post(f"{address}approve/", {"seen": seen, "text": "Seen."})
    assert asked.status_code == 302 and "reauthenticate" in asked.headers["Location"]
    monkeypatch.setattr("credit_rating.views.campaign_zones.confirm_identity", lambda request: None)
    stale = manager.post(f"{address}approve/", {"seen": "0" * 64, "text": "Seen."})
    assert stale.status_code == 409 and "not what you were shown" in text(stale)
    assert manager.post(f"{address}approve/", {"seen": seen, "text": ""}).status_code == 422
    assert manager.post(f"{address}approve/", {"seen": seen, "text": "Seen."}).status_code == 302
    assert "HX-Refresh" not in manager.get(f"{address}run/", headers={"hx-request": "true"})
    work_off(house, "campaign_approve")
    # The figures beside the job are of before it: they are drawn anew.
    assert manager.get(f"{address}run/", headers={"hx-request": "true"})["HX-Refresh"] == "true"
    done = text(manager.get(address))
    assert "Lines opened" in done and "Family 1" in done and seen in done
    assert "Family 1" in text(manager.get(f"{address}print/"))
    with bank(house.id):
        assert CreditLine.objects.count() == 2
        member = CampaignMember.objects.get(customer=season.households[1])
    for paper in (
        "",
        "print/",
    ):  # and back: each case leads to the batch, the zone and the campaign that it came from
        told = text(rm.get(f"/credit/cases/{member.case_id}/{paper}"))
        assert all(f'href="{one}"' in told for one in (address, place, base)), paper
    trail = text(rm.get(f"/credit/campaigns/members/{member.pk}/"))
    assert batch.number in trail and seen in trail and "started by Rural" in trail
    for path, most in PAGES.items():
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert rural.get(f"{base}{path}").status_code == 200
        assert len(queries) <= most, f"{path}: {len(queries)}"
    # Nobody of another branch reads who was approved.
    assert "Spring" in text(rural.get("/credit/campaigns/"))


def test_the_signer_sees_for_whom_he_has_not_signed_and_why(
    house: House, client_for: Browse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """His own customer and a relative's fall out before he signs; page and paper keep who and why afterwards."""
    monkeypatch.setattr("credit_rating.views.campaign_zones.confirm_identity", lambda request: None)
    with bank(house.id):
        found = opened(Season(house), 3)
        own, cousin, _other = found.households
        type(own).objects.filter(pk=own.pk).update(responsible=found.manager.staff)
        StaffRelation.objects.create(
            staff=found.manager.staff, customer=cousin, basis="cousin", from_date=TODAY, entered_at=NOW
        )
        run_here(
            rating.start_rating(
                found.rural.actor, campaign_id=found.campaign.pk, zone_id=None, day=TODAY, now=NOW
            )
        )
        made = batches.propose_batch(found.deputy.actor, zone_id=found.zone.pk, today=TODAY, now=NOW)[0]
    address = f"/credit/campaigns/batches/{made.pk}/"
    manager = client_for(found.manager)
    before = text(manager.get(address))
    fall_out = before[before.index("Fall out, to be decided one by one") :]
    assert "Family 0" in fall_out and "own customer" in fall_out
    assert "Family 1" in fall_out and "a relative of the approver" in fall_out
    seen = manager.get(address).context["hash"]
    assert manager.post(f"{address}approve/", {"seen": seen, "text": "Seen."}).status_code == 302
    work_off(house, "campaign_approve")
    for person in (found.manager, found.deputy):
        told = text(client_for(person).get(address))
        not_signed = told[told.index("Not signed for") :]
        assert "Family 0" in not_signed and "own customer" in not_signed
        assert "Family 1" in not_signed and "a relative of the approver" in not_signed
        assert "Family 2" not in not_signed and "2 not signed for" in told
        paper = text(client_for(person).get(f"{address}print/"))
        assert "Not signed for: Family 0" in paper and "Family 1" in paper
    with bank(house.id):
        assert CreditLine.objects.count() == 1
        left = CampaignMember.objects.get(customer=own)
        assert (left.batch_id, left.exceptions) == (None, ["own"])


def test_a_member_is_set_aside_with_a_reason_on_its_page(
    house: House, season: Season, client_for: Browse
) -> None:
    with bank(house.id):
        from tests.credit_rating.campaign import opened

        opened(season, 1)
        member = CampaignMember.objects.get()
    rm = client_for(season.rm)
    address = f"/credit/campaigns/members/{member.pk}/"
    assert rm.post(f"{address}act/", {"act": "declined", "reason": ""}).status_code == 422
    assert rm.post(f"{address}act/", {"act": "declined", "reason": "Needs no loan."}).status_code == 302
    assert "Needs no loan." in text(rm.get(address))
    assert rm.post(f"{address}act/", {"act": "back"}).status_code == 302
    filtered = rm.get(f"/credit/campaigns/{member.campaign_id}/members/?stage=declined")
    assert "No member fits these filters" in text(filtered)


def test_a_campaign_of_others_is_counted_and_not_listed_with_zeros(
    house: House, season: Season, client_for: Browse
) -> None:
    """Who looks after none of its customers learns that it is there, not a coverage of 0% of nothing."""
    with bank(house.id):
        stranger = hire(house, "stranger", Role.RELATIONSHIP_MANAGER, house.south)
        named = opening.create_campaign(season.rural.actor, plan=plan(name="Spring of the north"), now=NOW)
    empty = text(client_for(season.rural).get("/credit/campaigns/"))
    assert "Spring of the north" in empty
    assert "0%" not in empty  # its department lists it before anybody is on the list
    with bank(house.id):
        opening.list_members(
            season.rural.actor, campaign_id=named.pk, condition=None, day=TODAY,
            numbers=[season.households[0].number],
        )  # fmt: skip
    others = text(client_for(stranger).get("/credit/campaigns/"))
    assert "Spring of the north" not in others
    assert (
        "1 campaign without a customer whom you see is not listed" not in others
    )  # nothing else is listed there
    assert "Nobody of your customers is in a campaign." in others
    assert "Spring of the north" in text(client_for(season.rm).get("/credit/campaigns/"))
