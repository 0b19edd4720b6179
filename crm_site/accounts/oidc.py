"""Machine clients: scopes of the API and what the discovery document announces."""

from __future__ import annotations

from typing import Any

from allauth.idp.oidc.adapter import DefaultOIDCAdapter
from django.utils.translation import gettext_lazy as _

SCOPES = {
    "customers:read": _("Read customers and what is derived of them"),
    "customers:write": _("Write customers' CRM-owned fields"),
    "ingest:write": _("Deliver feeds"),
    "jobs:run": _("Start and read jobs"),
}


class OIDCAdapter(DefaultOIDCAdapter):
    scope_display = {**DefaultOIDCAdapter.scope_display, **SCOPES}

    def populate_server_metadata(self, data: dict[str, Any]) -> None:
        data["scopes_supported"] = sorted(SCOPES)
        data["grant_types_supported"] = ["client_credentials"]
