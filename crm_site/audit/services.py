"""Writing the record by name (readings, exports, decisions), sealing it, verifying it."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection
from django.utils.translation import gettext as _

from crm_site.accounts.models import Bank
from crm_site.audit.models import Action
from crm_site.lib.permissions import Actor, require
from crm_site.lib.tenancy import bank, require_bank

log = logging.getLogger("banyan.audit")
GENESIS = bytes(32)
BLOCK = 20_000
_DIGEST = (
    "substr(sha256(convert_to(jsonb_build_array(id, extract(epoch from at), tx, actor_kind, actor_id, actor_label, "
    "address, request_id, run_id, action, object_table, object_id, customer_id, changes, reason)::text, 'UTF8')), "
    "1, 16)"
)


def record(
    actor: Actor,
    action: str,
    what: str,
    *,
    key: int | None = None,
    customer_id: int | None = None,
    reason: str = "",
    changes: Mapping[str, Any] | None = None,
) -> None:
    """Append an entry by name: a reading of something protected, an export, a decision, a sign-in.

    In the caller's transaction: no entry, no effect. `what`: a table name or a subject.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            with month as (select banyan_ensure_month('audit_entry', clock_timestamp()::date))
            insert into audit_entry (bank_id, at, tx, actor_kind, actor_id, actor_label, address, request_id, run_id,
                action, object_table, object_id, customer_id, changes, reason)
            select %s, clock_timestamp(), banyan_record_tx(), %s, %s, %s, %s, %s, %s, %s, %s, %s, %s,
                %s::jsonb, %s from month
            """,
            [
                require_bank(),
                "staff" if actor.staff_id else "client" if actor.client_id else "system",
                actor.staff_id,
                actor.label[:120],
                actor.address[:64],
                actor.request_id,
                actor.run_id,
                Action(action).value,
                what,
                key,
                customer_id,
                None if changes is None else json.dumps(changes, ensure_ascii=False, default=str),
                reason[:200],
            ],
        )


def _hash(previous: bytes, seq: int, tx_to: int, digests: bytes) -> bytes:
    return hashlib.sha256(previous + seq.to_bytes(8, "big") + tx_to.to_bytes(8, "big") + digests).digest()


def head_file(code: str) -> Path:
    """Where the heads of a bank's chain are kept besides: a line a seal, its number, hash and time."""
    return Path(settings.DATA_DIR) / "audit" / f"{code}.heads"


def seal(bank_id: int, now: dt.datetime) -> int:
    """Chain what has become final since the last seal; returns the number of entries sealed.

    Final = written by a transaction older than every one still running here. One sealer at a time per bank. The new
    heads are appended to a file outside the database after the commit: it may lag behind, never run ahead.
    """
    sealed, heads = 0, []
    with bank(bank_id), connection.cursor() as cursor:
        cursor.execute("select pg_try_advisory_xact_lock(hashtextextended('audit seal', %s))", [bank_id])
        if not cursor.fetchone()[0]:
            return 0
        shift = Bank.objects.filter(pk=bank_id).values_list("record_shift", flat=True).first()
        if shift is None:
            return 0  # it was removed a moment ago
        horizon = _final_before(cursor) + shift
        cursor.execute(
            "select seq, tx_to, hash from audit_seal where bank_id = %s order by seq desc limit 1", [bank_id]
        )
        seq, begin, previous = cursor.fetchone() or (0, 0, GENESIS)
        if horizon < begin:  # a dump of the whole database was restored on a younger server
            go_on_counting(bank_id)
        while begin < horizon:
            # A block ends between transactions, so that no transaction is split over two blocks.
            cursor.execute(
                "select tx from audit_entry where bank_id = %s and tx >= %s and tx < %s order by tx, id offset %s limit 1",
                [bank_id, begin, horizon, BLOCK],
            )
            over = cursor.fetchone()
            end = max(over[0], begin + 1) if over else horizon
            cursor.execute(
                f"select count(*), min(id), coalesce(string_agg({_DIGEST}, ''::bytea order by tx, id), ''::bytea) "
                "from audit_entry where bank_id = %s and tx >= %s and tx < %s",
                [bank_id, begin, end],
            )
            count, first_id, digests = cursor.fetchone()
            if count:
                seq += 1
                previous = _hash(bytes(previous), seq, end, bytes(digests))
                cursor.execute(
                    "insert into audit_seal (bank_id, seq, tx_from, tx_to, entries, first_id, digests, hash, sealed_at) "
                    "values (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
                    [bank_id, seq, begin, end, count, first_id, digests, previous, now],
                )
                heads.append(f"{seq} {previous.hex()} {now.isoformat()}\n")
                sealed += count
            begin = end
    if heads:
        append_heads(Bank.objects.get(pk=bank_id).code, heads)
    return sealed


def go_on_counting(bank_id: int) -> int:
    """Have the bank's next entries stand behind the record's end; by how much the count was raised, 0: it stands there.

    Call it before anybody works in the bank: what was recorded on a younger server until then stands among sealed
    entries, and verification says so. Safe to repeat, and while others work.
    """
    with bank(bank_id), connection.cursor() as cursor:
        cursor.execute("select record_shift from accounts_bank where id = %s for no key update", [bank_id])
        (shift,) = cursor.fetchone()
        cursor.execute(
            "select greatest((select tx_to from audit_seal where bank_id = %(bank)s order by seq desc limit 1),"
            " (select tx + 1 from audit_entry where bank_id = %(bank)s order by tx desc limit 1), 0)",
            {"bank": bank_id},
        )
        (end,) = cursor.fetchone()
        # Read after the entries: whoever has written one of those has a smaller number.
        cursor.execute("select pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
        (newest,) = cursor.fetchone()
        raised: int = max(0, end - (newest + shift))
        if raised:
            Bank.objects.filter(pk=bank_id).update(record_shift=shift + raised)
            log.warning("record_resumed", extra={"raised": raised})
    return raised


def hold_seals(bank_id: int) -> None:
    """Wait for a sealer of the bank, and keep others out until the end of the transaction."""
    with connection.cursor() as cursor:
        cursor.execute("select pg_advisory_xact_lock(hashtextextended('audit seal', %s))", [bank_id])


def _final_before(cursor: Any) -> int:
    """Transactions with a smaller id have ended, as far as this database goes.

    Not pg_snapshot_xmin: a transaction of another database on the same server would hold it back; nor do the server's
    own processes count (autovacuum has no user and writes no entry). Read in this order: what is newer than the first reading does not count, what is older and still runs holds its own lock.
    """
    cursor.execute("select pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
    newest: int = cursor.fetchone()[0]
    cursor.execute(
        "select l.transactionid::text::bigint from pg_locks l join pg_stat_activity a using (pid) "
        "where l.locktype = 'transactionid' and l.mode = 'ExclusiveLock' and l.granted "
        "and a.datname = current_database() and a.usesysid is not null and l.pid <> pg_backend_pid()"
    )
    epoch = newest >> 32 << 32
    running = [
        epoch + xid if epoch + xid <= newest else epoch + xid - (1 << 32) for (xid,) in cursor.fetchall()
    ]
    return min([newest, *running])


def append_heads(code: str, heads: list[str]) -> None:
    """Keep heads outside the database, each a line with its end."""
    path = head_file(code)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="ascii") as file:
        file.writelines(heads)
        file.flush()
        os.fsync(file.fileno())


def set_heads_aside(code: str, now: dt.datetime) -> None:
    """Keep the heads of a record that is gone under a name that no later record of its bank is measured by."""
    kept = head_file(code)
    if kept.exists():
        kept.rename(kept.with_name(f"{kept.name}.until-{now:%Y%m%dT%H%M%S}"))


@dataclass(frozen=True)
class Verdict:
    """Outcome of a verification: how much was checked and the first thing found broken ("" = intact), in words of who checks.

    `seals`: the number of the last seal that holds; `first`: of the first one that was checked.
    """

    seals: int
    entries: int
    unsealed: int
    broken: str = ""
    entry_id: int | None = None
    first: int = 1


def verify(bank_id: int, *, first: int = 1) -> Verdict:
    """Walk the chain from seal `first` on, by default the beginning; stops at the first entry or seal that is not as it
    was sealed.

    Found: changed, deleted, inserted, reordered or truncated entries; changed or removed seals (by the heads kept
    outside the table). A walk that begins later takes the seal before `first` as it stands, held against its kept head.
    """
    with bank(bank_id):
        before = _end_of(bank_id, first - 1)
    if before is None:
        return Verdict(first - 2, 0, 0, _("seal %s is missing") % (first - 1), first=first)
    return replace(_walk(bank_id, first, *before), first=first)


def _walk(bank_id: int, first: int, previous: bytes, begin: int) -> Verdict:
    """`previous`, `begin`: as `_end_of` says them of the seal before `first`."""
    with bank(bank_id):
        # Read first: the sealer appends to it while this walks, and a head is kept only after its seal.
        kept = list(kept_heads(Bank.objects.get(pk=bank_id).code))
        seals, entries = first - 1, 0
        chain = {seals: previous.hex()}
        for seq, tx_from, tx_to, count, digests, stored in _seals(bank_id, seals):
            if seq != seals + 1:
                return Verdict(seals, entries, 0, _("seal %s is missing") % (seals + 1))
            if tx_from < begin:
                return Verdict(seals, entries, 0, _("seal %s overlaps the one before") % seq)
            stray = _stray(bank_id, begin, tx_from)
            if stray is not None:
                return Verdict(
                    seals,
                    entries,
                    0,
                    _("entry %(entry)s was inserted before seal %(seal)s") % {"entry": stray, "seal": seq},
                    stray,
                )
            if _hash(previous, seq, tx_to, digests) != stored:
                return Verdict(seals, entries, 0, _("seal %s was changed") % seq)
            found = list(_entry_digests(bank_id, tx_from, tx_to))
            for position in range(max(count, len(found))):
                want = digests[position * 16 : position * 16 + 16]
                if position >= len(found):
                    return Verdict(
                        seals,
                        entries,
                        0,
                        _("an entry of seal %(seal)s was deleted (position %(place)s)")
                        % {"seal": seq, "place": position + 1},
                    )
                entry_id, got = found[position]
                if got != want:
                    return Verdict(
                        seals,
                        entries,
                        0,
                        _("entry %(entry)s of seal %(seal)s is not as it was sealed")
                        % {"entry": entry_id, "seal": seq},
                        entry_id,
                    )
                entries += 1
            previous, begin, seals = stored, tx_to, seq
            chain[seq] = stored.hex()
        for kept_seq, kept_hash in kept:
            if kept_seq > seals:
                return Verdict(
                    seals,
                    entries,
                    0,
                    _("the record ends at seal %(last)s, but seal %(made)s was made")
                    % {"last": seals, "made": kept_seq},
                )
            if chain.get(kept_seq, kept_hash) != kept_hash:
                return Verdict(seals, entries, 0, _("seal %s is not the one that was made") % kept_seq)
        with connection.cursor() as cursor:
            cursor.execute(
                "select count(*) from audit_entry where bank_id = %s and tx >= %s", [bank_id, begin]
            )
            unsealed = cursor.fetchone()[0]
    return Verdict(seals, entries, unsealed)


def check(actor: Actor, *, at_most: int) -> Verdict:
    """Verify the newest part of the record of the actor's bank, and record that this was done and what was found.

    `at_most`: of the newest seals as many as hold this many entries together, at least one.
    """
    require(actor, "audit.read")
    found = verify(actor.bank_id, first=_first_of(actor.bank_id, at_most))
    note_check(actor, found)
    return found


def note_check(actor: Actor, found: Verdict) -> None:
    """Put on the record that it was verified, from where to where and with which outcome."""
    outcome: dict[str, Any] = {"first_seal": found.first, "last_seal": found.seals, "entries": found.entries}
    if found.broken:
        outcome |= {"broken": found.broken, "entry": found.entry_id}
    with bank(actor.bank_id):
        record(actor, Action.CHECK, "audit_seal", changes=outcome)


def _first_of(bank_id: int, at_most: int) -> int:
    """The oldest of the newest seals that hold at most so many entries together; the newest one in any case."""
    with bank(bank_id), connection.cursor() as cursor:
        cursor.execute(
            "select coalesce(min(seq) filter (where held <= %s), max(seq), 1) from (select seq, sum(entries) over "
            "(order by seq desc) as held from (select seq, entries from audit_seal where bank_id = %s "
            "order by seq desc limit %s) newest) counted",
            [at_most, bank_id, at_most],
        )
        first: int = cursor.fetchone()[0]
    return first


def _end_of(bank_id: int, seq: int) -> tuple[bytes, int] | None:
    """Hash of a seal and the transaction before which it ends; of seal 0, where the chain begins. None: it is gone."""
    if seq == 0:
        return GENESIS, 0
    with connection.cursor() as cursor:
        cursor.execute("select hash, tx_to from audit_seal where bank_id = %s and seq = %s", [bank_id, seq])
        row = cursor.fetchone()
    return (bytes(row[0]), row[1]) if row else None


def _seals(bank_id: int, after: int) -> Iterator[tuple[int, int, int, int, bytes, bytes]]:
    while True:
        with connection.cursor() as cursor:
            cursor.execute(
                "select seq, tx_from, tx_to, entries, digests, hash from audit_seal "
                "where bank_id = %s and seq > %s order by seq limit 200",
                [bank_id, after],
            )
            rows = cursor.fetchall()
        if not rows:
            return
        for seq, tx_from, tx_to, count, digests, stored in rows:
            yield seq, tx_from, tx_to, count, bytes(digests), bytes(stored)
        after = rows[-1][0]


def _stray(bank_id: int, begin: int, end: int) -> int | None:
    """An entry between two seals, where none can be."""
    if begin == 0 or begin >= end:
        return None
    with connection.cursor() as cursor:
        cursor.execute(
            "select id from audit_entry where bank_id = %s and tx >= %s and tx < %s order by tx, id limit 1",
            [bank_id, begin, end],
        )
        row = cursor.fetchone()
    return row[0] if row else None


def _entry_digests(bank_id: int, begin: int, end: int) -> Iterator[tuple[int, bytes]]:
    with connection.cursor() as cursor:
        cursor.execute(
            f"select id, {_DIGEST} from audit_entry where bank_id = %s and tx >= %s and tx < %s order by tx, id",
            [bank_id, begin, end],
        )
        for entry_id, digest in cursor.fetchall():
            yield entry_id, bytes(digest)


def kept_heads(code: str) -> Iterator[tuple[int, str]]:
    """(number, hash) of each seal that was kept outside the database."""
    path = head_file(code)
    if not path.exists():
        return
    for line in path.read_text(encoding="ascii").splitlines():
        seq, digest, _at = line.split(" ")
        yield int(seq), digest
