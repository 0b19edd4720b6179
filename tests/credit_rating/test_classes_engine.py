"""Five-level classification against an oracle that is written the other way round, at and beside every boundary."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from credit_rating.engine.classes import Claim, Level, classify
from credit_rating.policies import read
from credit_rating.policies.classes import SHAPE, default, rules_of

RULES = rules_of(read(SHAPE, default("")))
DAY = dt.date(2026, 11, 20)
EDGES = (0, 1, 6, 7, 8, 89, 90, 91, 119, 120, 121, 179, 180, 181, 269, 270, 271, 359, 360, 361, 4000)


def oracle(days: int, asset: str) -> int:
    """The rule's own words, as a chain of questions from the worst down."""
    if asset == "card":
        if days >= 181:
            return 5
        if days >= 121:
            return 4
    if days >= 361:
        return 5
    if days >= 271:
        return 4
    if days >= 91:
        return 3
    return 2 if days >= 8 else 1


def one(claim: Claim, *, is_retail: bool = True) -> tuple[int, str]:
    (verdict,) = classify([claim], RULES, is_retail=is_retail, day=DAY)
    return int(verdict.level), verdict.reason


def test_every_boundary_of_days_overdue() -> None:
    for days in EDGES:
        for asset in ("loan", "card"):
            level, reason = one(Claim(days, Decimal(100), asset))
            assert level == oracle(days, asset), (days, asset)
            assert reason == ("overdue" if level > 1 else "none")


claims = st.builds(
    Claim,
    days_past_due=st.sampled_from(EDGES),
    outstanding=st.integers(1, 1000).map(Decimal),
    asset=st.sampled_from(["loan", "card"]),
    by_hand=st.sampled_from(Level),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(claims, min_size=1, max_size=6), st.booleans())
def test_a_debtors_claims_against_the_oracle(found: list[Claim], is_retail: bool) -> None:
    alone = [max(oracle(c.days_past_due, c.asset), int(c.by_hand)) for c in found]
    bad = sum(int(c.outstanding) for c, level in zip(found, alone, strict=True) if level >= 3)
    drags = not is_retail and bad * 10 > sum(int(c.outstanding) for c in found)
    expected = [max(level, 3) if drags else level for level in alone]
    assert [int(v.level) for v in classify(found, RULES, is_retail=is_retail, day=DAY)] == expected


def test_exactly_a_tenth_drags_nothing_and_a_cent_more_drags_all() -> None:
    good = Claim(0, Decimal("900.00"))
    at, above = (
        classify([good, Claim(91, amount)], RULES, is_retail=False, day=DAY)
        for amount in (Decimal("100.00"), Decimal("100.01"))
    )
    assert [int(v.level) for v in at] == [1, 3]
    assert [(int(v.level), v.reason) for v in above] == [(3, "contagion"), (3, "overdue")]


def test_by_hand_is_never_better_than_the_rule() -> None:
    assert one(Claim(300, Decimal(1), by_hand=Level.SPECIAL_MENTION)) == (4, "overdue")
    assert one(Claim(0, Decimal(1), by_hand=Level.LOSS)) == (5, "by_hand")


def test_a_non_performing_claim_stays_so_until_six_months_without_arrears() -> None:
    def of(clean_since: dt.date | None, days: int = 0) -> int:
        return one(Claim(days, Decimal(1), before=Level.LOSS, clean_since=clean_since))[0]

    assert of(dt.date(2026, 5, 21)) == 3
    assert of(dt.date(2026, 5, 20)) == 1
    assert of(None) == 1  # it was another claim's fault
    assert of(dt.date(2026, 1, 1), days=1) == 3
    assert one(Claim(0, Decimal(1), before=Level.SPECIAL_MENTION, clean_since=DAY)) == (1, "none")
