"""Who came in, who did not, who left: the sign-in library's signals become entries of the record.

A failure's entry names the person whose number was typed, if there is one, and never what was typed: people type
passwords into the wrong box. Written in the request's transaction, which a refusal commits like any other answer.
"""

from __future__ import annotations

from typing import Any

from allauth.account.signals import password_changed
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed

from crm_site.accounts.models import Bank, Staff
from crm_site.accounts.signals import bank_created, bank_switched, locked_out, unlocked
from crm_site.audit.models import Action
from crm_site.audit.services import record
from crm_site.lib.permissions import Actor
from crm_site.lib.tenancy import current_bank

_TABLE = Staff._meta.db_table


def _actor(request: Any, staff: Staff | None) -> Actor | None:
    """Who it was, as far as it is known; None outside every bank."""
    bank_id = current_bank()
    if bank_id is None:
        return None
    meta = getattr(request, "META", {})
    return Actor(
        bank_id=bank_id,
        label=f"{staff.number} {staff.name}" if staff else "-",
        staff_id=staff.pk if staff else None,
        request_id=getattr(request, "request_id", ""),
        address=meta.get("REMOTE_ADDR", ""),
    )


def _record(request: Any, staff: Staff | None, action: Action, **more: Any) -> None:
    actor = _actor(request, staff)
    if actor is not None:
        record(actor, action, _TABLE, key=staff.pk if staff else None, **more)


def signed_in(sender: Any, request: Any, user: Any, **kwargs: Any) -> None:
    _record(request, user, Action.SIGN_IN)


def signed_out(sender: Any, request: Any, user: Any, **kwargs: Any) -> None:
    if isinstance(user, Staff):
        _record(request, user, Action.SIGN_OUT)


def failed(sender: Any, credentials: Any, request: Any = None, **kwargs: Any) -> None:
    known = Staff.objects.filter(number__iexact=str(credentials.get("username", ""))).first()
    _record(request, known, Action.SIGN_IN_FAILED, changes=None if known else {"number": "unknown"})


def locked(sender: Any, request: Any, staff_id: int | None, until: Any, begins: bool, **kwargs: Any) -> None:
    """A lock-out is one entry; who tries again before it ends has failed again."""
    known = Staff.objects.filter(pk=staff_id).first() if staff_id else None
    _record(request, known, Action.LOCK_OUT if begins else Action.SIGN_IN_FAILED, changes={"until": until})


def lock_lifted(sender: Any, actor: Actor, staff: Staff, **kwargs: Any) -> None:
    record(actor, Action.DECIDE, _TABLE, key=staff.pk, changes={"locked": [True, False]})


def changed_password(sender: Any, request: Any, user: Any, **kwargs: Any) -> None:
    _record(request, user, Action.PASSWORD)


def banks_changed(sender: Any, actor: Actor, bank: Bank, **kwargs: Any) -> None:
    record(
        actor,
        Action.DECIDE,
        Bank._meta.db_table,
        key=bank.pk,
        changes={"code": bank.code, "is_active": bank.is_active},
    )


def listen() -> None:
    user_logged_in.connect(signed_in, dispatch_uid="audit-sign-in")
    user_logged_out.connect(signed_out, dispatch_uid="audit-sign-out")
    user_login_failed.connect(failed, dispatch_uid="audit-sign-in-failed")
    locked_out.connect(locked, dispatch_uid="audit-lock-out")
    unlocked.connect(lock_lifted, dispatch_uid="audit-unlocked")
    password_changed.connect(changed_password, dispatch_uid="audit-password")
    bank_created.connect(banks_changed, dispatch_uid="audit-bank-created")
    bank_switched.connect(banks_changed, dispatch_uid="audit-bank-switched")
