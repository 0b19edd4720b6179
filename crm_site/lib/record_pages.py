"""Where what the record is about can be seen: for a reader who comes from an entry of the audit trail."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from django.urls import reverse

from crm_site.lib.permissions import Actor, may
from crm_site.lib.registry import RECORD_PAGES


class RecordPage(NamedTuple):
    """Rows of `model` are seen at `url_name` by who may do `action`; `column` names the page's object.

    `within`: the page is a list of them; what its address ends with so that the row (by its key) is in sight.
    """

    model: Any
    action: str
    url_name: str
    column: str = "pk"
    within: Callable[[Any], str] | None = None


def add_record_pages(room: str, pages: Iterable[RecordPage]) -> None:
    """Say where a room's recorded rows are seen. To be called in `AppConfig.ready()`."""
    by_table = {page.model._meta.db_table: page for page in pages}

    def page_of(actor: Actor, table: str, key: int | str) -> str:
        """The address of a row's page; "" for a table without one, a row that is gone or that the actor does not see."""
        page = by_table.get(table)
        if page is None or not may(actor, page.action):
            return ""
        manager = page.model.objects
        rows = manager.visible_to(actor) if hasattr(manager, "visible_to") else manager.all()
        found = rows.filter(pk=key).values_list(page.column, flat=True).first()
        if not found:
            return ""
        return (
            reverse(page.url_name) + page.within(found)
            if page.within
            else reverse(page.url_name, args=[found])
        )

    RECORD_PAGES.add(room, page_of)
