"""Why a customer has its tier, and its tiers over time: partials of the customer page."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from crm_site.accounts.selectors import business_date
from crm_site.lib.guards import allowed
from customers.models import Customer
from segmentation.models.tiers import VALUE, WEALTH
from segmentation.selectors import tiers


def _customer(request: Any, customer_id: int) -> Customer:
    try:
        return tiers.seen_customer(request.actor, customer_id)
    except Customer.DoesNotExist:
        raise Http404 from None


@allowed("customer.read")
@require_GET
def tier_why(request: Any, customer_id: int) -> HttpResponse:
    """The figures, the thresholds, the policy version and the date."""
    customer = _customer(request, customer_id)
    context = {
        "customer": customer,
        "reasons": tiers.why(request.actor, customer_id, business_date(request.bank)),
    }
    if request.htmx and not request.htmx.boosted:
        return render(request, "segmentation/_why.html", context)
    return render(request, "segmentation/why.html", context)


@allowed("customer.read")
@require_GET
def tier_panel(request: Any, customer_id: int) -> HttpResponse:
    """The customer's tiers over time."""
    customer, day = _customer(request, customer_id), business_date(request.bank)
    value = tiers.tier_history(request.actor, customer_id, VALUE, day)
    wealth = tiers.tier_history(request.actor, customer_id, WEALTH, day)
    context = {
        "customer": customer,
        "value": value,
        "periods": [*value, *wealth],
        "bar": [(period.code, period.days) for period in value],
        "own": tiers.own_tiers(request.actor, customer_id),
        "wealth": wealth,
    }
    if request.htmx and not request.htmx.boosted:
        return render(request, "segmentation/_tier_panel.html", context)
    return render(request, "segmentation/tier_panel.html", context)
