"""What the pages of a credit customer share."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from credit_rating.models import credit_kind
from credit_rating.models.kinds import CreditKind
from credit_rating.selectors.credit_file import credit_file
from crm_site.accounts.selectors import bank_today
from crm_site.jobs.models import Run
from crm_site.lib.guards import allowed
from crm_site.lib.permissions import may
from customers.models import Customer
from customers.selectors.single import seen_customer

COMPANIES = (CreditKind.CORPORATE, CreditKind.SME)


def case_customer(request: Any, customer_id: int) -> Customer:
    """The customer of an address; 404 for one that does not exist or that the person does not see."""
    try:
        return seen_customer(request.actor, customer_id)
    except Customer.DoesNotExist:
        raise Http404 from None


def company_of(request: Any, customer_id: int) -> Customer:
    """A company: nobody else has statements."""
    customer = case_customer(request, customer_id)
    if credit_kind(customer) not in COMPANIES:
        raise Http404
    return customer


def drawn_anew(response: HttpResponse, run: Run | None) -> HttpResponse:
    """How far a job is; once it has ended the page about it is drawn anew: its figures and lists are what came of it."""
    if run is not None and run.is_finished:
        response.headers["HX-Refresh"] = "true"
    return response


def is_partial(request: Any) -> bool:
    """Whether htmx asks for the partial alone."""
    return bool(request.htmx) and not request.htmx.boosted and not request.htmx.history_restore_request


@allowed("credit.read")
@require_GET
def panel_file(request: Any, customer_id: int) -> HttpResponse:
    """The credit file on the customer's page: what there is, and what is missing."""
    customer = case_customer(request, customer_id)
    context = {
        "customer": customer,
        "file": credit_file(request.actor, customer, bank_today(request.bank)),
        "has_statements": credit_kind(customer) in COMPANIES,
        "may_prepare": may(request.actor, "credit.prepare"),
    }
    if is_partial(request):
        return render(request, "credit_rating/_panel_file.html", context)
    return render(
        request, "customers/panel_page.html", {**context, "panel_template": "credit_rating/_panel_file.html"}
    )


def page(
    request: Any, template: str, customer: Customer, context: dict[str, Any], *, tab: str, status: int = 200
) -> HttpResponse:
    """A page of the customer's credit file, with its tabs."""
    kind = credit_kind(customer)
    shared = {
        "customer": customer,
        "kind": kind,
        "kind_label": CreditKind(kind).label,
        "has_statements": kind in COMPANIES,
        "tab": tab,
        "today": bank_today(request.bank),
        "may_prepare": may(request.actor, "credit.prepare"),
        "may_manage": may(request.actor, "line.manage"),
    }
    return render(request, template, {**shared, **context}, status=status)
