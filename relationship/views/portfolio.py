"""Who looks after whom: load against cap."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from crm_site.accounts.models import Staff
from crm_site.accounts.selectors import working_day
from crm_site.lib.guards import allowed
from crm_site.lib.permissions import OWN
from relationship import links
from relationship.selectors.loads import late_tasks, loads, owners_of, totals
from relationship.selectors.queue import arrivals, queue_head
from relationship.selectors.units import readable_unit


@require_GET
@allowed("assignment.read")
def portfolio(request: Any) -> HttpResponse:
    """Loads of a unit's people; a person who only looks after customers sees his or her own."""
    actor, day = request.actor, working_day(request.bank)
    raw = request.GET.get("unit", "")
    unit = readable_unit(actor, int(raw) if raw.isdigit() and len(raw) < 19 else None)
    if unit is None and (raw or not actor.has(OWN)):
        raise Http404
    people = (
        owners_of(unit, day) if unit else list(Staff.objects.filter(pk=actor.staff_id).select_related("unit"))
    )
    rows = [(load, links.list_url(links.of_person(load.staff))) for load in loads(people, day)]
    context = {
        "branch": unit,
        "managers": [row for row in rows if not row[0].is_teller],
        "tellers": [row for row in rows if row[0].is_teller],
        "totals": totals(load for load, _url in rows if not load.is_teller),
        "teller_totals": totals(load for load, _url in rows if load.is_teller),
        "late": late_tasks(actor, [load for load, _url in rows], day),
        "head": queue_head(actor, unit) if unit else None,
        "arrivals": [] if unit else arrivals(actor, day),
    }
    return render(request, "relationship/portfolio.html", context)
