"""A bank taken off the installation, wholly and at once; nothing of another bank is touched.

Runs as the owner of the tables: what is decided and the record can be deleted by nobody else.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from dataclasses import dataclass

from django.db import connection, transaction

from crm_site.accounts.banks import forget_banks
from crm_site.accounts.models import Bank, BankMove, MoveKind
from crm_site.audit.models import Action
from crm_site.audit.services import hold_seals, record, set_heads_aside
from crm_site.composition.moves.backing_up import bank_files, lock_bank, operator
from crm_site.composition.moves.catalogue import count_rows, one_line, quoted, read_catalogue
from crm_site.composition.moves.restoring import remove_files
from crm_site.jobs.models import UNFINISHED, Run
from crm_site.lib.errors import Conflict, DomainError
from crm_site.lib.permissions import system_actor
from crm_site.lib.tenancy import bank, moving

Show = Callable[[str, float], None]
# Web processes know a bank for five seconds (accounts.banks), and a page's own transaction is over soon.
PATIENCE_SECONDS = 7.0
FIRST = (
    "jobs_outbox",
    "jobs_chunk",
)  # what is in hand holds its row: wait for it, and nothing is taken any more


@dataclass(frozen=True)
class Removed:
    bank: str
    name: str
    customers: int
    rows: int
    files: int


def what_goes(of: Bank) -> Removed:
    """What a removal would take away."""
    with bank(of.pk):
        counts = count_rows((t for t in read_catalogue().tables if t.name != BankMove._meta.db_table), of.pk)
    customers = counts.get("customers_customer", 0)
    return Removed(of.code, of.name, customers, sum(counts.values()), len(bank_files(of.pk)))


def remove(of: Bank, *, now: dt.datetime, show: Show, patience: float = PATIENCE_SECONDS) -> Removed:
    """Close the bank, then delete it in one transaction: what fails leaves it closed and whole.

    Conflict while one of its runs is not finished or it is being backed up; DomainError for the platform's own bank.
    """
    if of.is_platform:
        raise DomainError("The platform itself cannot be removed.", code="platform")
    _refuse_while_jobs_run(of)
    if of.is_active:
        Bank.objects.filter(pk=of.pk).update(is_active=False)
        show("waiting for who is inside", 0.0)
        time.sleep(patience)
    files = len(bank_files(of.pk))
    with one_line(), transaction.atomic():
        Bank.objects.select_for_update().get(pk=of.pk)
        with bank(of.pk):
            lock_bank(of.pk, shared=False)
            hold_seals(of.pk)
            _refuse_while_jobs_run(of)
            counts = _delete(of, show)
        Bank.objects.filter(pk=of.pk).delete()
        done = Removed(of.code, of.name, counts.get("customers_customer", 0), sum(counts.values()), files)
        _note(of, done, now)
    forget_banks()
    remove_files(of.pk)
    set_heads_aside(of.code, now)
    return done


def _refuse_while_jobs_run(of: Bank) -> None:
    with bank(of.pk):
        run = Run.objects.filter(status__in=UNFINISHED).order_by("pk").first()
    if run is not None:
        raise Conflict(
            f"A job of the bank is not finished ({run.pipeline} of {run.business_date}): let it end, or cancel it.",
            code="jobs_run",
        )


def _delete(of: Bank, show: Show) -> dict[str, int]:
    """Children before parents, and once more while anything was written meanwhile. Returns rows by table."""
    tables = [table for table in reversed(read_catalogue().tables) if table.name != BankMove._meta.db_table]
    tables.sort(key=lambda table: table.name not in FIRST)
    counts: dict[str, int] = {}
    with connection.cursor() as cursor:
        cursor.execute(
            "insert into accounts_bankmove (bank_id, code, name, kind, at, done_by, rows, detail, xact, began) "
            "select id, code, name, 'remove', clock_timestamp(), %s, 0, 'gate', pg_current_xact_id()::text::bigint, now() "
            "from accounts_bank where id = %s",
            [operator(), of.pk],
        )
        with moving():
            cursor.execute(
                "delete from jobs_chunkprogress where chunk_id in (select id from jobs_chunk where bank_id = %s)",
                [of.pk],
            )
            for number, table in enumerate(tables):
                show(table.name, number / len(tables))
                cursor.execute(f"delete from {quoted([table.name])} where bank_id = %s", [of.pk])
                counts[table.name] = cursor.rowcount
        cursor.execute(
            "delete from accounts_bankmove where bank_id = %s and detail = 'gate' and kind = 'remove'",
            [of.pk],
        )
    left = count_rows(tables, of.pk)
    if left:
        raise Conflict(f"Somebody wrote into {min(left)} meanwhile: try again.", code="bank_busy")
    return counts


def _note(of: Bank, done: Removed, now: dt.datetime) -> None:
    """The trace outside the bank: the installation's journal, and the platform's own sealed record."""
    said = f"{done.customers} customers, {done.files} files"
    BankMove.objects.create(
        bank_id=of.pk, code=of.code, name=of.name, kind=MoveKind.REMOVE, at=now, done_by=operator(),
        rows=done.rows, detail=said,
    )  # fmt: skip
    platform = Bank.objects.filter(is_platform=True).first()
    if platform is not None:
        with bank(platform.pk):
            changes = {"code": of.code, "name": of.name, "rows": done.rows, "customers": done.customers}
            record(
                system_actor(platform.pk, "command remove_bank"),
                Action.REMOVE,
                Bank._meta.db_table,
                key=of.pk,
                changes={**changes, "files": done.files, "operator": operator()},
            )
