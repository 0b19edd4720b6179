"""How long a session lives: 60 minutes without a request, 12 hours at most; and what a fresh person must do first."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

from allauth.account.internal.flows.reauthentication import did_recently_reauthenticate, suspend_request
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib import messages
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from crm_site.accounts.models import SignInPolicy
from crm_site.lib.permissions import Role

Handler = Callable[[HttpRequest], HttpResponse]
IDLE = dt.timedelta(minutes=60)
ABSOLUTE = dt.timedelta(hours=12)
STEP = 60  # seconds between two notes of "last seen": one write a minute, not one a request
# Reachable by somebody who must change the password or add a second factor first.
OPEN_PATHS = ("/accounts/", "/preferences/", "/static/")


def note_sign_in(sender: Any, request: Any, user: Any, **kwargs: Any) -> None:
    """Django's signal: the session's clocks start."""
    request.session["signed_in_at"] = request.session["seen_at"] = timezone.now().timestamp()


def note_password_change(sender: Any, request: Any, user: Any, **kwargs: Any) -> None:
    """The sign-in library's signal: the one-time password is history, the other sessions end."""
    from crm_site.accounts.services import end_sessions

    user.must_change_password, user.one_time_until = False, None
    user.save(update_fields=["must_change_password", "one_time_until"])
    end_sessions(user.pk, but=request.session.session_key or "")


class SessionMiddleware:
    """Ends sessions in time; sends people with a one-time password, or without a due second factor, where they must go.

    Stands behind ActorMiddleware.
    """

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: Any) -> HttpResponse:
        if request.actor is None:
            return self.get_response(request)
        now = timezone.now().timestamp()
        ended = _ended(request.session, now)
        if ended:
            logout(request)
            request.actor = None
            messages.info(request, ended)
            return _send(request, f"{reverse('account_login')}?next={request.path}")
        if now - request.session.get("seen_at", now) > STEP or "seen_at" not in request.session:
            request.session["seen_at"] = now
            request.session.setdefault("signed_in_at", now)
            UserSession.objects.filter(session_key=request.session.session_key).update(
                last_seen_at=timezone.now()
            )
        if not request.path.startswith(OPEN_PATHS):
            if request.user.must_change_password:
                return _send(request, reverse("account_change_password"))
            if second_factor_due(request):
                messages.warning(
                    request, _("Your bank asks administrators for a second factor: set one up first.")
                )
                return _send(request, reverse("mfa_index"))
        return self.get_response(request)


def _ended(session: Any, now: float) -> str:
    """Why the session is over, in words; "" while it lives."""
    if now - session.get("seen_at", now) > IDLE.total_seconds():
        return _("You were signed out after 60 minutes without activity.")
    if now - session.get("signed_in_at", now) > ABSOLUTE.total_seconds():
        return _("You were signed out: a session lasts 12 hours at most.")
    return ""


def _send(request: Any, url: str) -> HttpResponse:
    """A redirect that htmx follows with the whole page."""
    return HttpResponse(headers={"HX-Redirect": url}) if request.htmx else HttpResponseRedirect(url)


def has_second_factor(staff_id: int) -> bool:
    """Whether the person has a code generator or a key (recovery codes alone are none)."""
    kinds = [Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN]
    return Authenticator.objects.filter(user=staff_id, type__in=kinds).exists()


def second_factor_due(request: Any) -> bool:
    """Whether the bank's policy holds this administrator or operator back until he has a second factor.

    Asked of the database until the answer is no, then remembered in the session.
    """
    if not request.actor.has({Role.ADMINISTRATOR, Role.OPERATOR}) or request.session.get("second_factor"):
        return False
    if has_second_factor(request.actor.staff_id):
        request.session["second_factor"] = True
        return False
    return SignInPolicy.objects.filter(second_factor_required=True).exists()


def confirm_identity(request: Any) -> HttpResponse | None:
    """For approvals: None when the person has proved who he is within five minutes, else the page that asks.

    Afterwards the very same request goes on. `if (ask := confirm_identity(request)): return ask`.
    """
    if did_recently_reauthenticate(request):
        return None
    return suspend_request(request, reverse("account_reauthenticate"))
