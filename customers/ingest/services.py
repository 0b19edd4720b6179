"""What is done with deliveries: receive, process, try out, undo. One transaction per delivery.

A delivery lands whole or not at all: all its good rows in one transaction, with its counts and its rejected rows.
A kill in the middle leaves nothing; the job starts it again. Rows pass through in parts (staging.PART_ROWS).
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from psycopg.types.json import Jsonb

from crm_site.accounts.banks import vault
from crm_site.accounts.models import Bank
from crm_site.accounts.selectors import business_date as bank_business_date
from crm_site.lib.errors import Conflict
from crm_site.lib.permissions import Actor, require
from crm_site.lib.tenancy import require_bank
from customers.ingest.columns import REGION_OF_CURRENCY, Place
from customers.ingest.feeds import FEEDS, Feed
from customers.ingest.handwriting import as_meant
from customers.ingest.landing import Counts, Landing
from customers.ingest.reading import (
    CSV,
    Row,
    check_header,
    header_of,
    rows_of,
    sniff,
)
from customers.ingest.spool import Refused, Spooled, discard, spool
from customers.ingest.staging import CHECKS, FIRST_ERRORS, RowError, Stager
from customers.models.ingest import Batch, BatchStatus

Progress = Callable[[int, int], None]
WATCHED_ROWS = 10_000  # read between two words of how far it has come
CORE = ("api", "sample")  # deliveries that move the bank's "data as of"
# The feeds that pages mean by it: a customer who is added at noon makes no balance newer.
FIGURES = ("balances", "transactions", "loans", "arrears", "holdings")
UNDER_WAY = (BatchStatus.RECEIVED, BatchStatus.RUNNING)


def no_progress(_done: int, _total: int) -> None:
    """For callers that show none."""


def place_of(bank: Bank) -> Place:
    """How a bank's cells are read: its telephone region and time zone."""
    return Place(region=REGION_OF_CURRENCY.get(bank.currency), tz=ZoneInfo(bank.timezone))


def take_in(
    *, actor: Actor, feed: Feed, chunks: Iterable[bytes], content_format: str = "", must_be_gzip: bool = False
) -> tuple[Spooled, str]:
    """Spool a delivery of the API and check it as a whole; the spooled file and its format (csv, ndjson).

    Raises Refused: then nothing is kept. Whoever gets a file registers it or discards it.
    """
    require(actor, "ingest.write")
    spooled = spool(chunks, bank_id=actor.bank_id)
    try:
        if must_be_gzip and not spooled.is_gzip:
            raise Refused(_("The gzip data is damaged or cut off."), code="broken_gzip")
        chosen = content_format or sniff(spooled.head)
        if chosen == CSV:
            check_header(feed, header_of(spooled.head)[0])
    except BaseException:
        discard(spooled.path)
        raise
    return spooled, chosen


def receive(
    *,
    actor: Actor,
    feed: Feed,
    chunks: Iterable[bytes],
    source: str,
    now: dt.datetime,
    content_format: str = "",
    business_date: dt.date | None = None,
    file_name: str = "",
) -> Batch:
    """Take in a delivery and register it, for callers that process it themselves.

    Raises Refused (nothing is kept) and Conflict when the same content is being processed right now.
    """
    spooled, chosen = take_in(actor=actor, feed=feed, chunks=chunks, content_format=content_format)
    return register(
        actor=actor, feed=feed, spooled=spooled, content_format=chosen, source=source, now=now,
        business_date=business_date, file_name=file_name,
    )  # fmt: skip


def register(
    *,
    actor: Actor,
    feed: Feed,
    spooled: Spooled,
    content_format: str,
    source: str,
    now: dt.datetime,
    business_date: dt.date | None = None,
    file_name: str = "",
    mapping: Mapping[str, str] | None = None,
    is_dry_run: bool = False,
) -> Batch:
    """The batch row of a spooled delivery. Conflict (409) while the same content is under way; then it is discarded."""
    bank_id = require_bank()
    with connection.cursor() as cursor:  # two at once: the second waits here until the first is registered
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))",
            [f"batch|{bank_id}|{feed.name}|{spooled.digest}"],
        )
    twin = Batch.objects.filter(
        feed=feed.name, digest=spooled.digest, status__in=UNDER_WAY, is_dry_run=False
    ).first()
    if twin is not None and not is_dry_run:
        if not Batch.objects.filter(path=spooled.path).exists():  # an upload keeps what it was tried out with
            discard(spooled.path)
        raise Conflict(
            _("The same content is being processed as delivery %(id)s.") % {"id": twin.pk}, code="under_way"
        )
    return Batch.objects.create(
        feed=feed.name,
        source=source,
        file_name=file_name[-200:],
        path=spooled.path,
        content_format=content_format,
        mapping=dict(mapping or {}),
        is_dry_run=is_dry_run,
        digest=spooled.digest,
        size_bytes=spooled.size,
        rows_received=spooled.lines,  # of the text: for progress, until the rows are counted
        business_date=business_date,
        received_at=now,
        staff_id=actor.staff_id,
        client_id=actor.client_id,
    )


@dataclass
class Outcome:
    """What processing found: counts, and the first row errors."""

    counts: Counts = field(default_factory=Counts)
    first_errors: list[RowError] = field(default_factory=list)
    as_of: dt.datetime | None = None  # of the newest row, where rows say it


def process_batch(batch_id: int, *, progress: Progress = no_progress) -> Batch:
    """Land a registered delivery. Runs inside the bank, in the caller's transaction; repeating it does nothing.

    The caller's transaction is the delivery's: rows, derived rows, errors, counts and the closing of the batch
    commit together.
    """
    batch = Batch.objects.select_for_update().get(pk=batch_id)
    if batch.status not in UNDER_WAY:
        return batch
    begun = time.monotonic()
    try:
        with transaction.atomic():
            outcome = _dry(batch, progress) if batch.is_dry_run else land(batch, progress=progress)
    except Refused as refusal:  # found only while reading: nothing of it has landed
        return _close(batch, BatchStatus.FAILED, Counts(), begun, refusal.code, refusal.message)
    if batch.source in CORE and not batch.is_dry_run and outcome.counts.received > outcome.counts.rejected:
        newest, known = outcome.as_of or batch.received_at, Bank.objects.filter(pk=batch.bank_id)
        if batch.feed not in FIGURES:
            known = known.filter(data_as_of__isnull=True)
        known.exclude(data_as_of__gte=newest).update(data_as_of=newest)
    return _close(batch, BatchStatus.DONE, outcome.counts, begun)


def _close(
    batch: Batch, status: BatchStatus, counts: Counts, begun: float, code: str = "", detail: str = ""
) -> Batch:
    """The end of a delivery, once; its file is deleted when this commits (an upload tried out keeps it)."""
    batch.rows_received, batch.rows_rejected = counts.received, counts.rejected
    batch.rows_inserted, batch.rows_updated = counts.inserted, counts.updated
    batch.rows_unchanged = counts.unchanged
    batch.status, batch.error_code, batch.error_detail = status, code, detail[:400]
    batch.seconds = round(time.monotonic() - begun, 3)
    batch.finished_at = timezone.now()
    path = batch.path
    if not batch.is_dry_run:
        batch.path = ""
        transaction.on_commit(lambda: discard(path))
    batch.save()
    return batch


def fail(batch_id: int, error: str) -> None:
    """The job gave up (a defect, not the delivery's fault): nothing has landed; the file stays for another try."""
    Batch.objects.filter(pk=batch_id, status__in=UNDER_WAY).update(
        status=BatchStatus.FAILED, error_code="internal", error_detail=error[:400], finished_at=timezone.now()
    )


class _Rollback(Exception):
    """Leaves a dry run's savepoint."""


def _dry(batch: Batch, progress: Progress) -> Outcome:
    """Everything as in earnest, then rolled back; counts and the first errors are kept."""
    outcome = Outcome()
    try:
        with transaction.atomic():
            outcome = land(batch, progress=progress)
            raise _Rollback
    except _Rollback:
        pass
    with connection.cursor() as cursor:
        write_errors(cursor, batch.bank_id, batch.pk, outcome.first_errors)
    return outcome


def land(batch: Batch, *, progress: Progress = no_progress) -> Outcome:
    """Every part of a delivery into the tables, with its row errors."""
    feed = FEEDS[batch.feed]
    bank = Bank.objects.get(pk=require_bank())
    outcome = Outcome()
    with connection.cursor() as cursor:
        landing = landing_for(cursor, bank, feed, batch)
        landing.begin()
        path = settings.MEDIA_ROOT / batch.path
        rows = rows_of(path, feed, batch.content_format, batch.mapping or None)
        if batch.source == "upload":
            rows = as_meant(rows, feed)
        total = max(batch.rows_received, 1)
        watched = _watched(rows, outcome, total, progress)
        while True:
            part = landing.stager.stage_part(cursor, watched)
            if not part.received:
                break
            outcome.counts.add(landing.land_part(part))
            if len(outcome.first_errors) < FIRST_ERRORS:
                outcome.first_errors += part.errors[: FIRST_ERRORS - len(outcome.first_errors)]
            write_errors(cursor, batch.bank_id, batch.pk, part.errors)
            outcome.as_of = landing.newest
            progress(outcome.counts.received, max(total, outcome.counts.received))
    return outcome


def _watched(rows: Iterator[Row], outcome: Outcome, total: int, progress: Progress) -> Iterator[Row]:
    """The rows as they are. A row that is read and has not landed yet counts a fifth: landing takes the longer."""
    for read, row in enumerate(rows, 1):
        if read % WATCHED_ROWS == 0:
            landed = outcome.counts.received
            progress(landed + (read - landed) // 5, max(total, read))
        yield row


def landing_for(cursor: Any, bank: Bank, feed: Feed, batch: Batch) -> Landing:
    """The landing of a delivery at its bank."""
    sealed = vault(bank)
    as_of = None
    if batch.business_date is not None:  # the end of that day at the bank's place
        next_day = dt.datetime.combine(
            batch.business_date + dt.timedelta(days=1), dt.time(), ZoneInfo(bank.timezone)
        )
        as_of = next_day - dt.timedelta(seconds=1)
    return Landing(
        cursor=cursor,
        bank_id=bank.pk,
        feed=feed,
        stager=Stager(feed, place_of(bank), sealed, CHECKS.get(feed.name)),
        vault=sealed,
        received_at=batch.received_at,
        business_date=batch.business_date or bank_business_date(bank),
        as_of=as_of,
        batch_id=batch.pk,
        keep_changes=batch.source == "upload",
    )


def write_errors(cursor: Any, bank_id: int, batch_id: int, errors: list[RowError]) -> None:
    """Rejected rows into BatchError: COPY to a temporary table, then one insert."""
    if not errors:
        return
    cursor.execute("DROP TABLE IF EXISTS row_errors")
    cursor.execute(
        "CREATE TEMP TABLE row_errors (line bigint, field text, code text, message text, params jsonb, row jsonb) "
        "ON COMMIT DROP"
    )
    with cursor.copy("COPY row_errors FROM STDIN") as copy:
        for error in errors:
            copy.write_row(
                (
                    error.line,
                    error.field[:40],
                    error.code,
                    error.message,
                    Jsonb(error.params),
                    Jsonb(error.row),
                )
            )
    cursor.execute(
        "INSERT INTO customers_batcherror (bank_id, batch_id, line, field, code, message, params, row) "
        "SELECT %s, %s, line, field, code, message, params, row FROM row_errors",
        [bank_id, batch_id],
    )
