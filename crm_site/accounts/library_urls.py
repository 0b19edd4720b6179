"""The sign-in library's addresses that people and machines here use; its others answer 404 on every method.

An allow-list: a new version of the library opens nothing. The names must exist, because the library builds links.
"""

from __future__ import annotations

from typing import Any

from allauth.account import views as account
from allauth.idp.oidc import views as oidc
from django.http import Http404, HttpResponse
from django.urls import include, path
from django.views.decorators.csrf import csrf_exempt


@csrf_exempt
def nothing_here(request: Any, **kwargs: Any) -> HttpResponse:
    raise Http404


def _closed(*names: str, prefix: str = "") -> list[Any]:
    return [
        path(f"{name.removeprefix(prefix).replace('_', '-')}/", nothing_here, name=name) for name in names
    ]


people = [
    path("login/", account.login, name="account_login"),
    path("logout/", account.logout, name="account_logout"),
    path("reauthenticate/", account.reauthenticate, name="account_reauthenticate"),
    path("password/change/", account.password_change, name="account_change_password"),
    path("2fa/", include("allauth.mfa.urls")),
    path("sessions/", include("allauth.usersessions.urls")),
    *_closed(
        "account_signup", "account_email", "account_inactive", "account_set_password", "account_reset_password",
        "account_reset_password_done", "account_reset_password_from_key_done", "account_email_verification_sent",
        "account_confirm_login_code", prefix="account_",
    ),
]  # fmt: skip

_machines = [
    path(".well-known/openid-configuration", oidc.configuration, name="configuration"),
    path(".well-known/jwks.json", oidc.jwks, name="jwks"),
    path("identity/o/api/token", oidc.token, name="token"),
    path("identity/o/api/revoke", oidc.revoke, name="revoke"),
    path("identity/o/authorize", nothing_here, name="authorization"),
    path("identity/o/device", nothing_here, name="device_authorization"),
    path("identity/o/logout", nothing_here, name="logout"),
    path("identity/o/api/device/code", nothing_here, name="device_code"),
    path("identity/o/api/userinfo", nothing_here, name="userinfo"),
]
machines = ([path("", include((_machines, "oidc")))], "idp")
