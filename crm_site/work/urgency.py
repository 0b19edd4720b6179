"""How urgent a deadline makes a task: the one scale, for tasks that people make and for those that a night finds."""

from __future__ import annotations

import datetime as dt

# Days to the deadline, at most -> urgency of 0 to 100, at least. Today and overdue first.
SCALE = ((0, 90), (1, 85), (3, 70), (7, 50))
FAR = 30  # has a deadline, but not yet this week


def pressing(due: dt.date, day: dt.date, base: int = FAR) -> int:
    """The urgency on a working day of what is due on a date, never below what its cause calls for."""
    return max(base, next((urgency for days, urgency in SCALE if (due - day).days <= days), FAR))


def pressing_sql(due: str, day: str) -> str:
    """The same as an SQL expression of two dates."""
    steps = " ".join(f"when {due} - {day}::date <= {days} then {urgency}" for days, urgency in SCALE)
    return f"case {steps} else {FAR} end"
