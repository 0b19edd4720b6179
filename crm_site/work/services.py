"""What is done with tasks and notifications."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.db import connection
from django.utils import timezone

from crm_site.work.models import Notification


def notify(staff_ids: Iterable[int], code: str, params: Mapping[str, Any], url: str = "") -> None:
    """Tell people something in their inbox."""
    Notification.objects.bulk_create(
        Notification(staff_id=staff_id, code=code, params=dict(params), url=url, created_at=timezone.now())
        for staff_id in staff_ids
    )


def reassign_tasks(bank_id: int, owners: Mapping[int, int]) -> int:
    """Open tasks of customers go along to the customers' new owners (customer id -> staff id)."""
    with connection.cursor() as cursor:
        cursor.execute(
            "update work_task t set owner_id = n.owner_id"
            " from unnest(%s::bigint[], %s::bigint[]) as n (customer_id, owner_id)"
            " where t.bank_id = %s and t.customer_id = n.customer_id and t.status = 'open'"
            " and t.owner_id is distinct from n.owner_id",
            [list(owners), list(owners.values()), bank_id],
        )
        return int(cursor.rowcount)
