"""Searching the record: newest first, by key."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any

from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from crm_site.accounts.models import Staff
from crm_site.audit import column_names, columns
from crm_site.audit.hours import OUTSIDE, with_hours
from crm_site.audit.models import KEPT_OUT, READ, Action, Entry, Seal
from crm_site.audit.subjects import is_plain, name_of
from crm_site.lib.permissions import Actor, may, require
from crm_site.lib.registry import (
    CUSTOMER_IDS,
    CUSTOMER_NUMBERS,
    RECORD_MATTERS,
    RECORD_PAGES,
    SUBJECTS,
    WATCHES,
    Subject,
    Watch,
    system_name,
)

PAGE = 50


@dataclass(frozen=True)
class EntryPage:
    """A page of entries, newest first; ids to go on from, or None at an end."""

    entries: list[Entry]
    newer: int | None
    older: int | None


NOTHING = EntryPage([], None, None)


# Actions that are looked for together, under a name of their own.
ACTION_GROUPS: Mapping[str, tuple[Action, ...]] = {"read": READ, "kept_out": KEPT_OUT}


def watched(watch: Watch) -> Q:
    """The condition of a watch's entries."""
    return Q(object_table__in=watch.tables) & watch.condition


def _matching(filters: dict[str, Any], zone: dt.tzinfo) -> QuerySet[Entry]:
    rows = Entry.objects.all()
    if filters.get("since"):
        rows = rows.filter(at__gte=dt.datetime.combine(filters["since"], dt.time(), zone))
    if filters.get("until"):
        day = filters["until"] + dt.timedelta(days=1)
        rows = rows.filter(at__lt=dt.datetime.combine(day, dt.time(), zone))
    for name in ("object_table", "customer_id", "object_id", "actor_id", "actor_kind"):
        if filters.get(name):
            rows = rows.filter(**{name: filters[name]})
    if action := filters.get("action"):
        rows = rows.filter(action__in=ACTION_GROUPS.get(action, (action,)))
    if filters.get("watch"):
        rows = rows.filter(watched(WATCHES[filters["watch"]]))
    if filters.get("outside"):
        rows = with_hours(rows, zone).filter(OUTSIDE)
    if filters.get("matter"):
        of = [Q(object_table=table, object_id__in=keys) for table, keys in filters["matter"].items() if keys]
        rows = rows.filter(reduce(or_, of))
    return rows


def entry_page(
    actor: Actor,
    filters: dict[str, Any],
    *,
    zone: dt.tzinfo,
    before: int | None = None,
    after: int | None = None,
) -> EntryPage:
    """Entries that match, newest first. `before`/`after`: entry ids between which the page lies."""
    require(actor, "audit.read")
    rows = _matching(filters, zone)
    if after is not None:
        found = list(rows.filter(id__gt=after).order_by("id")[: PAGE + 1])
        more = len(found) > PAGE
        entries = list(reversed(found[:PAGE]))
        newer = entries[0].id if more and entries else None
        return EntryPage(entries, newer, entries[-1].id if entries else None)
    if before is not None:
        rows = rows.filter(id__lt=before)
    found = list(rows.order_by("-id")[: PAGE + 1])
    entries = found[:PAGE]
    return EntryPage(
        entries,
        entries[0].id if before is not None and entries else None,
        entries[-1].id if len(found) > PAGE else None,
    )


def entry(actor: Actor, entry_id: int) -> Entry | None:
    require(actor, "audit.read")
    return Entry.objects.filter(id=entry_id).first()


def seal_state(actor: Actor) -> Seal | None:
    """The newest seal: until when the record is chained."""
    require(actor, "audit.read")
    return Seal.objects.order_by("-seq").defer("digests").first()


def customer_of(number: str) -> int | None:
    """The key the record keeps of the customer with this number."""
    return next((ids[number] for look_up in CUSTOMER_IDS if number in (ids := look_up([number]))), None)


def matter_of(actor: Actor, number: str) -> Mapping[str, list[int]]:
    """table -> keys of the rows that belong to the case with this number; empty for one that the actor does not see."""
    found = next(filter(None, (rows_of(actor, number) for rows_of in RECORD_MATTERS)), {})
    return {table: list(keys) for table, keys in found.items()}


def staff_of(number: str) -> int | None:
    """The key the record keeps of the person with this staff number, also of one who left."""
    return Staff.objects.filter(number=number).values_list("pk", flat=True).first()


@dataclass(frozen=True)
class Row:
    """An entry in the reader's words. `number`, `seen`: of the customer it is about; `seen` only for who may see it."""

    entry: Entry
    who: str
    subject: str
    number: str
    seen: Subject | None


def rows(actor: Actor, entries: Sequence[Entry]) -> list[Row]:
    """Entries as rows; two questions whatever their number."""
    ids = {found.customer_id for found in entries if found.customer_id}
    numbers: dict[int, str] = {}
    seen: dict[int, Subject] = {}
    for number_of in CUSTOMER_NUMBERS:
        numbers.update(number_of(ids))
    if may(actor, "customer.read"):
        for subjects in SUBJECTS:
            seen.update(subjects(actor, ids))
    return [
        Row(
            found,
            who(found),
            name_of(found.object_table),
            numbers.get(found.customer_id or 0, ""),
            seen.get(found.customer_id or 0),
        )
        for found in entries
    ]


def object_url(actor: Actor, found: Entry) -> str:
    """The page of what an entry is about, for who may open it; "" when there is none."""
    # A row whose key is no number says it among its columns when it comes.
    key = found.object_id if found.object_id is not None else (found.changes or {}).get("id")
    if key is None:
        return ""
    return next(filter(None, (of(actor, found.object_table, key) for of in RECORD_PAGES)), "")


def who(found: Entry) -> str:
    """Who did it: the person, or the job or command by its name."""
    if found.actor_label == "-":
        return _("System")
    return system_name(found.actor_label)


@dataclass(frozen=True)
class ChangedField:
    name: str
    before: str
    after: str


def changed_fields(actor: Actor, found: Entry, *, currency: str) -> list[ChangedField]:
    """What an entry says, field by field in the reader's words; ciphertext and secrets are shown as dots.

    A reader who sees no customer (the administrator) learns which fields changed, not what they say.
    `currency`: the bank's, in which amounts are.
    """
    require(actor, "audit.read")
    shut = not (may(actor, "customer.read") or is_plain(found.object_table))
    is_update, is_delete = found.action == "update", found.action == "delete"
    pairs: dict[str, tuple[Any, Any]] = {
        column: (value[0], value[1]) if is_update else (value, None) if is_delete else (None, value)
        for column, value in (found.changes or {}).items()
    }
    said = columns.reader(
        actor,
        found.object_table,
        [] if shut else [(column, value) for column, pair in pairs.items() for value in pair],
        currency=currency,
    )

    def show(column: str, value: Any) -> str:
        is_secret = isinstance(value, str) and (value.startswith("\\x") or value == "(secret)")
        if value not in (None, "") and (shut or is_secret):
            return "••••"
        return said.say(column, value)

    fields = [
        ChangedField(column_names.name_of(column), show(column, before), show(column, after))
        for column, (before, after) in pairs.items()
    ]
    return sorted(fields, key=lambda field: field.name)
