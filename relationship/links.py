"""Addresses of the customer lists behind this room's figures."""

from __future__ import annotations

from typing import Any

from crm_site.accounts.models import OrgUnit, Staff
from customers.links import urls_for_condition

REAL = {"fact": "is_prospect", "op": "=", "value": False}


def fact(name: str, op: str, value: Any) -> dict[str, Any]:
    return {"fact": name, "op": op, "value": value}


def list_url(*conditions: dict[str, Any] | None, sort: str = "-deposits_adb") -> str:
    """The list of real customers that meet every condition."""
    parts = [REAL, *(c for c in conditions if c)]
    return urls_for_condition({"all": parts} if len(parts) > 1 else REAL, sort=sort)


def in_unit(unit: OrgUnit) -> dict[str, Any] | None:
    """Customers at home in a unit or below; no condition for the head office, which is the whole bank."""
    return None if unit.parent_id is None else fact("home_branch", "=", unit.pk)


def of_person(staff: Staff) -> dict[str, Any]:
    return fact("responsible", "=", staff.pk)


def customer_url(customer_id: int) -> str:
    return f"/customers/{customer_id}/"
