"""Cases as lists draw them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

from django.utils import timezone

from credit_rating.models import CreditCase

TONES = {
    "approved": "tag-ok", "conditional": "tag-ok", "approve": "tag-ok", "rejected": "tag-risk", "reject": "tag-risk",
    "returned": "tag-watch", "return": "tag-watch", "expired": "tag-risk",
}  # fmt: skip


def case_rows(found: Iterable[CreditCase], today: dt.date) -> list[dict[str, Any]]:
    """Cases as a list draws them."""
    return [
        {"case": c, "tone": TONES.get(c.status, ""), "age": _age(c, today), "late": _late(c, today)}
        for c in found
    ]


def _age(case: CreditCase, today: dt.date) -> int:
    """Days that a case has been where it is."""
    since = case.stage_since or case.prepared_at
    return max((today - timezone.localdate(since)).days, 0)


def _late(case: CreditCase, today: dt.date) -> bool:
    return case.is_waiting and case.deadline is not None and (case.deadline - today).days <= 1
