"""Searching the record: newest first, by key."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from crm_site.audit.models import Entry, Seal
from crm_site.lib.permissions import Actor, require

PAGE = 50


@dataclass(frozen=True)
class EntryPage:
    """A page of entries, newest first; ids to go on from, or None at an end."""

    entries: list[Entry]
    newer: int | None
    older: int | None


def _matching(filters: dict[str, Any], zone: dt.tzinfo) -> QuerySet[Entry]:
    rows = Entry.objects.all()
    if filters.get("since"):
        rows = rows.filter(at__gte=dt.datetime.combine(filters["since"], dt.time(), zone))
    if filters.get("until"):
        day = filters["until"] + dt.timedelta(days=1)
        rows = rows.filter(at__lt=dt.datetime.combine(day, dt.time(), zone))
    for name in ("action", "object_table", "customer_id", "object_id", "actor_id"):
        if filters.get(name):
            rows = rows.filter(**{name: filters[name]})
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


def table_names() -> dict[str, str]:
    """Audited subjects by table, in the reader's words."""
    names = {
        model._meta.db_table: str(model._meta.verbose_name).capitalize()
        for model in apps.get_models()
        if any(field.name == "bank_id" for field in model._meta.local_fields)
    }
    names["mfa_authenticator"] = _("Second factor")
    names["allauth_idp_oidc_client"] = _("Machine client")
    return names


@dataclass(frozen=True)
class ChangedField:
    name: str
    before: str
    after: str


def changed_fields(found: Entry) -> list[ChangedField]:
    """What an entry says, field by field; ciphertext and secrets are shown as dots."""

    def show(value: Any) -> str:
        if value is None or value == "":
            return "–"
        text = value if isinstance(value, str) else str(value)
        return "••••" if text.startswith("\\x") or text == "(secret)" else text

    changes = found.changes or {}
    if found.action == "update":
        return [ChangedField(k, show(v[0]), show(v[1])) for k, v in sorted(changes.items())]
    if found.action == "delete":
        return [ChangedField(k, show(v), "–") for k, v in sorted(changes.items())]
    return [ChangedField(k, "–", show(v)) for k, v in sorted(changes.items())]
