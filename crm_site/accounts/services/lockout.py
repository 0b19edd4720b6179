"""Too many failures lock a login name for a while: known or not, so that nobody learns which numbers exist.

Counted in the database, so that every web process counts the same; a failed answer commits like any other.
"""

from __future__ import annotations

import datetime as dt

from django.db import connection
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from crm_site.accounts.models import SignInFailure, login_key
from crm_site.lib.errors import DomainError
from crm_site.lib.tenancy import require_bank

FAILURES = 5
WINDOW = dt.timedelta(minutes=5)
LOCK = dt.timedelta(minutes=5)
KEPT = dt.timedelta(days=1)


class LockedOut(DomainError):
    """The login name is locked. `until`: when it may be tried again."""

    status = 429

    def __init__(self, until: dt.datetime, now: dt.datetime) -> None:
        minutes = max(1, -int((now - until).total_seconds() // 60))
        super().__init__(
            _("Too many failed sign-ins with this staff number.")
            + " "
            + ngettext(
                "It is locked for %(n)d more minute; then try again or ask your administrator for a new password.",
                "It is locked for %(n)d more minutes; then try again or ask your administrator for a new password.",
                minutes,
            )
            % {"n": minutes},
            code="locked_out",
        )
        self.until = until


def check_lock(login: str, now: dt.datetime) -> None:
    """Before a password is looked at: raise LockedOut while the name is locked. Tries of one name wait for each other."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select pg_advisory_xact_lock(hashtextextended('sign-in ' || %s, %s))",
            [login_key(login), require_bank()],
        )
    kept = SignInFailure.objects.filter(login_hash=login_key(login)).first()
    if kept is not None and kept.locked_until is not None and kept.locked_until > now:
        raise LockedOut(kept.locked_until, now)


def count_failure(login: str, now: dt.datetime) -> None:
    """A wrong password. The fifth within five minutes locks the name and raises LockedOut."""
    kept = SignInFailure.objects.filter(login_hash=login_key(login)).first()
    if kept is None:
        SignInFailure.objects.filter(last_at__lt=now - KEPT).delete()
        kept = SignInFailure(login_hash=login_key(login), first_at=now)
    if now - kept.first_at > WINDOW or kept.locked_until is not None:
        kept.failures, kept.first_at, kept.locked_until = 0, now, None
    kept.failures, kept.last_at = kept.failures + 1, now
    if kept.failures >= FAILURES:
        kept.locked_until = now + LOCK
    kept.save()
    if kept.locked_until is not None:
        raise LockedOut(kept.locked_until, now)


def forget_failures(login: str) -> int:
    """The right password, or an administrator's help: counting begins anew. Returns how many counts were forgotten."""
    return SignInFailure.objects.filter(login_hash=login_key(login)).delete()[0]
