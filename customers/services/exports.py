"""Exports of the customer list: permitted, with a purpose, on the record, and harmless in a spreadsheet (A10).

Files are not kept: they are streamed inside the bank while they are made, masked as the pages are.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import IO, Any

from django.db.models import OuterRef, Subquery
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from crm_site.audit.models import Action
from crm_site.audit.services import record
from crm_site.lib.errors import DomainError
from crm_site.lib.permissions import Actor, require_person
from customers.conditions import sentence
from customers.industries import NAMES, key_of
from customers.models import ContactPoint, CustomerKind, ExportRecord, Identifier, Standing
from customers.models.standing import TIER_LABELS, VALUE_TIERS, WEALTH_LEVELS
from customers.selectors.lists import CustomerQuery, in_order

CHUNK = 1_000
XLSX_ROWS = 100_000  # a workbook is built in one piece; larger lists leave as CSV
SELECTED_ROWS = 500
PURPOSE_LENGTH = 4
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class Export:
    """An export on the record: its id, how many rows, and the lines of the file (head first)."""

    record_id: int
    rows: int
    lines: Iterator[Sequence[Any]]


def harmless(value: Any) -> Any:
    """Text that a spreadsheet would run as a formula gets an apostrophe before it; numbers and dates stay."""
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value


def export_customers(
    actor: Actor,
    *,
    query: CustomerQuery,
    selected: Sequence[int],
    purpose: str,
    is_workbook: bool,
    as_of: dt.date,
    now: dt.datetime,
) -> Export:
    """Put an export on the record and return its lines, to be streamed.

    `selected`: customer ids, or none for the whole list. Raises PermissionDenied, DomainError (no purpose, too
    many rows for a workbook) and ConditionError.
    """
    staff_id = require_person(actor, "customer.export")
    given = purpose.strip()
    if len(given) < PURPOSE_LENGTH:
        message = _("Say what the export is for.")
        raise DomainError(message, fields={"purpose": message})
    found = in_order(actor, query, as_of=as_of)
    if selected:
        found = found.filter(customer_id__in=list(selected)[:SELECTED_ROWS])
    # Who is in the file, and where, is read once: what a night run moves meanwhile is neither lost nor doubled.
    ids = list(found.values_list("customer_id", flat=True))
    rows = len(ids)
    if is_workbook and rows > XLSX_ROWS:
        message = _("A workbook holds at most %(rows)s rows here: choose CSV or narrow the list.")
        raise DomainError(
            message % {"rows": f"{XLSX_ROWS:,}"}, fields={"format": message % {"rows": f"{XLSX_ROWS:,}"}}
        )
    words = sentence(query.condition, actor.language) if query.condition else ""
    entry = ExportRecord.objects.create(
        staff_id=staff_id, at=now, what="customers", condition=dict(query.condition), sentence=words[:400],
        rows=rows, purpose=given[:200],
    )  # fmt: skip
    changes = {"rows": rows, "list": words[:400], "format": "xlsx" if is_workbook else "csv"}
    record(actor, Action.EXPORT, "customers_exportrecord", key=entry.pk, reason=given[:200], changes=changes)
    return Export(entry.pk, rows, _lines(ids, _Words.now(), as_of))


def csv_chunks(lines: Iterable[Sequence[Any]]) -> Iterator[bytes]:
    """CSV that a spreadsheet opens as UTF-8: with a byte order mark, CRLF, quoted where needed."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    yield b"\xef\xbb\xbf"
    for position, line in enumerate(lines, 1):
        writer.writerow([harmless(value) for value in line])
        if position % 200 == 0:
            yield buffer.getvalue().encode()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue().encode()


def workbook(lines: Iterable[Sequence[Any]], title: str) -> IO[bytes]:
    """The lines as an XLSX file, open at its beginning."""
    from openpyxl import Workbook

    book = Workbook(write_only=True)
    sheet = book.create_sheet(title)
    for line in lines:
        sheet.append([harmless(value) for value in line])
    file = io.BytesIO()
    book.save(file)
    file.seek(0)
    return file


@dataclass(frozen=True, slots=True)
class _Words:
    """The file's words in the language of the request: it is written after the request has ended."""

    head: Sequence[str]
    kinds: Mapping[str, str]
    industries: Mapping[str, str]
    value_tiers: Mapping[int, str]
    wealth_levels: Mapping[int, str]

    @classmethod
    def now(cls) -> _Words:
        head = [
            _("Number"), _("Customer name"), _("Kind"), _("Industry"), _("Industry code"), _("Tier"), _("Wealth level"), _("Deposits, ADB"), _("Deposits"),
            _("Loans"), _("AUM"), _("Overdue"), _("Days past due"), pgettext("probability", "Churn"), _("Last contact"), pgettext("customer", "Responsible"),
            _("Home branch"), _("Identifier"), _("Phone"), _("As of"),
        ]  # fmt: skip
        return cls(
            head,
            {kind.value: str(kind.label) for kind in CustomerKind},
            {key: str(name) for key, name in NAMES.items()},
            {rank: str(TIER_LABELS[code]) for rank, code in VALUE_TIERS.items()},
            {rank: str(TIER_LABELS[code]) for rank, code in WEALTH_LEVELS.items()},
        )


def _lines(ids: Sequence[int], words: _Words, as_of: dt.date) -> Iterator[Sequence[Any]]:
    yield words.head
    points = ContactPoint.objects.filter(customer=OuterRef("customer"), kind="phone").order_by("position")
    identifiers = Identifier.objects.filter(customer=OuterRef("customer")).order_by("scheme")
    rows = Standing.objects.select_related("customer", "responsible", "home_branch").annotate(
        phone=Subquery(points.values("masked")[:1]), identity=Subquery(identifiers.values("masked")[:1])
    )
    for start in range(0, len(ids), CHUNK):
        chunk = ids[start : start + CHUNK]
        found = {standing.customer_id: standing for standing in rows.filter(customer_id__in=chunk)}
        yield from (_line(found[pk], words, as_of) for pk in chunk if pk in found)


def _line(standing: Any, words: _Words, as_of: dt.date) -> Sequence[Any]:
    customer = standing.customer
    return [
        customer.number,
        customer.name,
        words.kinds.get(customer.kind, customer.kind),
        words.industries.get(key_of(customer.industry), ""),
        customer.industry,
        words.value_tiers.get(standing.value_tier, ""),
        words.wealth_levels.get(standing.wealth_level, ""),
        standing.deposits_adb,
        standing.deposits_balance,
        standing.loans,
        standing.aum,
        standing.overdue_amount,
        standing.days_past_due,
        Decimal(standing.churn_bp) / 10_000 if standing.churn_bp >= 0 else "",
        standing.last_contact_date or "",
        standing.responsible.name if standing.responsible else "",
        standing.home_branch.name if standing.home_branch else "",
        standing.identity or "",
        standing.phone or "",
        as_of if standing.as_of else "",  # until when they hold, whenever they last changed
    ]
