"""Which part of the organisation an actor may look at as a whole."""

from __future__ import annotations

from crm_site.accounts.models import OrgUnit
from crm_site.lib.permissions import HEADQUARTERS, SUBTREE, Actor


def readable_unit(actor: Actor, unit_id: int | None) -> OrgUnit | None:
    """The unit asked for, or the actor's own place: a branch manager's branch, the head office for headquarters.

    None when the actor may not look at it, which is the same as its not being there.
    """
    if actor.has(HEADQUARTERS):
        found = OrgUnit.objects.filter(pk=unit_id) if unit_id else OrgUnit.objects.filter(parent__isnull=True)
        return found.first()
    for lft, rgt in actor.intervals(SUBTREE):
        within = OrgUnit.objects.filter(lft__gte=lft, lft__lte=rgt)
        found = within.filter(pk=unit_id) if unit_id else within.order_by("lft")
        if unit := found.first():
            return unit
    return None


def is_head_office(unit: OrgUnit) -> bool:
    return unit.parent_id is None
