"""Who stands out among those who read what is protected: by what others of the same role did. Knows no database."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

MANY = 5  # fewer readings, or fewer outside working hours, stand out for nobody
TIMES = 3  # as many times the usual of the role
EXPORTED_ROWS = 1_000
FAILURES = 5


@dataclass(frozen=True, slots=True)
class Acts:
    """What one person did in a period: counts of entries, `customers` and `rows` of what they were about.

    `revealed`: protected values read in full; `located`: customers out of sight found by an exact identifier;
    `outside`: of what was read or exported outside working hours; `locked`: times the person was locked out.
    """

    staff_id: int
    revealed: int = 0
    customers: int = 0
    located: int = 0
    outside: int = 0
    exports: int = 0
    rows: int = 0
    failed: int = 0
    locked: int = 0


@dataclass(frozen=True, slots=True)
class Outlier:
    """A person who stands out. `usual`: values revealed by each colleague of the role on average, None: no colleague.

    `reasons`, the weightiest first: "revealed", "located", "rows", "failed", "outside".
    """

    acts: Acts
    usual: float | None
    reasons: list[str] = field(default_factory=list)

    @property
    def times(self) -> float | None:
        """How many times the usual was revealed; None where nothing is usual."""
        return self.acts.revealed / self.usual if self.usual else None


def outliers(acts: Iterable[Acts], roles: Mapping[str, Collection[int]]) -> list[Outlier]:
    """Who stands out, the weightiest first: by the number of reasons, then by how far from the usual.

    `roles`: role -> everybody who holds it, also those who did nothing. Of several roles the busiest measures a person.
    """
    by_person = {one.staff_id: one for one in acts}
    revealed = {pk: one.revealed for pk, one in by_person.items()}
    located = {pk: one.located for pk, one in by_person.items()}
    found = []
    for one in by_person.values():
        usual = _usual(one.staff_id, revealed, roles)
        judged = {
            "revealed": _is_much(one.revealed, usual),
            "located": _is_much(one.located, _usual(one.staff_id, located, roles)),
            "rows": one.rows >= EXPORTED_ROWS,
            "failed": one.failed >= FAILURES or one.locked > 0,
            "outside": one.outside >= MANY,
        }
        reasons = [reason for reason, holds in judged.items() if holds]
        if reasons:
            found.append(Outlier(one, usual, reasons))
    return sorted(
        found,
        key=lambda o: (-len(o.reasons), (o.usual or 0) - o.acts.revealed, -o.acts.rows, o.acts.staff_id),
    )


def _usual(person: int, counts: Mapping[int, int], roles: Mapping[str, Collection[int]]) -> float | None:
    """What each colleague of a person's role did on average, the person left out; None without a colleague."""
    usual = []
    for people in roles.values():
        colleagues = [pk for pk in people if pk != person] if person in people else []
        if colleagues:
            usual.append(sum(counts.get(pk, 0) for pk in colleagues) / len(colleagues))
    return max(usual, default=None)


def _is_much(count: int, usual: float | None) -> bool:
    return count >= MANY and count >= TIMES * (usual or 0)
