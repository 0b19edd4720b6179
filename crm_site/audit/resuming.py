"""The record of a database that was restored as a whole: it goes on behind its end, on a server that counts anew.

pg_dump and pg_restore bring the rows and the seals, not the server's count of transactions, by which the record is
ordered and sealed. On a younger server `Bank.record_shift` is raised, as when one bank is put back (decision 0009).
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django.db import connection, connections

from crm_site.accounts.models import Bank
from crm_site.audit.services import append_heads, go_on_counting, head_file, kept_heads, set_heads_aside
from crm_site.lib.errors import DomainError
from crm_site.lib.tenancy import bank


@dataclass(frozen=True)
class Resumed:
    """`raised`: by how much the count of transactions was raised, 0: it had not to be. `lost_seals`: seals that were
    kept outside the database and are newer than it."""

    bank: str
    raised: int
    lost_seals: int


def resume(bank_id: int, now: dt.datetime) -> Resumed:
    """Have a bank's record go on, and the heads kept outside follow the database: those newer than it are set aside and
    counted.

    Raises DomainError when a kept head contradicts the record; nothing is changed then.
    """
    with bank(bank_id):
        code = Bank.objects.get(pk=bank_id).code
        with connection.cursor() as cursor:
            cursor.execute(
                "select seq, encode(hash, 'hex'), sealed_at from audit_seal where bank_id = %s order by seq",
                [bank_id],
            )
            seals = {seq: (digest, at) for seq, digest, at in cursor.fetchall()}
    lost = 0
    for seq, digest in kept_heads(code):
        if seq in seals and seals[seq][0] != digest:
            raise DomainError(
                f"Seal {seq} of the record of {code} is not the one kept in {head_file(code)}: the dump is of another "
                "installation, or the record was tampered with before it was made. Nothing was changed.",
                code="other_record",
            )
        lost += seq not in seals
    raised = go_on_counting(bank_id)
    if lost:
        set_heads_aside(code, now)
        append_heads(code, [f"{seq} {digest} {at.isoformat()}\n" for seq, (digest, at) in seals.items()])
    return Resumed(code, raised, lost)


def resume_counting(sender: Any, using: str, **kwargs: Any) -> None:
    """post_migrate: every start migrates first, so a restored database counts on before anybody works in it."""
    with connections[using].cursor() as cursor:
        cursor.execute(
            "select 1 from information_schema.columns where table_schema = 'public' and table_name = 'accounts_bank' "
            "and column_name = 'record_shift' and to_regclass('audit_seal') is not null"
        )
        if using != connection.alias or cursor.fetchone() is None:
            return
        cursor.execute("select id from accounts_bank order by id")
        banks = [row[0] for row in cursor.fetchall()]
    for bank_id in banks:
        go_on_counting(bank_id)
