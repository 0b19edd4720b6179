"""What of an exposure at another bank counts as debt when a line is calculated (C3)."""

from __future__ import annotations

from decimal import Decimal

from credit_rating.engine.steps import ZERO


def counted(kind: str, granted: Decimal, outstanding: Decimal) -> Decimal:
    """A line or card counts with what may be drawn, or with what is drawn where that is more; a loan or an acceptance
    with what is outstanding. A guaranty for somebody else's debt is that debtor's: it is shown and not counted."""
    if kind == "promise":
        return ZERO
    return max(granted, outstanding) if kind in ("line", "card") else outstanding


def is_debt(kind: str) -> bool:
    """Whether an exposure is a debt of the customer's own: everything but a guaranty for somebody else's."""
    return kind != "promise"
