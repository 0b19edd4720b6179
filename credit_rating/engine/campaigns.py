"""Review by exception: which members of a campaign must be looked at one by one, and why. Knows no Django."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

# What keeps a member out of a batch whatever the policy says, in the order in which it is told.
BLOCKS = (
    "not_rated", "excluded", "no_line", "changed", "old", "rating_decided", "case_open", "several_lines", "by_hand",
    "beyond_authority", "maker", "own", "relative",
)  # fmt: skip
# What the policy decides about.
REVIEWED = ("grade", "amount", "missing", "override", "warning", "class", "related", "lowered")


@dataclass(frozen=True, slots=True)
class Rules:
    """The policy: `on` of override, warning, class, related, lowered. The boundary of a grade belongs to the rule, those
    of an amount and of a count do not."""

    worst_grade: str
    amount_over: Decimal
    missing_over: int
    fresh_days: int
    on: frozenset[str]


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of a member. `limit` None: there is no calculation. `standing_limit`: of the line it has, None
    without. `facts`: of override, warning, class, related. `blocks`: of BLOCKS, found by who reads the data."""

    grade: str
    limit: Decimal | None
    as_of: dt.date | None
    missing: int = 0
    standing_limit: Decimal | None = None
    facts: frozenset[str] = frozenset()
    blocks: frozenset[str] = field(default_factory=frozenset)


def exceptions_of(seen: Seen, rules: Rules, grades: Sequence[str], day: dt.date) -> tuple[str, ...]:
    """Why a member is decided by itself; empty: it may go with a batch. `grades`: best first."""
    blocks = set(seen.blocks)
    if not seen.grade:
        return ("not_rated",)
    if seen.as_of is not None and (day - seen.as_of).days > rules.fresh_days:
        blocks.add("old")
    if not seen.limit:
        blocks.add("no_line")
    limit = seen.limit or Decimal(0)
    reviewed = {
        "grade": grades.index(seen.grade) >= grades.index(rules.worst_grade),
        "amount": limit > rules.amount_over,
        "missing": seen.missing > rules.missing_over,
        "lowered": "lowered" in rules.on
        and seen.standing_limit is not None
        and 0 < limit < seen.standing_limit,
        **{
            code: code in rules.on and code in seen.facts
            for code in ("override", "warning", "class", "related")
        },
    }
    return (*(b for b in BLOCKS if b in blocks), *(code for code in REVIEWED if reviewed[code]))
