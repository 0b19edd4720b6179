"""The record: an examiner's morning, and the search. Reading it changes nothing; a check of it is put on it."""

from __future__ import annotations

import datetime as dt
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from crm_site.audit import examining, selectors, services
from crm_site.audit.engine import EXPORTED_ROWS, FAILURES, MANY, TIMES
from crm_site.audit.forms import SearchForm
from crm_site.audit.hours import CLOSES, OPENS
from crm_site.lib.guards import allowed


def _key(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


CHECKED = 100_000  # newest entries that are verified while the reader waits: a second or two


@require_safe
@allowed("audit.read")
def auditor_home(request: Any) -> HttpResponse:
    now, zone = timezone.now(), ZoneInfo(request.bank.timezone)
    today = now.astimezone(zone).date()
    days = _key(request.GET.get("days", ""))
    days = days if days in examining.PERIODS else examining.PERIODS[1]
    first = today - dt.timedelta(days=days)
    since = dt.datetime.combine(first, dt.time(), zone)
    shown = None if request.GET.get("all") else examining.SHOWN
    seen = examining.sightings(request.actor, since)
    grants, grant_count = examining.rights(request.actor, since)
    context = {
        "sealing": examining.sealing(request.actor, now),
        "checked_at_once": CHECKED,
        "read": examining.readings(request.actor, since=since, now=now, day=today, zone=zone, shown=shown),
        "seen": seen[:shown],
        "seen_hidden": len(seen[examining.SHOWN :]) if shown else 0,
        "grants": grants,
        "grants_hidden": grant_count - len(grants),
        "first": first,
        "days": days,
        "periods": examining.PERIODS,
        "rule": {"many": MANY, "times": TIMES, "rows": EXPORTED_ROWS, "failures": FAILURES, "opens": OPENS, "closes": CLOSES},
        "list_url": f"{reverse('audit:entry-list')}?since={first}",
    }  # fmt: skip
    return render(request, "audit/auditor_home.html", context)


@require_POST
@allowed("audit.read")
def check(request: Any) -> HttpResponse:
    found = services.check(request.actor, at_most=CHECKED)
    if found.broken:
        messages.error(request, _("The record does not hold: see what was found."))
    else:
        messages.success(request, _("The seals that were checked hold."))
    return redirect("audit:auditor-home")


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
