"""A signed campaign's job: cases made and approved, lines opened, against SQL that writes the same rows.

The SQL copies what the job has written, its record included, into tables of the same columns and indexes. It reckons
nothing, and no guard, key or policy looks at a row.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import psycopg
from django.utils import timezone

from credit_rating.models import Campaign, CampaignBatch, CampaignZone, CreditLine
from credit_rating.selectors.campaign_batches import list_of
from credit_rating.services.campaigns import batches, zones
from crm_site.accounts.models import GrantStatus, OrgUnit, RoleGrant, Staff
from crm_site.accounts.selectors import actor_for
from crm_site.jobs.models import Run, RunStatus
from crm_site.jobs.services import run_to_end
from crm_site.lib.permissions import Actor, Role
from crm_site.lib.tenancy import bank
from customers.models import Customer
from tests.bench.rows import Row, work_row
from tests.rig import Rig, Spent, Work

NAME = "campaign_lines"
ZONE = 1_500  # households: fewer than a batch takes need no second look
WRITTEN = tuple(
    f"credit_rating_{name}"
    for name in ("creditcase", "casedossier", "casemaker", "caseseen", "opinion", "creditline", "lineevent")
)


def hire(unit: OrgUnit, number: str, role: Role) -> Staff:
    """Somebody of a role who is in office."""
    found = Staff.objects.create(number=number, name=number.title(), unit=unit)
    RoleGrant.objects.create(
        staff=found, role=role, unit=unit, from_date=dt.date(2020, 1, 1), founding=True, status=GrantStatus.EFFECTIVE,
        proposed_at=timezone.now(), decided_at=timezone.now(),
    )  # fmt: skip
    return found


def signed(rural: Actor, campaign: Campaign, day: dt.date) -> list[Run]:
    """Zones of a rated campaign, each with its batch proposed by one and signed by another; the runs that wait."""
    with bank(rural.bank_id):
        head = OrgUnit.objects.get(code="HO")
        manager = hire(head, "collector", Role.RELATIONSHIP_MANAGER)
        signer = actor_for(hire(head, "signer", Role.BRANCH_MANAGER), day=day)
        Customer.objects.update(responsible=manager)
        numbers = list(Customer.objects.order_by("number").values_list("number", flat=True))
        runs = []
        for first in range(0, len(numbers), ZONE):
            zone, _count = zones.add_zone(
                rural, campaign_id=campaign.pk, name=f"Zone {first}", home_branch=head, region="",
                numbers=numbers[first : first + ZONE],
            )  # fmt: skip
            runs.append(_signed_zone(zone, actor_for(manager, day=day), signer, day))
        return runs


def _signed_zone(zone: CampaignZone, manager: Actor, signer: Actor, day: dt.date) -> Run:
    zones.take_zone(signer, zone_id=zone.pk, now=timezone.now())
    zones.give_zone(signer, zone_id=zone.pk, staff_id=manager.staff_id or 0, now=timezone.now(), today=day)
    made, _out = batches.propose_batch(manager, zone_id=zone.pk, today=day, now=timezone.now())
    seen = list_of(signer, CampaignBatch.objects.get(pk=made.pk), day).hash
    return batches.approve_batch(
        signer, batch_id=made.pk, seen=seen, text="Seen.", today=day, now=timezone.now()
    )[1]


def measure(rig: Rig, rural: Actor, campaign: Campaign, day: dt.date) -> Row:
    """The row, of a campaign that is rated."""
    runs, since = signed(rural, campaign, day), timezone.now()
    with Work() as work:
        ended = [run_to_end(run) for run in runs]
    with bank(rural.bank_id):
        count, sought = CreditLine.objects.count(), sum(run.rows_in for run in ended)
    if any(run.status != RunStatus.DONE for run in ended) or not count or count != sought:
        raise SystemExit(f"{NAME}: {count} lines of {sought}, {[run.error for run in ended if run.error]}")
    with rig.admin() as admin, admin.transaction():
        limit = copied(admin, rural.bank_id, since)
    note = (
        f"{1000 * work.spent.cpu / count:.1f} ms of processors a line, in {len(runs)} batches, one worker; the limit neither "
        "reckons nor checks anything"
    )
    return work_row(NAME, count, work.spent, limit, peak_mib=work.mib, note=note)


def copied(admin: psycopg.Connection[Any], bank_id: int, since: dt.datetime) -> Spent:
    """What SQL takes to write the rows of a bank's approved lines, and their record since a moment, once more."""
    for table in (*WRITTEN, "audit_entry"):
        admin.execute(f"CREATE TABLE again_{table} (LIKE {table} INCLUDING ALL)")
    with Work() as work:
        for table in WRITTEN:
            admin.execute(f"INSERT INTO again_{table} SELECT * FROM {table} WHERE bank_id = %s", [bank_id])
        admin.execute(
            "INSERT INTO again_audit_entry SELECT * FROM audit_entry WHERE bank_id = %s AND at >= %s",
            [bank_id, since],
        )
    for table in (*WRITTEN, "audit_entry"):
        admin.execute(f"DROP TABLE again_{table}")
    return work.spent
