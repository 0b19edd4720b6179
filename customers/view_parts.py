"""What rooms above add to the single view of a customer: parts of the API's answer, badges of the page's head."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from crm_site.lib.permissions import Actor, may
from crm_site.lib.registry import Registry
from customers.models import Customer


@dataclass(frozen=True, slots=True)
class ViewPart:
    """A member of the single view. `field()` is its serializer, whose context has `day`, the bank's calendar date;
    `rows(actor, customer, day)` is what it shows."""

    name: str
    field: Callable[[], Any]
    rows: Callable[[Actor, Customer, dt.date], Any]


VIEW_PARTS: Registry[ViewPart] = Registry("part of the single view")


def add_view_part(part: ViewPart) -> ViewPart:
    """Register a part, once, in AppConfig.ready()."""
    return VIEW_PARTS.add(part.name, part)


@dataclass(frozen=True, slots=True)
class HeadBadge:
    """A badge beside a customer's name. `code(actor, customer_id)` is what `template` shows as `level`, "" for nothing;
    it opens URL `url_name` of the customer."""

    name: str
    permission: str
    template: str
    url_name: str
    code: Callable[[Actor, int], str]


@dataclass(frozen=True, slots=True)
class ShownBadge:
    """A badge with what it says of one customer."""

    badge: HeadBadge
    level: str


HEAD_BADGES: Registry[HeadBadge] = Registry("badge of a customer's head")


def add_head_badge(badge: HeadBadge) -> HeadBadge:
    """Register a badge, once, in AppConfig.ready()."""
    return HEAD_BADGES.add(badge.name, badge)


def badges_of(actor: Actor, customer_id: int) -> list[ShownBadge]:
    """What rooms above say beside a customer's name."""
    found = [
        ShownBadge(badge, badge.code(actor, customer_id))
        for badge in HEAD_BADGES
        if may(actor, badge.permission)
    ]
    return [one for one in found if one.level]
