"""One-time passwords, and passwords that may not come again."""

from __future__ import annotations

import datetime as dt
import secrets
from typing import Any

from django.contrib.auth.hashers import check_password
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext as _

from crm_site.accounts.models import PasswordHistory, Staff

ONE_TIME_HOURS = 72
KEPT = 5


def one_time_password() -> str:
    """A password to be typed once: 16 characters without look-alikes, about 90 bits."""
    alphabet = "abcdefghjkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
    return "".join(secrets.choice(alphabet) for _unused in range(16))


def issue_one_time_password(staff: Staff, *, issued_by: int | None, now: dt.datetime) -> str:
    """Give a person a password that must be changed at the first sign-in, within 72 hours. The caller saves."""
    password = one_time_password()
    staff.set_password(password)
    staff.must_change_password = True
    staff.one_time_until = now + dt.timedelta(hours=ONE_TIME_HOURS)
    staff.issued_by_id, staff.issued_at = issued_by, now
    return password


class NotUsedBefore:
    """A password validator (AUTH_PASSWORD_VALIDATORS): not one of the person's last five."""

    def validate(self, password: str, user: Any = None) -> None:
        if not isinstance(user, Staff) or user.pk is None:
            return
        kept = (
            PasswordHistory.objects.filter(staff=user.pk).order_by("-id").values_list("password", flat=True)
        )
        if any(check_password(password, old) for old in {user.password, *kept[:KEPT]}):
            raise ValidationError(self.get_help_text(), code="password_used_before")

    def password_changed(self, password: str, user: Any = None) -> None:
        if not isinstance(user, Staff):
            return
        PasswordHistory.objects.create(staff=user, password=user.password, set_at=timezone.now())
        old = (
            PasswordHistory.objects.filter(staff=user.pk).order_by("-id").values_list("pk", flat=True)[KEPT:]
        )
        PasswordHistory.objects.filter(pk__in=list(old)).delete()

    def get_help_text(self) -> str:
        return _("Your password can't be one of your last five.")
