"""Statements that must add up, and ratios computed by hand."""

from __future__ import annotations

from decimal import Decimal

import pytest

from credit_rating.engine.ratios import (
    ALL_ITEMS,
    RATIOS,
    SUMS,
    check_statements,
    compute_ratio,
    compute_ratios,
)

D = Decimal


def year(**changed: str) -> dict[str, Decimal]:
    figures = {
        "cash": "200", "receivables": "500", "prepayments": "40", "inventory": "360", "other_current_assets": "0",
        "current_assets": "1100", "fixed_assets": "800", "intangible_assets": "100", "other_noncurrent_assets": "0",
        "total_assets": "2000", "short_term_loans": "400", "payables": "300", "advances": "50",
        "other_current_liabilities": "50", "current_liabilities": "800", "long_term_loans": "200",
        "other_noncurrent_liabilities": "0", "total_liabilities": "1000", "paid_in_capital": "600",
        "retained_earnings": "400", "other_equity": "0", "equity": "1000", "sales": "3600", "cost_of_sales": "2880",
        "operating_expenses": "400", "interest_expense": "40", "other_income": "20", "profit_before_tax": "300",
        "income_tax": "75", "net_profit": "225", "operating_cash_flow": "250", "investing_cash_flow": "-100",
        "financing_cash_flow": "-50", "net_cash_change": "100",
    }  # fmt: skip
    return {item: D(text) for item, text in {**figures, **changed}.items()}


def value(code: str, years: dict[int, dict[str, Decimal]]) -> Decimal | None:
    return compute_ratio(next(r for r in RATIOS if r.code == code), years, 2025).value


def test_a_statement_that_adds_up_has_no_fault() -> None:
    assert set(year()) == set(ALL_ITEMS)
    assert check_statements({2025: year()}) == []


def test_each_total_is_checked_and_the_balance() -> None:
    for item in SUMS:
        codes = {(f.code, f.item) for f in check_statements({2025: year(**{item: "99999"})})}
        assert ("sum", item) in codes
    fault = next(f for f in check_statements({2025: year(equity="1400", retained_earnings="800")}))
    assert (fault.code, fault.given, fault.expected, fault.is_error) == ("balance", 2000, 2400, True)


def test_a_yuan_of_rounding_is_no_fault() -> None:
    assert check_statements({2025: year(total_assets="2001")}) == []
    assert check_statements({2025: year(total_assets="2001.01")}) != []


def test_cash_must_bridge_two_years_and_jumps_are_shown() -> None:
    years = {2024: year(cash="150"), 2025: year()}
    assert ("cash_bridge", 2025) in {(f.code, f.year) for f in check_statements(years)}
    grown = [f for f in check_statements({2024: year(sales="2000"), 2025: year()}) if f.code == "jump"]
    assert [(f.item, f.change, f.is_error) for f in grown] == [("sales", D("0.8"), False)]
    assert not [f for f in check_statements({2024: year(sales="2400"), 2025: year()}) if f.code == "jump"]
    gap = check_statements({2023: year(sales="1"), 2025: year()})  # a year between is missing
    assert not [f for f in gap if f.code == "jump"]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("debt_ratio", "0.5"), ("current_ratio", "1.375"), ("quick_ratio", "0.875"), ("roe", "0.25"),
        ("sales_margin", "0.0833"), ("cash_to_debt", "0.25"), ("interest_cover", "8.5"), ("sales_growth", "0.2"),
        ("sales_cagr", "0.2"), ("receivable_days", "45"), ("inventory_days", "45"), ("payable_days", "37.5"),
        ("prepaid_days", "5"), ("advance_days", "5"),
    ],
)  # fmt: skip
def test_ratios_by_hand(code: str, expected: str) -> None:
    before = {"sales": "3000", "equity": "800", "receivables": "400"}
    years = {2023: year(sales="2500"), 2024: year(**before), 2025: year()}
    assert value(code, years) == D(expected)


def test_a_ratio_that_cannot_be_computed_says_why() -> None:
    years = {2025: {k: v for k, v in year(interest_expense="0", equity="-10").items() if k != "inventory"}}
    found = {v.ratio.code: v for v in compute_ratios(years, 2025)}
    assert (found["quick_ratio"].reason, found["quick_ratio"].items) == ("missing", ("inventory",))
    assert found["interest_cover"].reason == "zero"
    assert found["roe"].reason == "negative"
    assert (found["sales_growth"].reason, found["sales_growth"].items) == ("no_year_before", ("sales",))
    assert found["receivable_days"].closing_only
    assert found["receivable_days"].value == 50
    assert all((v.value is None) == bool(v.reason) for v in found.values())
