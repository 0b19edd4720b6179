"""Who calls the API and how often: bearer tokens, scopes, idempotency keys, rate limits."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from typing import Any, ClassVar

from allauth.idp.oidc.models import Token
from django.db import connection
from django.http import HttpRequest
from django.utils import timezone
from rest_framework import exceptions, permissions, throttling
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from crm_site.accounts.models import IdempotencyKey
from crm_site.lib.api.problems import ConflictProblem
from crm_site.lib.errors import DomainError
from crm_site.lib.permissions import SYSTEM_GRANT, Actor
from crm_site.lib.tenancy import act_as, require_bank

KEY_HOURS = 48


class ClientAuthentication(BaseAuthentication):
    """A bearer token of this bank's client. Looks at the header alone, never at the body."""

    def authenticate(self, request: Request) -> tuple[Actor, Token] | None:
        words = get_authorization_header(request).split()
        if not words:
            return None
        if len(words) != 2 or words[0].lower() != b"bearer":
            raise exceptions.AuthenticationFailed("Send Authorization: Bearer <token>.")
        value = words[1].decode("latin-1")
        token = Token.objects.select_related("client").lookup(Token.Type.ACCESS_TOKEN, value)
        if token is None or token.client is None:
            raise exceptions.AuthenticationFailed("The token is not valid at this bank.")
        actor = Actor(
            bank_id=require_bank(),
            label=token.client.name,
            client_id=token.client.id,
            scopes=frozenset(token.get_scopes()),
            grants=SYSTEM_GRANT,
            request_id=getattr(request, "request_id", ""),
            address=request.META.get("REMOTE_ADDR", ""),
        )
        return actor, token

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


class ApiView(APIView):
    """Base of every API view: `required_scopes` {method: scope}; the actor is `request.user`.

    POST and PATCH honour Idempotency-Key while `idempotent_writes` is True.
    """

    authentication_classes: ClassVar = [ClientAuthentication]
    permission_classes: ClassVar = [HasScope]
    throttle_classes: ClassVar = [ClientThrottle]
    required_scopes: ClassVar[dict[str, str]] = {}
    idempotent_writes = True

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        self._claim: IdempotencyKey | None = None
        if request.method in ("POST", "PATCH", "PUT", "DELETE"):
            act_as(request.user)

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        key = request.headers.get("Idempotency-Key", "")
        if not key or not self.idempotent_writes or request.method not in ("POST", "PATCH"):
            return super().dispatch(request, *args, **kwargs)
        self.idempotency_key = key
        return super().dispatch(request, *args, **kwargs)

    def finalize_response(self, request: Any, response: Any, *args: Any, **kwargs: Any) -> Any:
        final = super().finalize_response(request, response, *args, **kwargs)
        claim = getattr(self, "_claim", None)
        if claim is not None and isinstance(response, Response) and response.status_code < 400:
            claim.status = response.status_code
            claim.answer = json.loads(final.rendered_content) if response.data is not None else None
            claim.save()
        return final

    def replayed(self, request: Request) -> Response | None:
        """The stored answer of a repeated write; claims the key for a new one. Call it first in post/patch.

        Raises 409 while the same key is in flight, 422 (DomainError) when it came with another body.
        """
        key = getattr(self, "idempotency_key", "")
        if not key:
            return None
        digest = hashlib.sha256(request.body).hexdigest()
        stored = claim_key(request.user, key, f"{request.method} {request.path}", digest, timezone.now())
        if isinstance(stored, IdempotencyKey):
            self._claim = stored
            return None
        return Response(stored[1], status=stored[0], headers={"Idempotent-Replay": "true"})


def claim_key(
    actor: Actor, key: str, operation: str, digest: str, now: dt.datetime
) -> IdempotencyKey | tuple[int, Any]:
    """A fresh claim (to be saved with its answer), or (status, answer) stored under the key.

    In flight: ConflictProblem. The same key with another operation or body: DomainError 422.
    """
    if len(key) > 200:
        raise DomainError("An idempotency key has at most 200 characters.", code="idempotency_key_length")
    with connection.cursor() as cursor:
        cursor.execute(
            "select pg_try_advisory_xact_lock(hashtextextended(%s, %s))",
            [f"idempotency:{actor.client_id}:{key}", actor.bank_id],
        )
        row = cursor.fetchone()
    if row is None or not row[0]:
        raise ConflictProblem("The same idempotency key is in flight.")
    stored = IdempotencyKey.objects.filter(client_id=actor.client_id, key=key).first()
    if stored is not None and stored.created_at < now - dt.timedelta(hours=KEY_HOURS):
        stored.delete()
        stored = None
    if stored is None:
        return IdempotencyKey(
            client_id=actor.client_id, key=key, operation=operation[:200], digest=digest, created_at=now
        )
    if (stored.operation, stored.digest) != (operation[:200], digest):
        raise DomainError("This idempotency key came before with another request.", code="idempotency_key_reused")
    return stored.status, stored.answer
