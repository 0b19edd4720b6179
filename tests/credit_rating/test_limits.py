"""Line calculation: by hand, and what must hold for any figures."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from credit_rating.engine import limits
from credit_rating.engine.limits import Company, Frame, Household, Missing, Person, SmallBusiness
from credit_rating.engine.steps import Step, Term, as_data, from_data, settle

D = Decimal
WAN = D(10_000)

# The case of the case page: 净资产 14,260 × 0.60; three years' cash flow 2,610 on average × 3.2; a need of 10,480.
COMPANY = Company(
    equity=D("14560") * WAN, intangibles=D("300") * WAN,
    cash_flows=(D("2410") * WAN, D("2580") * WAN, D("2840") * WAN),
    sales=D("54000") * WAN, margin=D("0.10"), growth=D("0.08"),
    inventory_days=D(60), receivable_days=D(50), payable_days=D(40), prepaid_days=D(6), advance_days=D(4),
    own_funds=D("1990") * WAN, other_sources=D("640") * WAN,
    net_asset_coefficient=D("0.60"), cash_flow_multiple=D("3.2"),
)  # fmt: skip
FRAME = Frame(
    cap=D("8000") * WAN, round_to=WAN, other_banks=D("1800") * WAN, guarantee=D("3750") * WAN,
    guarantee_share=D("0.2"),
)  # fmt: skip


def amounts(found: limits.Calculation) -> dict[str, Decimal]:
    return {s.code: s.amount / WAN if s.kind == "money" else s.amount for s in found.steps}


def test_the_case_of_the_paper_form_step_by_step() -> None:
    found = amounts(limits.company_limit(COMPANY, FRAME))
    assert found["effective_net_assets"] == 14_260
    assert found["net_assets_method"] == 8_556
    assert found["average_cash_flow"] == 2_610
    assert found["cash_flow_method"] == 8_352
    # 72 days: 360 / 72 = 5 turnovers; 54,000 × 0.9 × 1.08 / 5 = 10,497.6
    assert (found["operating_cycle"], found["turnovers"]) == (72, 5)
    assert found["working_capital_need"] == D("10497.6")
    assert found["working_capital_method"] == D("7867.6")
    assert found["lowest"] == found["grade_cap"] == D("7867.6")
    assert found["other_banks"] == -1800
    assert found["guarantees"] == 750
    assert found["limit"] == 6_817  # 7,867.6 − 1,800 + 750, down to 10,000 yuan


def test_a_cycle_that_suppliers_finance_needs_nothing() -> None:
    found = limits.company_limit(replace(COMPANY, payable_days=D(200)), FRAME)
    assert found.limit == 0
    assert next(s for s in found.steps if s.code == "working_capital_method").note == "no_cycle"


def test_no_cash_flow_statement_is_said_and_not_taken_for_zero() -> None:
    with pytest.raises(Missing, match="operating_cash_flow"):
        limits.company_limit(replace(COMPANY, cash_flows=()), FRAME)


def test_losses_and_negative_equity_carry_nothing() -> None:
    assert (
        limits.company_limit(replace(COMPANY, equity=D(-5)), replace(FRAME, guarantee_most=D(1))).limit == 0
    )
    assert limits.company_limit(replace(COMPANY, cash_flows=(D(-900),)), FRAME).limit == 0


def test_the_cap_of_the_grade_holds_even_with_guarantees() -> None:
    found = limits.company_limit(COMPANY, replace(FRAME, cap=5000 * WAN, other_banks=D(0)))
    assert found.limit == 5000 * WAN
    assert next(s for s in found.steps if s.code == "grade_cap").note == "cap_reached"


def test_small_business_is_the_lower_of_net_assets_and_sales() -> None:
    figures = SmallBusiness(
        equity=300 * WAN,
        intangibles=D(0),
        sales=1200 * WAN,
        net_asset_coefficient=D("0.6"),
        sales_share=D("0.2"),
    )
    found = amounts(limits.small_business_limit(figures, Frame(cap=800 * WAN, round_to=WAN)))
    assert (found["net_assets_method"], found["sales_method"], found["limit"]) == (180, 240, 180)


def test_a_persons_limit_is_what_the_free_income_pays_off() -> None:
    # 20,000 × 50% − 3,000 = 7,000 a month; 36 months at 3.6%: (1 − 1.003^−36) / 0.003 = 34.076...
    figures = Person(
        income=D(20_000), debt_service=D(3_000), multiple=D(3), service_ratio=D("0.5"), annual_rate=D("0.036")
    )
    frame = Frame(cap=100 * WAN, round_to=D(1000), term_months=D(36), term_factor=None)
    found = limits.personal_limit(figures, frame)
    by_code = {s.code: s for s in found.steps}
    assert by_code["income_method"].amount == 720_000
    expected = (1 - D("1.003") ** -36) / D("0.003")
    assert by_code["annuity"].amount == expected.quantize(D("0.00000001"))
    assert by_code["debt_service_method"].amount == D("238530.29")
    assert found.limit == 238_000


def test_a_households_limit_by_income_and_assets() -> None:
    figures = Household(
        income=D(180_000), costs=D(70_000), wages=D(50_000), members=D(4), living_costs=D(15_000),
        assets=D(500_000), debts=D(100_000), income_multiple=D(2), asset_share=D("0.4"),
    )  # fmt: skip
    found = limits.household_limit(figures, Frame(cap=30 * WAN, round_to=WAN, term_factor=D("0.95")))
    assert found.steps[0].amount == 60_000  # living costs, before what is left of a year's income
    # income 100,000 × 2 = 200,000; assets 400,000 × 40% = 160,000; × 95% = 152,000
    assert found.limit == 150_000


MONEY = st.decimals(min_value=0, max_value=10**11, places=2)
SIGNED = st.decimals(min_value=-(10**10), max_value=10**11, places=2)
FRACTION = st.decimals(min_value=0, max_value=1, places=4)
DAYS = st.decimals(min_value=0, max_value=400, places=2)
COMPANIES = st.builds(
    Company, equity=SIGNED, intangibles=MONEY, cash_flows=st.lists(SIGNED, min_size=1, max_size=3).map(tuple),
    sales=MONEY, margin=st.decimals(min_value=-1, max_value=1, places=4),
    growth=st.decimals(min_value=D("-0.9"), max_value=2, places=4), inventory_days=DAYS, receivable_days=DAYS,
    payable_days=DAYS, prepaid_days=DAYS, advance_days=DAYS, own_funds=MONEY, other_sources=MONEY,
    net_asset_coefficient=st.decimals(min_value=0, max_value=2, places=2),
    cash_flow_multiple=st.decimals(min_value=0, max_value=10, places=1),
)  # fmt: skip
FRAMES = st.builds(
    Frame, cap=MONEY, round_to=st.sampled_from([D(1), D(1000), WAN, D("0.01")]), other_banks=MONEY, guarantee=MONEY,
    guarantee_share=FRACTION, guarantee_most=FRACTION, term_factor=FRACTION,
)  # fmt: skip
FAST = settings(max_examples=40, deadline=None)


def total(steps: tuple[Step, ...]) -> Decimal:
    """The limit from the steps' amounts alone: the last level plus the changes, within the cap, rounded down."""
    level = [s for s in steps if s.role == "level"][-1].amount
    raw = level + sum(s.amount for s in steps if s.role == "change")
    cap = next(t.value for t in steps[-1].terms if t.code == "cap")
    unit = steps[-1].terms[-1].value
    return max(D(0), min(raw, cap)) // unit * unit


@FAST
@given(COMPANIES, FRAMES)
def test_no_step_disagrees_with_the_total(figures: Company, frame: Frame) -> None:
    found = limits.company_limit(figures, frame)
    for s in found.steps:
        assert s.amount == settle(s.terms, s.kind)
    assert found.limit == total(found.steps)
    assert 0 <= found.limit <= frame.cap
    assert found.limit % frame.round_to == 0
    methods = [s.amount for s in found.steps if s.role == "method"]
    assert next(s for s in found.steps if s.code == "lowest").amount == min(methods)
    assert from_data(as_data(found.steps)) == list(found.steps)


@FAST
@given(COMPANIES, FRAMES, MONEY)
def test_more_is_never_worse_and_worse_is_never_more(figures: Company, frame: Frame, more: Decimal) -> None:
    before = limits.company_limit(figures, frame).limit
    better: list[tuple[Company, Frame]] = [
        (figures, replace(frame, guarantee=frame.guarantee + more)),
        (figures, replace(frame, cap=frame.cap + more)),
        (replace(figures, equity=figures.equity + more), frame),
        (replace(figures, cash_flows=(*figures.cash_flows[:-1], figures.cash_flows[-1] + more)), frame),
    ]
    for changed, framed in better:
        assert limits.company_limit(changed, framed).limit >= before
    worse = [
        (figures, replace(frame, other_banks=frame.other_banks + more)),
        (replace(figures, own_funds=figures.own_funds + more), frame),
        (replace(figures, intangibles=figures.intangibles + more), frame),
    ]
    for changed, framed in worse:
        assert limits.company_limit(changed, framed).limit <= before


@FAST
@given(
    st.builds(Person, income=st.decimals(0, 10**6, places=2), debt_service=st.decimals(0, 10**5, places=2),
              multiple=st.decimals(0, 10, places=1), service_ratio=FRACTION,
              annual_rate=st.decimals(0, D("0.24"), places=4)),
    st.integers(1, 360), st.integers(1, 60),
)  # fmt: skip
def test_a_longer_term_never_lowers_a_persons_limit(figures: Person, months: int, more: int) -> None:
    def limit(n: int) -> Decimal:
        frame = Frame(cap=D(10**9), round_to=D(1), term_months=D(n), term_factor=None)
        return limits.personal_limit(figures, frame).limit

    assert limit(months + more) >= limit(months)


def test_precedence_is_that_of_paper() -> None:
    terms = [Term("a", D(2)), Term("b", D(3), op="+"), Term("c", D(4), op="*"), Term("d", D(5), op="-")]
    assert settle(terms) == 9
    with pytest.raises(ZeroDivisionError):
        settle([Term("a", D(1)), Term("b", D(0), op="/")])
