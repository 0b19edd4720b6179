"""Saved views of the customer list: a person's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Max
from django.utils.translation import gettext as _

from crm_site.lib.errors import Conflict, DomainError
from crm_site.lib.permissions import Actor, require
from customers.conditions import validate
from customers.models import SavedView

MOST_VIEWS = 20


def save_view(actor: Actor, *, name: str, condition: Mapping[str, Any], sort: str) -> SavedView:
    """Keep the list as it stands under a name, as the person's last tab.

    Raises DomainError (no name, too many), Conflict for a name already used, ConditionError.
    """
    require(actor, "customer.read")
    wanted = name.replace("\x00", "").strip()
    if not wanted:
        raise DomainError(_("Give the view a name."), fields={"name": _("Give the view a name.")})
    clean = validate(condition, actor=actor)
    mine = SavedView.objects.filter(staff_id=actor.staff_id)
    if mine.count() >= MOST_VIEWS:
        message = _("You have %(n)s views already: remove one first.") % {"n": MOST_VIEWS}
        raise DomainError(message, fields={"name": message})
    position = (mine.aggregate(last=Max("position"))["last"] or 0) + 1
    try:
        with transaction.atomic():
            return SavedView.objects.create(
                staff_id=actor.staff_id, name=wanted[:60], condition=clean, sort=sort, position=position
            )
    except IntegrityError as error:
        message = _("You have a view of this name already.")
        raise Conflict(message, code="view_exists", fields={"name": message}) from error


def change_view(
    actor: Actor, *, view: SavedView, name: str = "", condition: Any = None, sort: str = ""
) -> SavedView:
    """Rename one's own view, and/or let it show another list."""
    require(actor, "customer.read")
    view.name = name.replace("\x00", "").strip()[:60] or view.name
    if condition is not None:
        view.condition, view.sort = validate(condition, actor=actor), sort
    try:
        with transaction.atomic():
            view.save(update_fields=["name", "condition", "sort"])
    except IntegrityError as error:
        message = _("You have a view of this name already.")
        raise Conflict(message, code="view_exists", fields={"name": message}) from error
    return view


def remove_view(actor: Actor, *, view: SavedView) -> None:
    """Remove one's own view; the customers stay, of course."""
    require(actor, "customer.read")
    view.delete()
