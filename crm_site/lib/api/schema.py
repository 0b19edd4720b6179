"""OpenAPI 3.1: problems on every operation, scopes on every operation, closed request bodies."""

from __future__ import annotations

import datetime as dt
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension, OpenApiSerializerFieldExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter

from crm_site.lib.api.changes import HEADER, tracks_changes
from crm_site.lib.api.scopes import SCOPES

PROBLEM_SCHEMA = {
    "type": "object",
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
                    "pointer": {"type": "string"},
                    "code": {"type": "string"},
                    "detail": {"type": "string"},
                },
            },
        },
    },
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

    def map_serializer_field(self, auto_schema: Any, direction: str) -> dict[str, Any]:
        return {"type": "string", "pattern": r"^-?\d{1,15}(\.\d{1,2})?$", "examples": ["1234.50"]}


class BanyanSchema(AutoSchema):
    """Adds the problem answers and the needed scope to each operation."""

    def _get_response_bodies(self, direction: str = "response") -> Any:
        bodies = super()._get_response_bodies(direction)
        codes = ["400", "401", "403", "404", "405", "406", "429", "500"]
        if self.method != "GET":
            codes += ["409", "413", "415", "422", "503"]
        for code in codes:
            bodies.setdefault(
                code,
                {
                    "description": "Problem",
                    "content": {"application/problem+json": {"schema": PROBLEM_SCHEMA}},
                },
            )
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
    """Post-processing: unknown members are refused, and the schema says so."""
    for name, schema in result.get("components", {}).get("schemas", {}).items():
        if name.endswith("Request") and schema.get("type") == "object":
            schema["additionalProperties"] = False
    return result
