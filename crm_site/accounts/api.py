"""Base of every API view: who calls, with which scope, and what a repeated write answers."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from typing import Any, ClassVar

from django.db import connection
from django.http import Http404, HttpRequest
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from crm_site.accounts.clients import ClientAuthentication, ClientThrottle, HasScope
from crm_site.accounts.models import IdempotencyKey
from crm_site.lib.api.fields import StrictSerializer
from crm_site.lib.api.paging import PAGING
from crm_site.lib.api.problems import ConflictProblem
from crm_site.lib.errors import DomainError
from crm_site.lib.permissions import Actor
from crm_site.lib.tenancy import act_as

KEY_HOURS = 48


class ApiView(APIView):
    """Base of every API view: `required_scopes` {method: scope}; the actor is `request.user`.

    `query` {method: serializer of its query parameters}: an unknown or unfit one is refused, what was asked is in
    `self.asked`, and the schema lists them. POST and PATCH honour Idempotency-Key while `idempotent_writes` is True.
    """

    authentication_classes: ClassVar = [ClientAuthentication]
    permission_classes: ClassVar = [HasScope]
    throttle_classes: ClassVar = [ClientThrottle]
    required_scopes: ClassVar[dict[str, str]] = {}
    query: ClassVar[dict[str, type[StrictSerializer]]] = {}
    idempotent_writes = True

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if any("\0" in str(value) for value in kwargs.values()):
            raise Http404
        self.asked = self._asked(request)
        self._claim: IdempotencyKey | None = None
        if request.method in ("POST", "PATCH", "PUT", "DELETE") and isinstance(request.user, Actor):
            act_as(request.user)

    def _asked(self, request: Request) -> dict[str, Any]:
        """The query parameters, checked; those of lists are their paginator's."""
        method = "GET" if request.method in ("HEAD", "OPTIONS") else str(request.method)
        if method not in self.required_scopes:
            return {}  # answered 405 in a moment
        given = request.query_params.dict()
        given.pop("format", None)
        if getattr(self, "pagination_class", None) is not None and method == "GET":
            given = {name: value for name, value in given.items() if name not in PAGING}
        checked = self.query.get(method, StrictSerializer)(data=given)
        checked.is_valid(raise_exception=True)
        return dict(checked.validated_data)

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


_STORED = """
SELECT operation, digest, status, answer, created_at FROM accounts_idempotencykey
WHERE bank_id = %s AND client_id = %s AND key = %s
"""
_FORGET = "DELETE FROM accounts_idempotencykey WHERE bank_id = %s AND client_id = %s AND key = %s"


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
        # By hand, as the token is: core banking sends a key with every payment.
        cursor.execute(_STORED, [actor.bank_id, actor.client_id, key])
        stored = cursor.fetchone()
        if stored is not None and stored[4] < now - dt.timedelta(hours=KEY_HOURS):
            cursor.execute(_FORGET, [actor.bank_id, actor.client_id, key])
            stored = None
    if stored is None:
        return IdempotencyKey(
            client_id=actor.client_id, key=key, operation=operation[:200], digest=digest, created_at=now
        )
    if (stored[0], stored[1]) != (operation[:200], digest):
        raise DomainError(
            "This idempotency key came before with another request.", code="idempotency_key_reused"
        )
    return stored[2], None if stored[3] is None else json.loads(stored[3])
