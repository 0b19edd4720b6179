"""Pages that belong to no single app: home, health, errors."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import resolve, reverse
from django.views import defaults
from django.views.decorators.http import require_safe

from crm_site.composition.context import home_of
from crm_site.composition.readiness import readiness
from crm_site.lib.api.problems import MACHINES, error_answer
from crm_site.lib.guards import signed_in


@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """The process is alive."""
    return JsonResponse({"status": "alive"})


@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """200 once the database answers and its migrations are applied; a missing broker only degrades."""
    state = readiness()
    return JsonResponse(state, status=200 if state["ready"] else 503)


@require_safe
@signed_in
def home(request: Any) -> HttpResponse:
    """The home of the signed-in person's role; a person without a role is told whom to ask."""
    own = home_of(request.actor)
    if own is None:
        return render(request, "home_without_role.html", status=200)
    match = resolve(reverse(own.url_name))
    return match.func(request, *match.args, **match.kwargs)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return (
        error_answer(400) if request.path.startswith(MACHINES) else defaults.bad_request(request, exception)
    )


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    if request.path.startswith(MACHINES):
        return error_answer(404)
    return defaults.page_not_found(request, exception)


def failed(request: HttpRequest) -> HttpResponse:
    """A defect of ours: in the log with its trace, never in the answer."""
    return error_answer(500) if request.path.startswith(MACHINES) else defaults.server_error(request)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    return render(request, "403.html", {"csrf": True}, status=403)
