"""The record, searched by an auditor or an administrator. Reading it changes nothing."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from crm_site.audit import selectors
from crm_site.audit.forms import SearchForm
from crm_site.lib.guards import allowed


def _key(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


@require_safe
@allowed("audit.read")
def entry_list(request: Any) -> HttpResponse:
    form = SearchForm(request.GET or None, actor=request.actor)
    if form.is_bound and not form.is_valid():
        # A search that can't be understood finds nothing: showing everything would look like an answer.
        page = selectors.NOTHING
    else:
        page = selectors.entry_page(
            request.actor,
            form.cleaned_data if form.is_bound else {},
            zone=ZoneInfo(request.bank.timezone),
            before=_key(request.GET.get("before", "")),
            after=_key(request.GET.get("after", "")),
        )
    kept = {k: v for k, v in request.GET.items() if k not in ("before", "after") and v}
    context = {
        "form": form,
        "page": page,
        "rows": selectors.rows(request.actor, page.entries),
        "seal": selectors.seal_state(request.actor),
        "newer_url": f"?{urlencode({**kept, 'after': page.newer})}" if page.newer else "",
        "older_url": f"?{urlencode({**kept, 'before': page.older})}" if page.older else "",
        "searching": bool(kept),
    }
    partial = request.htmx and not request.htmx.boosted
    return render(request, "audit/_entry_table.html" if partial else "audit/entry_list.html", context)


@require_safe
@allowed("audit.read")
def entry_detail(request: Any, entry_id: int) -> HttpResponse:
    found = selectors.entry(request.actor, entry_id)
    if found is None:
        raise Http404
    context = {
        "entry": found,
        "row": selectors.rows(request.actor, [found])[0],
        "object_url": selectors.object_url(request.actor, found),
        "fields": selectors.changed_fields(request.actor, found, currency=request.bank.currency),
    }
    return render(request, "audit/entry_detail.html", context)
