"""Identifiers and phones as people type them: recognised, and read by the very rules of the feeds.

So what is searched for or entered by hand is found as the core delivered it (customers.ingest.columns says which
check digits are used).
"""

from __future__ import annotations

import re
from collections.abc import Callable

from customers.ingest import columns

_SEPARATORS = re.compile(r"[\s\-]+")
_CHECKED: dict[str, Callable[[str], str]] = {
    "resident_id": columns.resident_id,
    "uscc": columns.uscc,
    "lei": columns.lei,
}


def normalise(scheme: str, text: str) -> str | None:
    """The normal form of a valid identifier of a scheme, or None when its form or check digit is wrong."""
    try:
        if scheme in _CHECKED:
            return _CHECKED[scheme](_SEPARATORS.sub("", text))
        return columns.document(text.strip())
    except columns.Bad:
        return None


def recognise(text: str) -> list[tuple[str, str]]:
    """(scheme, normal form) of everything with a check digit that the text can be; empty for ordinary words."""
    compact = _SEPARATORS.sub("", text)
    if len(compact) not in (18, 20) or not compact.isascii() or not compact.isalnum():
        return []
    found = ((scheme, normalise(scheme, compact)) for scheme in _CHECKED)
    return [(scheme, value) for scheme, value in found if value]


def phone_e164(text: str, region: str = "CN") -> str | None:
    """A possible phone number as E.164 (+8613812346021), or None."""
    try:
        return columns.phone(re.sub(r"[\s\-()./]+", "", text), region)
    except columns.Bad:
        return None


PERSON_PHONE = "contactperson.phone"  # the place of the ciphertext of a contact person's phone


def person_phone_row(number: str, submission: str) -> str:
    """The row that this ciphertext is bound to, of the company's number and the entry's submission in hex."""
    return f"{number}|person|{submission}"
