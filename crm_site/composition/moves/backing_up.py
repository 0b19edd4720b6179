"""One bank into one file, as it stands at one moment, while everybody works on."""

from __future__ import annotations

import base64
import datetime as dt
import getpass
import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.forms.models import model_to_dict

from crm_site.accounts.models import Bank, BankMove, MoveKind
from crm_site.audit.models import Action
from crm_site.audit.services import kept_heads, record
from crm_site.composition.moves.archive import Writer, opens, whole_file
from crm_site.composition.moves.catalogue import (
    OF_THE_ORIGINAL,
    Table,
    ensure_months,
    migrations,
    months_of,
    one_line,
    quoted,
    read_catalogue,
)
from crm_site.lib.errors import Conflict, DomainError
from crm_site.lib.permissions import system_actor
from crm_site.lib.tenancy import bank

Show = Callable[[str, float], None]
# What of a bank's own row goes along; its id, code and host are given where it is put back.
FACTS = ("name", "currency", "timezone", "language", "is_active", "is_platform")


@dataclass(frozen=True)
class BackedUp:
    bank: str
    file: str
    bytes: int
    tables: int
    rows: int
    files: int


def operator() -> str:
    """Who gives the command: user and machine."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        user = f"uid {os.getuid()}"
    return f"{user}@{socket.gethostname()}"[:120]


def lock_bank(bank_id: int, *, shared: bool) -> None:
    """Backups of a bank bear each other, its removal bears none. Until the end of the transaction; Conflict when taken."""
    call = "pg_try_advisory_xact_lock_shared" if shared else "pg_try_advisory_xact_lock"
    with connection.cursor() as cursor:
        cursor.execute(f"select {call}(hashtextextended('bank move', %s))", [bank_id])
        if not cursor.fetchone()[0]:
            text = "being removed" if shared else "being backed up"
            raise Conflict(f"The bank is {text} right now.", code="bank_busy")


def back_up(of: Bank, target: Path, *, now: dt.datetime, show: Show) -> BackedUp:
    """Write the bank into `target`, which must not exist. Raises DomainError; then nothing stands there.

    One read-only transaction sees every table as it was when it began, and nobody waits for it.
    """
    if not opens(bytes(of.wrapped_key), of.code):
        text = (
            "The bank's key does not open with this BANYAN_MASTER_KEY: such a backup could never be restored."
        )
        raise DomainError(text, code="master_key")
    ensure_months(())
    with one_line(), whole_file(target) as file:
        writer = Writer(file)
        try:
            with transaction.atomic():
                with connection.cursor() as cursor:
                    cursor.execute("set transaction isolation level repeatable read, read only")
                with bank(of.pk):
                    done = _write(of, writer, now, show)
        except BaseException:
            writer.abandon()
            raise
        rows = sum(table["rows"] for table in done["tables"])
        with bank(of.pk):  # no record, no backup: the file gets its name after this
            said = {"rows": rows, "files": len(done["files"]), "operator": operator()}
            record(
                system_actor(of.pk, "command backup_bank"),
                Action.BACKUP,
                Bank._meta.db_table,
                key=of.pk,
                changes=said,
            )
            BankMove.objects.create(
                bank_id=of.pk,
                code=of.code,
                name=of.name,
                kind=MoveKind.BACKUP,
                at=now,
                done_by=operator(),
                rows=rows,
                detail=target.name[:200],
            )
    return BackedUp(
        of.code, str(target), target.stat().st_size, len(done["tables"]), rows, len(done["files"])
    )


def _write(of: Bank, writer: Writer, now: dt.datetime, show: Show) -> dict[str, Any]:
    lock_bank(of.pk, shared=True)
    row = Bank.objects.get(pk=of.pk)
    catalogue = read_catalogue()
    tables, total = [], len(catalogue.carried)
    with connection.cursor() as cursor:
        for number, table in enumerate(catalogue.carried):
            entry = writer.member(f"tables/{table.name}", _rows(table, row.pk, show, number / total))
            months = months_of(cursor, table, row.pk) if table.by else []
            tables.append(
                {"name": table.name, "columns": table.carried, "rows": entry["lines"], "months": months}
            )
        cursor.execute("select max(tx) + 1 from audit_entry where bank_id = %s", [row.pk])
        after_entries = cursor.fetchone()[0] or 0
        cursor.execute("select max(tx_to), max(seq) from audit_seal where bank_id = %s", [row.pk])
        after_seals, newest = cursor.fetchone()
    files = []
    for path in bank_files(row.pk):
        folder = path.parent.parent.name
        try:
            file = path.open("rb")
        except FileNotFoundError:
            continue  # expired since the transaction began; its row, as it is now, names no file
        with file:
            show("files", 1.0)
            writer.member(f"files/{folder}/{path.name}", file)
        files.append(f"{folder}/{path.name}")
    facts = {
        "made_at": now.isoformat(),
        "bank": {
            "id": row.pk,
            "code": row.code,
            "host": row.host,
            "sealed_as": row.sealed_as or row.pk,
            "wrapped_key": base64.b64encode(bytes(row.wrapped_key)).decode(),
            "business_date": row.business_date and row.business_date.isoformat(),
            "data_as_of": row.data_as_of and row.data_as_of.isoformat(),
            "created_at": row.created_at.isoformat(),
            **model_to_dict(row, FACTS),
        },
        "migrations": migrations(),
        "tables": tables,
        "files": files,
        "record": {
            "ends_before": max(after_entries, after_seals or 0),
            "heads": [head for head in kept_heads(row.code) if head[0] <= (newest or 0)],
        },
        "only_under_its_code": sorted(OF_THE_ORIGINAL),
    }
    writer.close(facts)
    return facts


def _rows(table: Table, bank_id: int, show: Show, share: float) -> Iterator[bytes]:
    """COPY's text, a row a line; a line break within a value is escaped."""
    columns = quoted(table.carried)
    query = f"COPY (SELECT {columns} FROM {quoted([table.name])} WHERE bank_id = {int(bank_id)}{table.only}) TO STDOUT"
    with connection.cursor() as cursor, cursor.copy(query) as copy:
        yield from copy
        show(table.name, share)


def bank_files(bank_id: int) -> list[Path]:
    """The bank's files on disk, wherever an app keeps them: MEDIA_ROOT/folder/bank/name."""
    return sorted(path for path in Path(settings.MEDIA_ROOT).glob(f"*/{bank_id}/*") if path.is_file())
