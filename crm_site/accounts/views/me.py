"""One's own page: who one is here, which roles one holds, and the way to password, second factor and sessions."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from crm_site.accounts.models import Staff
from crm_site.accounts.selectors import bank_today, effective_grants
from crm_site.accounts.services import end_session
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


@require_POST
@signed_in
def session_end(request: Any, session_id: int) -> HttpResponse:
    """Sign oneself out in one other place: a telephone that is lost."""
    if not end_session(request.actor.staff_id, session_id):
        raise Http404
    messages.success(request, _("Signed out there."))
    return redirect("usersessions_list")
