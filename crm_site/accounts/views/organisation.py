"""The organisation tree, grades, how people sign in, the bank's facts."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from crm_site.accounts import selectors, services
from crm_site.accounts.forms import CapacityForm, PolicyForm, UnitChangeForm, UnitForm, add_refusal
from crm_site.accounts.models import GRADE_UNTIL_SET, OrgUnit
from crm_site.accounts.views.once import settings_page
from crm_site.lib.errors import DomainError
from crm_site.lib.guards import allowed


@require_GET
@allowed("organisation.manage")
def settings(request: Any) -> HttpResponse:
    return redirect("accounts:unit-list")


@require_GET
@allowed("organisation.manage")
def unit_list(request: Any) -> HttpResponse:
    return settings_page(request, "accounts/unit_list.html", {"rows": selectors.unit_tree(request.actor)})


@require_http_methods(["GET", "POST"])
@allowed("organisation.manage")
def unit_add(request: Any) -> HttpResponse:
    form = UnitForm(request.POST or None, initial={"parent": request.GET.get("parent")})
    if request.method == "POST" and form.is_valid():
        data = dict(form.cleaned_data)
        try:
            unit = services.add_unit(request.actor, parent_id=data.pop("parent"), **data)
        except DomainError as error:
            add_refusal(form, error)
        else:
            messages.success(request, _("%s is open.") % unit.name)
            return redirect("accounts:unit-list")
    status = 422 if request.method == "POST" else 200
    return settings_page(request, "accounts/unit_form.html", {"form": form}, status)


@require_http_methods(["GET", "POST"])
@allowed("organisation.manage")
def unit(request: Any, unit_id: int) -> HttpResponse:
    found = _unit(request, unit_id)
    form = UnitChangeForm(request.POST if request.method == "POST" else None, unit=found)
    if form.is_bound and form.is_valid():
        data, parent = form.cleaned_data, form.seen("parent")
        try:
            services.change_unit(
                request.actor, unit_id=unit_id, name=data["name"], region=data["region"],
                parent_id=data.get("parent"),
                seen=(form.seen("name"), form.seen("region"), int(parent) if parent.isdigit() else None),
            )  # fmt: skip
        except DomainError as error:
            add_refusal(form, error)
        else:
            messages.success(request, _("Saved."))
            return redirect("accounts:unit-list")
    return settings_page(
        request, "accounts/unit_form.html", {"form": form, "place": found}, 422 if form.is_bound else 200
    )


@require_POST
@allowed("organisation.manage")
def unit_close(request: Any, unit_id: int) -> HttpResponse:
    return _switched(request, unit_id, services.close_unit, _("%s is closed."))


@require_POST
@allowed("organisation.manage")
def unit_reopen(request: Any, unit_id: int) -> HttpResponse:
    return _switched(request, unit_id, services.reopen_unit, _("%s is open."))


def _switched(request: Any, unit_id: int, service: Any, said: str) -> HttpResponse:
    _unit(request, unit_id)
    try:
        messages.success(request, said % service(request.actor, unit_id=unit_id).name)
    except DomainError as error:
        messages.error(request, error.message)
    return redirect("accounts:unit-list")


def _unit(request: Any, unit_id: int) -> OrgUnit:
    found = selectors.unit_for(request.actor, unit_id)
    if found is None:
        raise Http404
    return found


@require_http_methods(["GET", "POST"])
@allowed("organisation.manage")
def grades(request: Any) -> HttpResponse:
    rows, sent = [], request.POST if request.method == "POST" else None
    for capacity in selectors.capacities(request.actor):
        initial = {"max_customers": capacity.max_customers, "max_value": capacity.max_value}
        rows.append((capacity, CapacityForm(sent, prefix=capacity.grade, initial=initial)))
    valid = [form.is_valid() for _capacity, form in rows]  # each, so that every error shows
    if sent is not None and all(valid):
        for capacity, form in rows:
            services.set_capacity(request.actor, grade=capacity.grade, **form.cleaned_data)
        messages.success(request, _("Saved."))
        return redirect("accounts:grades")
    context = {
        "rows": rows,
        "without": selectors.managers_without_grade(request.actor, selectors.bank_today(request.bank)),
        "until_set": GRADE_UNTIL_SET.label,
    }
    return settings_page(request, "accounts/grades.html", context, 200 if sent is None else 422)


@require_http_methods(["GET", "POST"])
@allowed("organisation.manage")
def bank(request: Any) -> HttpResponse:
    if request.method == "POST":
        form = PolicyForm(request.POST)
        form.is_valid()
        services.set_sign_in_policy(request.actor, now=timezone.now(), **form.cleaned_data)
        messages.success(request, _("Saved."))
        return redirect("accounts:bank")
    form = PolicyForm(initial={"second_factor_required": selectors.second_factor_required()})
    return settings_page(request, "accounts/bank.html", {"form": form})
