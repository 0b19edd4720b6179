"""From request to actor: the bank by host name, the language, the person; and one log line per request."""

from __future__ import annotations

import ipaddress
import logging
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone, translation

from crm_site.accounts import selectors
from crm_site.accounts.banks import bank_for_host
from crm_site.accounts.selectors import actor_for, bank_today
from crm_site.lib.api.problems import MACHINES, error_answer
from crm_site.lib.tenancy import act_as, bank, in_bank

Handler = Callable[[HttpRequest], HttpResponse]
log = logging.getLogger("banyan.request")
# Answered on any host name, outside every bank.
ANY_HOST = ("/healthz", "/readyz", "/metrics", "/static/")


class RequestLogMiddleware:
    """A request id for logs, audit and error pages; one structured line without personal data."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: Any) -> HttpResponse:
        request.request_id = uuid.uuid4().hex[:16]
        if settings.IS_HTTPS:
            _take_address(request)
        begun = time.perf_counter()
        response = self.get_response(request)
        route = getattr(getattr(request, "resolver_match", None), "view_name", "") or ""
        actor = getattr(request, "actor", None)
        log.info(
            "request",
            extra={
                "fields": {
                    "request_id": request.request_id,
                    "bank_id": getattr(request, "bank_id", None),
                    "method": request.method,
                    "route": route,
                    "status": response.status_code,
                    "milliseconds": round((time.perf_counter() - begun) * 1000, 1),
                    "staff_id": getattr(actor, "staff_id", None),
                }
            },
        )
        response.headers["X-Request-Id"] = request.request_id
        return response


def _take_address(request: Any) -> None:
    """Behind the proxy that ends TLS the peer is the proxy; the person's address is the last one it wrote down."""
    written = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip()
    try:
        request.META["REMOTE_ADDR"] = str(ipaddress.ip_address(written))
    except ValueError:
        return


class BankMiddleware:
    """Runs the request inside the bank of its host name and by its clock; an unknown host sees the landing page alone.

    Stands before the session, whose rows belong to a bank too. An answer of 500 or more rolls back.
    """

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: Any) -> HttpResponse:
        request.bank, request.bank_id = None, None
        if request.path.startswith(ANY_HOST):
            return self.get_response(request)
        found = bank_for_host(request.get_host().rsplit(":", 1)[0].lower())
        if found is None:
            if request.path.startswith(MACHINES):
                return error_answer(404, "No bank has this host name.")
            status = 200 if request.path == "/" else 404
            shown = [] if settings.PRODUCTION or status != 200 else selectors.banks()
            port = f":{request.get_port()}" if request.get_port() not in ("80", "443") else ""
            rows = [{**row, "url": f"{request.scheme}://{row['host']}{port}/"} for row in shown]
            return render(request, "landing.html", {"banks": rows}, status=status)
        request.bank, request.bank_id = found, found.pk
        zone = ZoneInfo(found.timezone)  # times are read and shown as at the bank's place
        with bank(found.pk), timezone.override(zone):
            response = self.get_response(request)
            if response.status_code >= 500:
                transaction.set_rollback(True)
        if getattr(response, "streaming", False) and not getattr(response, "is_async", False):
            stream: Any = response
            pieces = _within(lambda: timezone.override(zone), stream.streaming_content)
            stream.streaming_content = in_bank(found.pk, pieces)
        return response


class LanguageMiddleware:
    """The reader's language: cookie, else what the browser asks for, else the bank's."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: Any) -> HttpResponse:
        chosen = request.COOKIES.get("language", "")
        if request.path.startswith("/api/") and not request.headers.get("Accept-Language"):
            chosen = "en"
        if chosen not in ("en", "zh-hans"):
            asked = request.headers.get("Accept-Language", "")
            if asked:
                chosen = "zh-hans" if asked.lower().startswith("zh") else "en"
            else:
                chosen = request.bank.language if request.bank else "en"
        with translation.override(chosen):
            request.LANGUAGE_CODE = chosen
            response = self.get_response(request)
        if getattr(response, "streaming", False) and not getattr(response, "is_async", False):
            stream: Any = response
            stream.streaming_content = _within(lambda: translation.override(chosen), stream.streaming_content)
        response.headers.setdefault("Content-Language", chosen)
        return response


def _within(
    surroundings: Callable[[], AbstractContextManager[None]], chunks: Iterable[bytes]
) -> Iterator[bytes]:
    """A streamed answer is written after the middleware has gone: each piece in the reader's language and the bank's
    time zone still."""
    pieces = iter(chunks)
    while True:
        with surroundings():
            piece = next(pieces, None)
        if piece is None:
            return
        yield piece


class ActorMiddleware:
    """`request.actor`: the signed-in person's actor, or None. Pages of another bank's session stay anonymous.

    Answers to a signed-in person are kept by nobody.
    """

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: Any) -> HttpResponse:
        request.actor = None
        user = getattr(request, "user", None) if request.bank is not None else None
        if user is not None and user.is_authenticated and user.is_active and user.bank_id == request.bank_id:
            request.actor = actor_for(
                user,
                day=bank_today(request.bank),
                language=request.LANGUAGE_CODE,
                request_id=request.request_id,
                address=request.META.get("REMOTE_ADDR", ""),
            )
            if request.method not in ("GET", "HEAD", "OPTIONS"):
                act_as(request.actor)
        response = self.get_response(request)
        if request.actor is not None:
            # What a signed-in person saw stays out of every cache: the back button after signing out shows nothing.
            response.headers.setdefault("Cache-Control", "private, no-store")
        return response
