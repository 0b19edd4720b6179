"""The partition maker, and a bank for the tables of sessions and the sign-in library."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations

from crm_site.lib.postgres.migrations import EnsureMonthFunction, GiveBank


class Migration(migrations.Migration):
    dependencies: ClassVar = [
        ("accounts", "0001_initial"),
        ("sessions", "0001_initial"),
        ("account", "0009_emailaddress_unique_primary_email"),
        ("mfa", "0003_authenticator_type_uniq"),
        ("usersessions", "0001_initial"),
        ("allauth_idp_oidc", "0003_client_allow_uri_wildcards"),
    ]

    operations: ClassVar = [
        EnsureMonthFunction(),
        GiveBank("django_session"),
        GiveBank("account_emailaddress"),
        GiveBank("account_emailconfirmation"),
        GiveBank("mfa_authenticator"),
        GiveBank("usersessions_usersession"),
        GiveBank("allauth_idp_oidc_client"),
        GiveBank("allauth_idp_oidc_token"),
    ]
