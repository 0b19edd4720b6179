"""The bank's capital, and the register of related parties and insiders."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from credit_rating import words
from credit_rating.forms_case import CapitalForm, EndForm, PartyFilterForm, RelatedPartyForm
from credit_rating.models import BankCapital, RelatedParty
from credit_rating.policies.caps import CAPS
from credit_rating.selectors.exposure import concentration_of
from credit_rating.selectors.registers import party_of, register_page, relatives_page
from credit_rating.services import exposure as services
from credit_rating.views.tie_words import told_ties
from crm_site.accounts.selectors import bank_today
from crm_site.lib.errors import DomainError
from crm_site.lib.guards import allowed
from crm_site.lib.permissions import may
from customers.models import Customer


@allowed("credit.read")
@require_GET
def registers(request: Any) -> HttpResponse:
    """Both registers. People see the related parties among the customers they see."""
    today, form = bank_today(request.bank), PartyFilterForm(request.GET)
    found = register_page(request.actor, form.query(), today, form.after)
    may_manage = may(request.actor, services.MANAGE)
    relatives = relatives_page(request.actor, form.relative) if may_manage else None
    context = {
        "found": found, "use": found.use, "form": form, "filters": form.menus(), "may_manage": may_manage, "today": today,
        "parties": [(one, CAPS[one.use.code][0] if one.use else "") for one in found.rows],
        "next_url": form.url(after=found.following) if found.following else "",
        "is_first": not form.after, "first_url": form.url(), "relatives": relatives,
        "next_relatives": form.url(relative=relatives.following) if relatives and relatives.following else "",
        "capitals": BankCapital.objects.select_related("entered_by")[:40],
    }  # fmt: skip
    return render(request, "credit_rating/registers.html", context)


@allowed("credit.read")
@require_GET
def related_party(request: Any, customer_id: int) -> HttpResponse:
    """Why one customer is a related party, its group, what is at stake, and every cap that it counts to."""
    today = bank_today(request.bank)
    customer = get_object_or_404(Customer.objects.visible_to(request.actor), pk=customer_id)
    party = party_of(request.actor, customer)
    if party is None:
        raise Http404
    context = {
        "party": party, "customer": customer, "today": today, "may_manage": may(request.actor, services.MANAGE),
        **_stakes(request, customer, today),
    }  # fmt: skip
    return render(request, "credit_rating/related_party.html", context)


@allowed("credit.read")
@require_GET
def exposure(request: Any, customer_id: int) -> HttpResponse:
    """What the bank has at stake with a customer and its group: each member's loans and credit, and every cap."""
    today = bank_today(request.bank)
    customer = get_object_or_404(Customer.objects.visible_to(request.actor), pk=customer_id)
    context = {"customer": customer, "today": today, **_stakes(request, customer, today)}
    return render(request, "credit_rating/exposure.html", context)


def _stakes(request: Any, customer: Customer, today: dt.date) -> dict[str, Any]:
    """Group and caps as they stand today; what hinders counting is said instead."""
    try:
        found = concentration_of(request.actor, customer, day=today)
    except DomainError as error:
        return {"fault": error}
    return {
        "concentration": found,
        "members": list(zip(found.members, told_ties(found.members), strict=True)),
        "caps": [(use, words.CAPS[use.code]) for use in found.uses],
    }


def _entry_page(request: Any, form: Any, title: str) -> HttpResponse:
    context = {"form": form, "title": title}
    return render(request, "credit_rating/register_form.html", context, status=422 if form.errors else 200)


@allowed("credit_register.manage")
@require_http_methods(["GET", "POST"])
def capital_add(request: Any) -> HttpResponse:
    """The capital of a reporting date."""
    form = CapitalForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            services.report_capital(
                request.actor, **form.cleaned_data, today=bank_today(request.bank), now=timezone.now()
            )
        except DomainError as error:
            form.refuse(error)
        else:
            messages.success(request, _("The capital is entered."))
            return redirect("credit_rating:registers")
    return _entry_page(request, form, _("Report capital"))


@allowed("credit_register.manage")
@require_http_methods(["GET", "POST"])
def related_add(request: Any) -> HttpResponse:
    """A related party or insider from a date on."""
    form = RelatedPartyForm(request.POST or None, initial={"from_date": bank_today(request.bank)})
    if request.method == "POST" and form.is_valid():
        try:
            services.enter_related_party(request.actor, **form.cleaned_data, now=timezone.now())
        except DomainError as error:
            form.refuse(error)
        else:
            messages.success(request, _("The related party is on the register."))
            return redirect("credit_rating:registers")
    return _entry_page(request, form, _("Enter a related party"))


@allowed("credit_register.manage")
@require_http_methods(["GET", "POST"])
def related_end(request: Any, entry_id: int) -> HttpResponse:
    """Until when an entry holds."""
    entry = (
        RelatedParty.objects.visible_to(request.actor).select_related("customer").filter(pk=entry_id).first()
    )
    if entry is None:
        raise Http404
    form = EndForm(request.POST or None, initial={"to_date": bank_today(request.bank)})
    if request.method == "POST" and form.is_valid():
        try:
            services.end_related_party(request.actor, entry=entry, to_date=form.cleaned_data["to_date"])
        except DomainError as error:
            form.refuse(error)
        else:
            messages.success(request, _("The entry ends; it stays on the register."))
            return redirect("credit_rating:registers")
    return _entry_page(request, form, _("End the entry of %s") % entry.customer.name)
