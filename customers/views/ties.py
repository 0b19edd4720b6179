"""Ties of a customer: the panel with its graph, the whole list, and what staff record of who belongs to whom."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from crm_site.accounts.selectors import bank_today
from crm_site.lib.errors import DomainError
from crm_site.lib.permissions import may
from customers import services
from customers.forms_ties import TieEndForm, TieForm
from customers.models import Customer, RecordedTie
from customers.selectors.ties import (
    OtherParty,
    other_party,
    past_ties,
    possible_parties,
    relations_of,
    sentence_of,
    tie_of,
)
from customers.ties import holds_of
from customers.views.actions import done, form_answer
from customers.views.drawings import MOST_NODES, draw_relations
from customers.views.guard import get_customer, is_partial, page
from customers.views.single import show


def _ties(request: Any, customer: Customer) -> dict[str, Any]:
    parties = relations_of(request.actor, customer)
    return {
        "customer": customer,
        "parties": parties,
        "past": past_ties(request.actor, customer),
        "graph": draw_relations(customer.name, parties),
        "may_tie": may(request.actor, "tie.record"),
    }


@page("customer.read")
@require_GET
def panel(request: Any, customer_id: int) -> HttpResponse:
    """Family, group, owners and supply chain: a picture, and the first of them as a table."""
    found = _ties(request, get_customer(request, customer_id))
    return show(request, "customers/_panel_relations.html", {**found, "shown": found["parties"][:MOST_NODES]})


@page("customer.read")
@require_GET
def tie_list(request: Any, customer_id: int) -> HttpResponse:
    """Every tie of the customer, and those that have ended."""
    found = _ties(request, get_customer(request, customer_id))
    return render(request, "customers/tie_list.html", {**found, "shown": found["parties"]})


@page("tie.record")
@require_http_methods(["GET", "POST"])
@never_cache
def tie_add(request: Any, customer_id: int) -> HttpResponse:
    """Choose the other customer, then say what ties the two."""
    customer = get_customer(request, customer_id)
    number = request.POST.get("other", "") or request.GET.get("other", "")
    other = other_party(request.actor, number) if number else None
    if other is None or other.customer.pk == customer.pk:
        return _choose(request, customer, is_refused=bool(number))
    form = TieForm(request.POST or None, customer=customer, other=other.customer, name=other.name)
    if request.method == "POST" and form.is_valid():
        try:
            record = services.record_tie(
                request.actor, customer=customer, other=number, now=timezone.now(), **form.told()
            )
        except DomainError as error:
            form.refuse(error)
        else:
            told = sentence_of(record, customer, other.name)
            messages.success(request, _("On record: %s.") % told)
            return done(request, reverse("customers:tie-list", args=[customer.pk]))
    return _asked(request, customer, other, form)


def _choose(request: Any, customer: Customer, *, is_refused: bool) -> HttpResponse:
    text = request.GET.get("q", "")
    found, beside = possible_parties(request.actor, customer, text)
    context = {
        "customer": customer, "q": text, "found": found, "beside": beside, "is_refused": is_refused,
        "hits": [hit for hit in found.hits if hit.id != customer.pk],
    }  # fmt: skip
    template = "customers/_tie_choices.html" if is_partial(request) else "customers/tie_choose.html"
    return render(request, template, context, status=422 if is_refused else 200)


def _asked(request: Any, customer: Customer, other: OtherParty, form: TieForm) -> HttpResponse:
    held = _held(request, (customer.pk, other.customer.pk))
    context = {"customer": customer, "other": other, "form": form, **held}
    return form_answer(request, "tie_form", context, status=422 if form.errors else 200)


def _held(request: Any, ends: tuple[int, int]) -> dict[str, Any]:
    """What keeps a tie between two customers, as the reader may see it."""
    holds = holds_of(request.actor, ends, bank_today(request.bank))
    return {"holds": holds, "hidden": sum(1 for hold in holds if not hold.name)}


@page("tie.record")
@require_http_methods(["GET", "POST"])
def tie_end(request: Any, customer_id: int, record_id: int) -> HttpResponse:
    """The end of a tie that staff recorded."""
    customer = get_customer(request, customer_id)
    record = tie_of(customer, record_id)
    if record is None or (record.ended_at and request.method == "GET"):
        raise Http404
    told = _said(request, customer, record)
    held = {} if record.ended_at else _held(request, (record.customer_id, record.other_id))
    is_held = bool(held.get("holds"))
    initial = {"ended_date": bank_today(request.bank)}
    form = TieEndForm(request.POST or None, initial=initial, is_held=is_held)
    if request.method == "POST" and form.is_valid():
        try:
            services.end_tie(request.actor, record=record, now=timezone.now(), **form.cleaned_data)
        except DomainError as error:
            form.refuse(error)
        else:
            messages.success(request, _("Ended: %s. It stays among the ended ties.") % told)
            return done(request, reverse("customers:tie-list", args=[customer.pk]))
    shown = form if not is_held or may(request.actor, "tie.correct") else None
    context = {"customer": customer, "record": record, "told": told, "form": shown, **held}
    return form_answer(request, "tie_end_form", context, status=422 if form.errors else 200)


def _said(request: Any, customer: Customer, record: RecordedTie) -> str:
    """A recorded tie as a sentence, with the name that the reader may know."""
    other = record.other if record.customer_id == customer.pk else record.customer
    party = other_party(request.actor, other.number)
    return sentence_of(record, customer, party.name if party else "")
