"""Roles: proposed for a person, decided by a second administrator, revoked."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from crm_site.accounts import selectors, services
from crm_site.accounts.forms import DecisionForm, GrantForm, add_refusal
from crm_site.accounts.models import GrantStatus, RoleGrant
from crm_site.accounts.views.once import settings_page
from crm_site.lib.errors import DomainError
from crm_site.lib.guards import allowed

DECIDED_SHOWN = 20


@require_GET
@allowed("role.decide")
def grant_list(request: Any) -> HttpResponse:
    context = {
        "waiting": list(selectors.waiting_grants(request.actor)),
        "decided": list(selectors.decided_grants(request.actor)[:DECIDED_SHOWN]),
    }
    return settings_page(request, "accounts/grant_list.html", context)


@require_http_methods(["GET", "POST"])
@allowed("role.propose")
def grant_add(request: Any, staff_id: int) -> HttpResponse:
    person = selectors.staff_for(request.actor, staff_id)
    if person is None:
        raise Http404
    sent, today = request.POST if request.method == "POST" else None, selectors.bank_today(request.bank)
    form = GrantForm(sent, actor=request.actor, today=today, unit_id=person.unit_id)
    if form.is_bound and form.is_valid():
        data = dict(form.cleaned_data)
        try:
            grant = services.propose_grant(
                request.actor, staff_id=staff_id, unit_id=data.pop("unit"), now=timezone.now(), **data
            )
        except DomainError as error:
            add_refusal(form, error)
        else:
            messages.success(request, _said(grant))
            return redirect("accounts:staff", staff_id)
    context = {"form": form, "person": person, "is_self": staff_id == request.actor.staff_id}
    return settings_page(request, "accounts/grant_form.html", context, 422 if form.is_bound else 200)


def _said(grant: RoleGrant) -> str:
    if grant.status == GrantStatus.EFFECTIVE:
        return _("The bank has its second administrator: from now on grants need both of you.")
    return _("Proposed. It holds when another administrator has approved it.")


@require_POST
@allowed("role.decide")
def grant_decide(request: Any, grant_id: int) -> HttpResponse:
    grant, form = _grant(grant_id), DecisionForm(request.POST)
    verdict = request.POST.get("verdict")
    if verdict not in ("approve", "reject") or not form.is_valid():
        messages.error(request, _("Choose approve or reject."))
        return redirect("accounts:grant-list")
    approve = verdict == "approve"
    try:
        services.decide_grant(
            request.actor, grant_id=grant.pk, approve=approve, now=timezone.now(), **form.cleaned_data
        )
        messages.success(request, _("Approved.") if approve else _("Rejected."))
    except DomainError as error:
        messages.error(request, error.message)
    return redirect("accounts:grant-list")


@require_POST
@allowed("role.propose")
def grant_withdraw(request: Any, grant_id: int) -> HttpResponse:
    grant = _grant(grant_id)
    try:
        services.withdraw_grant(request.actor, grant_id=grant.pk)
        messages.success(request, _("Withdrawn: nobody has to decide on it any more."))
    except DomainError as error:
        messages.error(request, error.message)
    return redirect("accounts:grant-list")


@require_POST
@allowed("role.decide")
def grant_revoke(request: Any, grant_id: int) -> HttpResponse:
    grant, form = _grant(grant_id), DecisionForm(request.POST)
    try:
        comment = form.cleaned_data["comment"] if form.is_valid() else ""
        services.revoke_grant(request.actor, grant_id=grant.pk, now=timezone.now(), comment=comment)
        messages.success(request, _("Revoked: it ends at once."))
    except DomainError as error:
        messages.error(request, error.message)
    return redirect("accounts:staff", grant.staff_id)


def _grant(grant_id: int) -> RoleGrant:
    found = RoleGrant.objects.filter(pk=grant_id).first()
    if found is None:
        raise Http404
    return found
