"""People's imports: upload, map columns, try out, import, undo. The rules for rows are the ingest service's own."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from django.db import connection
from django.db.models.functions import Now
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from openpyxl.utils import get_column_letter

from crm_site.audit.subjects import NAMES as SUBJECT_NAMES
from crm_site.lib.crypto import mask
from crm_site.lib.encodings import GB18030, Decoder, NotText, say_neither
from crm_site.lib.errors import Conflict, DomainError
from crm_site.lib.permissions import Actor, require
from crm_site.lib.tenancy import act_as, require_bank
from customers.ingest.feeds import FEEDS, Feed
from customers.ingest.jobs import start
from customers.ingest.reading import CSV, XLSX, check_header, check_workbook, preview, told_apart
from customers.ingest.services import register
from customers.ingest.spool import GZIP_MAGIC, ZIP_MAGIC, Refused, Spooled, WrongEncoding, discard, spool
from customers.models import Customer
from customers.models.ingest import Batch, BatchStatus, ColumnMapping, RowChange
from customers.tokens import name_tokens

SAMPLE_ROWS = 3
MOST_CONFLICTS = 200
# Rows that exist only because of their customer: they go and come with it.
UNWRITTEN = ("customers_searchtoken", "customers_standing")  # worked out: nobody writes them
DERIVED = (*UNWRITTEN, "customers_identifier", "customers_contactpoint", "customers_address")
NOT_COMPARED = ["source_as_of", "changed_at"]


class UploadedFile(Protocol):
    name: str | None

    def chunks(self) -> Iterator[bytes]: ...

    def seek(self, offset: int, /) -> Any: ...


def upload(actor: Actor, *, feed: Feed, file: UploadedFile, now: dt.datetime) -> Batch:
    """Take in a person's file as a delivery to be tried out, its columns not mapped yet.

    CSV in UTF-8, or in GB18030 as spreadsheets save it in China; Excel workbooks (.xlsx). Raises Refused.
    """
    require(actor, "import.upload")
    if not feed.is_uploadable:
        raise DomainError(_("This feed comes from core banking alone."), code="not_uploadable")
    spooled, content_format = _take_in(actor.bank_id, file)
    try:
        headers, _samples = preview(spooled.full_path, content_format, 0)
        if not headers:
            raise Refused(_("The file has no header line."), code="empty")
    except BaseException:
        discard(spooled.path)
        raise
    return register(
        actor=actor, feed=feed, spooled=spooled, content_format=content_format, source="upload", now=now,
        file_name=file.name or "", is_dry_run=True,
    )  # fmt: skip


def _take_in(bank_id: int, file: UploadedFile) -> tuple[Spooled, str]:
    first = next(iter(file.chunks()), b"")
    file.seek(0)
    if first.startswith(ZIP_MAGIC):
        spooled = spool(file.chunks(), bank_id=bank_id, is_text=False)
        try:
            check_workbook(spooled.full_path)
        except BaseException:
            discard(spooled.path)
            raise
        return spooled, XLSX
    try:
        return spool(file.chunks(), bank_id=bank_id), CSV
    except WrongEncoding as refusal:
        if first.startswith(GZIP_MAGIC):
            raise
        file.seek(0)
        return spool(_from_gb18030(file.chunks(), refusal.found), bank_id=bank_id), CSV


def _from_gb18030(chunks: Iterable[bytes], found: NotText) -> Iterator[bytes]:
    """The same text in UTF-8. `found`: where it is not UTF-8, for the refusal when it is not GB18030 either."""
    decoder = Decoder(GB18030)
    try:
        for chunk in chunks:
            yield decoder.feed(chunk).encode()
        yield decoder.feed(b"", final=True).encode()
    except NotText as other:
        raise Refused(say_neither(found, other), code="encoding") from None


@dataclass(frozen=True)
class HeaderChoice:
    """A header of the file, first values under it, and the column it is taken for ("" = left out).

    `header`: as told apart from others; `title`: as it stands in the file; `letter`: where it stands, as spreadsheets
    say it, when the title alone does not tell.
    """

    header: str
    title: str
    letter: str
    samples: list[str]
    column: str
    is_remembered: bool


def choices(batch: Batch) -> list[HeaderChoice]:
    """What each header of an upload is taken for: the last choice for this feed, its name, or a synonym."""
    feed = FEEDS[batch.feed]
    titles, samples = preview(_path(batch), batch.content_format, SAMPLE_ROWS)
    headers = told_apart(titles)
    known = dict(ColumnMapping.objects.filter(feed=feed.name).values_list("header", "column"))
    mapping = batch.mapping or suggest(feed, headers, known)
    meant = suggest(feed, titles, {})
    secret = {
        i
        for i, (header, title) in enumerate(zip(headers, titles, strict=True))
        for name in (mapping.get(header), meant.get(title))
        if name and feed.column(name).protected
    }
    return [
        HeaderChoice(
            header,
            title,
            "" if title and titles.count(title) == 1 else get_column_letter(i + 1),
            [_shown(row[i], i in secret) if i < len(row) else "" for row in samples],
            mapping.get(header, ""),
            header in known,
        )
        for i, (header, title) in enumerate(zip(headers, titles, strict=True))
    ]


def _shown(value: str, is_secret: bool) -> str:
    return mask(value) if is_secret and value else value


def suggest(feed: Feed, headers: Sequence[str], known: Mapping[str, str]) -> dict[str, str]:
    """header -> column, each column once: remembered choices first, then names and synonyms."""
    by_word: dict[str, str] = {}
    for column in feed.columns:
        for word in (column.name, *column.synonyms):
            by_word.setdefault(_word(word), column.name)
    mapping: dict[str, str] = {}
    for header in headers:
        if known.get(header) in feed.names and known[header] not in mapping.values():
            mapping[header] = known[header]
    for header in headers:
        meant = by_word.get(_word(header), "")
        if header not in mapping and header not in known and meant and meant not in mapping.values():
            mapping[header] = meant
    return mapping


def _word(text: str) -> str:
    return re.sub(r"[\s_\-/（）()：:*]+", "", text).lower()


def _path(batch: Batch) -> Any:
    return Spooled(batch.path, 0, "", False, b"", 0).full_path


def try_out(actor: Actor, *, batch_id: int, mapping: Mapping[str, str]) -> Batch:
    """Remember the mapping and run the delivery without landing it. Raises Refused for a mapping that cannot work."""
    require(actor, "import.upload")
    batch = _open_upload(batch_id)
    feed = FEEDS[batch.feed]
    titles, _samples = preview(_path(batch), batch.content_format, 0)
    headers = told_apart(titles)
    wanted = {
        header: column for header, column in mapping.items() if header in headers and column in feed.names
    }
    check_header(feed, headers, wanted)
    for header in headers:
        ColumnMapping.objects.update_or_create(
            feed=feed.name, header=header[:120], defaults={"column": wanted.get(header, "")}
        )
    batch.mapping = wanted
    batch.save(update_fields=["mapping"])
    start(actor, batch)
    return batch


def _open_upload(batch_id: int) -> Batch:
    """An upload that waits for its mapping, locked. Conflict when it was started already."""
    batch = Batch.objects.select_for_update().get(pk=batch_id)
    if not (batch.is_dry_run and batch.run_id is None and batch.path):
        raise Conflict(_("This file has been tried out already."), code="tried_out")
    return batch


def map_again(actor: Actor, *, batch_id: int, now: dt.datetime) -> Batch:
    """A file that was tried out, once more at its mapping, as a new try-out: its own one stays as it was. Twice: Conflict."""
    require(actor, "import.upload")
    tried = Batch.objects.select_for_update().get(pk=batch_id)
    if not is_tried(tried):
        raise Conflict(_("This file cannot be tried out again: upload it anew."), code="not_tried")
    return _passed_on(actor, tried, now, is_dry_run=True)


def is_tried(batch: Batch) -> bool:
    """Whether a file has been tried out, well or badly, and is still here."""
    return batch.is_dry_run and batch.status in (BatchStatus.DONE, BatchStatus.FAILED) and bool(batch.path)


def _passed_on(actor: Actor, tried: Batch, now: dt.datetime, *, is_dry_run: bool) -> Batch:
    """A new batch of the file and mapping of one that was tried out; the file is the new one's from now on."""
    spooled = Spooled(tried.path, tried.size_bytes, tried.digest, False, b"", tried.rows_received)
    batch = register(
        actor=actor, feed=FEEDS[tried.feed], spooled=spooled, content_format=tried.content_format, source="upload",
        now=now, file_name=tried.file_name, mapping=tried.mapping, is_dry_run=is_dry_run,
    )  # fmt: skip
    tried.path = ""
    tried.save(update_fields=["path"])
    return batch


def import_tried(actor: Actor, *, batch_id: int, now: dt.datetime) -> Batch:
    """Import what was tried out: a delivery of the same file and mapping, in earnest. Twice: Conflict."""
    require(actor, "import.upload")
    tried = Batch.objects.select_for_update().get(pk=batch_id)
    if not (tried.is_dry_run and tried.status == BatchStatus.DONE and tried.path):
        raise Conflict(_("This file cannot be imported (any more)."), code="not_importable")
    batch = _passed_on(actor, tried, now, is_dry_run=False)
    start(actor, batch)
    return batch


# ---- undo


@dataclass(frozen=True)
class StandingInTheWay:
    """A row that an undo cannot take back: what it is, why, and the customer it is about (None: of no customer)."""

    what: str
    why: str
    customer_id: int | None = None


class UndoRefused(Conflict):
    """Rows of the import were changed or are in use since; nothing was undone."""

    def __init__(self, rows: list[StandingInTheWay]) -> None:
        super().__init__(
            _("Some of these rows have changed or are in use since the import."), code="undo_refused"
        )
        self.rows = rows


CHANGED = gettext_noop("changed since")
IN_USE = gettext_noop("in use by %s")
DERIVED_SINCE = gettext_noop("what has been worked out since")  # by a night: rows that nobody wrote
# What tells a row beside its customer's number and name, in SQL over its columns t.
_LABELS = {
    "customers_customer": "NULL",
    "customers_interaction": "left(t->>'note', 60)",
    "customers_product": "concat_ws(' ', t->>'code', t->>'name')",
    "customers_card": "t->>'reference'",
    "customers_standingorder": "t->>'reference'",
    "customers_fxrate": "concat_ws(' ', t->>'currency', t->>'rate_date')",
}


def _in_words(table: str, number: str | None, label: str | None) -> str:
    """A row as its reader knows it: "1 Zhang Weiming", "1 Zhang Weiming · Address", "Product · D01 Demand"."""
    own = "" if table == "customers_customer" else str(SUBJECT_NAMES.get(table, ""))
    return " · ".join(part for part in (number, own, label) if part)


def undo_import(actor: Actor, *, batch_id: int, now: dt.datetime) -> Batch:
    """Take an import back: inserted rows go, changed ones get their old values. All or nothing (UndoRefused)."""
    require(actor, "import.undo")
    batch = Batch.objects.select_for_update().get(pk=batch_id)
    if batch.source != "upload" or batch.is_dry_run or batch.status != BatchStatus.DONE:
        raise Conflict(_("Only a finished import can be undone."), code="not_undoable")
    act_as(actor)
    tables = list(
        RowChange.objects.filter(batch=batch).order_by("table").values_list("table", flat=True).distinct()
    )
    with connection.cursor() as cursor:
        undo = _Undo(cursor, require_bank(), batch.pk)
        in_the_way = [row for table in tables for row in [*undo.changed(table), *undo.in_use(table)]]
        if in_the_way:
            raise UndoRefused(in_the_way[:MOST_CONFLICTS])
        touched = undo.touched_customers() if {"customers_customer", *DERIVED} & set(tables) else []
        for table in sorted(tables, key=lambda name: name == "customers_customer"):
            undo.take_back(table)
    retoken(touched)
    Customer.objects.filter(pk__in=touched).update(changed_at=Now())
    batch.status, batch.undone_by_id, batch.undone_at = BatchStatus.UNDONE, actor.staff_id, now
    batch.save(update_fields=["status", "undone_by_id", "undone_at"])
    return batch


class _Undo:
    """The statements of an undo, table by table. Tables' names come from RowChange, written by the landing alone."""

    def __init__(self, cursor: Any, bank_id: int, batch_id: int) -> None:
        self.cursor, self.params = cursor, {"bank": bank_id, "batch": batch_id, "skip": NOT_COMPARED}

    def rows(self, sql: str, **params: Any) -> list[tuple]:
        self.cursor.execute(sql, {**self.params, **params})
        return self.cursor.fetchall()

    def run(self, sql: str, **params: Any) -> None:
        self.cursor.execute(sql, {**self.params, **params})

    def in_the_way(self, table: str, why: str, where: str, joins: str = "") -> list[StandingInTheWay]:
        """The import's rows of a table that fulfil `where`, in the words of their customer and their own."""
        owner, who = "(t->>'customer_id')::bigint", "concat_ws(' ', o.number, o.name)"
        if (
            table == "customers_customer"
        ):  # as imported: the row itself may be gone or have another name by now
            owner, who = "r.row_id", "concat_ws(' ', t->>'number', t->>'name')"
        found = self.rows(
            f"""
            SELECT o.id, {who}, {_LABELS.get(table, "NULL")}
            FROM customers_rowchange r {joins}
            CROSS JOIN LATERAL (SELECT CASE r.after WHEN '{{}}' THEN r.before ELSE r.after END) AS x (t)
            LEFT JOIN customers_customer o ON o.bank_id = %(bank)s AND o.id = {owner}
            WHERE r.bank_id = %(bank)s AND r.batch_id = %(batch)s AND r."table" = %(table)s AND {where}
            ORDER BY r.id LIMIT {MOST_CONFLICTS}
            """,
            table=table,
        )
        return [StandingInTheWay(_in_words(table, who, label), why, pk) for pk, who, label in found]

    def changed(self, table: str) -> list[StandingInTheWay]:
        """Rows that no longer are what the import left: of changed rows only the columns it changed count."""
        return self.in_the_way(
            table,
            _(CHANGED),
            """
            CASE
                WHEN r.after = '{}' THEN c.id IS NOT NULL
                WHEN c.id IS NULL THEN true
                WHEN r.before IS NULL THEN to_jsonb(c) - %(skip)s::text[] IS DISTINCT FROM r.after - %(skip)s::text[]
                ELSE EXISTS (
                    SELECT 1 FROM jsonb_each(r.after) a
                    WHERE a.value IS DISTINCT FROM r.before->a.key AND a.key <> ALL (%(skip)s)
                      AND to_jsonb(c)->a.key IS DISTINCT FROM a.value)
            END
            """,
            f"LEFT JOIN {table} c ON c.bank_id = %(bank)s AND c.id = r.row_id",
        )

    def in_use(self, table: str) -> list[StandingInTheWay]:
        """Inserted rows that others refer to by now, found by the foreign keys of the catalogue: constraints, and
        the triggers of keys that are checked once a statement."""
        references = self.rows(
            """
            SELECT c.conrelid::regclass::text, a.attname FROM pg_constraint c
            JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[array_length(c.conkey, 1)]
            WHERE c.contype = 'f' AND c.confrelid = %(table)s::regclass AND c.conparentid = 0
            UNION ALL
            SELECT split_part(given, '\\000', 1), split_part(given, '\\000', 2)
            FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid AND p.proname = 'banyan_parent_deleted'
            CROSS JOIN LATERAL encode(t.tgargs, 'escape') given WHERE t.tgrelid = %(table)s::regclass
            """,
            table=table,
        )
        found: list[StandingInTheWay] = []
        for other, column in references:
            if other in UNWRITTEN:
                continue
            why, but = _(IN_USE) % SUBJECT_NAMES.get(other, _(DERIVED_SINCE)), ""
            if (
                other in DERIVED
            ):  # those that came with the import go with it: they have a change of their own
                why = _(CHANGED)
                but = (
                    "AND NOT EXISTS (SELECT 1 FROM customers_rowchange own WHERE own.bank_id = %(bank)s "
                    f"AND own.batch_id = %(batch)s AND own.\"table\" = '{other}' AND own.row_id = u.id)"
                )
            found += self.in_the_way(
                table,
                why,
                "r.before IS NULL AND EXISTS "
                f"(SELECT 1 FROM {other} u WHERE u.bank_id = %(bank)s AND u.{column} = r.row_id {but})",
            )
        return found

    def touched_customers(self) -> list[int]:
        """Standing customers whose name, identifiers, contact points or addresses the import changed."""
        found = self.rows(
            """
            SELECT DISTINCT CASE WHEN "table" = 'customers_customer' THEN row_id
                   ELSE coalesce(before->>'customer_id', after->>'customer_id')::bigint END
            FROM customers_rowchange r
            WHERE bank_id = %(bank)s AND batch_id = %(batch)s
              AND ("table" <> 'customers_customer' OR before IS NOT NULL)
              AND "table" IN ('customers_customer', 'customers_identifier', 'customers_contactpoint', 'customers_address')
            EXCEPT
            SELECT row_id FROM customers_rowchange
            WHERE bank_id = %(bank)s AND batch_id = %(batch)s AND "table" = 'customers_customer' AND before IS NULL
            """
        )
        return [customer for (customer,) in found]

    def take_back(self, table: str) -> None:
        mine = 'r.bank_id = %(bank)s AND r.batch_id = %(batch)s AND r."table" = %(table)s'
        if table == "customers_customer":
            for derived in DERIVED:
                self.run(
                    f"DELETE FROM {derived} d USING customers_rowchange r "
                    f"WHERE {mine} AND r.before IS NULL AND d.bank_id = %(bank)s AND d.customer_id = r.row_id",
                    table=table,
                )
        self.run(
            f"DELETE FROM {table} t USING customers_rowchange r "
            f"WHERE {mine} AND r.before IS NULL AND t.bank_id = %(bank)s AND t.id = r.row_id",
            table=table,
        )
        columns = self.rows(
            f"""
            SELECT DISTINCT a.key FROM customers_rowchange r CROSS JOIN LATERAL jsonb_each(r.after) a
            WHERE {mine} AND r.before IS NOT NULL AND r.after <> '{{}}' AND a.value IS DISTINCT FROM r.before->a.key
            """,
            table=table,
        )
        if columns:
            sets = ", ".join(
                f"\"{name}\" = CASE WHEN r.before->'{name}' IS DISTINCT FROM r.after->'{name}' THEN o.\"{name}\" "
                f'ELSE t."{name}" END'
                for (name,) in columns
            )
            self.run(
                f"UPDATE {table} t SET {sets} FROM customers_rowchange r "
                f"CROSS JOIN LATERAL jsonb_populate_record(NULL::{table}, r.before) o "
                f"WHERE {mine} AND r.before IS NOT NULL AND r.after <> '{{}}' "
                "AND t.bank_id = %(bank)s AND t.id = r.row_id",
                table=table,
            )
        self.run(
            f"INSERT INTO {table} SELECT o.* FROM customers_rowchange r "
            f"CROSS JOIN LATERAL jsonb_populate_record(NULL::{table}, r.before) o "
            f"WHERE {mine} AND r.before IS NOT NULL AND r.after = '{{}}'",
            table=table,
        )


def retoken(customers: Sequence[int]) -> None:
    """Make the search tokens of some customers anew, from everything they are found by."""
    if not customers:
        return
    with connection.cursor() as cursor:
        params: dict[str, Any] = {"bank": require_bank(), "customers": list(customers)}
        cursor.execute(
            "SELECT id, name FROM customers_customer WHERE bank_id = %(bank)s AND id = ANY(%(customers)s)",
            params,
        )
        named = [(customer, token) for customer, name in cursor.fetchall() for token in name_tokens(name)]
        cursor.execute(
            "DELETE FROM customers_searchtoken WHERE bank_id = %(bank)s AND customer_id = ANY(%(customers)s)",
            params,
        )
        cursor.execute(
            """
            INSERT INTO customers_searchtoken (bank_id, customer_id, token, weight)
            SELECT DISTINCT ON (customer, token) %(bank)s::bigint, customer, token, weight FROM (
                SELECT customer, token, 1 FROM unnest(%(ids)s::bigint[], %(tokens)s::text[]) AS n (customer, token)
                UNION ALL
                SELECT id, left('#' || lower(number), 64), 3 FROM customers_customer
                WHERE bank_id = %(bank)s AND id = ANY(%(customers)s)
                UNION ALL
                SELECT customer_id, 'x:' || encode(blind_index, 'hex'), 3 FROM customers_identifier
                WHERE bank_id = %(bank)s AND customer_id = ANY(%(customers)s)
                UNION ALL
                SELECT customer_id, 'x:' || encode(blind_index, 'hex'), 3 FROM customers_contactpoint
                WHERE bank_id = %(bank)s AND customer_id = ANY(%(customers)s)
                UNION ALL
                SELECT customer_id, 't:' || tail, 3 FROM customers_contactpoint
                WHERE bank_id = %(bank)s AND customer_id = ANY(%(customers)s) AND tail <> ''
                UNION ALL
                SELECT owner_id, left('a:' || lower(number), 64), 3 FROM customers_account
                WHERE bank_id = %(bank)s AND owner_id = ANY(%(customers)s)
            ) x (customer, token, weight)
            """,
            {**params, "ids": [c for c, _t in named], "tokens": [t for _c, t in named]},
        )
