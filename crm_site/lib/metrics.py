"""Requests counted by route, for Prometheus. No personal data: routes are names of addresses, never paths.

Under gunicorn each worker process counts into files of PROMETHEUS_MULTIPROC_DIR (crm_site/gunicorn.py sets it).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from django.http import HttpResponse
from prometheus_client import Counter, Histogram

REQUESTS = Counter("banyan_requests_total", "Requests answered.", ["method", "route", "status"])
SECONDS = Histogram(
    "banyan_request_seconds",
    "Time to answer a request.",
    ["route"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class MetricsMiddleware:
    """Stands outside of everything that answers by itself, so that errors are counted too."""

    def __init__(self, get_response: Callable[[Any], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: Any) -> HttpResponse:
        begun = time.perf_counter()
        response = self.get_response(request)
        route = getattr(getattr(request, "resolver_match", None), "view_name", "") or "(none)"
        method = request.method if request.method in METHODS else "(other)"
        REQUESTS.labels(method, route, str(response.status_code)).inc()
        SECONDS.labels(route).observe(time.perf_counter() - begun)
        return response
