"""Five-level classification against an oracle that is written the other way round, at and beside every boundary."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from credit_rating.engine.classes import Claim, Elsewhere, Level, classify
from credit_rating.policies import PolicyFault, read
from credit_rating.policies.classes import BY_DATA, SHAPE, default, rules_of

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
    late = sum(int(c.outstanding) for c in found if c.days_past_due >= 91)
    drags = drags or (not is_retail and late * 5 > sum(int(c.outstanding) for c in found))
    least = 1 if is_retail or not bad else 3 if drags else 2
    assert [int(v.level) for v in classify(found, RULES, is_retail=is_retail, day=DAY)] == [
        max(level, least) for level in alone
    ]


def test_exactly_a_tenth_is_no_drag_and_a_cent_more_drags_all() -> None:
    good = Claim(0, Decimal("900.00"))
    at, above = (
        classify([good, Claim(91, amount)], RULES, is_retail=False, day=DAY)
        for amount in (Decimal("100.00"), Decimal("100.01"))
    )
    assert [(int(v.level), v.reason) for v in at] == [(2, "bad_debt"), (3, "overdue")]
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


def test_expected_loss_from_a_half_and_from_nine_tenths_of_its_balance() -> None:
    for loss, level in (("49.99", 1), ("50.00", 4), ("89.99", 4), ("90.00", 5), ("100.00", 5)):
        found = one(Claim(0, Decimal(7), expected_loss=Decimal(loss), balance=Decimal("100.00")))
        assert found == (level, "loss" if level > 1 else "none"), loss
    assert one(Claim(0, Decimal(100), expected_loss=Decimal(0), balance=Decimal(0)))[0] == 1
    assert one(Claim(0, Decimal(100), expected_loss=None, balance=Decimal(100)))[0] == 1


def test_a_credit_impaired_claim_is_substandard_unless_its_loss_says_worse() -> None:
    assert one(Claim(0, Decimal(1), is_impaired=True)) == (3, "impaired")
    told = {"expected_loss": Decimal(60), "balance": Decimal(100)}
    assert one(Claim(0, Decimal(1), is_impaired=True, **told)) == (4, "loss")


def everywhere(
    total: str | None, late: str, *, here_days: int = 0, is_retail: bool = False
) -> tuple[int, str]:
    debts = Elsewhere(None if total is None else Decimal(total), Decimal(late))
    claim = Claim(here_days, Decimal("100.00"))
    (verdict,) = classify([claim], RULES, is_retail=is_retail, day=DAY, elsewhere=debts)
    return int(verdict.level), verdict.reason


def test_a_fifth_of_the_debts_at_all_banks_is_no_reason_and_a_cent_more_is() -> None:
    assert everywhere("900.00", "200.00") == (1, "none")
    assert everywhere("900.00", "200.01") == (3, "all_banks")
    assert everywhere("900.00", "900.00", is_retail=True) == (1, "none")
    assert everywhere(None, "900.00") == (1, "none")  # a debt without an exchange rate: no share is known
    assert everywhere("400.00", "0.00", here_days=90) == (2, "overdue")
    assert everywhere("399.99", "0.01", here_days=91) == (3, "overdue")


def test_own_late_debts_count_beside_those_of_other_banks() -> None:
    """30 here and 180 elsewhere of 1,000 are late: 21%; the share of non-performing claims here is 10% and no reason."""
    own = [Claim(91, Decimal(30)), Claim(0, Decimal(270))]
    found = classify(own, RULES, is_retail=False, day=DAY, elsewhere=Elsewhere(Decimal(700), Decimal(180)))
    assert [(int(v.level), v.reason) for v in found] == [(3, "overdue"), (3, "all_banks")]
    found = classify(own, RULES, is_retail=False, day=DAY, elsewhere=Elsewhere(Decimal(700), Decimal(170)))
    assert [(int(v.level), v.reason, v.late_share) for v in found] == [
        (3, "overdue", Decimal("0.2")), (2, "bad_debt", Decimal("0.2")),
    ]  # fmt: skip


def test_a_debt_that_another_bank_calls_non_performing_is_a_special_mention_here() -> None:
    elsewhere = Elsewhere(Decimal(10), Decimal(0), has_bad=True)
    for is_retail, level in ((False, 2), (True, 1)):
        (found,) = classify([Claim(0, Decimal(90))], RULES, is_retail=is_retail, day=DAY, elsewhere=elsewhere)
        assert int(found.level) == level


def test_a_policy_of_before_the_question_says_what_the_rule_says_and_another_may_say_never() -> None:
    body: Any = default("")
    for code in BY_DATA:
        del body["params"][code]
    assert rules_of(read(SHAPE, body)) == RULES
    body["params"] |= {"impaired_class": "never", "bad_debt_class": "never"}
    found = rules_of(read(SHAPE, body))
    assert (found.impaired, found.bad_debt) == (None, None)
    (verdict,) = classify([Claim(0, Decimal(1), is_impaired=True)], found, is_retail=False, day=DAY)
    assert verdict.level == Level.NORMAL
    body["params"] |= {"doubtful_loss_pct": "90"}
    with pytest.raises(PolicyFault) as fault:
        read(SHAPE, body)
    assert list(fault.value.fields) == ["loss_loss_pct"]
