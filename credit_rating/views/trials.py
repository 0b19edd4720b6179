"""A version tried on the book before it is published: ordered, waited for, shown on the version's page."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from credit_rating.selectors.trials import tried
from credit_rating.services.trials import Version, order_trial
from credit_rating.views.policies import find_policy
from credit_rating.views.scorecards import find_card
from crm_site.lib.errors import DomainError
from crm_site.lib.guards import allowed


@allowed("credit_policy.try")
@require_http_methods(["GET", "POST"])
def policy_trial(request: Any, policy_id: int) -> HttpResponse:
    """Order the trial of a policy, or ask how far it is."""
    return _trial(request, find_policy(policy_id), "credit_rating:policy")


@allowed("credit_policy.try")
@require_http_methods(["GET", "POST"])
def scorecard_trial(request: Any, scorecard_id: int) -> HttpResponse:
    """Order the trial of a scorecard, or ask how far it is."""
    return _trial(request, find_card(scorecard_id), "credit_rating:scorecard")


def _trial(request: Any, version: Version, page: str) -> HttpResponse:
    if request.method == "POST":
        try:
            order_trial(request.actor, version, now=timezone.now())
        except DomainError as error:
            messages.error(request, error.message)
        return redirect(page, version.pk)
    found = tried(request.actor, version)
    if found is None or found.work is None:
        return redirect(page, version.pk)
    response = render(request, "credit_rating/_job_progress.html", {"work": found.work, "url": request.path})
    if not found.work.under_way:
        response.headers["HX-Refresh"] = "true"
    return response
