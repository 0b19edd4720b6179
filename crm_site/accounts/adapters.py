"""How the sign-in library behaves here: nobody signs up by himself; staff are made by administrators."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from crm_site.accounts.models import Staff
from crm_site.accounts.services.lockout import LockedOut, check_lock, count_failure, forget_failures
from crm_site.accounts.signals import locked_out


class AccountAdapter(DefaultAccountAdapter):
    error_messages = {
        **DefaultAccountAdapter.error_messages,
        "username_password_mismatch": _("Staff number and password do not match."),
        "one_time_expired": _(
            "This one-time password has expired: 72 hours are over. Ask your administrator for a new one."
        ),
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def get_login_redirect_url(self, request: Any) -> str:
        return "/"

    def get_password_change_redirect_url(self, request: HttpRequest) -> str:
        return "/"

    def authenticate(self, request: HttpRequest, **credentials: Any) -> Any:
        """The person, or None: locked names are not even tried, and who has left is nobody."""
        login, now, begins = str(credentials.get("username", "")), timezone.now(), False
        try:
            check_lock(login, now)
            begins = True
            user: Any = super().authenticate(request, **credentials)
            if user is None or not user.is_active:
                count_failure(login, now)
                return None
        except LockedOut as locked:
            known = Staff.objects.filter(number__iexact=login).values_list("pk", flat=True).first()
            locked_out.send(sender=Staff, request=request, staff_id=known, until=locked.until, begins=begins)
            raise ValidationError(locked.message, code=locked.code) from locked
        if user.must_change_password and user.one_time_until is not None and user.one_time_until < now:
            raise self.validation_error("one_time_expired")
        forget_failures(login)
        return user
