"""Deliveries of customers through the ingest service against one hand-written upsert with the same derived rows.

The limit is what a person would write for this one file: read it, normalise nothing, check nothing; make sort key,
tokens, ciphertexts and blind indexes for the rows that need them; COPY into temporary tables; upsert what differs.
Both land in tables of the same shape, each in a bank of its own, with the audit triggers on.
"""

from __future__ import annotations

import csv
import datetime as dt
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from django.db import connection
from django.utils import timezone

from crm_site.accounts.banks import vault_of
from crm_site.accounts.models import Bank
from crm_site.lib.crypto import mask
from crm_site.lib.permissions import system_actor
from crm_site.lib.tenancy import act_as, bank
from customers.ingest.feeds import FEEDS
from customers.ingest.services import process_batch, receive, register
from customers.ingest.spool import spool
from customers.tokens import name_tokens, sort_key
from tests.bench.rows import Row, work_row
from tests.rig import Rig, Spent, Work

NAMES = ("ingest_new", "ingest_changed", "ingest_delta", "import_file")
HEAD = (
    "number",
    "name",
    "kind",
    "birth_date",
    "gender",
    "industry",
    "resident_id",
    "phone",
    "region",
    "address",
)
SURNAMES, GIVEN = "王李张刘陈杨黄赵吴周徐孙马朱胡", "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华建国文志"
UPLOAD = 200_000
WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def resident_id(number: int, born: dt.date) -> str:
    """An identity number with its check digit (GB 11643)."""
    body = f"330{number // 700_000 % 10}02{born:%Y%m%d}{number % 1000:03d}"
    return body + "10X98765432"[sum(int(d) * w for d, w in zip(body, WEIGHTS, strict=True)) % 11]


def rows_of_file(
    count: int, version: int, changed_every: int = 1, bad_every: int = 0
) -> Iterator[tuple[str, ...]]:
    """The file's rows; in version 1 every n-th customer has another phone, industry and address."""
    for n in range(count):
        turned = version and n % changed_every == 0
        born = dt.date(1950, 1, 1) + dt.timedelta(days=n * 7 % 18_000)
        name = SURNAMES[n % 15] + GIVEN[n // 15 % 28] + GIVEN[n // 420 % 28]
        kind = "robot" if bad_every and n % bad_every == 0 else "personal"
        yield (
            f"{n:09d}", name, kind, born.isoformat(), "FM"[n % 2], "6511" if turned else "5211", resident_id(n, born),
            f"+86139{(n + (50_000_000 if turned else 0)) % 100_000_000:08d}", "浙江省杭州市", f"清泰街{n % 900 + bool(turned)}号",
        )  # fmt: skip


def write(path: Path, rows: Iterable[Sequence[str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEAD)
        writer.writerows(rows)
    return path


def blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            yield block


def ours(bank_id: int, path: Path, *, upload: bool = False) -> tuple[Work, Any]:
    """From the first byte to the closed batch; an upload by the way the page takes."""
    with Work() as work, bank(bank_id):
        actor = system_actor(bank_id, "bench")
        act_as(actor)
        feed, now = FEEDS["customers"], timezone.now()
        if upload:
            spooled = spool(blocks(path), bank_id=bank_id)
            batch = register(
                actor=actor, feed=feed, spooled=spooled, content_format="csv", source="upload", now=now,
                mapping={name: name for name in HEAD},
            )  # fmt: skip
        else:
            batch = receive(actor=actor, feed=feed, chunks=blocks(path), source="api", now=now)
        batch = process_batch(batch.pk)
    return work, batch


STAGE = (
    "number text, name text, kind text, birth_date date, gender text, industry text, resident_index bytea, "
    "phone_index bytea, region text, address text"
)
FIELDS = ("name", "kind", "birth_date", "gender", "industry")


def by_hand(bank_id: int, path: Path) -> Spent:
    """The limit: what the same file takes into the bank's tables."""
    vault = vault_of(bank_id)
    with Work() as work, bank(bank_id), connection.cursor() as outer:
        act_as(system_actor(bank_id, "bench"))
        cursor: Any = outer.cursor

        def fill(table: str, columns: str, rows: Iterable[Sequence[Any]]) -> None:
            cursor.execute(f"CREATE TEMP TABLE {table} ({columns}) ON COMMIT DROP")
            with cursor.copy(f"COPY {table} FROM STDIN") as copy:
                for one in rows:
                    copy.write_row(one)
            cursor.execute(f"ANALYZE {table}")

        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.reader(file)
            next(reader)
            fill("hand", STAGE, (
                (*r[:6], vault.blind_index("resident_id", r[6]), vault.blind_index("phone", r[7]), *r[8:]) for r in reader
            ))  # fmt: skip
        params = {"bank": bank_id, "at": timezone.now()}
        differs = ", ".join(f"c.{name}" for name in FIELDS), ", ".join(f"h.{name}" for name in FIELDS)
        cursor.execute(
            f"""CREATE TEMP TABLE todo ON COMMIT DROP AS
            SELECT h.*, c.id, c.id IS NULL AS is_new, c.name IS DISTINCT FROM h.name AS renamed,
                i.blind_index IS DISTINCT FROM h.resident_index AS new_id, p.blind_index IS DISTINCT FROM h.phone_index AS new_phone,
                (a.region, a.line) IS DISTINCT FROM (h.region, h.address) AS moved, p.tail AS old_tail, p.blind_index AS old_phone
            FROM hand h LEFT JOIN customers_customer c ON c.bank_id = %(bank)s AND c.number = h.number
            LEFT JOIN customers_identifier i ON i.bank_id = %(bank)s AND i.customer_id = c.id AND i.scheme = 'resident_id'
            LEFT JOIN customers_contactpoint p ON p.bank_id = %(bank)s AND p.customer_id = c.id AND p.kind = 'phone' AND p.position = 1
            LEFT JOIN customers_address a ON a.bank_id = %(bank)s AND a.customer_id = c.id AND a.kind = 'home'
            WHERE c.id IS NULL OR ({differs[0]}) IS DISTINCT FROM ({differs[1]})
               OR i.blind_index IS DISTINCT FROM h.resident_index OR p.blind_index IS DISTINCT FROM h.phone_index
               OR (a.region, a.line) IS DISTINCT FROM (h.region, h.address)""",
            params,
        )
        cursor.execute(
            "UPDATE todo SET id = nextval(pg_get_serial_sequence('customers_customer', 'id')) WHERE is_new"
        )
        cursor.execute("ANALYZE todo")
        todo = {
            r[0]: r
            for r in cursor.execute("SELECT number, id, renamed, new_id, new_phone FROM todo").fetchall()
        }
        names, ids, phones, tokens = [], [], [], []
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.reader(file)
            next(reader)
            for r in reader:
                found = todo.get(r[0])
                if found is None:
                    continue
                _number, customer, renamed, new_id, new_phone = found
                if renamed:
                    names.append((customer, sort_key(r[1])))
                    tokens += [(customer, token, 1) for token in name_tokens(r[1])]
                    tokens.append((customer, f"#{r[0]}", 3))
                if new_id:
                    index = vault.blind_index("resident_id", r[6])
                    cipher = vault.encrypt(r[6], place="identifier.value", row=f"{r[0]}|resident_id")
                    ids.append((customer, cipher, index, mask(r[6])))
                    tokens.append((customer, f"x:{index.hex()}", 3))
                if new_phone:
                    index = vault.blind_index("phone", r[7])
                    cipher = vault.encrypt(r[7], place="contactpoint.value", row=f"{r[0]}|phone|1")
                    phones.append((customer, cipher, index, mask(r[7], head=6), r[7][-4:]))
                    tokens += [(customer, f"x:{index.hex()}", 3), (customer, f"t:{r[7][-4:]}", 3)]
        fill("n", "id bigint, name_sort text", names)
        fill("i", "id bigint, value bytea, blind_index bytea, masked text", ids)
        fill("p", "id bigint, value bytea, blind_index bytea, masked text, tail text", phones)
        fill("t", "id bigint, token text, weight smallint", tokens)
        has_old = cursor.execute("SELECT exists (SELECT 1 FROM todo WHERE NOT is_new)").fetchone()[0]
        for statement in LANDING:
            if has_old or "NOT t.is_new" not in statement:  # plans made on an empty table would never end
                cursor.execute(statement, params)
    return work.spent


LANDING = (
    """INSERT INTO customers_customer (bank_id, id, number, name, name_sort, kind, birth_date, gender, industry, size,
        is_prospect, status, is_related_party, is_excluded, source, source_as_of, occupation, employer, family_note,
        preference_note, needs_note, contact_language, home_branch_id)
    SELECT %(bank)s, id, number, name, name_sort, kind, birth_date, gender, industry, '', false, 'active', false, false,
        '', %(at)s, '', '', '', '', '', '', (SELECT o.id FROM accounts_orgunit o WHERE o.bank_id = %(bank)s AND o.parent_id IS NULL)
    FROM todo JOIN n USING (id) WHERE is_new""",
    """UPDATE customers_customer c SET name = t.name, kind = t.kind, birth_date = t.birth_date, gender = t.gender,
        industry = t.industry, source_as_of = %(at)s FROM todo t WHERE NOT t.is_new AND c.bank_id = %(bank)s AND c.id = t.id""",
    """INSERT INTO customers_standing (bank_id, customer_id, kind, home_branch_id, deposits_adb, deposits_balance, loans, aum,
        overdue_amount, days_past_due, value_tier, wealth_level, churn_bp, adb_previous, deposits_13)
    SELECT %(bank)s, id, kind, (SELECT o.id FROM accounts_orgunit o WHERE o.bank_id = %(bank)s AND o.parent_id IS NULL),
        0, 0, 0, 0, 0, 0, 0, 0, -1, 0, '{}' FROM todo WHERE is_new""",
    """DELETE FROM customers_searchtoken s USING todo t WHERE NOT t.is_new AND t.new_phone AND s.bank_id = %(bank)s
        AND s.customer_id = t.id AND s.token IN ('t:' || t.old_tail, 'x:' || encode(t.old_phone, 'hex'))""",
    """INSERT INTO customers_searchtoken (bank_id, customer_id, token, weight) SELECT %(bank)s, id, token, weight FROM t
    ON CONFLICT (bank_id, token, customer_id) DO NOTHING""",
    """INSERT INTO customers_identifier (bank_id, customer_id, scheme, value, blind_index, masked, source_as_of)
    SELECT %(bank)s, id, 'resident_id', value, blind_index, masked, %(at)s FROM i
    ON CONFLICT (bank_id, customer_id, scheme) DO UPDATE SET value = excluded.value, blind_index = excluded.blind_index,
        masked = excluded.masked, source_as_of = excluded.source_as_of""",
    """INSERT INTO customers_contactpoint (bank_id, customer_id, kind, position, value, blind_index, masked, tail, source_as_of)
    SELECT %(bank)s, id, 'phone', 1, value, blind_index, masked, tail, %(at)s FROM p
    ON CONFLICT (bank_id, customer_id, kind, position) DO UPDATE SET value = excluded.value,
        blind_index = excluded.blind_index, masked = excluded.masked, tail = excluded.tail, source_as_of = excluded.source_as_of""",
    """INSERT INTO customers_address (bank_id, customer_id, kind, region, line, source_as_of)
    SELECT %(bank)s, id, 'home', region, address, %(at)s FROM todo WHERE moved
    ON CONFLICT (bank_id, customer_id, kind) DO UPDATE SET region = excluded.region, line = excluded.line,
        source_as_of = excluded.source_as_of""",
)


def bare(rig: Rig, path: Path) -> float:
    """COPY of the file and an upsert of the rows that differ into a plain table: no derived rows, no row security."""
    columns = ", ".join(HEAD)
    sets = ", ".join(f"{name} = excluded.{name}" for name in HEAD[1:])
    with rig.admin() as admin:
        admin.execute(
            f"CREATE TABLE IF NOT EXISTS bench_bare ({', '.join(f'{name} text' for name in HEAD)}, PRIMARY KEY (number))"
        )
        admin.execute("DROP TABLE IF EXISTS bench_stage")
        admin.execute("CREATE UNLOGGED TABLE bench_stage (LIKE bench_bare)")
        begun = time.perf_counter()
        with admin.cursor().copy("COPY bench_stage FROM STDIN (FORMAT csv, HEADER)") as copy:
            for block in blocks(path):
                copy.write(block)
        admin.execute(
            f"INSERT INTO bench_bare AS b SELECT * FROM bench_stage ON CONFLICT (number) DO UPDATE SET {sets}"
            f" WHERE ROW(b.*) IS DISTINCT FROM ROW({', '.join(f'excluded.{name}' for name in columns.split(', '))})"
        )
        return time.perf_counter() - begun


def run(rig: Rig, customers: int, wanted: set[str]) -> Iterator[Row]:
    """Both banks get the same three files in order; the upload goes to banks of their own."""
    for code in ("ours", "hand", "upload", "uphand"):
        if not Bank.objects.filter(code=code).exists():
            rig.json("create_bank", code, "--name", code)
    found = {each.code: each.pk for each in Bank.objects.all()}
    folder = rig.data / "files"
    versions = {"ingest_new": (0, 1), "ingest_changed": (1, 1), "ingest_delta": (0, 50)}
    if wanted & set(versions):
        for name, (version, every) in versions.items():
            if name == "ingest_delta":  # from all changed: one in fifty goes on, the others stay
                rows: Iterable[tuple[str, ...]] = (
                    old if n % every == 0 else new
                    for n, (old, new) in enumerate(
                        zip(rows_of_file(customers, 0), rows_of_file(customers, 1), strict=True)
                    )
                )
            else:
                rows = rows_of_file(customers, version, every)
            path = write(folder / f"{name}.csv", rows)
            limit = by_hand(found["hand"], path)
            taken, batch = ours(found["ours"], path)
            plain = bare(rig, path)
            _vacuum(rig)
            if name in wanted:
                changed = batch.rows_inserted + batch.rows_updated
                yield work_row(name, customers, taken.spent, limit, aim=1.5, peak_mib=taken.mib,
                          note=f"{changed:,} rows landed; bare COPY + upsert {plain:.1f} s")  # fmt: skip
            path.unlink()
    if "import_file" in wanted:
        count = min(UPLOAD, customers)
        good = write(folder / "good.csv", rows_of_file(count, 0))
        limit = by_hand(found["uphand"], good)
        path = write(folder / "bad.csv", rows_of_file(count, 0, bad_every=100))
        taken, batch = ours(found["upload"], path, upload=True)
        yield work_row(
            "import_file",
            count,
            taken.spent,
            limit,
            aim=5.0,
            peak_mib=taken.mib,
            note=f"{batch.rows_rejected:,} rows rejected",
        )


def _vacuum(rig: Rig) -> None:
    """Both begin the next file with the same kind of tables."""
    with rig.admin() as admin:
        for table in ("customer", "standing", "searchtoken", "identifier", "contactpoint", "address"):
            admin.execute(f"VACUUM ANALYZE customers_{table}")
