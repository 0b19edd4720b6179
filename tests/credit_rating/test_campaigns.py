"""A campaign from its list to its lines: who may do what, coverage that adds up, one rating as good as a thousand."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest

from credit_rating.models import CreditLine, Rating
from credit_rating.selectors import campaign_batches, campaigns
from credit_rating.services.campaigns import batches, rating
from tests.conftest import NOW, TODAY, House
from tests.credit_rating.campaign import Season, members, opened, run_here

D = Decimal
LATER = NOW + dt.timedelta(hours=2)


@pytest.fixture
def season(inside: House) -> Season:
    return opened(Season(inside))


def rated(season: Season) -> Season:
    run = rating.start_rating(
        season.rural.actor, campaign_id=season.campaign.pk, zone_id=None, day=TODAY, now=NOW
    )
    run_here(run)
    return season


def test_a_zone_walks_from_the_list_to_its_lines(season: Season) -> None:
    assert {m.stage for m in members(season)} == {"collected"}
    rated(season)
    assert {(m.stage, tuple(m.exceptions)) for m in members(season)} == {("calculated", ())}
    batch, _why = batches.propose_batch(season.rm.actor, zone_id=season.zone.pk, today=TODAY, now=NOW)
    shown = campaign_batches.list_of(season.manager.actor, batch, TODAY)
    assert len(shown.rows) == 4 and not shown.fallen and not shown.against
    batch, run = batches.approve_batch(
        season.manager.actor, batch_id=batch.pk, seen=shown.hash, text="Seen.", today=TODAY, now=LATER
    )
    run_here(run)
    assert [(m.stage, m.reason) for m in members(season)] == [("approved", "")] * 4
    lines = CreditLine.objects.filter(customer__in=season.households)
    assert sum(line.limit for line in lines) == shown.total and lines.count() == 4
    assert {line.case_id for line in lines} == {m.case_id for m in members(season)}
    assert set(Rating.objects.values_list("status", flat=True)) == {"approved"}
    assert campaigns.coverage(season.rural.actor, season.campaign.pk).pct == 100
