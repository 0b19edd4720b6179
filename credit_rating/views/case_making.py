"""A case is written and changed by its maker."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from credit_rating.forms_cases import (
    CaseForm,
    first_values,
)
from credit_rating.models import (
    CreditCase,
    LineCalculation,
)
from credit_rating.services import cases as services
from credit_rating.views.case import case_customer
from credit_rating.views.case_page import the_case
from crm_site.lib.errors import DomainError
from crm_site.lib.guards import allowed
from customers.models import Customer


@allowed("credit.prepare")
@require_http_methods(["GET", "POST"])
def case_new(request: Any, customer_id: int) -> HttpResponse:
    """A case for a customer; the newest calculation is taken over."""
    customer = case_customer(request, customer_id)
    form = CaseForm(customer, request.POST or None, initial=_beginning(request, customer))
    if request.method == "POST" and form.is_valid():
        try:
            made = services.create_case(
                request.actor, customer=customer, terms=form.asked(), now=timezone.now()
            )
            services.edit_case(
                request.actor, case_id=made.pk, terms=form.asked(),
                investigation=form.cleaned_data["investigation"], now=timezone.now(),
            )  # fmt: skip
        except DomainError as error:
            form.refuse(error)
        else:
            return redirect("credit_rating:case", made.pk)
    return _form_page(request, customer, form, None)


def _beginning(request: Any, customer: Customer) -> dict[str, Any]:
    newest = LineCalculation.objects.filter(customer=customer).order_by("-id").first()
    start: dict[str, Any] = {"kind": "new", "currency": request.bank.currency, "term_months": 12}
    if newest is None:
        return start
    rate = None if newest.rate_bp is None else Decimal(newest.rate_bp) / 100
    return start | {
        "amount": newest.requested, "term_months": newest.term_months, "rate": rate, "calculation": newest.pk,
    }  # fmt: skip


def _form_page(request: Any, customer: Customer, form: CaseForm, found: CreditCase | None) -> HttpResponse:
    context = {"customer": customer, "form": form, "case": found}
    return render(request, "credit_rating/case_form.html", context, status=422 if form.errors else 200)


@allowed("credit.prepare")
@require_http_methods(["GET", "POST"])
def case_edit(request: Any, case_id: int) -> HttpResponse:
    """Its maker changes a draft or a returned case."""
    found = the_case(request, case_id)
    form = CaseForm(found.customer, request.POST or None, initial=first_values(found))
    if request.method == "POST" and form.is_valid():
        try:
            services.edit_case(
                request.actor, case_id=case_id, terms=form.asked(),
                investigation=form.cleaned_data["investigation"], now=timezone.now(),
            )  # fmt: skip
        except DomainError as error:
            form.refuse(error)
        else:
            return redirect("credit_rating:case", case_id)
    return _form_page(request, found.customer, form, found)
