"""The people at a company: the panel, and what is recorded of who comes and who leaves."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from crm_site.accounts.selectors import bank_today
from crm_site.lib import formats
from crm_site.lib.errors import DomainError
from crm_site.lib.permissions import may
from customers import services
from customers.forms_people import PersonChangeForm, PersonForm, PersonLeftForm
from customers.models import ContactPerson, Customer, CustomerKind
from customers.selectors.people import people_of, person_of
from customers.selectors.single import sees_customer
from customers.services.people import stored_words
from customers.views.actions import done, form_answer
from customers.views.guard import get_customer, page
from customers.views.single import show


def _company(request: Any, customer_id: int) -> Customer:
    customer = get_customer(request, customer_id)
    if customer.kind != CustomerKind.CORPORATE:
        raise Http404
    return customer


def _person(request: Any, customer: Customer, person_id: int) -> ContactPerson:
    """Nobody who has left is asked about; what is sent meanwhile is the service's to answer."""
    found = person_of(request.actor, customer, person_id)
    if found is None or (found.left_date and request.method == "GET"):
        raise Http404
    return found


def _back(request: Any, customer: Customer) -> HttpResponse:
    return done(request, reverse("customers:customer", args=[customer.pk]))


@page("customer.read")
@require_GET
def panel(request: Any, customer_id: int) -> HttpResponse:
    """Whom to call and who signs; who has left in the last year."""
    customer = get_customer(request, customer_id)
    context = {
        "customer": customer,
        "is_company": customer.kind == CustomerKind.CORPORATE,
        "people": people_of(request.actor, customer, day=bank_today(request.bank)),
        "may_write": may(request.actor, "customer.write"),
        "may_reveal": may(request.actor, "customer.reveal"),
    }
    return show(request, "customers/_panel_people.html", context)


@page("customer.write")
@require_http_methods(["GET", "POST"])
def person_add(request: Any, customer_id: int) -> HttpResponse:
    """Somebody in a post at the company."""
    customer = _company(request, customer_id)
    form = PersonForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            found = services.add_person(
                request.actor, customer=customer, now=timezone.now(), **form.cleaned_data
            )
        except DomainError as error:
            form.refuse(error)
        else:
            messages.success(request, _("%(name)s is on record.") % {"name": found.name})
            return _back(request, customer)
    context = {"customer": customer, "form": form}
    return form_answer(request, "person_form", context, status=422 if form.errors else 200)


@page("customer.write")
@require_http_methods(["GET", "POST"])
def person_edit(request: Any, customer_id: int, person_id: int) -> HttpResponse:
    """What is known of somebody; what two people changed at once is shown field by field."""
    customer = _company(request, customer_id)
    person = _person(request, customer, person_id)
    stored = stored_words(person)
    form = PersonChangeForm(
        request.POST or None,
        masked=formats.phone(person.phone_masked),
        may_link=not person.party_id or sees_customer(request.actor, person.party_id),
        initial={**stored, "roles": person.roles, "phone": "", "base": stored},
    )
    conflicts: list[services.FieldConflict] = []
    if request.method == "POST" and form.is_valid():
        try:
            changed = services.change_person(
                request.actor,
                person=person,
                base=form.cleaned_data["base"],
                typed=form.typed(),
                now=timezone.now(),
            )
        except services.EditConflict as conflict:
            conflicts = conflict.conflicts
            form.seen(conflict, request.POST.copy())
        except DomainError as error:
            form.refuse(error)
        else:
            messages.success(request, _("Saved.") if changed else _("Nothing was changed."))
            return _back(request, customer)
    context = {"customer": customer, "person": person, "form": form, "conflicts": conflicts}
    return form_answer(
        request, "person_form", context, status=409 if conflicts else 422 if form.errors else 200
    )


@page("customer.write")
@require_http_methods(["GET", "POST"])
def person_leave(request: Any, customer_id: int, person_id: int) -> HttpResponse:
    """The end of somebody's time in a post."""
    customer = _company(request, customer_id)
    person = _person(request, customer, person_id)
    form = PersonLeftForm(request.POST or None, initial={"left_date": bank_today(request.bank)})
    if request.method == "POST" and form.is_valid():
        try:
            services.person_left(request.actor, person=person, now=timezone.now(), **form.cleaned_data)
        except DomainError as error:
            form.refuse(error)
        else:
            messages.success(
                request, _("%(name)s is no longer among the people there.") % {"name": person.name}
            )
            return _back(request, customer)
    context = {"customer": customer, "person": person, "form": form}
    return form_answer(request, "person_left_form", context, status=422 if form.errors else 200)
