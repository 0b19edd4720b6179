"""Reads about deliveries: their state, and their rejected rows."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext

from crm_site.accounts.banks import vault_of
from crm_site.accounts.selectors import client_names
from crm_site.jobs.models import Run
from crm_site.jobs.selectors import share_done, step_views
from crm_site.lib.formats import is_chinese
from crm_site.lib.permissions import Actor, require
from customers.ingest.feeds import FEEDS
from customers.ingest.handwriting import choice_word
from customers.ingest.row_errors import ROW_ERRORS
from customers.ingest.staging import FIRST_ERRORS, opened
from customers.models.ingest import Batch, BatchError, BatchStatus

ERROR_COLUMNS = ("line", "field", "code", "message")


def deliveries(actor: Actor) -> QuerySet[Batch]:
    """The bank's deliveries, newest first: to machine clients and to who may upload."""
    require(actor, "ingest.run")
    return Batch.objects.all()


def imports(actor: Actor) -> QuerySet[Batch]:
    """People's uploads and what they were tried out as, newest first; other deliveries stand beside them."""
    require(actor, "import.upload")
    return Batch.objects.select_related("staff")


def senders(batches: Sequence[Batch]) -> dict[int, str]:
    """Who sent each delivery, by its id: a person, or the machine client. One statement."""
    clients = client_names(batch.client_id for batch in batches if batch.client_id)
    return {
        batch.pk: batch.staff.name if batch.staff else clients.get(batch.client_id, batch.client_id)
        for batch in batches
    }


@dataclass(frozen=True)
class ShownError:
    """A rejected row for the page: without the row's protected cells."""

    line: int
    field: str
    message: str
    cells: list[tuple[str, str]]


def first_errors(batch: Batch, number: int = 20) -> list[ShownError]:
    """The first rejected rows, in the reader's language; protected cells stay masked."""
    found = BatchError.objects.filter(batch=batch).order_by("line", "id")[:number]
    feed = FEEDS[batch.feed]
    names = {c.name: c.chinese if is_chinese() else c.name for c in feed.columns}
    chosen = {column.name for column in feed.columns if column.choices}
    return [
        ShownError(
            error.line,
            names.get(error.field, error.field),
            message_of(error.code, error.params),
            [
                (
                    names.get(name, name),
                    "••••"
                    if isinstance(value, dict)
                    else choice_word(str(value))
                    if name in chosen
                    else str(value),
                )
                for name, value in error.row.items()
                if value != ""
            ][:8],
        )
        for error in found
    ]


def state_of(batch: Batch) -> str:
    """received, running, done, failed or undone: running as soon as a worker has taken it."""
    if batch.status == BatchStatus.RECEIVED and batch.run_id:
        run = Run.objects.filter(pk=batch.run_id).first()
        if run is not None and share_done(run, step_views(run)) > 0:
            return BatchStatus.RUNNING.value
    return batch.status


def share_landed(batch: Batch) -> float:
    """How much of a delivery has been worked through, 0..1, while its transaction is still open."""
    if batch.status not in (BatchStatus.RECEIVED, BatchStatus.RUNNING):
        return 1.0
    run = Run.objects.filter(pk=batch.run_id or 0).first()
    return share_done(run, step_views(run)) if run is not None else 0.0


def is_cut(batch: Batch) -> bool:
    """Whether a file that was tried out had more rejected cells than are kept of a trial."""
    return batch.is_dry_run and BatchError.objects.filter(batch=batch).count() >= FIRST_ERRORS


def rejected(batch: Batch) -> Iterator[dict[str, Any]]:
    """Rejected rows in the order of the delivery, protected cells in the clear: for who delivered them."""
    vault = vault_of(batch.bank_id)
    for error in BatchError.objects.filter(batch=batch).order_by("line", "id").iterator(chunk_size=2000):
        yield {
            "line": error.line,
            "field": error.field,
            "code": error.code,
            "message": error.message,
            "row": opened(error.row, error.line, vault),
        }


def rejected_ndjson(batch: Batch) -> Iterator[str]:
    for error in rejected(batch):
        yield json.dumps(error, ensure_ascii=False) + "\n"


def message_of(code: str, params: dict[str, Any]) -> str:
    """A row error's message in the reader's language."""
    if "choices" in params:
        words = [choice_word(choice) for choice in params["choices"].split(", ")]
        params = {**params, "choices": ("、" if is_chinese() else ", ").join(words)}
    return gettext(ROW_ERRORS[code]) % params if code in ROW_ERRORS else code


def safe_cell(value: Any) -> str:
    """Text for a spreadsheet: what would be read as a formula gets an apostrophe before it."""
    text = "" if value is None else str(value)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") and not _is_number(text) else text


def _is_number(text: str) -> bool:
    return text[:1] in "+-" and text[1:].replace(".", "", 1).isdigit() and len(text) < 18


def rejected_csv(batch: Batch) -> Iterator[str]:
    """The error file of an upload: line, field, code and message before the row's own cells. Streamed."""
    names = FEEDS[batch.feed].names
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    buffer.write("\ufeff")
    writer.writerow([*ERROR_COLUMNS, *names])
    vault = vault_of(batch.bank_id)
    for error in BatchError.objects.filter(batch=batch).order_by("line", "id").iterator(chunk_size=2000):
        row = opened(error.row, error.line, vault)
        said = message_of(error.code, error.params)
        writer.writerow(
            [error.line, error.field, error.code, said, *(safe_cell(row.get(name)) for name in names)]
        )
        if buffer.tell() > 64_000:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()
