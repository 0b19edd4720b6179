"""Addresses of the customer lists behind this room's figures."""

from __future__ import annotations

from typing import Any

from crm_site.accounts.models import OrgUnit, Staff
from customers.conditions import both, fact_is
from customers.links import urls_for_condition

REAL = fact_is("is_prospect", False)
ME = fact_is("responsible", "me")


def list_url(*conditions: dict[str, Any] | None, sort: str = "-deposits_adb") -> str:
    """The list of real customers that meet every condition."""
    return urls_for_condition(both(REAL, *conditions), sort=sort)


def in_unit(unit: OrgUnit) -> dict[str, Any] | None:
    """Customers at home in a unit or below; no condition for the head office, which is the whole bank."""
    return None if unit.parent_id is None else fact_is("home_branch", unit.pk, "within")


def of_person(staff: Staff) -> dict[str, Any]:
    return fact_is("responsible", staff.pk)


def of_kind(kind: str) -> dict[str, Any] | None:
    return fact_is("kind", kind) if kind else None
