"""Two people edit one record at once: their changes merge, and what both changed is shown to the second."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.utils.translation import gettext as _

from crm_site.lib.errors import Conflict


@dataclass(frozen=True, slots=True)
class FieldConflict:
    """A field that two people changed at once: what I typed, what the other saved meanwhile."""

    field: str
    mine: str
    theirs: str


class EditConflict(Conflict):
    """Somebody else changed the same fields meanwhile. Nothing was saved; `theirs` is how all fields stand."""

    def __init__(self, theirs: Mapping[str, str], conflicts: list[FieldConflict]) -> None:
        super().__init__(_("Somebody changed the same fields meanwhile."), code="edit_conflict")
        self.theirs = theirs
        self.conflicts = conflicts


def merge(stored: Mapping[str, str], base: Mapping[str, str], typed: Mapping[str, str]) -> list[str]:
    """The fields to save: those typed that differ from what the form was opened with (`base`) and from what is stored.

    What only the other person changed stays theirs. Raises EditConflict where both changed a field differently.
    """
    mine = [name for name in stored if name in typed and typed[name] != base.get(name, "")]
    conflicts = [
        FieldConflict(name, typed[name], stored[name])
        for name in mine
        if stored[name] not in (base.get(name, ""), typed[name])
    ]
    if conflicts:
        raise EditConflict(stored, conflicts)
    return [name for name in mine if stored[name] != typed[name]]
