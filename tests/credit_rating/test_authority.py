"""The authority matrix against an oracle that reads it the other way round, at every boundary ± 0.01."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from credit_rating.engine.authority import STAGES, Asked, Authority, Votes, find_route, outcome
from credit_rating.policies import PolicyFault, read
from credit_rating.policies.authority import SHAPE, matrix_of, route_of
from credit_rating.policies.grades import GRADES

KINDS = ("corporate", "sme", "personal", "household")
GUARANTEES = ("credit", "guarantor", "mortgage", "pledge")
CENT = Decimal("0.01")
DEFAULT = matrix_of(read(SHAPE, SHAPE.default("")))
rows_of = st.lists(
    st.builds(
        Authority,
        st.sampled_from(STAGES),
        st.decimals("0.01", "99999999.99", places=2),
        st.sampled_from(GRADES),
        st.sets(st.sampled_from(KINDS), min_size=1).map(tuple),
        st.sets(st.sampled_from(GUARANTEES), min_size=1).map(tuple),
    ),
    min_size=1,
    max_size=8,
)


def oracle(rows: list[Authority], asked: Asked) -> str:
    """Who decides: strike every stage that no row empowers, lowest first; written without looking at the engine."""
    secured_by = sorted(asked.guarantees) or ["credit"]
    for stage in ("branch", "headquarters", "committee", "president"):
        for row in (r for r in rows if r.stage == stage):
            good = {GRADES[i] for i in range(len(GRADES)) if i <= GRADES.index(row.worst_grade)}
            if row.up_to - asked.amount < 0:
                continue
            if (
                asked.grade in good
                and asked.kind in row.kinds
                and all(g in row.guarantees for g in secured_by)
            ):
                return "president" if asked.above_limit or asked.breaks_cap or asked.uncalculated else stage
    return "president"


@settings(max_examples=300, deadline=None)
@given(
    rows=rows_of | st.just(list(DEFAULT)),
    pick=st.integers(0, 7),
    step=st.sampled_from([-CENT, Decimal(0), CENT]),
    grade=st.sampled_from([*GRADES, ""]),
    kind=st.sampled_from(KINDS),
    guarantees=st.frozensets(st.sampled_from(GUARANTEES)),
    above=st.booleans(),
    without=st.booleans(),
    breaks=st.booleans(),
    uncalculated=st.booleans(),
)
def test_the_route_is_the_oracles_at_every_boundary(
    rows: list[Authority],
    pick: int,
    step: Decimal,
    grade: str,
    kind: str,
    guarantees: frozenset[str],
    above: bool,
    without: bool,
    breaks: bool,
    uncalculated: bool,
) -> None:
    amount = max(rows[pick % len(rows)].up_to + step, CENT)
    asked = Asked(amount, grade, kind, guarantees, above, without, breaks, uncalculated)
    route = find_route(rows, asked, GRADES)
    decides = oracle(rows, asked)
    if without:  # nobody at the branch: it is never asked, and headquarters decides in its place
        assert "branch" not in route.stages
        decides = "headquarters" if decides == "branch" else decides
    assert route.decides == decides
    assert route.stages == STAGES[int(without) : STAGES.index(route.decides) + 1]


def test_every_boundary_of_the_default_matrix_on_both_sides() -> None:
    tried = 0
    for row in DEFAULT:
        for step in (-CENT, Decimal(0), CENT):
            for grade in (*GRADES, ""):
                for kind in KINDS:
                    for guarantee in GUARANTEES:
                        asked = Asked(row.up_to + step, grade, kind, frozenset({guarantee}))
                        assert find_route(DEFAULT, asked, GRADES).decides == oracle(list(DEFAULT), asked)
                        tried += 1
    assert tried == 5 * 3 * 11 * 4 * 4


@pytest.mark.parametrize(
    ("usable", "stages", "pct"),
    [
        (Decimal("800000.01"), ("branch",), None),
        (Decimal("800000.00"), ("branch",), None),
        (Decimal("799999.99"), ("branch", "headquarters"), 99),
        (Decimal("320000.00"), ("branch", "headquarters"), 40),
        (Decimal("1.00"), ("branch", "headquarters"), 0),
    ],
)
def test_guarantees_open_a_row_when_they_cover_the_whole_amount(
    usable: Decimal, stages: tuple[str, ...], pct: int | None
) -> None:
    asked = Asked(Decimal(800_000), "A", "sme", frozenset({"mortgage"}), usable=usable)
    assert (find_route(DEFAULT, asked, GRADES).stages, asked.covered_pct) == (stages, pct)
    unsecured = Asked(Decimal(800_000), "A", "sme", frozenset(), usable=Decimal(0))
    assert (find_route(DEFAULT, unsecured, GRADES).decides, unsecured.covered_pct) == ("headquarters", None)


def test_a_policy_may_send_all_that_the_committee_approves_to_the_president() -> None:
    asked = Asked(Decimal(20_000_000), "A", "corporate", frozenset({"mortgage"}))
    body = SHAPE.default("")
    assert route_of(read(SHAPE, body), asked).decides == "president"
    own = {**body, "params": {**body["params"], "president_sees": ""}}
    assert route_of(read(SHAPE, own), asked).decides == "committee"
    small = Asked(Decimal(100_000), "A", "household", frozenset())
    assert route_of(read(SHAPE, body), small).stages == ("branch",)


def test_rows_of_a_policy_stand_lowest_stage_first() -> None:
    body = SHAPE.default("")
    turned = {**body, "tables": {"matrix": list(reversed(body["tables"]["matrix"]))}}
    with pytest.raises(PolicyFault) as fault:
        read(SHAPE, turned)
    assert "matrix-1-stage" in fault.value.fields


@given(
    votes=st.builds(Votes, *(st.integers(0, 9) for _ in range(4))),
    quorum=st.integers(1, 9),
    majority=st.integers(51, 100),
)
@example(Votes(2, 1), 3, 66)
@example(Votes(0, 0, 0, 3), 3, 51)
def test_a_committee_never_approves_without_quorum_and_majority(
    votes: Votes, quorum: int, majority: int
) -> None:
    came_to = outcome(votes, quorum=quorum, majority_pct=majority)
    if votes.cast < quorum:
        assert came_to == "no_quorum"
    elif came_to == "approve":
        assert Decimal(votes.approve) / votes.cast >= Decimal(majority) / 100
    else:
        assert votes.approve == 0 or Decimal(votes.approve) / votes.cast < Decimal(majority) / 100
