"""Who of a synthetic bank makes a customer's credit file, and who decides on it: by role and place, never the same."""

from __future__ import annotations

import datetime as dt

from django.db.models import Count

from crm_site.accounts.models import OrgUnit, RoleGrant
from crm_site.composition.synthetic.rating_plan import Planned
from crm_site.lib.permissions import Role


def busiest_manager() -> RoleGrant | None:
    """The grant of the relationship manager with the most customers: who the demo lets sign in."""
    held = RoleGrant.objects.filter(role=Role.RELATIONSHIP_MANAGER).annotate(held=Count("staff__customers"))
    return held.order_by("-held", "staff__number").select_related("staff").first()


class Raters:
    """Relationship managers and branch managers of the active bank by unit, with the units above each."""

    def __init__(self, day: dt.date) -> None:
        self._above = {unit.pk: unit.parent_id for unit in OrgUnit.objects.all()}
        self._makers: dict[int, list[int]] = {}
        self._checkers: dict[int, list[int]] = {}
        held = RoleGrant.objects.in_force(day).filter(staff__is_active=True).order_by("staff__number")
        for role, unit, staff in held.values_list("role", "unit_id", "staff_id"):
            if role == Role.RELATIONSHIP_MANAGER:
                self._makers.setdefault(unit, []).append(staff)
            elif role == Role.BRANCH_MANAGER:
                self._checkers.setdefault(unit, []).append(staff)
        self._managers = {staff for people in self._makers.values() for staff in people}

    def checkers(self, unit: int) -> list[int]:
        """Everybody who leads a unit or one above it, the nearest first."""
        found: list[int] = []
        above: int | None = unit
        while above:
            found += self._checkers.get(above, [])
            above = self._above[above]
        return found

    def of(self, row: Planned) -> tuple[int | None, int | None]:
        """(who makes, who decides): the customer's own manager, else one of his branch; a manager of a branch above."""
        maker = row.responsible_id if row.responsible_id in self._managers else None
        if maker is None:
            maker = self._nearest(self._makers, row, None)
        return maker, self._nearest(self._checkers, row, maker)

    def _nearest(self, people: dict[int, list[int]], row: Planned, but: int | None) -> int | None:
        unit: int | None = row.home_branch_id
        while unit is not None:
            here = [staff for staff in people.get(unit, ()) if staff != but]
            if here:
                return here[row.fate % len(here)]
            unit = self._above[unit]
        return None
