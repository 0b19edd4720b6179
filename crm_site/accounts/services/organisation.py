"""The organisation tree, what a grade may hold, and how the bank's people sign in."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from crm_site.accounts.models import Grade, GradeCapacity, OrgUnit, OrgUnitKind, SignInPolicy, Staff
from crm_site.lib.errors import Conflict, DomainError
from crm_site.lib.permissions import Actor, require
from crm_site.lib.registry import UNIT_USES

# Which kind may hang below which.
_BELOW = {
    OrgUnitKind.BRANCH: {OrgUnitKind.HEAD_OFFICE},
    OrgUnitKind.SUB_BRANCH: {OrgUnitKind.BRANCH},
}


def add_unit(actor: Actor, *, code: str, name: str, kind: str, parent_id: int, region: str = "") -> OrgUnit:
    """A branch or sub-branch of the bank's own. Raises DomainError for a place that cannot be, Conflict for a code in use."""
    require(actor, "organisation.manage")
    _lock_tree()
    parent = _unit(parent_id)
    _check_place(OrgUnitKind(kind), parent)
    try:
        with transaction.atomic():
            unit = OrgUnit.objects.create(code=code, name=name, kind=kind, parent=parent, region=region)
    except IntegrityError as error:
        raise Conflict(
            _("A unit with this code exists already."),
            code="unit_code",
            fields={"code": _("This code is taken.")},
        ) from error
    renumber_tree()
    unit.refresh_from_db()
    return unit


def change_unit(
    actor: Actor,
    *,
    unit_id: int,
    name: str,
    region: str,
    parent_id: int | None,
    seen: tuple[str, str, int | None],
) -> OrgUnit:
    """Rename or move a unit. `seen`: (name, region, parent) as the page showed them; changed meanwhile is a Conflict.

    What core banking delivers is read-only here.
    """
    require(actor, "organisation.manage")
    _lock_tree()
    unit = _unit(unit_id)
    if (unit.name, unit.region, unit.parent_id) != seen:
        raise Conflict(
            _("Somebody changed this unit meanwhile: it is now “%(name)s”. Check and send again.")
            % {"name": unit.name},
            code="changed_meanwhile",
        )
    if (name, region, parent_id) == seen:
        return unit
    _require_own(unit)
    if parent_id != unit.parent_id:
        _check_move(unit, parent_id)
    unit.name, unit.region, unit.parent_id = name, region, parent_id
    unit.save(update_fields=["name", "region", "parent"])
    renumber_tree()
    unit.refresh_from_db()
    return unit


def close_unit(actor: Actor, *, unit_id: int) -> OrgUnit:
    """Close a unit that holds nothing any more: no open unit below, no active staff, nothing other rooms keep there."""
    require(actor, "organisation.manage")
    _lock_tree()
    unit = _unit(unit_id)
    if unit.parent_id is None:
        raise DomainError(_("The head office cannot be closed."), code="head_office")
    if not unit.is_open:
        raise Conflict(_("Somebody was faster: this has been done already."), code="done_already")
    held = [_("open units below")] if unit.children.filter(is_open=True).exists() else []
    held += [_("active staff")] if Staff.objects.active().filter(unit=unit.pk).exists() else []
    held += [said for use in UNIT_USES if (said := use(unit.pk))]
    if held:
        raise DomainError(
            _("%(unit)s cannot be closed yet, it still has: %(what)s.")
            % {"unit": unit.name, "what": ", ".join(held)},
            code="unit_in_use",
        )
    unit.is_open = False
    unit.save(update_fields=["is_open"])
    return unit


def reopen_unit(actor: Actor, *, unit_id: int) -> OrgUnit:
    """A closed unit works again. Conflict when it is open."""
    require(actor, "organisation.manage")
    _lock_tree()
    unit = _unit(unit_id)
    if unit.is_open:
        raise Conflict(_("Somebody was faster: this has been done already."), code="done_already")
    if unit.parent is not None and not unit.parent.is_open:
        raise DomainError(_("%s is closed: open it first.") % unit.parent.name, code="parent_closed")
    unit.is_open = True
    unit.save(update_fields=["is_open"])
    return unit


def set_capacity(actor: Actor, *, grade: str, max_customers: int, max_value: Decimal) -> GradeCapacity:
    """How many customers and how much value one of a grade may hold."""
    require(actor, "organisation.manage")
    capacity, _made = GradeCapacity.objects.select_for_update().get_or_create(
        grade=Grade(grade), defaults={"max_customers": max_customers, "max_value": max_value}
    )
    if (capacity.max_customers, capacity.max_value) != (max_customers, max_value):
        capacity.max_customers, capacity.max_value = max_customers, max_value
        capacity.save(update_fields=["max_customers", "max_value"])
    return capacity


def set_sign_in_policy(actor: Actor, *, second_factor_required: bool, now: dt.datetime) -> SignInPolicy:
    """Whether administrators and operators of this bank get no further without a second factor."""
    require(actor, "organisation.manage")
    policy, _made = SignInPolicy.objects.select_for_update().get_or_create(defaults={"changed_at": now})
    if policy.second_factor_required != second_factor_required:
        policy.second_factor_required, policy.changed_at = second_factor_required, now
        policy.save(update_fields=["second_factor_required", "changed_at"])
    return policy


def _lock_tree() -> None:
    """One change of the tree at a time: its head office's row is the lock."""
    OrgUnit.objects.select_for_update().get(parent__isnull=True)


def _unit(unit_id: int) -> OrgUnit:
    found = OrgUnit.objects.select_related("parent").filter(pk=unit_id).first()
    if found is None:
        raise DomainError(
            _("There is no such unit."), code="no_unit", fields={"parent": _("There is no such unit.")}
        )
    return found


def _require_own(unit: OrgUnit) -> None:
    if unit.source_as_of is not None:
        raise DomainError(
            _("This unit comes from the core system: change it there, the next delivery brings it."),
            code="core_owned",
        )


def _check_place(kind: OrgUnitKind, parent: OrgUnit) -> None:
    if kind == OrgUnitKind.HEAD_OFFICE:
        raise DomainError(
            _("A bank has one head office."),
            code="head_office",
            fields={"kind": _("A bank has one head office.")},
        )
    if parent.kind not in _BELOW[kind]:
        text = _("A branch hangs below the head office, a sub-branch below a branch.")
        raise DomainError(text, code="place", fields={"parent": text})
    if not parent.is_open:
        text = _("%s is closed: open it first.") % parent.name
        raise DomainError(text, code="parent_closed", fields={"parent": text})


def _check_move(unit: OrgUnit, parent_id: int | None) -> None:
    if unit.parent_id is None or parent_id is None:
        raise DomainError(_("The head office stays at the top."), code="head_office")
    parent = _unit(parent_id)
    if unit.lft <= parent.lft <= unit.rgt:
        text = _("A unit cannot hang below itself.")
        raise DomainError(text, code="cycle", fields={"parent": text})
    _check_place(OrgUnitKind(unit.kind), parent)


def _reading_order(unit: OrgUnit) -> list[str | int]:
    """By code as people count: 2 before 10, B002-2 before B002-10."""
    parts = re.split("([0-9]+)", unit.code)
    return [int(part) if place % 2 else part for place, part in enumerate(parts)]


def renumber_tree() -> int:
    """Recompute lft/rgt of the active bank's organisation by depth-first walk; returns the number of units."""
    children: dict[int | None, list[OrgUnit]] = {}
    for unit in sorted(OrgUnit.objects.order_by("code", "id"), key=_reading_order):
        children.setdefault(unit.parent_id, []).append(unit)
    counter, changed, visited = 0, [], 0

    def walk(unit: OrgUnit) -> None:
        nonlocal counter, visited
        visited += 1
        counter += 1
        lft = counter
        for child in children.get(unit.pk, []):
            walk(child)
        counter += 1
        if (unit.lft, unit.rgt) != (lft, counter):
            unit.lft, unit.rgt = lft, counter
            changed.append(unit)

    for root in children.get(None, []):
        walk(root)
    OrgUnit.objects.bulk_update(changed, ["lft", "rgt"])
    return visited
