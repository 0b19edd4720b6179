"""Search everywhere: a page, and the list that fills the dialog while one types; and whom to log a contact with."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from crm_site.accounts.selectors import working_day
from crm_site.lib.registry import Subject
from customers import services
from customers.selectors.recent import recent_customers
from customers.views.guard import is_partial, page


@page("customer.read")
@require_GET
@never_cache
def search(request: Any) -> HttpResponse:
    """Results for `q`: as options for the dialog, or as a page."""
    text = request.GET.get("q", "")
    context = {"q": text, "found": services.locate_customer(request.actor, text)}
    return render(
        request, "customers/_search_options.html" if is_partial(request) else "customers/search.html", context
    )


@page("interaction.write")
@require_GET
@never_cache
def log(request: Any) -> HttpResponse:
    """Whom a contact to be logged was with: recent customers, those of today's work, or found by typing."""
    text = request.GET.get("q", "")
    found = services.locate_customer(request.actor, text) if text.strip() else None
    last: list[Subject] = []
    today: list[Subject] = []
    if found is None:
        last, today = recent_customers(request.actor, timezone.now(), working_day(request.bank))
    context = {"q": text, "found": found, "last": last, "today_customers": today}
    return render(
        request, "customers/_log_choices.html" if is_partial(request) else "customers/log.html", context
    )
