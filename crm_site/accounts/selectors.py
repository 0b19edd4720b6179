"""Reads about banks, organisation and people; the actor of a signed-in person."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypedDict
from zoneinfo import ZoneInfo

from allauth.idp.oidc.models import Client
from django.contrib.auth.hashers import UNUSABLE_PASSWORD_PREFIX
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.db.models import Count, F, Max, OuterRef, Prefetch, Q, QuerySet, Subquery
from django.utils import timezone

from crm_site.accounts.models import (
    Bank,
    BankMove,
    Grade,
    GradeCapacity,
    GrantStatus,
    MoveKind,
    OrgUnit,
    RoleGrant,
    SignInFailure,
    SignInPolicy,
    Staff,
    login_key,
)
from crm_site.lib.permissions import Actor, Grant, Role, require


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
    return RoleGrant.objects.in_force(day).filter(staff_id=staff_id)


# Every request asks this first. By hand: Django takes ten times as long over the words as PostgreSQL over the answer.
_WHO = """
    SELECT home.name, g.role, place.lft, place.rgt
    FROM accounts_staff person
    LEFT JOIN accounts_orgunit home ON home.bank_id = person.bank_id AND home.id = person.unit_id
    LEFT JOIN accounts_rolegrant g ON g.bank_id = person.bank_id AND g.staff_id = person.id
        AND g.status = 'effective' AND g.from_date <= %s AND (g.to_date IS NULL OR g.to_date >= %s)
    LEFT JOIN accounts_orgunit place ON place.bank_id = person.bank_id AND place.id = g.unit_id
    WHERE person.bank_id = %s AND person.id = %s
"""


def actor_for(
    staff: Staff, *, day: dt.date, language: str = "en", request_id: str = "", address: str = ""
) -> Actor:
    """The actor of a signed-in person: the roles in force on `day` and the places they reach. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(_WHO, [day, day, staff.bank_id, staff.pk])
        rows = cursor.fetchall()
    grants = [Grant(Role(role), lft, rgt) for _name, role, lft, rgt in rows if role is not None]
    return Actor(
        bank_id=staff.bank_id,
        label=f"{staff.number} {staff.name}",
        staff_id=staff.pk,
        grants=tuple(sorted(grants, key=lambda grant: (grant.role, grant.lft))),
        unit_id=staff.unit_id,
        unit_name=rows[0][0] or "" if rows else "",
        line_department=staff.line_department,
        language=language,
        request_id=request_id,
        address=address,
    )


def actors_for(people: Iterable[Staff], *, day: dt.date) -> list[Actor]:
    """What these members of staff may see on a day, each as `actor_for` says it; one statement for all of them."""
    listed = list(people)
    grants: dict[int, list[Grant]] = {}
    rows = RoleGrant.objects.in_force(day).filter(staff__in=[person.pk for person in listed])
    for staff_id, role, lft, rgt in rows.values_list("staff_id", "role", "unit__lft", "unit__rgt"):
        grants.setdefault(staff_id, []).append(Grant(Role(role), lft, rgt))
    return [
        Actor(
            bank_id=person.bank_id,
            label=f"{person.number} {person.name}",
            staff_id=person.pk,
            grants=tuple(sorted(grants.get(person.pk, ()), key=lambda grant: (grant.role, grant.lft))),
            unit_id=person.unit_id,
            line_department=person.line_department,
        )
        for person in listed
    ]


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


@dataclass(frozen=True, slots=True)
class UnitRow:
    """A unit of the tree as the page shows it. `staff`: active people in it, not below it."""

    unit: OrgUnit
    depth: int
    staff: int


def unit_tree(actor: Actor) -> list[UnitRow]:
    """The whole organisation in order; two statements whatever its size."""
    require(actor, "organisation.manage")
    people = dict(Staff.objects.active().order_by().values_list("unit_id").annotate(n=Count("id")))
    rows, open_ends = [], list[int]()
    for unit in OrgUnit.objects.order_by("lft", "id"):
        while open_ends and open_ends[-1] < unit.lft:
            open_ends.pop()
        rows.append(UnitRow(unit, len(open_ends), people.get(unit.pk, 0)))
        open_ends.append(unit.rgt)
    return rows


def unit_for(actor: Actor, unit_id: int) -> OrgUnit | None:
    """A unit of the bank, for those who manage the organisation."""
    require(actor, "organisation.manage")
    return OrgUnit.objects.select_related("parent").filter(pk=unit_id).first()


STAFF_PAGE = 50


@dataclass(frozen=True, slots=True)
class StaffPage:
    """A page of people in order of number. `next`: the number after which the next page begins, "" at the end."""

    people: list[Staff]
    next: str


def staff_page(
    actor: Actor, *, query: str = "", unit_id: int | None = None, state: str = "active", after: str = ""
) -> StaffPage:
    """People by part of the name or number, unit (with what is below it) and state: active, left, all."""
    require(actor, "staff.manage")
    people = Staff.objects.select_related("unit").order_by("number")
    if state != "all":
        people = people.filter(is_active=state != "left")
    if query:
        people = people.filter(Q(name__icontains=query) | Q(number__icontains=query))
    unit = OrgUnit.objects.filter(pk=unit_id).first() if unit_id else None
    if unit is not None:
        people = people.filter(unit__in=subtree(unit))
    if after:
        people = people.filter(number__gt=after)
    rows = list(people.prefetch_related(_held_roles())[: STAFF_PAGE + 1])
    return StaffPage(rows[:STAFF_PAGE], rows[STAFF_PAGE - 1].number if len(rows) > STAFF_PAGE else "")


def managers_without_grade(actor: Actor, day: dt.date) -> list[Staff]:
    """Relationship managers whose grade nobody has set: GRADE_UNTIL_SET's bounds hold for them."""
    require(actor, "staff.manage")
    managers = RoleGrant.objects.in_force(day).filter(role=Role.RELATIONSHIP_MANAGER).values("staff")
    return list(
        Staff.objects.active().filter(grade="", pk__in=managers).select_related("unit").order_by("number")
    )


def _held_roles() -> Prefetch:
    held = RoleGrant.objects.filter(status=GrantStatus.EFFECTIVE).select_related("unit").order_by("id")
    return Prefetch("role_grants", queryset=held, to_attr="held")


def staff_for(actor: Actor, staff_id: int) -> Staff | None:
    """A person of the bank, for those who manage staff."""
    require(actor, "staff.manage")
    return Staff.objects.select_related("unit", "issued_by").filter(pk=staff_id).first()


def grants_of(staff_id: int) -> QuerySet[RoleGrant]:
    """Every grant a person has or had, newest first."""
    return RoleGrant.objects.filter(staff=staff_id).select_related(
        "unit", "proposed_by", "decided_by", "revoked_by"
    )


def waiting_grants(actor: Actor) -> QuerySet[RoleGrant]:
    """Proposals that wait for a second administrator, oldest first."""
    require(actor, "role.decide")
    waiting = RoleGrant.objects.filter(status=GrantStatus.PROPOSED).order_by("proposed_at", "id")
    return waiting.select_related("staff", "unit", "proposed_by")


def decided_grants(actor: Actor) -> QuerySet[RoleGrant]:
    """The last decisions, newest first."""
    require(actor, "role.decide")
    decided = RoleGrant.objects.exclude(status=GrantStatus.PROPOSED).filter(decided_by__isnull=False)
    return decided.select_related("staff", "unit", "proposed_by", "decided_by").order_by("-decided_at", "-id")


def dormant_staff(actor: Actor, now: dt.datetime, days: int = 90) -> QuerySet[Staff]:
    """Active people with a password who have not signed in for so long (or never)."""
    require(actor, "staff.manage")
    before = now - dt.timedelta(days=days)
    dormant = Staff.objects.active().filter(Q(last_login__lt=before) | Q(last_login__isnull=True))
    without = Q(password="") | Q(password__startswith=UNUSABLE_PASSWORD_PREFIX)
    return dormant.exclude(without).order_by("last_login", "number")


@dataclass(frozen=True, slots=True)
class ClientRow:
    """A machine client. `last_token_at`: when it last fetched a token that is still kept; None: none is."""

    client: Client
    scopes: list[str]
    last_token_at: dt.datetime | None


def api_clients(actor: Actor) -> list[ClientRow]:
    """The bank's machine clients in order of name."""
    require(actor, "api_client.manage")
    clients = Client.objects.annotate(last_token_at=Max("token__created_at")).order_by("name", "id")
    return [ClientRow(client, client.get_scopes(), client.last_token_at) for client in clients]


def client_names(client_ids: Iterable[str]) -> dict[str, str]:
    """What the bank's machine clients of these ids are called; one that was revoked and removed is not among them."""
    return dict(Client.objects.filter(pk__in=set(client_ids)).values_list("pk", "name"))


def capacities(actor: Actor) -> list[GradeCapacity]:
    """What each grade may hold, best grade first."""
    require(actor, "organisation.manage")
    order = {grade: index for index, grade in enumerate(Grade.values)}
    return sorted(GradeCapacity.objects.all(), key=lambda row: order[row.grade])


def second_factor_required() -> bool:
    """Whether the active bank holds administrators and operators back until they have a second factor."""
    return SignInPolicy.objects.filter(second_factor_required=True).exists()


def is_locked(number: str, now: dt.datetime) -> bool:
    """Whether a login name is locked after too many failures."""
    return SignInFailure.objects.filter(login_hash=login_key(number), locked_until__gt=now).exists()


def bank_list(actor: Actor) -> QuerySet[Bank]:
    """Every bank of the installation, for the platform's operators, each with `backed_up_at`, None when it never was.
    No figure of a customer is in it."""
    require(actor, "bank.manage")
    if not Bank.objects.filter(pk=actor.bank_id, is_platform=True).exists():
        raise PermissionDenied("bank.manage")
    backups = BankMove.objects.filter(bank_id=OuterRef("pk"), kind=MoveKind.BACKUP).order_by("-id")
    newest = Subquery(backups.values("at")[:1])
    return Bank.objects.annotate(backed_up_at=newest).order_by("-is_platform", "code")
