"""Machine clients of a bank: made, revoked."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from allauth.idp.oidc.models import Client
from django.db import connection
from django.utils.translation import gettext as _

from crm_site.lib.api.scopes import SCOPES
from crm_site.lib.errors import Conflict, DomainError
from crm_site.lib.permissions import Actor, require


@dataclass(frozen=True)
class NewClient:
    """A machine client; the secret is shown once, only its hash is kept."""

    client_id: str
    client_secret: str


def create_api_client(actor: Actor, *, name: str, scopes: Iterable[str]) -> NewClient:
    """A client for OAuth2 client credentials at the active bank.

    Raises DomainError for an empty name, an unknown scope or none at all; Conflict for a name in use.
    """
    require(actor, "api_client.manage")
    wanted = sorted(set(scopes))
    unknown = [scope for scope in wanted if scope not in SCOPES]
    if unknown or not wanted:
        known = ", ".join(sorted(SCOPES))
        raise DomainError(
            _("Scopes are chosen from: %s.") % known,
            code="unknown_scope",
            fields={"scopes": _("Scopes are chosen from: %s.") % known},
        )
    if not name.strip():
        text = _("Say which system this client is.")
        raise DomainError(text, code="name", fields={"name": text})
    with connection.cursor() as cursor:
        cursor.execute("select pg_advisory_xact_lock(hashtextextended('api client', %s))", [actor.bank_id])
    if Client.objects.filter(name=name.strip()[:100]).exists():
        text = _("There is a client of this name already: revoke it first, or give this one another name.")
        raise Conflict(text, code="client_name", fields={"name": text})
    secret = secrets.token_urlsafe(32)
    client = Client(name=name.strip()[:100], type=Client.Type.CONFIDENTIAL)
    client.set_secret(secret)
    client.set_scopes(wanted)
    client.set_default_scopes(wanted)
    client.set_grant_types([Client.GrantType.CLIENT_CREDENTIALS])
    client.set_response_types([])
    client.save()
    return NewClient(client.id, secret)


def revoke_api_client(actor: Actor, *, client_id: str) -> None:
    """Remove a client and its tokens: what it holds stops working at once. Raises DomainError for no such client."""
    require(actor, "api_client.manage")
    removed, _tables = Client.objects.filter(pk=client_id).delete()
    if not removed:
        raise DomainError(_("There is no such client."), code="no_client")
