"""Reads about banks, organisation and people; the actor of a signed-in person."""

from __future__ import annotations

import datetime as dt
from typing import TypedDict
from zoneinfo import ZoneInfo

from django.db.models import F, Q, QuerySet
from django.utils import timezone

from crm_site.accounts.models import Bank, GrantStatus, OrgUnit, RoleGrant, Staff
from crm_site.lib.permissions import Actor, Grant, Role


class BankRow(TypedDict):
    code: str
    name: str
    host: str
    is_platform: bool


def bank_today(bank: Bank, now: dt.datetime | None = None) -> dt.date:
    """The calendar date at the bank's place."""
    return (now or timezone.now()).astimezone(ZoneInfo(bank.timezone)).date()


def business_date(bank: Bank) -> dt.date:
    """The bank's newest business date; before the first night run, its calendar date."""
    return bank.business_date or bank_today(bank)


def working_day(bank: Bank, now: dt.datetime | None = None) -> dt.date:
    """The day that people work on: the one after the newest business date, and never later than the calendar."""
    today = bank_today(bank, now)
    return today if bank.business_date is None else min(today, bank.business_date + dt.timedelta(days=1))


def data_is_late(bank: Bank, now: dt.datetime | None = None) -> bool:
    """Whether the core system's data are older than a night can make them: 36 hours. Never before the first feed."""
    return bank.data_as_of is not None and (now or timezone.now()) - bank.data_as_of > dt.timedelta(hours=36)


def effective_grants(staff_id: int, day: dt.date) -> QuerySet[RoleGrant]:
    """Role grants of a person in force on a day."""
    return RoleGrant.objects.filter(
        Q(to_date__isnull=True) | Q(to_date__gte=day),
        staff_id=staff_id,
        status=GrantStatus.EFFECTIVE,
        from_date__lte=day,
    )


def actor_for(
    staff: Staff, *, day: dt.date, language: str = "en", request_id: str = "", address: str = ""
) -> Actor:
    """The actor of a signed-in person: the roles in force on `day` and the places they reach."""
    rows = effective_grants(staff.pk, day).values_list("role", "unit__lft", "unit__rgt")
    return Actor(
        bank_id=staff.bank_id,
        label=f"{staff.number} {staff.name}",
        staff_id=staff.pk,
        grants=tuple(
            sorted((Grant(Role(r), lft, rgt) for r, lft, rgt in rows), key=lambda g: (g.role, g.lft))
        ),
        unit_id=staff.unit_id,
        line_department=staff.line_department,
        language=language,
        request_id=request_id,
        address=address,
    )


def subtree(unit: OrgUnit) -> QuerySet[OrgUnit]:
    """The unit and everything below it."""
    return OrgUnit.objects.filter(lft__gte=unit.lft, lft__lte=unit.rgt)


def visible_units(actor: Actor, roles: frozenset[Role]) -> QuerySet[OrgUnit]:
    """Units in reach of the given roles of the actor."""
    reach = Q(pk__in=[])
    for lft, rgt in actor.intervals(roles):
        reach |= Q(lft__gte=lft, lft__lte=rgt)
    return OrgUnit.objects.filter(reach).order_by(F("lft").asc())


def banks() -> list[BankRow]:
    """Every bank of the installation (operators and commands only)."""
    return list(Bank.objects.order_by("code").values("code", "name", "host", "is_platform"))
