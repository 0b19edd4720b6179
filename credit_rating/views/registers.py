"""The bank's capital, and the register of related parties and insiders."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from credit_rating.engine.exposure import CapUse
from credit_rating.forms_case import CapitalForm, EndForm, RelatedPartyForm
from credit_rating.models import BankCapital, RelatedParty, StaffRelation
from credit_rating.policies.caps import CAPS
from credit_rating.selectors.exposure import related_use
from credit_rating.services import exposure as services
from crm_site.accounts.selectors import bank_today
from crm_site.lib.errors import DomainError
from crm_site.lib.guards import allowed
from crm_site.lib.permissions import may


@allowed("credit.read")
@require_GET
def registers(request: Any) -> HttpResponse:
    """Both registers. People see the related parties among the customers they see."""
    today = bank_today(request.bank)
    use = related_use(today)
    parties = RelatedParty.objects.visible_to(request.actor).select_related("customer", "entered_by")[:500]
    context = {
        "use": use,
        "capitals": BankCapital.objects.select_related("entered_by")[:40],
        "parties": [
            (row, use.each.get(row.customer_id), _cap_label(use.each.get(row.customer_id))) for row in parties
        ],
        "relations": StaffRelation.objects.visible_to(request.actor).select_related("staff", "customer")[:500]
        if may(request.actor, services.MANAGE)
        else [],
        "today": today,
        "may_manage": may(request.actor, services.MANAGE),
    }
    return render(request, "credit_rating/registers.html", context)


def _cap_label(use: CapUse | None) -> Any:
    return CAPS[use.code][0] if use else ""


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
