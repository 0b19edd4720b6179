"""Who decides a case finally (C6): the authority matrix, the route it makes, and what a committee's votes come to.

Knows no Django. Amounts are Decimals in the bank's currency; grades are those of `grades`, best first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

STAGES = ("branch", "headquarters", "committee", "president")
HIGHEST = STAGES[-1]


@dataclass(frozen=True, slots=True)
class Authority:
    """A row of the matrix: `stage` decides finally up to and including `up_to`, for grades as good as `worst_grade`
    or better, these kinds of customers, and cases with no other guarantee than these."""

    stage: str
    up_to: Decimal
    worst_grade: str
    kinds: tuple[str, ...]
    guarantees: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be decided. `amount`: everything the customer then has. `grade` "": not rated. `guarantees` empty:
    unsecured. `above_limit`: more is asked for than was calculated. `without_branch`: nobody at the branch may decide,
    because its managers have made the case, say. `breaks_cap`: a cap of the regulator is broken once it is granted.
    `uncalculated`: no calculation with the grade in force, or a worse one, is recent enough.
    `usable`: what the guarantees count for in a line calculation; None: as much as is asked."""

    amount: Decimal
    grade: str
    kind: str
    guarantees: frozenset[str]
    above_limit: bool = False
    without_branch: bool = False
    breaks_cap: bool = False
    uncalculated: bool = False
    usable: Decimal | None = None

    @property
    def secured_by(self) -> frozenset[str]:
        """The kinds of guarantees that count: all of them while together they cover the whole amount, else none."""
        return self.guarantees if self.usable is None or self.usable >= self.amount else frozenset()

    @property
    def covered_pct(self) -> int | None:
        """Of guarantees that do not cover the amount: how much of it they cover, in whole percent rounded down."""
        if not self.guarantees or self.usable is None or self.usable >= self.amount:
            return None
        return int(self.usable * 100 / self.amount)


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a row does not give the decision to its stage: `misses` of "amount", "grade", "kind", "guarantee";
    empty where it does."""

    row: Authority
    misses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Route:
    """The stages a case goes through, the last of which decides. `why`: "row", "above_limit", "breaks_cap",
    "uncalculated" or "no_row"."""

    stages: tuple[str, ...]
    why: str
    reasons: tuple[Reason, ...]

    @property
    def decides(self) -> str:
        return self.stages[-1]

    def after(self, stage: str) -> str | None:
        """The stage that follows, or None: this one decides."""
        place = self.stages.index(stage)
        return self.stages[place + 1] if place + 1 < len(self.stages) else None


def misses(row: Authority, asked: Asked, grades: Sequence[str]) -> tuple[str, ...]:
    """What of a case a row does not cover. A boundary belongs to the row; what is not rated is worse than any grade."""
    rank = grades.index(asked.grade) if asked.grade in grades else len(grades)
    found = {
        "amount": asked.amount > row.up_to,
        "grade": rank > grades.index(row.worst_grade),
        "kind": asked.kind not in row.kinds,
        "guarantee": not (asked.secured_by or {"credit"}) <= set(row.guarantees),
    }
    return tuple(name for name, is_missed in found.items() if is_missed)


def find_route(rows: Iterable[Authority], asked: Asked, grades: Sequence[str]) -> Route:
    """The lowest stage that some row gives the case to, with every stage below it. Without one: the president.

    What asks for more than was calculated, was not calculated, or breaks a cap of the regulator, is an exception and
    always goes to the president. Where nobody at the branch may decide, headquarters decides in its place.
    """
    first = 1 if asked.without_branch else 0
    reasons = tuple(Reason(row, misses(row, asked, grades)) for row in rows)
    fitting = [STAGES.index(reason.row.stage) for reason in reasons if not reason.misses]
    exceptions = {
        "above_limit": asked.above_limit,
        "breaks_cap": asked.breaks_cap,
        "no_row": not fitting,
        "uncalculated": asked.uncalculated,
    }
    if why := next((name for name, holds in exceptions.items() if holds), ""):
        return Route(STAGES[first:], why, reasons)
    return Route(STAGES[first : max(min(fitting), first) + 1], "row", reasons)


@dataclass(frozen=True, slots=True)
class Votes:
    """Votes cast: for (with or without conditions), against, for more information, and abstained."""

    approve: int = 0
    reject: int = 0
    give_back: int = 0
    abstain: int = 0

    @property
    def cast(self) -> int:
        return self.approve + self.reject + self.give_back + self.abstain


def outcome(votes: Votes, *, quorum: int, majority_pct: int) -> str:
    """What closed votes come to: "no_quorum", "approve", "return" or "reject". An abstention counts as cast.

    Never approved by default: without its majority a case is rejected, or returned when more asked for information
    than were against.
    """
    if votes.cast < max(quorum, 1):
        return "no_quorum"
    if votes.approve > 0 and votes.approve * 100 >= majority_pct * votes.cast:
        return "approve"
    return "return" if votes.give_back > votes.reject else "reject"
