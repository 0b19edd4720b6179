"""How credit lines are watched, and how long core banking may hold room before it draws (C7, C8)."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext_lazy

from credit_rating.policies.shapes import Column, Shape


def default(kind: str) -> Mapping[str, Any]:
    """What a new bank begins with."""
    params = {"reservation_minutes": "30", "warn_pct": "90", "watch_days": "30", "review_days": "30",
              "review_months": "12"}  # fmt: skip
    return {"params": params, "tables": {}}


def _whole(name: str, label: Any, least: int, most: int, unit: Any) -> Column:
    return Column(name, label, "whole", minimum=Decimal(least), maximum=Decimal(most), unit=unit)


SHAPE = Shape(
    subject="line_control",
    label=gettext_lazy("Control of credit lines"),
    description=gettext_lazy(
        "How long a reservation holds room, from which use a line is watched, and when its expiry and review are work"
    ),
    default=default,
    params=(
        _whole("reservation_minutes", gettext_lazy("A reservation holds for"), 1, 10_080, gettext_lazy("minutes")),
        Column("warn_pct", gettext_lazy("A line is watched from a use of, %"), "percent", minimum=Decimal(1),
               maximum=Decimal(100)),
        _whole("watch_days", gettext_lazy("Expiry becomes work before it by"), 1, 365, gettext_lazy("days")),
        _whole("review_days", gettext_lazy("The review becomes work before it by"), 1, 180, gettext_lazy("days")),
        _whole("review_months", gettext_lazy("A line is reviewed every"), 1, 36, gettext_lazy("months")),
    ),
)  # fmt: skip
