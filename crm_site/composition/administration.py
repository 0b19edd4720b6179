"""What an administrator and an operator must know in the morning: did the night finish, what failed, what waits."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Count, Q, Sum

from crm_site.accounts import selectors as accounts
from crm_site.accounts.models import Bank, Staff
from crm_site.accounts.versions import VersionStatus
from crm_site.jobs.models import LEFT, Chunk, Outbox, Run, RunStatus
from crm_site.lib.permissions import Actor, require
from crm_site.lib.tenancy import require_bank
from customers.models import Batch, BatchStatus, BusinessDay
from segmentation.models import TierPolicy

DAYS = 7
SHOWN = 8
DORMANT_DAYS = 90


@dataclass(frozen=True)
class Morning:
    """An administrator's morning. Counts of failures are of the last seven days.

    `late_feeds`: [{"feed", "last"}] of the newest business date. `rejected`: rows that deliveries left out.
    """

    night: Run | None
    late_feeds: list[dict[str, Any]]
    failed_runs: list[Run]
    failed_batches: list[Batch]
    rejected: int
    undelivered: int
    grants: int
    policies: int
    dormant: list[Staff]
    dormant_count: int
    drafts: int = field(default=0)


def morning(actor: Actor, now: dt.datetime) -> Morning:
    """The state of the actor's bank, in eleven statements whatever its size."""
    require(actor, "administration.read")
    since = now - dt.timedelta(days=DAYS)
    day = BusinessDay.objects.order_by("-business_date").first()
    batches = Batch.objects.filter(received_at__gte=since)
    policies = TierPolicy.objects.aggregate(
        proposed=Count("id", filter=Q(status=VersionStatus.PROPOSED)),
        drafts=Count("id", filter=Q(status=VersionStatus.DRAFT)),
    )
    dormant = accounts.dormant_staff(actor, now, DORMANT_DAYS)
    return Morning(
        night=Run.objects.filter(pipeline="nightly", whole=True).order_by("-id").first(),
        late_feeds=day.late_feeds if day else [],
        failed_runs=list(
            Run.objects.filter(status=RunStatus.FAILED, requested_at__gte=since).order_by("-id")[:SHOWN]
        ),
        failed_batches=list(
            batches.filter(status=BatchStatus.FAILED).order_by("-received_at", "-id")[:SHOWN]
        ),
        rejected=batches.aggregate(rows=Sum("rows_rejected"))["rows"] or 0,
        undelivered=Outbox.objects.filter(
            bank_id=require_bank(), relayed_at__isnull=True, tries__gt=1
        ).count(),
        grants=accounts.waiting_grants(actor).count(),
        policies=policies["proposed"],
        dormant=list(dormant.select_related("unit")[:SHOWN]),
        dormant_count=dormant.count(),
        drafts=policies["drafts"],
    )


@dataclass(frozen=True)
class BankState:
    """A bank as its operator sees it. `parked`: pieces of jobs that gave up; `waiting`: messages tried in vain."""

    bank: Bank
    parked: int
    waiting: int


def bank_states(actor: Actor) -> list[BankState]:
    """Every bank with what its jobs left undone: three statements, none of them on a bank's own rows."""
    banks = list(accounts.bank_list(actor).filter(is_platform=False))
    parked = dict(
        Chunk.objects.filter(done_at__isnull=True, due_at__isnull=True)
        .exclude(error=LEFT)
        .values_list("bank_id")
        .annotate(n=Count("id"))
    )
    waiting = dict(
        Outbox.objects.filter(relayed_at__isnull=True, tries__gt=1)
        .values_list("bank_id")
        .annotate(n=Count("id"))
    )
    return [BankState(bank, parked.get(bank.pk, 0), waiting.get(bank.pk, 0)) for bank in banks]
