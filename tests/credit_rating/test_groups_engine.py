"""Who belongs together, against an oracle: connected components over the ties that the policy lets join."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from credit_rating.engine.groups import (
    TIES,
    Bonds,
    Tie,
    components,
    controllers,
    group_of,
    is_control,
    is_core,
    is_dependence,
    mutual,
    web_of,
)
from credit_rating.policies import PolicyFault, read
from credit_rating.policies.caps import SHAPE, bonds_of, default, dependence_share

D = Decimal
HALF = D("0.5")
BONDS = bonds_of(read(SHAPE, default("")))
BOUND = D(100)


def connected(
    ties: list[Tie], start: int, credit: dict[int, Decimal] | None = None, bonds: Bonds = BONDS
) -> tuple[set[int], set[int]]:
    """(group, all who are connected) by the engine."""
    heads = controllers(ties, bonds.control)
    every = [*ties, *mutual(ties)]
    web = web_of(
        [t for t in ties if is_core(t, bonds, heads)],
        [t for t in every if is_dependence(t, bonds)],
        credit or {},
        BOUND,
    )
    found = group_of(start, web)
    return set(found.core), set(found.members)


def spread(pairs: set[tuple[int, int]], start: int) -> set[int]:
    """Connected component by repeated union, knowing nothing of waves."""
    found = {start}
    while True:
        more = found | {b for a, b in pairs if a in found} | {a for a, b in pairs if b in found}
        if more == found:
            return found
        found = more


def oracle(ties: list[Tie], start: int, credit: dict[int, Decimal]) -> tuple[set[int], set[int]]:
    """The rule in its own words."""
    heads, core, dependent = set(), set(), set()
    for t in ties:
        held = t.share is not None and t.share >= HALF
        if t.kind == "common_control" or (t.kind == "parent_company" and (t.share is None or held)):
            core.add((t.one, t.other))
        if t.kind in ("shareholder", "beneficial_owner") and held:
            core.add((t.one, t.other))
        by_one = held or (t.kind == "parent_company" and t.share is None)
        if t.kind in ("parent_company", "shareholder", "beneficial_owner") and by_one:
            heads.add(t.one)
    for t in ties:
        if t.kind == "family" and {t.one, t.other} & heads:
            core.add((t.one, t.other))
    promises = {(t.one, t.other) for t in ties if t.kind == "guarantor"}
    for t in ties:
        if max(credit.get(t.one, D(0)), credit.get(t.other, D(0))) <= BOUND:
            continue
        is_mutual = t.kind == "guarantor" and (t.other, t.one) in promises
        if is_mutual or (t.kind in ("guarantor", "supplier") and t.share is not None and t.share >= HALF):
            dependent.add((t.one, t.other))
    return spread(core, start), spread(core | dependent, start)


KINDS = [k for k in TIES if k != "mutual"] + ["legal_representative"]
PEOPLE = st.integers(0, 7)
ties = st.builds(
    Tie,
    PEOPLE,
    PEOPLE,
    st.sampled_from(KINDS),
    st.sampled_from([None, D("0.4999"), D("0.5"), D("0.9"), D("1.3")]),
).filter(lambda t: t.one != t.other)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(ties, max_size=14), st.dictionaries(PEOPLE, st.sampled_from([D("100"), D("100.01")]))
)  # fmt: skip
def test_groups_and_connected_customers_are_the_components_of_the_allowed_ties(
    found: list[Tie], credit: dict[int, Decimal]
) -> None:
    for start in range(8):
        assert connected(found, start, credit) == oracle(found, start, credit)


@settings(max_examples=80, deadline=None)
@given(st.lists(ties, max_size=20))
def test_the_whole_banks_groups_are_the_groups_of_each_member(found: list[Tie]) -> None:
    control = [t for t in found if is_control(t, HALF)]
    together = components(control)
    web = web_of(control, [], {}, None)
    for start in range(8):
        one = next((g for g in together if start in g), [start])
        assert sorted(group_of(start, web).core) == one


def test_kin_join_where_one_of_them_controls_and_no_further() -> None:
    """Wu owns a works, her husband has a shop: his brother, who controls nothing, is not of the group."""
    wu, works, husband, brother, shop = 1, 2, 3, 4, 5
    found = [
        Tie(wu, works, "shareholder", D("0.7")), Tie(husband, wu, "family"), Tie(brother, husband, "family"),
        Tie(husband, shop, "legal_representative"),
    ]  # fmt: skip
    assert connected(found, works)[0] == {works, wu, husband}
    assert connected(found, brother)[0] == {brother}
    assert connected([Tie(husband, wu, "family")], wu)[0] == {wu}
    kinless = Bonds(BONDS.kinds - {"family"}, HALF, HALF, HALF)
    assert connected(found, works, bonds=kinless)[0] == {works, wu}


@pytest.mark.parametrize(("share", "credit", "is_connected"), [
    ("0.5", "100.01", True), ("0.4999", "100.01", False), ("0.5", "100.00", False), (None, "900", False),
])  # fmt: skip
def test_a_guarantor_depends_from_half_of_what_he_can_promise_on_where_one_end_is_great(
    share: str | None, credit: str, is_connected: bool
) -> None:
    tie = Tie(1, 2, "guarantor", D(share) if share else None)
    for great in (1, 2):
        core, every = connected([tie], 1, {great: D(credit)})
        assert core == {1}
        assert every == ({1, 2} if is_connected else {1})


def test_two_who_guarantee_each_other_are_connected_whatever_the_amounts() -> None:
    found = [Tie(1, 2, "guarantor", D("0.01")), Tie(2, 1, "guarantor"), Tie(2, 3, "guarantor", D("0.01"))]
    assert connected(found, 1, {1: D(101)})[1] == {1, 2}
    assert connected(found, 1, {1: D(100)})[1] == {1}


def test_a_ring_of_small_guarantors_does_not_grow_into_a_group() -> None:
    ring = [Tie(n, (n + 1) % 1000, "guarantor", D(1)) for n in range(1000)]
    assert connected(ring, 0, {n: D(100) for n in range(1000)})[1] == {0}
    assert connected(ring, 0, {0: D(101)})[1] == {999, 0, 1}


def test_what_a_customer_asks_for_may_make_it_great_enough_to_be_asked() -> None:
    web = web_of([], [Tie(1, 2, "supplier", HALF)], {1: D(10), 2: D(10)}, BOUND)
    assert group_of(1, web).members == (1,)
    assert group_of(1, web, D("100.01")).members == (1, 2)


def test_a_member_says_the_strongest_tie_and_by_whom_it_belongs() -> None:
    found = [Tie(2, 1, "family"), Tie(2, 1, "shareholder", D("0.6")), Tie(2, 3, "common_control"), Tie(1, 9, "shareholder", D("0.1"))]  # fmt: skip
    heads = controllers(found, HALF)
    group = group_of(1, web_of([t for t in found if is_core(t, BONDS, heads)], [], {}, None))
    assert group.ties == {1: None, 2: (found[1], 1), 3: (found[2], 2)}


def test_a_policy_of_before_the_question_joins_what_the_rules_join_and_none_leaves_control_out() -> None:
    old = {"params": {k: v for k, v in default("")["params"].items() if k == "control_pct" or k.endswith("_pct")}, "tables": {}}  # fmt: skip
    for code in ("guarantee_pct", "trade_pct", "dependence_pct"):
        del old["params"][code]
    body = read(SHAPE, old)
    assert (bonds_of(body), dependence_share(body)) == (BONDS, D("0.05"))
    with pytest.raises(PolicyFault) as fault:
        read(SHAPE, {**old, "params": {**old["params"], "ties": ["family"]}})
    assert set(fault.value.fields) == {"ties"}
    with pytest.raises(PolicyFault):
        read(SHAPE, {**old, "params": {**old["params"], "dependence_pct": "5.01"}})
