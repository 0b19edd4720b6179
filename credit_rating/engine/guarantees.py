"""What secures a debt, and how much of it may be counted (C4).

Collateral counts at its value × the rate of its type, less the claims that come before ours, and never for more than
it secures. A valuation that is due again counts only for the policy's share (《商业银行押品管理指引》, 银监发〔2017〕16号:
rates by type, revaluation at least once a year). A guarantor counts for what its capacity leaves after its other
commitments.
"""

from __future__ import annotations

import datetime as dt
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal

from credit_rating.engine.steps import ONE, ZERO

CENT = Decimal("0.01")


def object_key(registration: str) -> str:
    """The identity of a thing: its registration number without width, case, spaces and punctuation.

    "沪（2021）松字第 012345 号" and "沪(2021)松字第012345号" are one house.
    """
    folded = unicodedata.normalize("NFKC", registration).upper()
    return "".join(c for c in folded if c.isalnum())


def add_months(day: dt.date, months: int) -> dt.date:
    """The same day so many months later, or that month's last day."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    last = (dt.date(year + (month == 11), (month + 1) % 12 + 1, 1) - dt.timedelta(days=1)).day
    return dt.date(year, month + 1, min(day.day, last))


@dataclass(frozen=True, slots=True)
class Claim:
    """Somebody's claim on a thing: its order and the most that it secures."""

    order: int
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Pledge:
    """A thing that secures a debt of ours. `rate`, `overdue_share`: fractions; `before`: claims that come first.

    `valued_on` None: never valued, counts nothing.
    """

    value: Decimal
    valued_on: dt.date | None
    revalue_months: int
    rate: Decimal
    overdue_share: Decimal
    secures: Decimal
    before: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class Usable:
    """What counts of one guarantee: `amount`, the date its valuation runs out, and whether that has passed."""

    amount: Decimal
    due_on: dt.date | None
    is_overdue: bool
    after_rate: Decimal


def usable_pledge(pledge: Pledge, day: dt.date) -> Usable:
    """What counts of a pledge or mortgage on a day."""
    if pledge.valued_on is None:
        return Usable(ZERO, None, True, ZERO)
    due = add_months(pledge.valued_on, pledge.revalue_months)
    overdue = day > due
    lent = pledge.value * pledge.rate * (pledge.overdue_share if overdue else ONE)
    amount = min(pledge.secures, max(ZERO, lent - pledge.before)).quantize(CENT, ROUND_DOWN)
    return Usable(amount, due, overdue, lent.quantize(CENT, ROUND_DOWN))


@dataclass(frozen=True, slots=True)
class Commitment:
    """A guarantor's capacity against all it has promised, this guarantee included."""

    capacity: Decimal
    others: Decimal
    promised: Decimal

    @property
    def total(self) -> Decimal:
        return self.others + self.promised

    @property
    def share(self) -> Decimal | None:
        """Total commitments over the capacity; None without one."""
        return self.total / self.capacity if self.capacity > 0 else None

    @property
    def over(self) -> Decimal:
        """By how much the commitments pass the capacity."""
        return max(ZERO, self.total - self.capacity)

    def usable(self, rate: Decimal) -> Decimal:
        """What counts: within the capacity that is left, at the policy's rate."""
        left = max(ZERO, self.capacity - self.others)
        return (min(self.promised, left) * rate).quantize(CENT, ROUND_DOWN)


def claims_before(order: int, claims: Iterable[Claim], outside: Decimal = ZERO) -> Decimal:
    """Everything that is paid before a claim of this order: earlier claims of ours, and others' (`outside`)."""
    return outside + sum((c.amount for c in claims if c.order < order), ZERO)


def next_order(claims: Iterable[Claim]) -> int:
    """The lien order that a further claim would have."""
    return max((c.order for c in claims), default=0) + 1
