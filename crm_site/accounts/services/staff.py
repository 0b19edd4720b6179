"""Staff: hired, changed, gone, and let in again."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.db import IntegrityError, transaction
from django.utils.timezone import localdate
from django.utils.translation import gettext as _

from crm_site.accounts.models import GrantStatus, OrgUnit, RoleGrant, Staff
from crm_site.accounts.services.lockout import forget_failures
from crm_site.accounts.services.passwords import issue_one_time_password
from crm_site.accounts.signals import unlocked
from crm_site.lib.errors import Conflict, DomainError
from crm_site.lib.permissions import Actor, Role, require

# What core banking delivers of a person: read-only here for those it delivers.
CORE_OWNED = ("name", "unit_id")
CHANGEABLE = ("name", "email", "unit_id", "grade", "line_department")


@dataclass(frozen=True)
class NewLogin:
    """A person and the one-time password, shown once: it must be changed at the first sign-in, within 72 hours."""

    staff: Staff
    password: str


def hire_staff(
    actor: Actor, *, number: str, name: str, unit_id: int, now: dt.datetime, email: str = "", grade: str = "",
    line_department: str = "",
) -> NewLogin:  # fmt: skip
    """A person of the bank with a staff number, and a one-time password. A role comes by a grant of its own."""
    require(actor, "staff.manage")
    staff = Staff(
        number=number,
        name=name,
        unit=_open_unit(unit_id),
        email=email,
        grade=grade,
        line_department=line_department,
    )
    password = issue_one_time_password(staff, issued_by=actor.staff_id, now=now)
    try:
        with transaction.atomic():
            staff.save()
    except IntegrityError as error:
        text = _("This staff number is taken.")
        raise Conflict(text, code="staff_number", fields={"number": text}) from error
    return NewLogin(staff, password)


def change_staff(
    actor: Actor, *, staff_id: int, before: Mapping[str, Any], after: Mapping[str, Any]
) -> Staff:
    """Write what differs between `before` (as the page showed it) and `after`; both hold CHANGEABLE's fields.

    Raises Conflict, field by field, for what somebody else changed meanwhile; DomainError for core-owned fields.
    """
    require(actor, "staff.manage")
    staff = locked(staff_id)
    wanted = [name for name in CHANGEABLE if after[name] != before[name]]
    clashes = {
        name.removesuffix("_id"): _("Changed meanwhile to “%s”.") % getattr(staff, name.removesuffix("_id"))
        for name in wanted
        if getattr(staff, name) not in (before[name], after[name])
    }
    if clashes:
        raise Conflict(
            _("Somebody changed this person meanwhile. Check and send again."),
            code="changed_meanwhile",
            fields=clashes,
        )
    for name in wanted:
        if staff.source_as_of is not None and name in CORE_OWNED:
            text = _("This comes from the core system: change it there.")
            raise DomainError(text, code="core_owned", fields={name.removesuffix("_id"): text})
        setattr(staff, name, _open_unit(after[name]).pk if name == "unit_id" else after[name])
    if wanted:
        staff.save(update_fields=[name.removesuffix("_id") for name in wanted])
    return staff


def deactivate_staff(actor: Actor, *, staff_id: int, left_date: dt.date, now: dt.datetime) -> Staff:
    """A person leaves: no sign-in, sessions ended, roles revoked. Not oneself; two administrators must remain."""
    require(actor, "staff.manage")
    staff = _other(actor, staff_id)
    if not staff.is_active:
        raise Conflict(_("Somebody was faster: this has been done already."), code="done_already")
    require_two_administrators(staff, localdate(now))
    RoleGrant.objects.filter(staff=staff.pk, status=GrantStatus.EFFECTIVE).update(
        status=GrantStatus.REVOKED, revoked_by=actor.staff_id, revoked_at=now
    )
    staff.is_active, staff.left_date = False, left_date
    staff.save(update_fields=["is_active", "left_date"])
    end_sessions(staff.pk)
    return staff


def reactivate_staff(actor: Actor, *, staff_id: int, now: dt.datetime) -> NewLogin:
    """A person comes back, with a one-time password and without any role."""
    require(actor, "staff.manage")
    staff = _other(actor, staff_id)
    if staff.is_active:
        raise Conflict(_("Somebody was faster: this has been done already."), code="done_already")
    staff.is_active, staff.left_date = True, None
    password = issue_one_time_password(staff, issued_by=actor.staff_id, now=now)
    staff.save()
    return NewLogin(staff, password)


def reset_password(actor: Actor, *, staff_id: int, now: dt.datetime) -> NewLogin:
    """A one-time password for somebody who forgot his; sessions end, a lock is lifted."""
    require(actor, "staff.manage")
    staff = _other(actor, staff_id)
    if not staff.is_active:
        raise DomainError(_("%s has left the bank.") % staff.name, code="inactive")
    password = issue_one_time_password(staff, issued_by=actor.staff_id, now=now)
    staff.save()
    forget_failures(staff.number)
    end_sessions(staff.pk)
    return NewLogin(staff, password)


def unlock_sign_in(actor: Actor, *, staff_id: int) -> Staff:
    """Lift the lock after failed sign-ins; the password stays, and the record says who did it.

    Nothing to lift: no change. Raises DomainError for oneself, or somebody who has left.
    """
    require(actor, "staff.manage")
    staff = _other(actor, staff_id)
    if not staff.is_active:
        raise DomainError(_("%s has left the bank.") % staff.name, code="inactive")
    if forget_failures(staff.number):
        unlocked.send(type(staff), actor=actor, staff=staff)
    return staff


def reset_second_factor(actor: Actor, *, staff_id: int, now: dt.datetime) -> int:
    """Remove codes and keys of somebody who lost his device; sessions end. Returns how many were removed."""
    require(actor, "staff.manage")
    staff = _other(actor, staff_id)
    removed = 0
    for authenticator in Authenticator.objects.filter(user=staff.pk):
        authenticator.delete()
        removed += 1
    if not removed:
        raise DomainError(_("%s has no second factor.") % staff.name, code="no_second_factor")
    staff.issued_by_id, staff.issued_at = actor.staff_id, now
    staff.save(update_fields=["issued_by", "issued_at"])
    end_sessions(staff.pk)
    return removed


def end_sessions(staff_id: int, *, but: str = "") -> int:
    """Sign a person out everywhere (but in one session); returns how many sessions ended."""
    held = UserSession.objects.filter(user_id=staff_id).exclude(session_key=but)
    keys = list(held.values_list("session_key", flat=True))
    Session.objects.filter(session_key__in=keys).delete()
    held.delete()
    return len(keys)


def end_session(staff_id: int, session_id: int) -> bool:
    """Sign a person out in one place; False when it is none of his sessions."""
    held = UserSession.objects.filter(user_id=staff_id, pk=session_id)
    Session.objects.filter(session_key__in=held.values("session_key")).delete()
    ended, _kinds = held.delete()
    return bool(ended)


def require_two_administrators(leaving: Staff, day: dt.date) -> None:
    """Grants need two administrators: who is one of the last two stays one. Raises DomainError."""
    held = RoleGrant.objects.in_force(day).filter(
        role__in=(Role.ADMINISTRATOR, Role.OPERATOR), staff__is_active=True
    )
    holders = set(held.values_list("staff_id", flat=True))
    if leaving.pk in holders and len(holders) <= 2:
        raise DomainError(
            _(
                "At least two administrators must remain, or nobody could give roles: appoint another one first."
            ),
            code="two_administrators",
        )


def locked(staff_id: int) -> Staff:
    """The person's row, locked to the end of the transaction. Raises DomainError for an unknown one."""
    found = Staff.objects.select_for_update(of=("self",)).select_related("unit").filter(pk=staff_id).first()
    if found is None:
        raise DomainError(_("There is no such person."), code="no_staff")
    return found


def _other(actor: Actor, staff_id: int) -> Staff:
    if staff_id == actor.staff_id:
        raise DomainError(_("Not for yourself: ask another administrator."), code="oneself")
    return locked(staff_id)


def _open_unit(unit_id: int) -> OrgUnit:
    unit = OrgUnit.objects.filter(pk=unit_id, is_open=True).first()
    if unit is None:
        text = _("There is no such open unit.")
        raise DomainError(text, code="no_unit", fields={"unit": text})
    return unit
