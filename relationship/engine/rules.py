"""Who should look after a customer (D2): the rules in order, with the reason for each choice.

A choice is simple and deterministic: the same customers, staff and loads give the same proposals. Levelling
the load of a whole branch with the fewest moves is another matter (a solver), not this module's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

# Rules, in the order in which they are tried; the first that applies decides.
WON_BY = "won_by"
BORROWER = "borrower"
DEPOSITOR = "depositor"
GENERAL = "general"
RULES = (WON_BY, BORROWER, DEPOSITOR, GENERAL)

MANAGER = "manager"
TELLER = "teller"

# RM grades from the lowest; a customer's wealth level asks for one of them.
GRADE_RANK = {"trainee": 1, "level_4": 2, "level_3": 3, "level_2": 4, "level_1": 5, "senior": 6}
# Rank of the wealth level (7 black gold ... 2 gold, 1 standard, 0 none) -> grade that it asks for.
GRADE_FOR_WEALTH = {7: "senior", 6: "level_1", 5: "level_2", 4: "level_3", 3: "level_4", 2: "trainee"}

GENERAL_TIER = 1


@dataclass(frozen=True, slots=True)
class Party:
    """What the rules look at. `value`: deposits + loans in minor units.

    `won_by`: staff who won the customer, 0 = nobody. `known`: staff who know the customer, best known first,
    each with how ("contact", "relative"). `refused`: staff whom the branch manager has refused for it.
    """

    customer_id: int
    unit_id: int
    tier: int
    wealth: int
    borrows: bool
    value: int
    won_by: int = 0
    known: tuple[tuple[int, str], ...] = ()
    refused: frozenset[int] = frozenset()


@dataclass(slots=True)
class Colleague:
    """A possible owner and the load carried now. No cap (None): a teller.

    `reach`: unit -> how far away it is (0 the own unit, 1 the unit above, 2 elsewhere in the branch); units that
    are not in it are out of reach.
    """

    staff_id: int
    number: str
    kind: str
    grade: str = ""
    customers: int = 0
    value: int = 0
    max_customers: int | None = None
    max_value: int | None = None
    reach: Mapping[int, int] = field(default_factory=dict)

    def has_room(self, value: int) -> bool:
        """Whether one more customer of this value stays within the grade's bounds."""
        if self.max_customers is not None and self.customers + 1 > self.max_customers:
            return False
        return self.max_value is None or self.value + value <= self.max_value

    @property
    def load(self) -> float:
        """The fuller of heads and value, as a fraction of the cap; for a teller, heads."""
        if self.max_customers is None or self.max_value is None:
            return float(self.customers)
        return max(self.customers / max(self.max_customers, 1), self.value / max(self.max_value, 1))

    def take(self, value: int) -> None:
        self.customers += 1
        self.value += value


@dataclass(frozen=True, slots=True)
class Choice:
    """Whom a rule proposes (None: nobody can be proposed) and what explains it."""

    rule: str
    staff_id: int | None
    params: dict[str, Any]


def rule_for(party: Party, staff: Mapping[int, Colleague]) -> str:
    """The first rule that applies to the customer."""
    if party.won_by in staff and party.won_by not in party.refused:
        return WON_BY
    if party.borrows:
        return BORROWER
    return DEPOSITOR if party.tier > GENERAL_TIER else GENERAL


def choose(
    party: Party, staff: Mapping[int, Colleague], within: Mapping[int, Sequence[Colleague]] | None = None
) -> Choice:
    """Propose an owner for the customer. Does not change the loads: call `take` on the chosen one.

    `staff`: everybody active who may own customers, in any branch (who won the customer may sit elsewhere).
    Who won the customer keeps it whatever the load; all others need room. `within`: `by_unit(staff)`, when it is at hand.
    """
    rule = rule_for(party, staff)
    if rule == WON_BY:
        return Choice(rule, party.won_by, _load_params(staff[party.won_by]))
    near = [c for c in (within or by_unit(staff)).get(party.unit_id, ()) if c.staff_id not in party.refused]
    if rule == GENERAL:
        return _choose_teller(party, near)
    return _choose_manager(rule, party, near)


def _choose_teller(party: Party, near: Iterable[Colleague]) -> Choice:
    """The least loaded teller of the home branch; where it has none, the least loaded manager with room."""
    near = list(near)
    tellers = [c for c in near if c.kind == TELLER and c.reach[party.unit_id] < 2]
    if tellers:
        best = min(tellers, key=lambda c: (c.reach[party.unit_id], c.load, c.number))
        return Choice(GENERAL, best.staff_id, _load_params(best))
    managers = [c for c in near if c.kind == MANAGER and c.has_room(party.value)]
    if managers:
        best = min(managers, key=lambda c: (c.reach[party.unit_id], c.load, c.number))
        return Choice(GENERAL, best.staff_id, {**_load_params(best), "instead": "no_teller"})
    return Choice(GENERAL, None, {"why": "nobody"})


def _choose_manager(rule: str, party: Party, near: Iterable[Colleague]) -> Choice:
    """A manager with room: of the grade that the wealth level asks for or better before a lower one; then who
    knows the customer; then the closest grade, the closest unit, the lightest load."""
    managers = [c for c in near if c.kind == MANAGER]
    asked = GRADE_FOR_WEALTH.get(party.wealth, "")
    base = {"tier": party.tier, "wealth": party.wealth, "asked": asked}
    free = [c for c in managers if c.has_room(party.value)]
    if not free:
        return Choice(rule, None, {**base, "why": "no_room" if managers else "nobody"})
    known = dict(party.known)
    order = {staff_id: position for position, (staff_id, _how) in enumerate(party.known)}

    def fit(c: Colleague) -> tuple[Any, ...]:
        above = GRADE_RANK.get(c.grade, 0) - GRADE_RANK.get(asked, 0) if asked else 0
        return (
            above < 0,
            order.get(c.staff_id, len(order)),
            abs(above),
            c.reach[party.unit_id],
            c.load,
            c.number,
        )

    best = min(free, key=fit)
    params = {**base, **_load_params(best), "grade": best.grade}
    if best.staff_id in known:
        params["known"] = known[best.staff_id]
    if fit(best)[0]:
        params["below"] = True
    return Choice(rule, best.staff_id, params)


def _load_params(c: Colleague) -> dict[str, Any]:
    """The load before the customer comes, for the explanation."""
    return {"customers": c.customers, "max_customers": c.max_customers}


def by_unit(staff: Mapping[int, Colleague]) -> dict[int, list[Colleague]]:
    """unit -> everybody in reach of its customers."""
    found: dict[int, list[Colleague]] = defaultdict(list)
    for colleague in staff.values():
        for unit_id in colleague.reach:
            found[unit_id].append(colleague)
    return found


def choose_all(parties: Iterable[Party], staff: Mapping[int, Colleague]) -> list[tuple[Party, Choice]]:
    """Choices for many customers, each counted on the loads before the next: the most valuable choose first."""
    chosen, within = [], by_unit(staff)
    for party in sorted(parties, key=lambda p: (-p.tier, -p.value, p.customer_id)):
        choice = choose(party, staff, within)
        if choice.staff_id is not None:
            staff[choice.staff_id].take(party.value)
        chosen.append((party, choice))
    return chosen
