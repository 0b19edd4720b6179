"""What collateral and guarantors count for."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from credit_rating.engine.guarantees import (
    Claim,
    Commitment,
    Pledge,
    add_months,
    claims_before,
    next_order,
    object_key,
    usable_pledge,
)

D = Decimal
DAY = dt.date(2026, 11, 20)
FACTORY = Pledge(
    value=D(42_000_000), valued_on=dt.date(2026, 9, 18), revalue_months=12, rate=D("0.7"), overdue_share=D(0),
    secures=D(50_000_000),
)  # fmt: skip


def test_value_times_rate_less_what_comes_before() -> None:
    assert usable_pledge(FACTORY, DAY).amount == 29_400_000
    assert usable_pledge(replace(FACTORY, before=D(10_000_000)), DAY).amount == 19_400_000
    assert usable_pledge(replace(FACTORY, before=D(40_000_000)), DAY).amount == 0
    assert usable_pledge(replace(FACTORY, secures=D(1_000_000)), DAY).amount == 1_000_000


def test_a_valuation_counts_to_its_last_day_and_not_beyond() -> None:
    due = dt.date(2027, 9, 18)
    assert usable_pledge(FACTORY, due).amount == 29_400_000
    late = usable_pledge(FACTORY, due + dt.timedelta(days=1))
    assert (late.amount, late.is_overdue, late.due_on) == (0, True, due)
    half = usable_pledge(replace(FACTORY, overdue_share=D("0.5")), due + dt.timedelta(days=1))
    assert half.amount == 14_700_000
    assert usable_pledge(replace(FACTORY, valued_on=None), DAY).amount == 0


@pytest.mark.parametrize(
    ("day", "months", "due"),
    [("2026-01-31", 1, "2026-02-28"), ("2024-02-29", 12, "2025-02-28"), ("2026-11-30", 3, "2027-02-28"),
     ("2026-10-31", 2, "2026-12-31"), ("2026-12-15", 12, "2027-12-15")],
)  # fmt: skip
def test_months_end_with_the_month(day: str, months: int, due: str) -> None:
    assert add_months(dt.date.fromisoformat(day), months) == dt.date.fromisoformat(due)


def test_one_house_has_one_key_however_it_is_written() -> None:
    assert object_key("沪（2021）松字不动产权第 012345 号") == object_key("沪(2021)松字不动产权第012345号")
    assert object_key("ab-12 34") == object_key("ＡＢ１２３４")
    assert object_key("012345") != object_key("12345")


def test_a_guarantor_counts_for_what_it_can_still_promise() -> None:
    # The case page: capacity 9,000, promised before 5,400, now 2,750: 90.6% used.
    now = Commitment(D(9000), D(5400), D(2750))
    assert now.share is not None
    assert now.share.quantize(D("0.001")) == D("0.906")
    assert (now.over, now.usable(D(1))) == (0, 2750)
    beyond = Commitment(D(9000), D(8000), D(2750))
    assert (beyond.over, beyond.usable(D(1)), beyond.usable(D("0.5"))) == (1750, 1000, 500)
    assert Commitment(D(0), D(0), D(1)).share is None


def test_lien_order() -> None:
    claims = [Claim(1, D(100)), Claim(3, D(50))]
    assert claims_before(2, claims, outside=D(7)) == 107
    assert claims_before(1, claims) == 0
    assert (next_order(claims), next_order([])) == (4, 1)


AMOUNT = st.decimals(0, 10**10, places=2)
PART = st.decimals(0, 1, places=4)


@settings(max_examples=100, deadline=None)
@given(AMOUNT, PART, PART, AMOUNT, AMOUNT, AMOUNT)
def test_more_value_never_counts_less(
    value: Decimal, rate: Decimal, overdue: Decimal, secures: Decimal, before: Decimal, more: Decimal
) -> None:
    pledge = Pledge(value, DAY, 12, rate, overdue, secures, before)
    amount = usable_pledge(pledge, DAY).amount
    assert 0 <= amount <= min(secures, value)
    assert usable_pledge(replace(pledge, value=value + more), DAY).amount >= amount
    assert usable_pledge(replace(pledge, before=before + more), DAY).amount <= amount
    assert usable_pledge(pledge, DAY + dt.timedelta(days=500)).amount <= amount
