"""Pages that belong to no single app: home, health, errors."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render

from crm_site.composition.readiness import readiness


def healthz(request: HttpRequest) -> HttpResponse:
    """The process is alive."""
    return JsonResponse({"status": "alive"})


def readyz(request: HttpRequest) -> HttpResponse:
    """200 once the database answers and its migrations are applied; a missing broker only degrades."""
    state = readiness()
    return JsonResponse(state, status=200 if state["ready"] else 503)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    return render(request, "403.html", {"csrf": True}, status=403)
