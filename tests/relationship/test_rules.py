"""The rules of D2 against an oracle that says them again in plain words."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from relationship.engine.rules import GRADE_FOR_WEALTH, GRADE_RANK, Colleague, Party, choose, choose_all
from tests.properties import rule

UNITS = (1, 2, 3)  # a branch, its sub-branch, and another bank branch out of reach


def _colleagues() -> st.SearchStrategy[dict[int, Colleague]]:
    one = st.builds(
        lambda kind, grade, customers, value, heads, unit: (kind, grade, customers, value, heads, unit),
        st.sampled_from(["manager", "manager", "teller"]),
        st.sampled_from(list(GRADE_RANK)),
        st.integers(0, 6),
        st.integers(0, 500),
        st.integers(1, 6),
        st.sampled_from(UNITS),
    )

    def build(rows: list[tuple[str, str, int, int, int, int]]) -> dict[int, Colleague]:
        reach = {1: {1: 0, 2: 1}, 2: {1: 2, 2: 0}, 3: {}}
        return {
            i: Colleague(
                staff_id=i,
                number=f"S{i:02d}",
                kind=kind,
                grade=grade if kind == "manager" else "",
                customers=customers,
                value=value,
                max_customers=heads if kind == "manager" else None,
                max_value=500 if kind == "manager" else None,
                reach=reach[unit],
            )
            for i, (kind, grade, customers, value, heads, unit) in enumerate(rows, 1)
        }

    return st.lists(one, max_size=7).map(build)


PARTIES = st.builds(
    Party,
    customer_id=st.integers(1, 1000),
    unit_id=st.sampled_from((1, 2)),
    tier=st.integers(0, 3),
    wealth=st.integers(0, 7),
    borrows=st.booleans(),
    value=st.integers(0, 300),
    won_by=st.integers(0, 9),
    known=st.lists(st.integers(1, 7), unique=True, max_size=3).map(
        lambda ids: tuple((i, "contact") for i in ids)
    ),
    refused=st.frozensets(st.integers(1, 7), max_size=2),
)


@rule("assignment", many=10_000)
@given(PARTIES, _colleagues())
def test_the_first_rule_that_applies_decides(party: Party, staff: dict[int, Colleague]) -> None:
    choice = choose(party, staff)
    if party.won_by in staff and party.won_by not in party.refused:
        assert (choice.rule, choice.staff_id) == ("won_by", party.won_by)
        return
    assert choice.rule == ("borrower" if party.borrows else "depositor" if party.tier > 1 else "general")
    if choice.staff_id is None:
        return
    chosen = staff[choice.staff_id]
    assert choice.staff_id not in party.refused
    assert party.unit_id in chosen.reach
    if choice.rule != "general":
        assert chosen.kind == "manager"
    elif chosen.kind == "manager":
        assert choice.params["instead"] == "no_teller"
    assert chosen.kind == "teller" or chosen.has_room(party.value)


@rule("assignment", many=10_000)
@given(PARTIES, _colleagues())
def test_a_manager_of_the_asked_grade_is_never_passed_over(party: Party, staff: dict[int, Colleague]) -> None:
    choice = choose(party, staff)
    if choice.rule not in ("borrower", "depositor"):
        return
    asked = GRADE_RANK.get(GRADE_FOR_WEALTH.get(party.wealth, ""), 0)
    fitting = [
        c
        for c in staff.values()
        if c.kind == "manager"
        and party.unit_id in c.reach
        and c.staff_id not in party.refused
        and c.has_room(party.value)
    ]
    good = [c for c in fitting if GRADE_RANK[c.grade] >= asked]
    if choice.staff_id is None:
        assert not fitting
        assert choice.params["why"] in ("no_room", "nobody")
    elif good:
        assert GRADE_RANK[staff[choice.staff_id].grade] >= asked
        known = [i for i, _how in party.known if i in {c.staff_id for c in good}]
        if known:
            assert choice.staff_id == known[0]
    else:
        assert choice.params["below"] is True


@rule("assignment", many=5_000)
@given(st.lists(PARTIES, max_size=12, unique_by=lambda p: p.customer_id), _colleagues())
def test_many_choices_never_overfill_a_grade(parties: list[Party], staff: dict[int, Colleague]) -> None:
    before = {i: (c.customers, c.value) for i, c in staff.items()}
    choices = choose_all(parties, staff)
    assert sorted(p.customer_id for p, _ in choices) == sorted(p.customer_id for p in parties)
    for i, colleague in staff.items():
        bound = [p for p, c in choices if c.staff_id == i and c.rule != "won_by"]
        if not bound or colleague.max_customers is None or colleague.max_value is None:
            continue
        won = [p for p, c in choices if c.staff_id == i and c.rule == "won_by"]
        heads, value = before[i]
        assert heads + len(bound) <= colleague.max_customers or won
        assert value + sum(p.value for p in bound) <= colleague.max_value or won


@rule("assignment", many=5_000)
@given(st.lists(PARTIES, max_size=8, unique_by=lambda p: p.customer_id), st.randoms(use_true_random=False))
def test_the_order_of_delivery_changes_nothing(parties: list[Party], random: object) -> None:
    def staff() -> dict[int, Colleague]:
        return {
            i: Colleague(i, f"S{i}", kind, grade, 0, 0, heads, most, {1: 0, 2: 1})
            for i, (kind, grade, heads, most) in enumerate(
                [("manager", "senior", 3, 400), ("manager", "level_3", 3, 400), ("teller", "", None, None)], 1
            )
        }

    shuffled = list(parties)
    random.shuffle(shuffled)
    first = {p.customer_id: c.staff_id for p, c in choose_all(parties, staff())}
    assert first == {p.customer_id: c.staff_id for p, c in choose_all(shuffled, staff())}
