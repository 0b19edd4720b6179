"""A bank is founded with its head office, grade capacities and first administrator; and closed."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from zoneinfo import available_timezones

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.utils.timezone import localdate
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
from crm_site.accounts.services.passwords import ONE_TIME_HOURS, one_time_password
from crm_site.accounts.signals import bank_created, bank_switched
from crm_site.lib.crypto import master_key, new_wrapped_key
from crm_site.lib.errors import Conflict, DomainError
from crm_site.lib.money import CURRENCIES, DECIMALS
from crm_site.lib.permissions import Actor, Role, require
from crm_site.lib.registry import FOUNDING
from crm_site.lib.tenancy import bank, current_bank, founding

PLATFORM_CODE = "platform"
_CODE = re.compile(r"[a-z][a-z0-9-]{1,29}")
_HOST = re.compile(r"(?=.{1,190}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
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
    Raises DomainError for what no bank can have, Conflict when code or host are taken.
    """
    name, host = name.strip(), host.strip().lower() or f"{code}.localhost"
    faults = bank_faults(code=code, name=name, host=host, currency=currency, timezone=timezone)
    if faults:
        raise DomainError(" ".join(faults.values()), code="bank_facts", fields=faults)
    given = password or one_time_password()
    try:
        with transaction.atomic():
            created = Bank.objects.create(
                code=code,
                name=name,
                host=host,
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
        text = _("A bank with this code or host exists already.")
        raise Conflict(text, code="bank_exists", fields={"code": text}) from error
    forget_banks()
    return FoundedBank(created, login, given)


def bank_faults(*, code: str, name: str, host: str, currency: str, timezone: str) -> dict[str, str]:
    """What is wrong with the facts of a bank to be, by the name of the fact."""
    faults = {}
    if not _CODE.fullmatch(code):
        faults["code"] = _(
            "A bank code is 2 to 30 lower-case letters, digits and hyphens, beginning with a letter."
        )
    if not name:
        faults["name"] = _("A bank needs a name.")
    if not _HOST.fullmatch(host):
        faults["host"] = _("A host name is letters, digits, hyphens and dots, without port or scheme.")
    if currency not in CURRENCIES:
        faults["currency"] = _("Not a currency of ISO 4217.")
    elif DECIMALS.get(currency, 2) > 2:
        faults["currency"] = _("A currency with three decimals is not supported.")
    if timezone not in available_timezones():
        faults["timezone"] = _("There is no time zone of this name.")
    return faults


def _found_organisation(created: Bank, *, now: dt.datetime, login: str, password: str) -> None:
    head_office = OrgUnit.objects.create(
        code="HO", name=created.name, kind=OrgUnitKind.HEAD_OFFICE, lft=1, rgt=2
    )
    role = Role.OPERATOR if created.is_platform else Role.ADMINISTRATOR
    first = Staff.objects.create_user(
        login,
        password,
        name=login,
        unit=head_office,
        must_change_password=True,
        language=created.language,
        one_time_until=now + dt.timedelta(hours=ONE_TIME_HOURS),
    )
    RoleGrant.objects.create(
        staff=first,
        role=role,
        unit=head_office,
        from_date=localdate(now) - dt.timedelta(days=1),
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
        for give in FOUNDING:
            give(now)


def create_bank(actor: Actor, *, code: str, name: str, now: dt.datetime, **facts: str) -> FoundedBank:
    """An operator's way to found a bank. Raises what found_bank raises."""
    require(actor, "bank.manage")
    _require_platform(actor)
    founded = found_bank(code=code, name=name, now=now, **facts)  # type: ignore[arg-type]
    bank_created.send(sender=Bank, actor=actor, bank=founded.bank)
    return founded


def close_bank(actor: Actor, *, bank_id: int, now: dt.datetime) -> Bank:
    """Nobody signs in any more and its machines are refused; its data stay. The platform's own cannot be closed."""
    return _switch_bank(actor, bank_id, is_active=False)


def reopen_bank(actor: Actor, *, bank_id: int, now: dt.datetime) -> Bank:
    """A closed bank answers again at its host."""
    return _switch_bank(actor, bank_id, is_active=True)


def _switch_bank(actor: Actor, bank_id: int, *, is_active: bool) -> Bank:
    require(actor, "bank.manage")
    _require_platform(actor)
    found = Bank.objects.select_for_update().get(pk=bank_id)
    if found.is_platform:
        raise DomainError(_("The platform itself cannot be closed."), code="platform")
    if found.is_active == is_active:
        raise Conflict(_("Somebody was faster: this has been done already."), code="done_already")
    found.is_active = is_active
    found.save(update_fields=["is_active"])
    forget_banks()
    bank_switched.send(sender=Bank, actor=actor, bank=found)
    return found


def _require_platform(actor: Actor) -> None:
    """An operator's role counts in the platform's bank alone."""
    if not Bank.objects.filter(pk=actor.bank_id, is_platform=True).exists():
        raise PermissionDenied("bank.manage")
