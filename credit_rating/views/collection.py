"""Collecting information in the field: saved while one types, conflicts field by field (A2)."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from credit_rating import words
from credit_rating.collection import VALUE_SOURCES, Field, fields_of, sections_of, shown
from credit_rating.forms_case import base_of
from credit_rating.models import InformationForm, credit_kind
from credit_rating.models.kinds import CreditKind
from credit_rating.selectors import collection
from credit_rating.services import collection as services
from credit_rating.views.case import case_customer, is_partial, page
from crm_site.accounts.selectors import bank_today
from crm_site.lib import formats
from crm_site.lib.errors import DomainError
from crm_site.lib.guards import allowed
from customers.models import Customer


def _kept(form: InformationForm | None) -> dict[str, str]:
    return {code: cell.get("value", "") for code, cell in form.values.items()} if form else {}


def _boxes(kind: str, form: InformationForm | None, typed: Any, faults: dict[str, str]) -> list[Any]:
    """[(section, [(field, what stands in its box, fault, where it is from)])]."""
    kept = _kept(form)

    def box(field: Field) -> tuple[Field, str, str, dict[str, Any]]:
        value = (
            typed[field.code]
            if typed is not None and field.code in typed
            else shown(field, kept.get(field.code, ""))
        )
        cell = (form.values if form else {}).get(field.code, {})
        said_on = cell.get("as_of", "")
        source = {
            "day": formats.day(dt.date.fromisoformat(said_on)) if said_on else "",
            "label": words.SOURCES.get(cell.get("source", ""), ""),
        }
        return field, value, faults.get(field.code, ""), source if kept.get(field.code) else {}

    return [(section, [box(f) for f in fields]) for section, fields in sections_of(kind)]


@allowed("credit.prepare")
@require_http_methods(["GET", "POST"])
def collection_form(request: Any, customer_id: int) -> HttpResponse:
    """The form; POST saves the draft (htmx: while one types), with `submit` it becomes the form in use."""
    customer = case_customer(request, customer_id)
    if request.method == "POST":
        return _save(request, customer)
    form = collection.draft_of(request.actor, customer) or collection.submitted_of(request.actor, customer)
    return _form_page(request, customer, form, None, {}, {}, 200)


@allowed("credit.prepare")
@require_GET
def collection_print(request: Any, customer_id: int) -> HttpResponse:
    """The paper form 客户信息采集登记表; what is not known yet is left to be written by hand."""
    customer = case_customer(request, customer_id)
    form = collection.draft_of(request.actor, customer) or collection.submitted_of(request.actor, customer)
    context = {
        "customer": customer, "draft": form, "known": collection.known_of(request.actor, customer, form),
        "kind_label": CreditKind(credit_kind(customer)).label,
        "sections": [
            (section, [(field, *_printed(field, value), source) for field, value, _fault, source in boxes])
            for section, boxes in _boxes(credit_kind(customer), form, None, {})
        ],
        "form_name": _("Information collection form"), "form_number": customer.number,
        "printed_by": request.actor.label, "printed_at": timezone.now(),
    }  # fmt: skip
    return render(request, "credit_rating/collection_print.html", context)


def _printed(field: Field, value: str) -> tuple[Decimal | None, str]:
    """(amount, words) of what stands in a box."""
    if field.type == "money" and value:
        return Decimal(value), ""
    if field.type == "choice":
        return None, str(dict(field.choices).get(value, ""))
    return None, f"{value}%" if field.type == "percent" and value else value


def _save(request: Any, customer: Customer) -> HttpResponse:
    fields = fields_of(credit_kind(customer))
    base = base_of(request.POST.get("base", ""))
    typed = {code: request.POST[code] for code in fields if code in request.POST}
    taken = request.POST.get("take", "")
    if request.POST.get("keep", "") in fields:  # having seen theirs, mine is to stand
        seen = base_of(request.POST.get("theirs", ""))
        base[request.POST["keep"]] = seen.get(request.POST["keep"], "")
    typed.pop(taken, None)
    source = request.POST.get("source", "interview")
    saved = services.save_draft(
        request.actor, customer=customer, typed=typed, base=base, now=timezone.now(),
        source=source if source in dict(VALUE_SOURCES) else "interview", today=bank_today(request.bank),
    )  # fmt: skip
    if "submit" in request.POST and saved.is_whole:
        return _submit(request, customer)
    if is_partial(request) and not taken:
        return render(
            request,
            "credit_rating/_collection_state.html",
            _state(request, customer, saved.form, saved, base),
        )
    if saved.is_whole:
        messages.success(request, _("The draft is saved."))
        return redirect("credit_rating:collection", customer.pk)
    return _form_page(
        request, customer, saved.form, typed, saved.theirs, saved.faults, 409 if saved.theirs else 422, base
    )


def _submit(request: Any, customer: Customer) -> HttpResponse:
    try:
        services.submit_form(request.actor, customer=customer, now=timezone.now())
    except DomainError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, _("Submitted: ratings and calculations use it from now on."))
        if zone := _zone_of(request):  # on to the next household of the round
            return redirect("credit_rating:campaign-zone", zone)
    return redirect("credit_rating:collection", customer.pk)


def _zone_of(request: Any) -> int:
    """The zone of a campaign that the form was opened from; 0 when it was not."""
    given = request.POST.get("zone") or request.GET.get("zone", "")
    return int(given) if given.isdecimal() and len(given) < 19 else 0


def _state(
    request: Any,
    customer: Customer,
    form: InformationForm | None,
    saved: services.Saved | None,
    base: dict[str, str],
) -> dict[str, Any]:
    """What the foot of the form shows: saved when, how complete, what two people changed. A field that is in conflict
    keeps the base it was opened with, so that nothing of theirs is overwritten by saving on."""
    theirs = saved.theirs if saved else {}
    faults = saved.faults if saved else {}
    kept = _kept(form)
    fields = fields_of(credit_kind(customer))
    return {
        "customer": customer, "draft": form, "known": collection.known_of(request.actor, customer, form),
        "base": json.dumps({**kept, **{code: base.get(code, "") for code in (*theirs, *faults)}}),
        "theirs": json.dumps(theirs),
        "conflicts": [(fields[code], shown(fields[code], value)) for code, value in theirs.items()],
        "faults": [(fields[code], text) for code, text in faults.items()],
    }  # fmt: skip


def _form_page(
    request: Any, customer: Customer, form: InformationForm | None, typed: Any, theirs: dict[str, str],
    faults: dict[str, str], status: int, base: dict[str, str] | None = None,
) -> HttpResponse:  # fmt: skip
    saved = services.Saved(form, [], theirs, faults) if form and (theirs or faults) else None
    context = {
        "sections": _boxes(credit_kind(customer), form, typed, faults), "sources": VALUE_SOURCES, "zone_id": _zone_of(request),
        **_state(request, customer, form, saved, base or {}),
    }  # fmt: skip
    return page(
        request, "credit_rating/collection_form.html", customer, context, tab="collection", status=status
    )
