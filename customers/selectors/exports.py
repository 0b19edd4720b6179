"""Who exported what: all of it for auditors, one's own for everybody."""

from __future__ import annotations

from crm_site.lib.permissions import Actor
from customers.models import ExportRecord

PAGE_SIZE = 50


def export_records(actor: Actor, *, before: int | None = None) -> tuple[list[ExportRecord], int | None]:
    """The newest exports (older than id `before`), and the id the next page starts before (None: no more)."""
    found = ExportRecord.objects.visible_to(actor).select_related("staff").order_by("-id")
    if before is not None:
        found = found.filter(pk__lt=before)
    rows = list(found[: PAGE_SIZE + 1])
    return rows[:PAGE_SIZE], rows[PAGE_SIZE - 1].pk if len(rows) > PAGE_SIZE else None
