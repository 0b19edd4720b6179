"""Machine clients: bearer tokens, scopes, rate limits."""

from __future__ import annotations

from typing import Any

from allauth.idp.oidc.adapter import get_adapter
from django.db import connection
from django.utils import timezone
from rest_framework import exceptions, permissions, throttling
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.request import Request

from crm_site.lib.permissions import SYSTEM_GRANT, Actor
from crm_site.lib.tenancy import require_bank

# The library's Token.objects.lookup as one narrow statement: core banking asks with every payment.
_LOOK_UP = """
SELECT c.id, c.name, t.scopes FROM allauth_idp_oidc_token t
JOIN allauth_idp_oidc_client c ON c.id = t.client_id AND c.bank_id = t.bank_id
WHERE t.type = 'at' AND t.hash = %s AND (t.expires_at IS NULL OR t.expires_at > %s) AND t.bank_id = %s
"""


class ClientAuthentication(BaseAuthentication):
    """A bearer token of this bank's client. Looks at the header alone, never at the body."""

    def authenticate(self, request: Request) -> tuple[Actor, Any] | None:
        words = get_authorization_header(request).split()
        if not words:
            return None
        if len(words) != 2 or words[0].lower() != b"bearer":
            raise exceptions.AuthenticationFailed("Send Authorization: Bearer <token>.")
        value = words[1].decode("latin-1")
        with connection.cursor() as cursor:
            cursor.execute(_LOOK_UP, [get_adapter().hash_token(value), timezone.now(), require_bank()])
            row = cursor.fetchone()
        if row is None:
            raise exceptions.AuthenticationFailed("The token is not valid at this bank.")
        actor = Actor(
            bank_id=require_bank(),
            label=row[1],
            client_id=row[0],
            scopes=frozenset(row[2].split()),
            grants=SYSTEM_GRANT,
            request_id=getattr(request, "request_id", ""),
            address=request.META.get("REMOTE_ADDR", ""),
        )
        return actor, None

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="banyan"'


class HasScope(permissions.BasePermission):
    """The scope that the view names for the method; a method without one is answered 405 by DRF."""

    def has_permission(self, request: Request, view: Any) -> bool:
        scope = view.required_scopes.get(request.method)
        if scope is None and request.method not in ("HEAD", "OPTIONS"):
            return True
        if not isinstance(request.user, Actor):
            return False
        if scope is None:
            scope = view.required_scopes.get("GET", "")
        self.message = f"This needs the scope {scope}."
        return scope in request.user.scopes


class ClientThrottle(throttling.SimpleRateThrottle):
    """Requests per minute and client, counted in each web process: a guard against runaways, not a quota."""

    rate = "1200/min"
    scope = "client"

    def get_cache_key(self, request: Request, view: Any) -> str | None:
        if not isinstance(request.user, Actor):
            return None
        return f"throttle:{request.user.bank_id}:{request.user.client_id}"
