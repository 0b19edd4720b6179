"""What secures a customer's debts: entered, valued again, put in force, released."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from credit_rating.engine.steps import ZERO
from credit_rating.forms_case import PromiseForm, ProofForm, ThingForm, ValuationForm
from credit_rating.models import Guarantee
from credit_rating.selectors.guarantees import guarantees_of
from credit_rating.services import guarantees as services
from credit_rating.views.calculations import guarantee_scale
from credit_rating.views.case import case_customer, page
from crm_site.accounts.selectors import bank_today
from crm_site.lib.errors import DomainError
from crm_site.lib.guards import allowed


@allowed("credit.read")
@require_GET
def guarantee_list(request: Any, customer_id: int) -> HttpResponse:
    """The live guarantees with what each counts for today."""
    customer = case_customer(request, customer_id)
    rows = guarantees_of(request.actor, customer, day=bank_today(request.bank))
    context = {
        "rows": rows,
        "usable": sum((r.usable.amount for r in rows), ZERO),
        "scale": guarantee_scale(rows),
    }
    return page(request, "credit_rating/guarantee_list.html", customer, context, tab="guarantees")


@allowed("credit.prepare")
@require_http_methods(["GET", "POST"])
def thing_add(request: Any, customer_id: int) -> HttpResponse:
    """A mortgage or pledge with its first valuation."""
    customer, today = case_customer(request, customer_id), bank_today(request.bank)
    form = ThingForm(request.POST or None, initial={"from_date": today})
    if request.method == "POST" and form.is_valid():
        try:
            services.mortgage_thing(
                request.actor, customer=customer, **form.given(), today=today, now=timezone.now()
            )
        except DomainError as error:
            form.refuse(error)
        else:
            messages.success(request, _("The guarantee is entered."))
            return redirect("credit_rating:guarantees", customer.pk)
    context = {"form": form, "title": _("Mortgage or pledge")}
    status = 422 if form.errors else 200
    return page(
        request, "credit_rating/guarantee_form.html", customer, context, tab="guarantees", status=status
    )


@allowed("credit.prepare")
@require_http_methods(["GET", "POST"])
def promise_add(request: Any, customer_id: int) -> HttpResponse:
    """A guarantor's promise."""
    customer = case_customer(request, customer_id)
    form = PromiseForm(request.POST or None, initial={"from_date": bank_today(request.bank)})
    if request.method == "POST" and form.is_valid():
        try:
            services.promise(request.actor, customer=customer, **form.cleaned_data, now=timezone.now())
        except DomainError as error:
            form.refuse(error)
        else:
            messages.success(request, _("The guarantee is entered."))
            return redirect("credit_rating:guarantees", customer.pk)
    context = {"form": form, "title": _("Guaranty")}
    status = 422 if form.errors else 200
    return page(
        request, "credit_rating/guarantee_form.html", customer, context, tab="guarantees", status=status
    )


def _guarantee(request: Any, guarantee_id: int) -> Guarantee:
    seen = Guarantee.objects.visible_to(request.actor).select_related("customer", "collateral", "guarantor")
    found = seen.filter(pk=guarantee_id).first()
    if found is None:
        raise Http404
    return found


@allowed("credit.prepare")
@require_http_methods(["GET", "POST"])
def guarantee_value(request: Any, guarantee_id: int) -> HttpResponse:
    """A new valuation of the thing, or a new assessment of the guarantor."""
    found, today = _guarantee(request, guarantee_id), bank_today(request.bank)
    is_guarantor = found.guarantor_id is not None
    form = ValuationForm(request.POST or None, is_guarantor=is_guarantor, initial={"valued_on": today})
    if request.method == "POST" and form.is_valid():
        try:
            services.value_again(
                request.actor, guarantee=found, **form.cleaned_data, today=today, now=timezone.now()
            )
        except DomainError as error:
            form.refuse(error)
        else:
            messages.success(request, _("The valuation is entered; the older one stays on record."))
            return redirect("credit_rating:guarantees", found.customer_id)
    title = _("Assess the guarantor") if is_guarantor else _("Value again")
    context = {"form": form, "title": title}
    status = 422 if form.errors else 200
    return page(
        request, "credit_rating/guarantee_form.html", found.customer, context, tab="guarantees", status=status
    )


def _done(request: Any, found: Guarantee, act: Callable[[], object], said: str) -> HttpResponse:
    try:
        act()
    except DomainError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, said)
    return redirect("credit_rating:guarantees", found.customer_id)


@allowed("line.manage")
@require_http_methods(["GET", "POST"])
def guarantee_in_force(request: Any, guarantee_id: int) -> HttpResponse:
    """Confirm that it is signed and registered, by the number of its certificate or contract."""
    return _proof(
        request, guarantee_id, services.put_in_force, _("Put in force"), _("The guarantee is in force.")
    )


@allowed("line.manage")
@require_http_methods(["GET", "POST"])
def guarantee_proof(request: Any, guarantee_id: int) -> HttpResponse:
    """The certificate or contract of one that came into force without."""
    return _proof(request, guarantee_id, services.add_proof, _("Add its proof"), _("The proof is on record."))


def _proof(
    request: Any, guarantee_id: int, act: Callable[..., Guarantee], title: str, said: str
) -> HttpResponse:
    found, today = _guarantee(request, guarantee_id), bank_today(request.bank)
    form = ProofForm(request.POST or None, is_thing=found.collateral_id is not None)
    if request.method == "POST" and form.is_valid():
        try:
            act(request.actor, guarantee=found, proof=form.proof(), today=today)
        except DomainError as error:
            form.refuse(error)
        else:
            messages.success(request, said)
            return redirect("credit_rating:guarantees", found.customer_id)
    rows = guarantees_of(request.actor, found.customer, day=today)
    of = next((row for row in rows if row.guarantee.pk == found.pk), None)
    context = {"form": form, "title": title, "of": of}
    status = 422 if form.errors else 200
    return page(
        request, "credit_rating/guarantee_form.html", found.customer, context, tab="guarantees", status=status
    )


@allowed("credit.prepare")
@require_POST
def guarantee_withdraw(request: Any, guarantee_id: int) -> HttpResponse:
    """Take a proposal back."""
    found = _guarantee(request, guarantee_id)
    return _done(
        request,
        found,
        lambda: services.withdraw(request.actor, guarantee=found, now=timezone.now()),
        _("The proposal is taken back."),
    )


@allowed("line.manage")
@require_POST
def guarantee_release(request: Any, guarantee_id: int) -> HttpResponse:
    """Let it go."""
    found = _guarantee(request, guarantee_id)
    return _done(
        request,
        found,
        lambda: services.release(request.actor, guarantee=found, now=timezone.now()),
        _("The guarantee is released."),
    )
