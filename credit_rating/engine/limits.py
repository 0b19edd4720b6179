"""How much a customer can carry: the line calculation (客户授信额度测算表) as small functions, a step for each line.

Company: the lowest of net assets, cash flow and the need for working capital by the regulator's turnover days (附件
of 银监会《流动资金贷款管理暂行办法》, 2010, kept as reference method since: need = last year's sales × (1 − last year's
profit margin on sales) × (1 + expected growth) / turnovers of working capital; turnovers = 360 / (days of inventory +
receivables − payables + prepayments − advances received); less own funds and other sources).
Small business: net assets and a share of sales. Person: income multiple and debt service. Household: operating income
and assets. Then for all: the cap of the grade, the term, other banks, guarantees, rounding down.

Decided: loans of other banks are deducted once, in a step of their own, whichever method was lowest (the annex deducts
existing working-capital loans within its own method: deducting them twice would be wrong, and deducting them in one
method alone would let the limit fall when another method's figure rises). The limit with guarantees never passes the
grade's cap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from credit_rating.engine.steps import ONE, ZERO, Step, Term, step

YEAR_DAYS = Decimal(360)
MONTHS = Decimal(12)


class Missing(ValueError):
    """A method lacks figures; `codes` names the inputs."""

    def __init__(self, codes: Sequence[str]) -> None:
        super().__init__(", ".join(codes))
        self.codes = tuple(codes)


@dataclass(frozen=True, slots=True)
class Frame:
    """What is the same for every kind. Money in the bank's currency; `term_factor` and `guarantee_share` fractions.

    `guarantee`: usable value of all guarantees; `guarantee_most`: at most this fraction of the running figure is added.
    """

    cap: Decimal
    round_to: Decimal
    other_banks: Decimal = ZERO
    guarantee: Decimal = ZERO
    guarantee_share: Decimal = ZERO
    guarantee_most: Decimal = ONE
    term_months: Decimal = MONTHS
    term_factor: Decimal | None = ONE


@dataclass(frozen=True, slots=True)
class Company:
    """A company's figures: `cash_flows` newest last; `margin`, `growth` fractions; the five turnover days."""

    equity: Decimal
    intangibles: Decimal
    cash_flows: tuple[Decimal, ...]
    sales: Decimal
    margin: Decimal
    growth: Decimal
    inventory_days: Decimal
    receivable_days: Decimal
    payable_days: Decimal
    prepaid_days: Decimal
    advance_days: Decimal
    own_funds: Decimal
    other_sources: Decimal
    net_asset_coefficient: Decimal
    cash_flow_multiple: Decimal


@dataclass(frozen=True, slots=True)
class SmallBusiness:
    equity: Decimal
    intangibles: Decimal
    sales: Decimal
    net_asset_coefficient: Decimal
    sales_share: Decimal


@dataclass(frozen=True, slots=True)
class Person:
    """`income`, `debt_service`: a month's; `annual_rate`, `service_ratio` fractions; `multiple` of a year's income."""

    income: Decimal
    debt_service: Decimal
    multiple: Decimal
    service_ratio: Decimal
    annual_rate: Decimal


@dataclass(frozen=True, slots=True)
class Household:
    """`income`, `costs`, `wages`: a year's, of farming or trade and of work outside. `living_costs`: of a member a year."""

    income: Decimal
    costs: Decimal
    wages: Decimal
    members: Decimal
    living_costs: Decimal
    assets: Decimal
    debts: Decimal
    income_multiple: Decimal
    asset_share: Decimal


@dataclass(frozen=True, slots=True)
class Calculation:
    """The steps in order and the limit, which is the last step's amount."""

    steps: tuple[Step, ...]

    @property
    def limit(self) -> Decimal:
        return self.steps[-1].amount


def _net_assets(equity: Decimal, intangibles: Decimal, coefficient: Decimal) -> list[Step]:
    effective = step(
        "effective_net_assets", Term("equity", equity, source="equity"),
        Term("intangible_assets", intangibles, op="-", source="intangible_assets"), Term("zero", ZERO, op="max"),
        role="detail",
    )  # fmt: skip
    return [
        effective,
        step(
            "net_assets_method", Term("effective_net_assets", effective.amount),
            Term("net_asset_coefficient", coefficient, "times", "*"), role="method",
        ),
    ]  # fmt: skip


def _cash_flow(flows: Sequence[Decimal], multiple: Decimal) -> list[Step]:
    if not flows:
        raise Missing(["operating_cash_flow"])
    terms = [
        Term(
            f"operating_cash_flow_{len(flows) - 1 - i}",
            flow,
            "money",
            "+" if i else "",
            "operating_cash_flow",
        )
        for i, flow in enumerate(flows)
    ]
    total = step("cash_flow_total", *terms, role="detail")
    average = step(
        "average_cash_flow", Term("cash_flow_total", total.amount),
        Term("years", Decimal(len(flows)), "number", "/"), Term("zero", ZERO, op="max"), role="detail",
    )  # fmt: skip
    method = step(
        "cash_flow_method", Term("average_cash_flow", average.amount),
        Term("cash_flow_multiple", multiple, "times", "*"), role="method",
    )  # fmt: skip
    return [total, average, method]


def _working_capital(f: Company) -> list[Step]:
    cycle = step(
        "operating_cycle",
        Term("inventory_days", f.inventory_days, "days", "", "inventory_days"),
        Term("receivable_days", f.receivable_days, "days", "+", "receivable_days"),
        Term("payable_days", f.payable_days, "days", "-", "payable_days"),
        Term("prepaid_days", f.prepaid_days, "days", "+", "prepaid_days"),
        Term("advance_days", f.advance_days, "days", "-", "advance_days"),
        kind="days", role="detail",
    )  # fmt: skip
    if cycle.amount <= 0:  # suppliers and customers finance the whole cycle: nothing is needed of a bank
        return [cycle, step("working_capital_method", Term("zero", ZERO), role="method", note="no_cycle")]
    turnovers = step(
        "turnovers", Term("year_days", YEAR_DAYS, "days"), Term("operating_cycle", cycle.amount, "days", "/"),
        kind="times", role="detail",
    )  # fmt: skip
    need = step(
        "working_capital_need", Term("sales", f.sales, source="sales"),
        Term("one_less_margin", ONE - f.margin, "percent", "*", "margin"),
        Term("one_plus_growth", ONE + f.growth, "percent", "*", "growth"),
        Term("turnovers", turnovers.amount, "times", "/"), role="detail",
    )  # fmt: skip
    method = step(
        "working_capital_method", Term("working_capital_need", need.amount),
        Term("own_funds", f.own_funds, op="-", source="own_funds"),
        Term("other_sources", f.other_sources, op="-", source="other_sources"), Term("zero", ZERO, op="max"),
        role="method",
    )  # fmt: skip
    return [cycle, turnovers, need, method]


def _lowest(methods: Sequence[Step]) -> Step:
    first, *others = [s for s in methods if s.role == "method"]
    lowest = min([first, *others], key=lambda s: s.amount)
    terms = [Term(first.code, first.amount), *(Term(s.code, s.amount, op="min") for s in others)]
    return step("lowest", *terms, note=lowest.code)


def _frame(methods: list[Step], frame: Frame) -> Calculation:
    """From the lowest method to the limit."""
    steps = [*methods, _lowest(methods)]
    running = step(
        "grade_cap", Term("lowest", steps[-1].amount), Term("cap", frame.cap, op="min"),
        note="cap_reached" if steps[-1].amount > frame.cap else "cap_not_reached",
    )  # fmt: skip
    steps.append(running)
    if frame.term_factor is not None:
        running = step(
            "term", Term("grade_cap", running.amount), Term("term_factor", frame.term_factor, "percent", "*")
        )
        steps.append(running)
    others = step(
        "other_banks", Term("other_banks", frame.other_banks, op="-", source="other_banks"), role="change"
    )
    most = step(
        "guarantee_most", Term(running.code, running.amount),
        Term("guarantee_most_share", frame.guarantee_most, "percent", "*"), role="detail",
    )  # fmt: skip
    added = step(
        "guarantees", Term("usable_guarantee", frame.guarantee, source="guarantee"),
        Term("guarantee_share", frame.guarantee_share, "percent", "*"), Term("guarantee_most", most.amount, op="min"),
        role="change",
    )  # fmt: skip
    limit = step(
        "limit", Term(running.code, running.amount), Term("other_banks", -others.amount, op="-"),
        Term("guarantees", added.amount, op="+"), Term("cap", frame.cap, op="min"), Term("zero", ZERO, op="max"),
        Term("round_to", frame.round_to, op="floor"), role="limit",
    )  # fmt: skip
    return Calculation((*steps, others, most, added, limit))


def company_limit(figures: Company, frame: Frame) -> Calculation:
    """The lowest of the three methods, in its frame. Raises Missing without any year's cash flow."""
    methods = [
        *_net_assets(figures.equity, figures.intangibles, figures.net_asset_coefficient),
        *_cash_flow(figures.cash_flows, figures.cash_flow_multiple),
        *_working_capital(figures),
    ]
    return _frame(methods, frame)


def small_business_limit(figures: SmallBusiness, frame: Frame) -> Calculation:
    """The lower of net assets and a share of a year's sales."""
    sales = step(
        "sales_method", Term("sales", figures.sales, source="sales"),
        Term("sales_share", figures.sales_share, "percent", "*"), role="method",
    )  # fmt: skip
    methods = [*_net_assets(figures.equity, figures.intangibles, figures.net_asset_coefficient), sales]
    return _frame(methods, frame)


def personal_limit(figures: Person, frame: Frame) -> Calculation:
    """The lower of an income multiple and what the free part of the income pays off within the term."""
    income = step(
        "income_method", Term("monthly_income", figures.income, source="monthly_income"),
        Term("months_of_a_year", MONTHS, "number", "*"), Term("income_multiple", figures.multiple, "times", "*"),
        role="method",
    )  # fmt: skip
    capacity = step(
        "instalment_capacity", Term("monthly_income", figures.income, source="monthly_income"),
        Term("service_ratio", figures.service_ratio, "percent", "*"),
        Term("monthly_debt_service", figures.debt_service, op="-", source="monthly_debt_service"),
        Term("zero", ZERO, op="max"), role="detail",
    )  # fmt: skip
    monthly = step(
        "monthly_rate", Term("annual_rate", figures.annual_rate, "percent"),
        Term("months_of_a_year", MONTHS, "number", "/"), kind="number", role="detail",
    )  # fmt: skip
    annuity = step(
        "annuity", Term("monthly_rate", monthly.amount, "number"),
        Term("term_months", frame.term_months, "months", "annuity"), kind="number", role="detail",
    )  # fmt: skip
    service = step(
        "debt_service_method", Term("instalment_capacity", capacity.amount),
        Term("annuity", annuity.amount, "number", "*"), role="method",
    )  # fmt: skip
    return _frame([income, capacity, monthly, annuity, service], frame)


def household_limit(figures: Household, frame: Frame) -> Calculation:
    """The lower of a multiple of what a year leaves over and a share of what the household owns."""
    living = step(
        "living_costs", Term("household_members", figures.members, "number", source="household_members"),
        Term("member_living_costs", figures.living_costs, op="*"), role="detail",
    )  # fmt: skip
    net = step(
        "household_net_income", Term("household_income", figures.income, source="household_income"),
        Term("household_wages", figures.wages, op="+", source="household_wages"),
        Term("household_costs", figures.costs, op="-", source="household_costs"),
        Term("living_costs", living.amount, op="-"), Term("zero", ZERO, op="max"),
        role="detail",
    )  # fmt: skip
    income = step(
        "household_income_method", Term("household_net_income", net.amount),
        Term("income_multiple", figures.income_multiple, "times", "*"), role="method",
    )  # fmt: skip
    own = step(
        "household_net_assets", Term("household_assets", figures.assets, source="household_assets"),
        Term("household_debts", figures.debts, op="-", source="household_debts"), Term("zero", ZERO, op="max"),
        role="detail",
    )  # fmt: skip
    assets = step(
        "household_asset_method", Term("household_net_assets", own.amount),
        Term("asset_share", figures.asset_share, "percent", "*"), role="method",
    )  # fmt: skip
    return _frame([living, net, income, own, assets], frame)
