"""A season's campaign for the proof: called by `manage.py shell -c`, in a process and database of their own."""

from __future__ import annotations

from django.utils import timezone

from credit_rating.models import Campaign, CampaignBatch, CampaignZone
from credit_rating.selectors.campaign_batches import list_of
from credit_rating.services.campaigns import batches, rating, zones
from crm_site.accounts.models import Bank, OrgUnit, Staff
from crm_site.accounts.selectors import actor_for
from crm_site.jobs.models import Run
from crm_site.jobs.services import run_to_end
from crm_site.lib.permissions import Actor, Role
from crm_site.lib.tenancy import bank
from customers.models import Customer
from tests.bench.campaign import CODE, DAY, a_campaign
from tests.bench.campaign import prepare as households
from tests.bench.campaign_lines import hire

NOW = timezone.now
SIGNED = 1500  # households of the zone whose lines are opened: about every fourth needs no second look


def prepare(count: int) -> None:
    """A running campaign of so many households, with who collects and who signs for the zone of the first SIGNED."""
    rural = households(count)
    campaign = a_campaign(rural)
    with bank(rural.bank_id):
        head = OrgUnit.objects.get(code="HO")
        manager, signer = (
            hire(head, "collector", Role.RELATIONSHIP_MANAGER),
            hire(head, "signer", Role.BRANCH_MANAGER),
        )
        Customer.objects.update(responsible=manager)
        zone, _count = zones.add_zone(
            rural,
            campaign_id=campaign.pk,
            name="Signed",
            home_branch=head,
            region="",
            numbers=[f"H{i:06d}" for i in range(min(SIGNED, count))],
        )
        leads = actor_for(signer, day=DAY)
        zones.take_zone(leads, zone_id=zone.pk, now=NOW())
        zones.give_zone(leads, zone_id=zone.pk, staff_id=manager.pk, now=NOW(), today=DAY)


def _who(number: str) -> Actor:
    return actor_for(Staff.objects.get(number=number), day=DAY)


def _bank() -> int:
    return int(Bank.objects.values_list("pk", flat=True).get(code=CODE))


def rate(workers: int) -> None:
    """Rate and calculate everybody."""
    with bank(_bank()):
        campaign = Campaign.objects.get()
        run = rating.start_rating(_who("rural"), campaign_id=campaign.pk, zone_id=None, day=DAY, now=NOW())
    _finish(run, workers)


def approve(workers: int) -> None:
    """Propose what needs no second look, sign for it and let the lines be opened; a batch that is signed goes on."""
    with bank(_bank()):
        batch = CampaignBatch.objects.first()
        if batch is None:
            zone = CampaignZone.objects.get()
            batch, _out = batches.propose_batch(_who("collector"), zone_id=zone.pk, today=DAY, now=NOW())
        signer = _who("signer")
        seen = list_of(signer, batch, DAY).hash
        _batch, run = batches.approve_batch(
            signer, batch_id=batch.pk, seen=seen, text="Seen.", today=DAY, now=NOW()
        )
    _finish(run, workers)


def _finish(run: Run, workers: int) -> None:
    ended = run_to_end(run, workers=workers)
    if ended.status != "done":
        raise SystemExit(f"{ended.pipeline}: {ended.status} {ended.error}")
