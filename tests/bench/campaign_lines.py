"""A signed campaign's job: cases made and approved, lines opened, against SQL that writes the same rows once more.

The SQL goes the same way under the same guards, keys and record, a statement a table for all lines at once; but it copies
what the job has found: it reads no customer, reckons, hashes and decides nothing, and leaves ratings and members alone.
"""

from __future__ import annotations

import datetime as dt
import json
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
    runs = signed(rural, campaign, day)
    with Work() as work:
        ended = [run_to_end(run) for run in runs]
    with bank(rural.bank_id):
        count, sought = CreditLine.objects.count(), sum(run.rows_in for run in ended)
    if any(run.status != RunStatus.DONE for run in ended) or not count or count != sought:
        raise SystemExit(f"{NAME}: {count} lines of {sought}, {[run.error for run in ended if run.error]}")
    with rig.admin() as admin:
        limit = written_again(admin, rural.bank_id, rural.staff_id or 0)
    note = (
        f"{1000 * work.spent.cpu / count:.1f} ms of processors a line, in {len(runs)} batches, one worker; the limit reads, "
        "reckons and decides nothing"
    )
    return work_row(NAME, count, work.spent, limit, peak_mib=work.mib, note=note)


# table -> what of a row that is written once more is another's; every other column as it is.
WRITTEN: dict[str, dict[str, str]] = {
    "creditcase": {
        "serial": "serial + %(off)s", "status": "'draft'", "round": "0", "dossier_hash": "''", "seen_hash": "''",
        "line_id": "NULL", "closed_at": "NULL",
    },
    "casedossier": {"case_id": "case_id + %(off)s"},
    "casemaker": {"case_id": "case_id + %(off)s"},
    "caseseen": {"case_id": "case_id + %(off)s"},
    "opinion": {"case_id": "case_id + %(off)s"},
    "creditline": {
        "serial": "serial + %(off)s", "case_id": "case_id + %(off)s", "terms_case_id": "terms_case_id + %(off)s",
    },
    "lineevent": {"line_id": "line_id + %(off)s", "case_id": "case_id + %(off)s"},
}  # fmt: skip
OFF = 10_000_000
CHANGE = """UPDATE credit_rating_creditcase n SET {changes} FROM credit_rating_creditcase o
    WHERE n.bank_id = %(bank)s AND o.bank_id = n.bank_id AND n.id = o.id + %(off)s"""


def written_again(admin: psycopg.Connection[Any], bank_id: int, actor: int) -> Spent:
    """What SQL takes to make and approve a bank's cases and open their lines once more, a statement a table; undone."""
    given = {"bank": bank_id, "off": OFF}
    with admin.transaction(force_rollback=True):
        admin.execute("SELECT set_config('app.bank_id', %s, true)", [str(bank_id)])
        who = {"kind": "staff", "id": actor, "label": "bench"}
        admin.execute("SELECT set_config('app.actor', %s, true)", [json.dumps(who)])
        with Work() as work:
            for table in ("creditcase", "casedossier", "casemaker"):
                _again(admin, table, given)
            bound = "status = 'branch', round = o.round, dossier_hash = o.dossier_hash"
            admin.execute(CHANGE.format(changes=bound), given)
            for table in ("caseseen", "opinion", "creditline", "lineevent"):
                _again(admin, table, given)
            ended = "status = o.status, seen_hash = o.seen_hash, closed_at = o.closed_at, line_id = o.line_id + %(off)s"
            admin.execute(CHANGE.format(changes=ended), given)
    return work.spent


def _again(admin: psycopg.Connection[Any], name: str, given: dict[str, int]) -> None:
    table, changed = f"credit_rating_{name}", {"id": "id + %(off)s", **WRITTEN[name]}
    found = admin.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
        [table],
    ).fetchall()
    columns = [column for (column,) in found]
    values = ", ".join(changed.get(column, column) for column in columns)
    admin.execute(
        f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values} FROM {table} WHERE bank_id = %(bank)s",
        given,
    )
