"""Homes of those who see no customer: the bank's administrator and the platform's operator."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from crm_site.accounts.sessions import has_second_factor
from crm_site.composition.administration import bank_states, morning
from crm_site.composition.readiness import readiness
from crm_site.lib.guards import allowed


@require_GET
@allowed("administration.read")
def administrator_home(request: Any) -> HttpResponse:
    context = {
        "morning": morning(request.actor, timezone.now()),
        "second_factor": has_second_factor(request.actor.staff_id),
    }
    return render(request, "composition/administrator_home.html", context)


@require_GET
@allowed("bank.manage")
def operator_home(request: Any) -> HttpResponse:
    """On a bank's own host an operator has nothing to do."""
    if not request.bank.is_platform:
        return render(request, "home_without_role.html")
    context = {
        "states": bank_states(request.actor),
        "ready": readiness(),
        "second_factor": has_second_factor(request.actor.staff_id),
    }
    return render(request, "composition/operator_home.html", context)
