"""The price of a loan, part by part, and what it comes to in a year."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from credit_rating.engine.pricing import PriceParts, annualised, asked_rate, instalments, suggested_rate
from credit_rating.engine.steps import settle

D = Decimal
PARTS = PriceParts(
    funding=D("0.0162"), pd=D("0.0092"), lgd=D("0.45"), lgd_secured=D("0.25"), secured=D("0.5"),
    operating=D("0.0055"), risk_weight=D(1), capital_ratio=D("0.105"), return_on_capital=D("0.07"),
    margin=D("0.0095"), discount=D("0.0020"), floor=D("0.02"), lpr=D("0.03"),
)  # fmt: skip


def test_a_rate_that_is_asked_for_is_held_against_the_price_and_the_floor() -> None:
    price = suggested_rate(PARTS)

    def told(asked: str) -> tuple[bool, bool]:
        found = asked_rate(D(asked), price.rate, price.steps)
        return found.is_below, found.is_below_floor

    assert told("0.0398") == (False, False)
    assert told("0.0397") == (True, False)
    assert told("0.0199") == (True, True)
    assert not asked_rate(None, price.rate, price.steps).is_below
    assert not asked_rate(D("0.01"), None, ()).is_below


def test_the_parts_make_the_rate() -> None:
    price = suggested_rate(PARTS)
    parts = {s.code: s.amount for s in price.steps}
    assert parts["mixed_lgd"] == D("0.35")
    assert parts["expected_loss"] == D("0.00322")
    assert parts["capital_charge"] == D("0.00735")
    assert parts["full_cost"] == D("0.03977")
    assert (price.rate, price.lpr_bp) == (D("0.0398"), 98)


def test_the_floor_holds_and_a_rate_may_lie_below_lpr() -> None:
    cheap = replace(PARTS, pd=D(0), margin=D(0), operating=D(0), discount=D("0.01"))
    price = suggested_rate(cheap)
    assert (price.rate, price.lpr_bp) == (D("0.02"), -100)


RATE = st.decimals(0, D("0.2"), places=4)


@settings(max_examples=40, deadline=None)
@given(st.builds(PriceParts, *[RATE] * 4, st.decimals(0, 1, places=4), *[RATE] * 6, RATE, RATE))
def test_every_step_is_its_terms_and_the_rate_covers_the_cost(parts: PriceParts) -> None:
    price = suggested_rate(parts)
    for s in price.steps:
        assert s.amount == settle(s.terms, s.kind)
    changes = sum(s.amount for s in price.steps if s.role == "change")
    assert price.steps[-2].amount == max(changes, parts.floor)
    assert 0 <= price.rate - price.steps[-2].amount < D("0.0001")


def test_instalments_settle_to_the_cent() -> None:
    paid = instalments(D(120_000), D("0.06"), 12)
    assert paid[0] == D("10327.97")
    assert len(paid) == 12
    compound, simple = annualised(D(120_000), paid)
    assert simple == pytest.approx(D("0.06"), abs=D("0.00001"))
    assert compound == pytest.approx(D("0.061678"), abs=D("0.00001"))


def test_a_flat_fee_a_month_is_nearly_twice_what_it_looks_like() -> None:
    # 12,000 over 12 months at "0.6% a month": 1,000 + 72 each month
    _compound, simple = annualised(D(12_000), [D(1_072)] * 12)
    assert D("0.130") < simple < D("0.131")
    with pytest.raises(ValueError, match="principal"):
        annualised(D(100), [D(50)])


@settings(max_examples=15, deadline=None)
@given(st.integers(1_000, 10**8), st.decimals(0, D("0.36"), places=4), st.integers(1, 120))
def test_the_rate_of_a_plan_is_the_rate_it_was_made_with(principal: int, rate: Decimal, months: int) -> None:
    _compound, simple = annualised(D(principal), instalments(D(principal), rate, months))
    assert abs(simple - rate) < D("0.0005")
