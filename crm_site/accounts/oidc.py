"""Machine clients: what the discovery document announces is what this installation answers."""

from __future__ import annotations

from typing import Any

from allauth.idp.oidc.adapter import DefaultOIDCAdapter

from crm_site.lib.api.scopes import SCOPES

# Nobody signs in to other programs through us: these addresses answer 404 (crm_site.accounts.library_urls).
NOT_OFFERED = (
    "authorization_endpoint", "device_authorization_endpoint", "end_session_endpoint", "userinfo_endpoint",
)  # fmt: skip


class OIDCAdapter(DefaultOIDCAdapter):
    scope_display = {**DefaultOIDCAdapter.scope_display, **SCOPES}

    def populate_server_metadata(self, data: dict[str, Any]) -> None:
        for name in NOT_OFFERED:
            data.pop(name, None)
        data["scopes_supported"] = sorted(SCOPES)
        data["grant_types_supported"] = ["client_credentials"]
        data["response_types_supported"] = []
