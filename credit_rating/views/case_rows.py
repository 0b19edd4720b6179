"""Cases as lists draw them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

from credit_rating.models import CreditCase
from credit_rating.selectors.cases import listed

TONES = {
    "approved": "tag-ok", "conditional": "tag-ok", "approve": "tag-ok", "rejected": "tag-risk", "reject": "tag-risk",
    "returned": "tag-watch", "return": "tag-watch", "expired": "tag-risk",
}  # fmt: skip


def case_rows(found: Iterable[CreditCase], today: dt.date) -> list[dict[str, Any]]:
    """Cases as a list draws them."""
    return [
        {"case": one.case, "tone": TONES.get(one.case.status, ""), "age": one.age, "late": one.is_late, "weight": one}
        for one in listed(found, today)
    ]  # fmt: skip
