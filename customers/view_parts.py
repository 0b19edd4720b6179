"""What rooms above add to the API's single view of a customer: credit lines, ratings, and what comes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from crm_site.lib.permissions import Actor
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
