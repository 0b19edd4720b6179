"""Search everywhere: a page, and the list that fills the dialog while one types."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from customers import services
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
