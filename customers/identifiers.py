"""Identifiers and phones: recognised, validated by their check digits, normalised. Pure; knows no database.

Sources: resident identity number GB 11643 (ISO 7064 MOD 11-2), unified social credit code GB 32100 (mod 31),
legal entity identifier ISO 17442 (mod 97-10), phone ITU-T E.164.
"""

from __future__ import annotations

import re

import phonenumbers
from stdnum import lei
from stdnum.cn import ric, uscc

REGION = "CN"
_SEPARATORS = re.compile(r"[\s\-()./]+")


def normalise(scheme: str, text: str) -> str | None:
    """The normal form of a valid identifier, or None when its check digit or form is wrong.

    `passport` and `other` have no check digit: 5 to 20 letters and digits.
    """
    compact = _SEPARATORS.sub("", text).upper()
    if scheme == "resident_id":
        return compact if ric.is_valid(compact) else None
    if scheme == "uscc":
        return compact if uscc.is_valid(compact) else None
    if scheme == "lei":
        return compact if lei.is_valid(compact) else None
    return compact if re.fullmatch(r"[A-Z0-9]{5,20}", compact) else None


def recognise(text: str) -> list[tuple[str, str]]:
    """(scheme, normal form) of everything with a check digit that the text can be; empty for ordinary words."""
    compact = _SEPARATORS.sub("", text).upper()
    if len(compact) not in (18, 20) or not compact.isascii() or not compact.isalnum():
        return []
    found = ((scheme, normalise(scheme, compact)) for scheme in ("resident_id", "uscc", "lei"))
    return [(scheme, value) for scheme, value in found if value]


def phone_e164(text: str, region: str = REGION) -> str | None:
    """A possible phone number as E.164 (+8613812346021), or None."""
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
