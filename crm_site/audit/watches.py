"""What an examiner watches of the bank's own house: rights, ways in, policies, backups. Other rooms add theirs."""

from __future__ import annotations

from django.apps import apps
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from crm_site.accounts.versions import Version
from crm_site.audit.models import Action
from crm_site.lib.registry import Watch, add_watch


def became(column: str, value: str) -> Q:
    """A row got this value in a column: written with it, or changed to it."""
    return Q(**{"action": Action.INSERT, f"changes__{column}": value}) | Q(
        **{"action": Action.UPDATE, f"changes__{column}__1": value}
    )


def changed(column: str) -> Q:
    """A row's column was changed."""
    return Q(action=Action.UPDATE, changes__has_key=column)


def register() -> None:
    versions = tuple(sorted(m._meta.db_table for m in apps.get_models() if issubclass(m, Version)))
    staff, banks = ("accounts_staff",), ("accounts_bank", "accounts_bankmove")
    moved = Q(action__in=[Action.BACKUP, Action.RESTORE, Action.REMOVE])
    for name, label, tables, condition in (
        ("rights", _("Rights proposed, given or taken"), ("accounts_rolegrant",), Q()),
        ("password", _("One-time passwords and factors reset"), staff, changed("issued_at")),
        ("unlocked", _("Lock-outs lifted by hand"), staff, Q(action=Action.DECIDE)),
        ("factor", _("Second factors taken away"), ("mfa_authenticator",), Q(action=Action.DELETE)),
        ("sign-in", _("Rules of sign-in changed"), ("accounts_signinpolicy",), Q()),
        ("client", _("Machine clients made or ended"), ("allauth_idp_oidc_client",), Q()),
        ("published", _("Policies and scorecards published"), versions, became("status", "published")),
        ("withdrawn", _("Published policies withdrawn"), versions, became("status", "withdrawn")),
        ("moved", _("Backups taken and put back"), banks, moved),
    ):
        add_watch(Watch(name, label, tables, condition))
