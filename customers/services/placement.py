"""Where a customer's home branch and responsible person change: here alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction

from crm_site.lib.tenancy import require_bank


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a customer belongs: a home branch, and who is responsible (None: waits in the branch's queue)."""

    customer_id: int
    home_branch_id: int | None
    responsible_id: int | None


_ROWS = (
    "unnest(%s::bigint[], %s::bigint[], %s::bigint[]) as new (customer_id, home_branch_id, responsible_id)"
)
_CUSTOMER = f"""
    update customers_customer c set home_branch_id = new.home_branch_id, responsible_id = new.responsible_id
    from {_ROWS}
    where c.bank_id = %s and c.id = new.customer_id
      and (c.home_branch_id, c.responsible_id) is distinct from (new.home_branch_id, new.responsible_id)
"""
_STANDING = f"""
    update customers_standing s set home_branch_id = new.home_branch_id, responsible_id = new.responsible_id
    from {_ROWS}
    where s.bank_id = %s and s.customer_id = new.customer_id
      and (s.home_branch_id, s.responsible_id) is distinct from (new.home_branch_id, new.responsible_id)
"""


def place_customers(bank_id: int, rows: Iterable[Placement]) -> int:
    """Give customers their home branch and responsible person; Customer and Standing stay equal.

    Set-based, one statement for each table, and safe to repeat. The caller (relationship) has checked who may
    decide it. Returns how many customers changed. Raises IntegrityError for a branch or a person of another
    bank, ValueError when `bank_id` is not the active bank.
    """
    if bank_id != require_bank():
        raise ValueError(f"bank {bank_id} is not the active one")
    given = list({row.customer_id: row for row in rows}.values())
    if not given:
        return 0
    params: list[Any] = [
        [row.customer_id for row in given],
        [row.home_branch_id for row in given],
        [row.responsible_id for row in given],
        bank_id,
    ]
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_CUSTOMER, params)
        changed = cursor.rowcount
        cursor.execute(_STANDING, params)
    return changed
