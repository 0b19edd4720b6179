"""What this room shows on the customer page."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from crm_site.lib.guards import allowed
from customers.models import Customer
from relationship.selectors.queue import history, waiting_for


@require_GET
@allowed("assignment.read")
def assignment(request: Any, pk: int) -> HttpResponse:
    """Who looks after the customer, since when and why."""
    customer = get_object_or_404(
        Customer.objects.visible_to(request.actor).select_related("responsible", "home_branch"), pk=pk
    )
    context = {"customer": customer, "periods": history(customer), "waiting": waiting_for(customer)}
    return render(request, "relationship/_assignment_panel.html", context)
