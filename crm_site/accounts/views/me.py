"""One's own page: who one is here, which roles one holds, and the way to password, second factor and sessions."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from crm_site.accounts.models import Staff
from crm_site.accounts.selectors import bank_today, effective_grants
from crm_site.accounts.sessions import has_second_factor
from crm_site.lib.guards import signed_in


@require_GET
@signed_in
def me(request: Any) -> HttpResponse:
    person = Staff.objects.select_related("unit").get(pk=request.actor.staff_id)
    grants = (
        effective_grants(person.pk, bank_today(request.bank))
        .select_related("unit")
        .order_by("from_date", "id")
    )
    context = {"person": person, "grants": list(grants), "second_factor": has_second_factor(person.pk)}
    return render(request, "accounts/me.html", context)
