"""The second factor as the sign-in library asks for it: secrets sealed with the bank's key, a code good once."""

from __future__ import annotations

from base64 import b64decode, b64encode

from allauth.mfa.adapter import DefaultMFAAdapter, get_adapter
from allauth.mfa.base.forms import AuthenticateForm, ReauthenticateForm
from allauth.mfa.models import Authenticator
from django.db.models import Q

from crm_site.accounts.banks import vault_of
from crm_site.lib.tenancy import require_bank

SEALED = "sealed:"  # what was enrolled before secrets were sealed has none, and goes on working
PLACE = "mfa_authenticator.data"


class MFAAdapter(DefaultMFAAdapter):
    """Who reads the table, or a backup of it, makes no codes."""

    def encrypt(self, text: str) -> str:
        sealed = vault_of(require_bank()).encrypt(text, place=PLACE, row="")
        return SEALED + b64encode(sealed).decode()

    def decrypt(self, encrypted_text: str) -> str:
        if not encrypted_text.startswith(SEALED):
            return encrypted_text
        sealed = b64decode(encrypted_text.removeprefix(SEALED))
        return vault_of(require_bank()).decrypt(sealed, place=PLACE, row="")


def use_up(found: Authenticator, code: str) -> None:
    """Refuse a generator's code that was taken before: the library's own memory of it ends at its web process."""
    if found.type != Authenticator.Type.TOTP:
        return
    unused = Q(data__used__isnull=True) | ~Q(
        data__used=code
    )  # a key that is missing is neither the one nor the other
    if not Authenticator.objects.filter(unused, pk=found.pk).update(data={**found.data, "used": code}):
        raise get_adapter().validation_error("incorrect_code")


class OnceAuthenticateForm(AuthenticateForm):
    """Signing in."""

    def clean_code(self) -> str:
        code = str(super().clean_code())
        use_up(self.authenticator, code)
        return code


class OnceReauthenticateForm(ReauthenticateForm):
    """Proving again who one is."""

    def clean_code(self) -> str:
        code = str(super().clean_code())
        use_up(self.authenticator, code)
        return code
