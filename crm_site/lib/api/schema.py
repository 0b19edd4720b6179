"""OpenAPI 3.1: problems on every operation, scopes on every operation, closed request bodies."""

from __future__ import annotations

import datetime as dt
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension, OpenApiSerializerFieldExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter

from crm_site.lib.api.changes import HEADER, tracks_changes
from crm_site.lib.api.scopes import SCOPES

DESCRIPTION = """REST API of the bank CRM for core banking and other systems. What holds for every operation:

- **Bank**: the host name says which bank; a token is good for its own bank alone (elsewhere 401).
- **Token**: client credentials at `tokenUrl` of the same host (form fields `grant_type`, `client_id`, `client_secret`,
  `scope`); keep it until `expires_in` is over. A missing scope is 403 and named.
- **Errors** are `application/problem+json` (`Problem`): `code` is for machines and stable; `errors[]` points at the
  members of the body, query or row. Unknown members and parameters are errors. Another bank's object is 404.
- **Lists** page by key: follow `next` as `?cursor=` with the same filters and sort until it is null.
- **Changes**: keep the header `Changes-Until` of the first page and send it as `changed_since` the next time.
- **Writing twice**: send `Idempotency-Key` with POST and PATCH; the same key and body give the first answer again
  for 48 hours (`Idempotent-Replay: true`), while it is in flight 409, with another body 422.
- **Money** is a string with at most two decimals beside a currency (ISO 4217); dates and times are ISO 8601.
- **Waiting**: 429 and 503 carry `Retry-After` in seconds. A client may ask 1,200 times a minute of each web process: a guard
  against runaways, not a quota.
- Answers may gain members within v1: ignore what you do not know."""
PROBLEM = "#/components/schemas/Problem"
PROBLEM_SCHEMA = {
    "type": "object",
    "description": "RFC 9457. `code` is stable and for machines, `detail` for people.",
    "required": ["type", "title", "status"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "pointer": {"type": "string", "description": "JSON pointer", "examples": ["#/phone"]},
                    "code": {"type": "string"},
                    "detail": {"type": "string"},
                },
            },
        },
    },
}
REFUSALS = {
    "400": "Not readable or not valid; `errors` says where",
    "401": "No token, or one that is not good at this bank",
    "403": "The token lacks a scope",
    "404": "Not there, or not this bank's",
    "405": "No such method",
    "406": "No such representation",
    "429": "Too many requests; see Retry-After",
    "500": "A defect of ours",
}
REFUSALS_OF_WRITES = {
    "409": "Conflict with what stands; `code` says which",
    "413": "Too large",
    "415": "No such content type",
    "422": "A rule refused it; `code` says which",
    "503": "Busy just now; see Retry-After",
}
UNTIL = OpenApiParameter(
    HEADER, dt.datetime, OpenApiParameter.HEADER, response=[200],
    description="On the first page: send it as changed_since the next time, and no change is missed.",
)  # fmt: skip


class OAuth2Scheme(OpenApiAuthenticationExtension):
    target_class = "crm_site.accounts.clients.ClientAuthentication"
    name = "oauth2"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {
            "type": "oauth2",
            "flows": {
                "clientCredentials": {
                    "tokenUrl": "/identity/o/api/token",
                    "scopes": {name: str(text) for name, text in SCOPES.items()},
                }
            },
        }


class MoneySchema(OpenApiSerializerFieldExtension):
    target_class = "crm_site.lib.api.fields.MoneyString"
    match_subclasses = True

    def map_serializer_field(self, auto_schema: Any, direction: str) -> dict[str, Any]:
        return {"type": "string", "pattern": r"^-?\d{1,15}(\.\d{1,2})?$", "examples": ["1234.50"]}


class BanyanSchema(AutoSchema):
    """Adds the problem answers and the needed scope to each operation."""

    def _get_response_bodies(self, direction: str = "response") -> Any:
        bodies = super()._get_response_bodies(direction)
        refusals = REFUSALS if self.method == "GET" else REFUSALS | REFUSALS_OF_WRITES
        for code, text in refusals.items():
            content = {"application/problem+json": {"schema": {"$ref": PROBLEM}}}
            bodies.setdefault(code, {"description": text, "content": content})
        return bodies

    def get_auth(self) -> list[dict[str, Any]]:
        super().get_auth()  # enters the scheme among the components
        scope = getattr(self.view, "required_scopes", {}).get(self.method)
        return [{"oauth2": [scope] if scope else []}]

    def get_override_parameters(self) -> list[Any]:
        parameters = super().get_override_parameters()
        asked = getattr(self.view, "query", {}).get(self.method)
        if asked is not None:
            parameters = [*parameters, asked]
        if self.method == "GET" and tracks_changes(self.view):
            parameters = [*parameters, UNTIL]
        if self.method in ("POST", "PATCH", "PUT") and getattr(self.view, "idempotent_writes", False):
            parameters = [
                *parameters,
                OpenApiParameter(
                    "Idempotency-Key",
                    str,
                    OpenApiParameter.HEADER,
                    description="The same key and body give the same answer; in flight 409; another body 422.",
                ),
            ]
        return parameters


def close_requests(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """Post-processing: what holds for every operation: closed bodies, one Problem, the rules in words."""
    schemas = result.setdefault("components", {}).setdefault("schemas", {})
    for name, schema in schemas.items():
        if name.endswith("Request") and schema.get("type") == "object":
            schema["additionalProperties"] = False
    schemas["Problem"] = PROBLEM_SCHEMA
    result["info"]["description"] = DESCRIPTION
    return result
