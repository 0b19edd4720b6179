"""Every refusal of the API is application/problem+json (RFC 9457) with JSON pointers, never HTML."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.db import IntegrityError
from django.http import Http404, JsonResponse
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from crm_site.lib.api.parsing import TooLarge
from crm_site.lib.errors import DomainError

CONTENT_TYPE = "application/problem+json"
# Addresses that machines call: whatever goes wrong there is a problem, never a page.
MACHINES = ("/api/", "/identity/", "/.well-known/")
BUSY_SECONDS = 30  # after which to try again what cannot be done just now


class ConflictProblem(exceptions.APIException):
    status_code = 409
    default_detail = "Conflict."
    default_code = "conflict"


def _escape(part: object) -> str:
    return str(part).replace("~", "~0").replace("/", "~1")


def flat_errors(detail: Any, at: str = "") -> Iterator[dict[str, str]]:
    """DRF's nested error detail as a flat list of {pointer, code, detail}."""
    if isinstance(detail, dict):
        for key, value in detail.items():
            yield from flat_errors(value, at if key == "non_field_errors" else f"{at}/{_escape(key)}")
    elif isinstance(detail, list):
        for index, value in enumerate(detail):
            yield from flat_errors(value, f"{at}/{index}" if isinstance(value, dict | list) else at)
    else:
        yield {"pointer": f"#{at}", "code": getattr(detail, "code", "invalid"), "detail": str(detail)}


def problem(
    status: int, detail: str = "", *, code: str = "", errors: list[dict[str, str]] | None = None
) -> dict[str, Any]:
    """The body of a problem; with type about:blank its title is the status in words (RFC 9457)."""
    body: dict[str, Any] = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status}
    body["detail"] = detail or HTTPStatus(status).description or HTTPStatus(status).phrase
    if code:
        body["code"] = code
    if errors:
        body["errors"] = errors
    return body


def _as_api_exception(error: Exception) -> exceptions.APIException | None:
    if isinstance(error, exceptions.APIException):
        return error
    if isinstance(error, Http404):
        return exceptions.NotFound()
    if isinstance(error, PermissionDenied):
        return exceptions.PermissionDenied()
    if isinstance(error, RequestDataTooBig):
        return TooLarge()
    if isinstance(error, IntegrityError):
        diagnosis = getattr(error.__cause__, "diag", None)
        return ConflictProblem(f"Breaks {getattr(diagnosis, 'constraint_name', None) or 'a constraint'}.")
    return None


def handle(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler: DomainError and every API exception as a problem; the transaction rolls back."""
    if isinstance(error, DomainError):
        set_rollback()
        errors = [
            {"pointer": f"#/{_escape(k)}", "code": error.code, "detail": v} for k, v in error.fields.items()
        ]
        body = problem(error.status, error.message, code=error.code, errors=errors)
        wait = {"Retry-After": str(BUSY_SECONDS)} if error.status == 503 else None
        return Response(body, status=error.status, headers=wait, content_type=CONTENT_TYPE)
    known = _as_api_exception(error)
    if known is None:
        return None
    set_rollback()
    headers = {}
    scheme, wait = getattr(known, "auth_header", None), getattr(known, "wait", None)
    if scheme:
        headers["WWW-Authenticate"] = scheme
    if wait:
        headers["Retry-After"] = str(int(wait) + 1)
    nested = isinstance(known.detail, dict | list)
    body = problem(
        known.status_code,
        "The request is not valid." if nested else str(known.detail),
        code=str(known.default_code),
        errors=list(flat_errors(known.detail)) if nested else None,
    )
    return Response(body, status=known.status_code, headers=headers, content_type=CONTENT_TYPE)


def error_answer(status: int, detail: str = "") -> JsonResponse:
    """A problem for what never reached an API view: an unknown address or host, a defect."""
    body = problem(status, detail, code=HTTPStatus(status).name.lower())
    return JsonResponse(body, status=status, content_type=CONTENT_TYPE)
