"""Cases as lists draw them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any

from credit_rating.models import CreditCase, Delegation
from credit_rating.selectors.cases import listed

TONES = {
    "approved": "tag-ok", "conditional": "tag-ok", "approve": "tag-ok", "rejected": "tag-risk", "reject": "tag-risk",
    "returned": "tag-watch", "return": "tag-watch", "expired": "tag-risk",
}  # fmt: skip


def case_rows(
    found: Iterable[CreditCase], today: dt.date, instead: Mapping[int, Delegation] | None = None
) -> list[dict[str, Any]]:
    """Cases as a list draws them. `instead`: by case, for whom the reader stands in."""
    away = instead or {}
    return [
        {"case": one.case, "tone": TONES.get(one.case.status, ""), "age": one.age, "late": one.is_late, "weight": one,
         "instead": away.get(one.case.pk)}
        for one in listed(found, today)
    ]  # fmt: skip
