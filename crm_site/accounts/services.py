"""What is done to banks, organisation and people: one function per business action."""

from __future__ import annotations

import datetime as dt
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from allauth.idp.oidc.models import Client
from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from crm_site.accounts.banks import forget_banks
from crm_site.accounts.models import (
    Bank,
    Grade,
    GradeCapacity,
    GrantStatus,
    OrgUnit,
    OrgUnitKind,
    RoleGrant,
    Staff,
)
from crm_site.lib.api.scopes import SCOPES
from crm_site.lib.crypto import master_key, new_wrapped_key
from crm_site.lib.errors import Conflict, DomainError
from crm_site.lib.permissions import Actor, Role, require
from crm_site.lib.tenancy import bank, current_bank, founding

PLATFORM_CODE = "platform"
_CODE = re.compile(r"^[a-z][a-z0-9-]{1,29}$")
# How many customers and how much value (deposits + loans, in the bank's currency) one of a grade may hold.
DEFAULT_CAPACITY = {
    Grade.SENIOR: (220, 2_000_000_000),
    Grade.LEVEL_1: (260, 1_200_000_000),
    Grade.LEVEL_2: (300, 800_000_000),
    Grade.LEVEL_3: (340, 500_000_000),
    Grade.LEVEL_4: (380, 300_000_000),
    Grade.TRAINEE: (200, 80_000_000),
}


@dataclass(frozen=True)
class FoundedBank:
    """A new bank and its first administrator; the password is shown once and must be changed."""

    bank: Bank
    login: str
    password: str


def one_time_password() -> str:
    """A password to be typed once: 16 characters without look-alikes, about 90 bits."""
    alphabet = "abcdefghjkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
    return "".join(secrets.choice(alphabet) for _unused in range(16))


def found_bank(
    *,
    code: str,
    name: str,
    now: dt.datetime,
    host: str = "",
    currency: str = "CNY",
    timezone: str = "Asia/Shanghai",
    language: str = "zh-hans",
    is_platform: bool = False,
    login: str = "admin",
    password: str | None = None,
) -> FoundedBank:
    """Create a bank with its head office, grade capacities and its first administrator.

    Called by an operator (inside the platform's bank) or by a command (outside every bank).
    Raises DomainError for a bad code, Conflict when code or host are taken.
    """
    if not _CODE.match(code):
        raise DomainError(
            _("A bank code is 2 to 30 lower-case letters, digits and hyphens, beginning with a letter."),
            code="bank_code",
            fields={"code": "format"},
        )
    given = password or one_time_password()
    try:
        with transaction.atomic():
            created = Bank.objects.create(
                code=code,
                name=name,
                host=host or f"{code}.localhost",
                currency=currency,
                timezone=timezone,
                language=language,
                is_platform=is_platform,
                wrapped_key=new_wrapped_key(master_key(settings.MASTER_KEY), code),
                created_at=now,
            )
            with founding(created.pk) if current_bank() is not None else bank(created.pk):
                _found_organisation(created, now=now, login=login, password=given)
    except IntegrityError as error:
        raise Conflict(
            _("A bank with this code or host exists already."), code="bank_exists", fields={"code": "taken"}
        ) from error
    forget_banks()
    return FoundedBank(created, login, given)


def _found_organisation(created: Bank, *, now: dt.datetime, login: str, password: str) -> None:
    head_office = OrgUnit.objects.create(
        code="HO", name=created.name, kind=OrgUnitKind.HEAD_OFFICE, lft=1, rgt=2
    )
    role = Role.OPERATOR if created.is_platform else Role.ADMINISTRATOR
    first = Staff.objects.create_user(
        login, password, name=login, unit=head_office, must_change_password=True, language=created.language
    )
    RoleGrant.objects.create(
        staff=first,
        role=role,
        unit=head_office,
        from_date=now.date() - dt.timedelta(days=1),
        status=GrantStatus.EFFECTIVE,
        founding=True,
        proposed_at=now,
        decided_at=now,
    )
    if not created.is_platform:
        GradeCapacity.objects.bulk_create(
            GradeCapacity(grade=grade, max_customers=heads, max_value=value)
            for grade, (heads, value) in DEFAULT_CAPACITY.items()
        )


@dataclass(frozen=True)
class NewClient:
    """A machine client; the secret is shown once, only its hash is kept."""

    client_id: str
    client_secret: str


def create_api_client(actor: Actor, *, name: str, scopes: Iterable[str]) -> NewClient:
    """A client for OAuth2 client credentials at the active bank.

    Raises DomainError for an empty name, an unknown scope or none at all.
    """
    require(actor, "api_client.manage")
    wanted = sorted(set(scopes))
    unknown = [scope for scope in wanted if scope not in SCOPES]
    if unknown or not wanted:
        known = ", ".join(sorted(SCOPES))
        raise DomainError(
            _("Scopes are chosen from: %s.") % known,
            code="unknown_scope",
            fields={"scopes": ", ".join(unknown)},
        )
    if not name.strip():
        raise DomainError(_("Say which system this client is."), code="name", fields={"name": "required"})
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


def renumber_tree() -> int:
    """Recompute lft/rgt of the active bank's organisation by depth-first walk; returns the number of units."""
    children: dict[int | None, list[OrgUnit]] = {}
    for unit in OrgUnit.objects.order_by("code", "id"):
        children.setdefault(unit.parent_id, []).append(unit)
    counter, changed, visited = 0, [], 0

    def walk(unit: OrgUnit) -> None:
        nonlocal counter, visited
        visited += 1
        counter += 1
        lft = counter
        for child in children.get(unit.pk, []):
            walk(child)
        counter += 1
        if (unit.lft, unit.rgt) != (lft, counter):
            unit.lft, unit.rgt = lft, counter
            changed.append(unit)

    for root in children.get(None, []):
        walk(root)
    OrgUnit.objects.bulk_update(changed, ["lft", "rgt"])
    return visited
