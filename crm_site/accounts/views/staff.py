"""Staff: list, person, and what an administrator does to one."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from crm_site.accounts import selectors, services
from crm_site.accounts.forms import LeaveForm, StaffChangeForm, StaffForm, add_refusal
from crm_site.accounts.models import GrantStatus, OrgUnit, Staff
from crm_site.accounts.sessions import has_second_factor
from crm_site.accounts.views.once import settings_page, show_once
from crm_site.lib.errors import DomainError
from crm_site.lib.guards import allowed


@require_GET
@allowed("staff.manage")
def staff_list(request: Any) -> HttpResponse:
    asked = {name: request.GET.get(name, "").strip()[:80] for name in ("q", "unit", "state", "after")}
    unit = asked["unit"]
    page = selectors.staff_page(
        request.actor, query=asked["q"], unit_id=int(unit) if unit.isdigit() and len(unit) < 19 else None,
        state=asked["state"] or "active", after=asked["after"],
    )  # fmt: skip
    kept = {k: v for k, v in asked.items() if v and k != "after"}
    context = {
        "page": page,
        "asked": asked,
        "units": OrgUnit.objects.order_by("lft"),
        "next_url": f"?{urlencode({**kept, 'after': page.next})}" if page.next else "",
        "first_url": f"?{urlencode(kept)}" if asked["after"] else "",
    }
    partial = request.htmx and not request.htmx.boosted
    return settings_page(
        request, "accounts/_staff_table.html" if partial else "accounts/staff_list.html", context
    )


@require_http_methods(["GET", "POST"])
@allowed("staff.manage")
def staff_add(request: Any) -> HttpResponse:
    form = StaffForm(request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid():
        data = dict(form.cleaned_data)
        try:
            made = services.hire_staff(request.actor, unit_id=data.pop("unit"), now=timezone.now(), **data)
        except DomainError as error:
            add_refusal(form, error)
        else:
            return _with_password(request, made)
    return settings_page(request, "accounts/staff_form.html", {"form": form}, 422 if form.is_bound else 200)


@require_GET
@allowed("staff.manage")
def staff(request: Any, staff_id: int) -> HttpResponse:
    found, now = _person(request, staff_id), timezone.now()
    without = selectors.managers_without_grade(request.actor, selectors.bank_today(request.bank))
    context = {
        "person": found,
        "lacks_grade": found in without,
        "grants": list(selectors.grants_of(staff_id)),
        "leave": LeaveForm(initial={"left_date": selectors.bank_today(request.bank)}),
        "is_self": staff_id == request.actor.staff_id,
        "is_locked": selectors.is_locked(found.number, now),
        "second_factor": has_second_factor(staff_id),
        "effective": GrantStatus.EFFECTIVE,
    }
    return settings_page(request, "accounts/staff.html", context)


@require_http_methods(["GET", "POST"])
@allowed("staff.manage")
def staff_edit(request: Any, staff_id: int) -> HttpResponse:
    found = _person(request, staff_id)
    form = StaffChangeForm(request.POST if request.method == "POST" else None, staff=found)
    if form.is_bound and form.is_valid():
        try:
            services.change_staff(request.actor, staff_id=staff_id, before=form.before(), after=form.after())
        except DomainError as error:
            add_refusal(form, error)
        else:
            messages.success(request, _("Saved."))
            return redirect("accounts:staff", staff_id)
    context = {"form": form, "person": found}
    return settings_page(request, "accounts/staff_form.html", context, 422 if form.is_bound else 200)


@require_POST
@allowed("staff.manage")
def staff_deactivate(request: Any, staff_id: int) -> HttpResponse:
    found, form = _person(request, staff_id), LeaveForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("Give the last day."))
        return redirect("accounts:staff", staff_id)
    try:
        services.deactivate_staff(request.actor, staff_id=staff_id, now=timezone.now(), **form.cleaned_data)
        messages.success(request, _("%s can no longer sign in.") % found.name)
    except DomainError as error:
        messages.error(request, error.message)
    return redirect("accounts:staff", staff_id)


@require_POST
@allowed("staff.manage")
def staff_reactivate(request: Any, staff_id: int) -> HttpResponse:
    return _new_password(request, staff_id, services.reactivate_staff)


@require_POST
@allowed("staff.manage")
def staff_password(request: Any, staff_id: int) -> HttpResponse:
    return _new_password(request, staff_id, services.reset_password)


@require_POST
@allowed("staff.manage")
def staff_unlock(request: Any, staff_id: int) -> HttpResponse:
    found = _person(request, staff_id)
    try:
        services.unlock_sign_in(request.actor, staff_id=staff_id)
        messages.success(request, _("%s may try to sign in again.") % found.name)
    except DomainError as error:
        messages.error(request, error.message)
    return redirect("accounts:staff", staff_id)


@require_POST
@allowed("staff.manage")
def staff_second_factor(request: Any, staff_id: int) -> HttpResponse:
    found = _person(request, staff_id)
    try:
        services.reset_second_factor(request.actor, staff_id=staff_id, now=timezone.now())
        messages.success(
            request,
            _("%s signs in with the password alone until a new second factor is set up.") % found.name,
        )
    except DomainError as error:
        messages.error(request, error.message)
    return redirect("accounts:staff", staff_id)


def _new_password(request: Any, staff_id: int, service: Any) -> HttpResponse:
    _person(request, staff_id)
    try:
        return _with_password(request, service(request.actor, staff_id=staff_id, now=timezone.now()))
    except DomainError as error:
        messages.error(request, error.message)
    return redirect("accounts:staff", staff_id)


def _with_password(request: Any, made: services.NewLogin) -> HttpResponse:
    lines = [(_("Staff number"), made.staff.number), (_("One-time password"), made.password)]
    title = _(
        "Hand this over in person. It is shown once, must be changed at the first sign-in, and expires after 72 hours."
    )
    return show_once(request, reverse("accounts:staff", args=[made.staff.pk]), title, lines)


def _person(request: Any, staff_id: int) -> Staff:
    found = selectors.staff_for(request.actor, staff_id)
    if found is None:
        raise Http404
    return found
