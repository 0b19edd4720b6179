"""A bank out of its backup: under its own code after a disaster, or beside the original under another one.

One transaction: the bank is there whole when it commits, or nothing of it is. Ids stay what they were within the bank;
the bank's own id is new, and so is the number in the names of its files' folders.
"""

from __future__ import annotations

import datetime as dt
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import IntegrityError, connection, transaction

from crm_site.accounts.banks import forget_banks
from crm_site.accounts.models import Bank
from crm_site.accounts.services.founding import bank_faults
from crm_site.audit.models import Action
from crm_site.audit.services import append_heads, head_file, kept_heads, record, set_heads_aside, verify
from crm_site.composition.moves.archive import Reader, broken
from crm_site.composition.moves.backing_up import FACTS, lock_bank, operator
from crm_site.composition.moves.catalogue import (
    FILE_COLUMN,
    OF_THE_ORIGINAL,
    Catalogue,
    Table,
    ensure_months,
    migrations,
    one_line,
    quoted,
    read_catalogue,
)
from crm_site.lib.crypto import master_key, rewrapped
from crm_site.lib.errors import Conflict, DomainError
from crm_site.lib.permissions import system_actor
from crm_site.lib.postgres.statistics import analyze
from crm_site.lib.tenancy import bank, moving

Show = Callable[[str, float], None]
PAGES = 8_192  # 64 MiB of a table in one statement: what the checks of its keys remember stays small
MANY = 1_000  # rows from which on the planner is told
_FILE = re.compile(r"[a-z_-]{1,40}/[0-9a-zA-Z_.-]{1,80}")


@dataclass(frozen=True)
class Restored:
    """`lost_seals`: seals of the record that were kept outside the database and are newer than the backup.
    `record`: "intact", or what the chain's verification found."""

    bank: str
    host: str
    made_at: str
    tables: int
    rows: int
    files: int
    lost_seals: int
    record: str


def restore(path: Path, *, code: str, host: str, now: dt.datetime, show: Show) -> Restored:
    """Put a bank back; `code` "" means its own, `host` "" the one it had (a copy's: CODE.localhost).

    Everything is checked before anything is written. Raises DomainError.
    """
    _sweep()
    with Reader(path) as backup:
        its = backup.facts["bank"]
        is_copy = code not in ("", its["code"])
        code = code or its["code"]
        host = host or (f"{code}.localhost" if is_copy else its["host"])
        _refuse(backup, code, host, is_copy=is_copy)
        catalogue = read_catalogue()
        _same_shape(backup, catalogue)
        backup.verify(show)
        lost = 0 if is_copy else _later_seals(backup, code)
        ensure_months((t["name"], month) for t in backup.facts["tables"] for month in t["months"])
        with one_line():
            made = _put_back(backup, catalogue, code, host, show, is_copy=is_copy, lost=lost)
        forget_banks()
        _keep_heads(code, backup, now)
        many = {t["name"] for t in backup.facts["tables"] if t["rows"] >= MANY}
        for table in sorted(many - catalogue.parents):
            show("telling the planner", 1.0)
            analyze([table])
        verdict = verify(made.pk)
        return Restored(
            code,
            host,
            backup.facts["made_at"],
            len(backup.facts["tables"]),
            sum(t["rows"] for t in backup.facts["tables"] if not (is_copy and t["name"] in OF_THE_ORIGINAL)),
            len(backup.facts["files"]),
            lost,
            verdict.broken or "intact",
        )


def _refuse(backup: Reader, code: str, host: str, *, is_copy: bool) -> None:
    its = backup.facts["bank"]
    here, there = set(migrations()), set(backup.facts["migrations"])
    if here != there:
        odd = min(here ^ there)
        where = "here" if odd in here else "where the backup was made"
        raise DomainError(
            f"The backup is of another version: {odd} was applied {where} only ({len(here ^ there)} differ). "
            "Restore with the version that made it, then upgrade.",
            code="other_version",
        )
    faults = bank_faults(
        code=code, name=its["name"], host=host, currency=its["currency"], timezone=its["timezone"]
    )
    if faults:
        raise DomainError(" ".join(faults.values()), code="bank_facts")
    if its["is_platform"] and (is_copy or Bank.objects.filter(is_platform=True).exists()):
        raise Conflict("An installation has one platform.", code="platform")
    if Bank.objects.filter(code=code).exists():
        raise Conflict(
            f"There is a bank {code}: remove it first, or restore beside it with --as.", code="bank_exists"
        )
    if Bank.objects.filter(host=host).exists():
        raise Conflict(f"Another bank answers at {host}: name another host with --host.", code="bank_exists")


def _same_shape(backup: Reader, catalogue: Catalogue) -> None:
    found = {t["name"]: tuple(t["columns"]) for t in backup.facts["tables"]}
    if found != {table.name: table.carried for table in catalogue.carried}:
        raise broken("its tables are not those of this version")
    if not all(_FILE.fullmatch(name) and ".." not in name for name in backup.facts["files"]):
        raise broken("a file has no proper name")


def _put_back(
    backup: Reader, catalogue: Catalogue, code: str, host: str, show: Show, *, is_copy: bool, lost: int
) -> Bank:
    its, facts = backup.facts["bank"], backup.facts
    rows = {t["name"]: t["rows"] for t in facts["tables"]}
    wrapped = backup.wrapped_key
    if is_copy:
        wrapped = rewrapped(wrapped, master_key(settings.MASTER_KEY), bank_code=its["code"], new_code=code)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("select pg_current_xact_id()::text::bigint")
        shift = max(0, facts["record"]["ends_before"] - cursor.fetchone()[0])
        made = Bank(
            **{name: its[name] for name in FACTS}
            | ({"name": f"{its['name']} ({code})"[:120]} if is_copy else {}),
            code=code,
            host=host,
            business_date=its["business_date"],
            data_as_of=its["data_as_of"],
            created_at=its["created_at"],
            wrapped_key=wrapped,
            sealed_as=its["sealed_as"],
            record_shift=shift,
        )
        try:
            made.save()  # waits for another restore of this code to end
        except IntegrityError as error:
            raise Conflict(f"A bank with code {code} or host {host} exists.", code="bank_exists") from error
        lock_bank(made.pk, shared=False)
        with bank(made.pk), _folders(made.pk) as put_file:
            said = f"{its['code']} as of {facts['made_at'][:16]}"
            cursor.execute(
                "select banyan_begin_restore(%s, %s, %s, %s)", [made.pk, operator(), sum(rows.values()), said]
            )
            cursor.execute(f"set constraints {quoted(catalogue.own_keys)} deferred")
            with moving():
                done, whole = 0, sum(rows.values()) or 1
                for table in catalogue.carried:
                    if not (is_copy and table.name in OF_THE_ORIGINAL) and rows[table.name]:
                        show(table.name, done / whole)
                        _fill(cursor, backup, table, rows[table.name], old_id=its["id"], new_id=made.pk)
                        if table.name in catalogue.parents and rows[table.name] >= MANY:
                            analyze([table.name])  # before its children are checked against it
                    done += rows[table.name]
            for name in facts["files"]:
                put_file(name, backup.blocks(f"files/{name}"))
            changes = {"backup_of": its["code"], "made_at": facts["made_at"], "operator": operator()}
            record(
                system_actor(made.pk, "command restore_bank"),
                Action.RESTORE,
                Bank._meta.db_table,
                key=made.pk,
                changes={**changes, "rows": sum(rows.values()), "lost_seals": lost},
            )
    return made


def _fill(cursor: Any, backup: Reader, table: Table, rows: int, *, old_id: int, new_id: int) -> None:
    """One table: COPY into a temporary one (row security refuses COPY), then by pieces where it belongs."""
    columns, name = quoted(table.carried), quoted([table.name])
    cursor.execute(f"create temp table moved on commit drop as select {columns} from {name} with no data")
    with cursor.copy(f"copy moved ({columns}) from stdin") as copy:
        for block in backup.blocks(f"tables/{table.name}"):
            copy.write(block)
    values = ", ".join(
        rf"regexp_replace({FILE_COLUMN}, '^([^/]+)/{int(old_id)}/', '\1/{int(new_id)}/')"
        if column == FILE_COLUMN
        else quoted([column])
        for column in table.carried
    )
    cursor.execute("select pg_relation_size('moved') / current_setting('block_size')::int")
    pages, written = cursor.fetchone()[0], 0
    for first in range(0, pages, PAGES):
        cursor.execute(
            f"insert into {name} (bank_id, {columns}) select {int(new_id)}, {values} from moved "
            "where ctid >= %s::tid and ctid < %s::tid",
            [f"({first},0)", f"({first + PAGES},0)"],
        )
        written += cursor.rowcount
    cursor.execute("drop table moved")
    if written != rows:
        raise broken(f"{table.name} has {written} rows, not {rows}")
    _beyond(cursor, table, new_id)


def _beyond(cursor: Any, table: Table, bank_id: int) -> None:
    """Draw the table's sequence past the ids that came with the bank, number by number: other banks draw meanwhile."""
    if "id" not in table.carried:
        return
    cursor.execute("select pg_get_serial_sequence(%s, 'id')", [table.name])
    sequence = cursor.fetchone()[0]
    if sequence is None:
        return
    cursor.execute(
        f"select count(nextval('{sequence}')) from {sequence} s, lateral generate_series("
        f"s.last_value + s.is_called::int, (select max(id) from {quoted([table.name])} where bank_id = %s))",
        [bank_id],
    )


def _later_seals(backup: Reader, code: str) -> int:
    """How many seals were kept outside the database that the backup does not have. DomainError when they contradict."""
    columns = next(t["columns"] for t in backup.facts["tables"] if t["name"] == "audit_seal")
    seq_at, hash_at = columns.index("seq"), columns.index("hash")
    rows = (line.split("\t") for line in backup.lines("tables/audit_seal"))
    seals = {int(row[seq_at]): row[hash_at].removeprefix("\\\\x") for row in rows}
    lost = 0
    for seq, digest in kept_heads(code):
        if seals.get(seq, digest) != digest:
            raise DomainError(
                f"Seal {seq} of the backup's record is not the one kept in {head_file(code)}: the backup is of "
                "another bank, or the record was tampered with before it was made. Nothing was restored.",
                code="other_record",
            )
        lost += seq not in seals
    return lost


def _keep_heads(code: str, backup: Reader, now: dt.datetime) -> None:
    set_heads_aside(code, now)
    at = backup.facts["made_at"]
    append_heads(code, [f"{seq} {digest} {at}\n" for seq, digest in backup.facts["record"]["heads"]])


@contextmanager
def _folders(bank_id: int) -> Iterator[Callable[[str, Iterator[bytes]], None]]:
    """Writes the bank's files; takes all of them away again when the block fails."""
    root = Path(settings.MEDIA_ROOT)
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    marker = root / f".restoring-{bank_id}"
    marker.touch()

    def put(name: str, blocks: Iterator[bytes]) -> None:
        folder, _slash, file_name = name.partition("/")
        path = root / folder / str(bank_id) / file_name
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.writelines(blocks)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            text = f"The bank's files cannot be written, nothing was restored: {error.strerror} ({path})."
            raise DomainError(text, code="file") from error

    try:
        yield put
    except BaseException:
        remove_files(bank_id)
        marker.unlink(missing_ok=True)
        raise
    transaction.on_commit(lambda: marker.unlink(missing_ok=True))


def remove_files(bank_id: int) -> int:
    """Take the bank's folders away; returns how many files."""
    count = 0
    for folder in Path(settings.MEDIA_ROOT).glob(f"*/{bank_id}"):
        count += sum(1 for path in folder.iterdir() if path.is_file())
        shutil.rmtree(folder)
    return count


def _sweep() -> None:
    """Files of a restore that was killed: its bank never came to be."""
    for marker in Path(settings.MEDIA_ROOT).glob(".restoring-*"):
        bank_id = int(marker.name.rpartition("-")[2])
        with transaction.atomic():
            try:
                lock_bank(bank_id, shared=False)
            except Conflict:
                continue  # it is being restored right now
            if not Bank.objects.filter(pk=bank_id).exists():
                remove_files(bank_id)
            marker.unlink(missing_ok=True)
