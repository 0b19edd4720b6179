"""What is done from a customer's page: log a contact, show a secret, edit the profile, add a prospect."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from crm_site.lib.errors import DomainError
from crm_site.lib.permissions import may
from customers import services
from customers.forms import ContactForm, CorrectionForm, ProfileForm, ProspectForm, RevealForm
from customers.models import Channel, Interaction
from customers.models.parties import crm_owned
from customers.selectors.timeline import CHANNEL_ICONS
from customers.services.privacy import PROTECTED, protected_row
from customers.views.guard import as_of, get_customer, is_partial, page

LAST_CHANNEL = "customer-channel"


def form_answer(request: Any, name: str, context: dict[str, Any], *, status: int = 200) -> HttpResponse:
    """A form as a page, or its partial for a dialog; 422 when it could not be taken."""
    template = f"customers/_{name}.html" if is_partial(request) else f"customers/{name}_page.html"
    return render(request, template, context, status=status)


def done(request: Any, url: str) -> HttpResponse:
    """Go on after a form was taken: htmx leaves the dialog by itself opening the page."""
    if is_partial(request):
        response = HttpResponse(status=204)
        response.headers["HX-Redirect"] = url
        return response
    return redirect(url)


@page("interaction.write")
@require_http_methods(["GET", "POST"])
def contact_add(request: Any, customer_id: int) -> HttpResponse:
    """Log a contact: the channel is preselected (the one used last), result, save."""
    customer = get_customer(request, customer_id)
    last = request.COOKIES.get(LAST_CHANNEL, Channel.CALL.value)
    form = ContactForm(
        request.POST or None,
        today=timezone.localdate(),
        initial={"channel": last if last in Channel.values else Channel.CALL},
    )
    if request.method == "POST" and form.is_valid():
        try:
            services.record_interaction(
                request.actor, customer=customer, now=timezone.now(), **form.cleaned_data
            )
        except DomainError as error:
            form.refuse(error)
        else:
            messages.success(request, _("Contact with %s recorded.") % customer.name)
            response = done(request, f"{reverse('customers:customer', args=[customer.pk])}?tab=service")
            response.set_cookie(
                LAST_CHANNEL, form.cleaned_data["channel"], max_age=86_400 * 30, samesite="Lax", httponly=True
            )
            return response
    context = {"customer": customer, "form": form, "icons": CHANNEL_ICONS, "day": as_of(request)}
    return form_answer(request, "contact_form", context, status=422 if form.errors else 200)


@page("interaction.write")
@require_http_methods(["GET", "POST"])
def contact_edit(request: Any, customer_id: int, contact_id: int) -> HttpResponse:
    """Correct result and note of one's own recent contact."""
    customer = get_customer(request, customer_id)
    contact = Interaction.objects.visible_to(request.actor).filter(customer=customer, pk=contact_id).first()
    if contact is None or not services.may_correct(request.actor, contact, timezone.now()):
        raise Http404
    form = CorrectionForm(request.POST or None, initial={"result": contact.result, "note": contact.note})
    if request.method == "POST" and form.is_valid():
        try:
            services.correct_interaction(
                request.actor, interaction=contact, now=timezone.now(), **form.cleaned_data
            )
        except DomainError as error:
            form.refuse(error)
        else:
            messages.success(request, _("Contact corrected; the record keeps both wordings."))
            return done(request, f"{reverse('customers:customer', args=[customer.pk])}?tab=service")
    context = {"customer": customer, "contact": contact, "form": form}
    return form_answer(request, "correction_form", context, status=422 if form.errors else 200)


@page("customer.reveal")
@require_http_methods(["GET", "POST"])
@never_cache
def reveal(request: Any, customer_id: int, kind: str, pk: int) -> HttpResponse:
    """Ask for the reason, then show one identifier or phone in full; the record has it first."""
    customer = get_customer(request, customer_id)
    row = protected_row(request.actor, customer=customer, kind=kind, pk=pk)
    if row is None:
        raise Http404
    form, value = RevealForm(request.POST or None), ""
    if request.method == "POST" and form.is_valid():
        try:
            value = services.reveal_identifier(
                request.actor, customer=customer, kind=kind, pk=pk, reason=form.cleaned_data["reason"]
            )
        except DomainError as error:
            form.refuse(error)
    context = {"customer": customer, "row": row, "kind": kind, "form": form, "value": value}
    context |= PROTECTED[kind].shown(row)
    return form_answer(request, "reveal", context, status=422 if form.errors else 200)


@page("customer.write")
@require_http_methods(["GET", "POST"])
def profile_edit(request: Any, customer_id: int) -> HttpResponse:
    """Edit the CRM-owned fields; what two people changed at once is shown field by field."""
    customer = get_customer(request, customer_id)
    owned = crm_owned(customer.kind)
    stored = {name: getattr(customer, name) for name in owned}
    form = ProfileForm(request.POST or None, kind=customer.kind, initial={**stored, "base": stored})
    conflicts: list[services.FieldConflict] = []
    if request.method == "POST" and form.is_valid():
        typed = {name: form.cleaned_data[name] for name in owned}
        try:
            changed = services.update_profile(
                request.actor,
                customer=customer,
                base=form.cleaned_data["base"],
                typed=typed,
                now=timezone.now(),
            )
            messages.success(request, _("Profile saved.") if changed else _("Nothing was changed."))
            return done(request, f"{reverse('customers:customer', args=[customer.pk])}?tab=information")
        except services.EditConflict as conflict:
            conflicts = conflict.conflicts
            # Sending again means: I have seen theirs.
            form.data = {
                **request.POST.dict(),
                "base": json.dumps(conflict.theirs),
            }  # a new mapping: the request's is frozen
            for field in conflicts:
                form.add_error(field.field, _("Changed meanwhile to: %s") % (field.theirs or "–"))
    context = {"customer": customer, "form": form, "conflicts": conflicts}
    return form_answer(
        request, "profile_form", context, status=409 if conflicts else 422 if form.errors else 200
    )


@page("customer.write")
@require_http_methods(["GET", "POST"])
def prospect_add(request: Any) -> HttpResponse:
    """A new target customer."""
    form = ProspectForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            prospect = services.create_prospect(request.actor, **form.cleaned_data)
        except DomainError as error:
            form.refuse(error)
        else:
            messages.success(request, _("Prospect %s added.") % prospect.name)
            return redirect("customers:customer", prospect.pk)
    context = {"form": form, "may_see": may(request.actor, "customer.read")}
    return form_answer(request, "prospect_form", context, status=422 if form.errors else 200)
