"""A line calculation from what is on record, with what-if; and the ones that were saved (C3, C11).

`reckon` is the one place where statements, collected information, guarantees, policies and engines meet. Page, print,
what-if and the service that saves call it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any

from credit_rating.collection import Collected
from credit_rating.engine import limits, pricing
from credit_rating.engine.ratios import RATIOS, compute_ratio
from credit_rating.engine.steps import ONE, ZERO, Step, as_data
from credit_rating.models import LineCalculation, Statement, credit_kind
from credit_rating.models.kinds import CreditKind
from credit_rating.policies import grades
from credit_rating.policies.haircuts import rule_of
from credit_rating.policies.methods import row_of, term_factor
from credit_rating.policies.pricing import funding_of, lpr_on
from credit_rating.selectors.collection import collected
from credit_rating.selectors.exposure import Concentration, concentration_of
from credit_rating.selectors.external import Elsewhere, elsewhere_of
from credit_rating.selectors.guarantees import GuaranteeRow, guarantees_of
from credit_rating.selectors.policies import Policy, policy_on
from credit_rating.selectors.statements import statements_of
from crm_site.lib.permissions import Actor
from customers.models import Customer

CASH_FLOW_YEARS = 3
_RATIO = {ratio.code: ratio for ratio in RATIOS}
_DAYS = ("inventory_days", "receivable_days", "payable_days", "prepaid_days", "advance_days")
# Inputs by kind: what is taken from the statements, computed from them, and collected.
_STATEMENT = {
    "corporate": ("equity", "intangible_assets", "sales"),
    "sme": ("equity", "intangible_assets", "sales"),
}
_RATIOS = {"corporate": ("sales_margin", *_DAYS)}
_COLLECTED = {
    "corporate": ("growth", "own_funds", "other_sources", "other_banks"), "sme": ("other_banks",),
    "personal": ("monthly_income", "monthly_debt_service", "other_banks"),
    "household": ("household_income", "household_costs", "household_wages", "household_members", "household_assets",
                  "household_debts", "other_banks"),
}  # fmt: skip
# Of these, what a method can do without: nothing is added for it.
OPTIONAL = frozenset({"intangible_assets", "prepaid_days", "advance_days"})


def needed_of(kind: str) -> frozenset[str]:
    """What the calculation of a kind cannot do without and an information form alone can tell (loans at other banks are
    in a credit report as well)."""
    return frozenset(_COLLECTED[kind]) - OPTIONAL - {"other_banks"}


PERCENT_INPUTS = frozenset({"growth", "sales_margin"})


@dataclass(frozen=True, slots=True)
class Input:
    """A figure that goes in: money, a fraction, days or persons. `source`: a code of words.SOURCES.

    `detail`: the year of a statement, the code of who said what was collected, how many banks a report names.
    """

    code: str
    value: Decimal
    source: str
    as_of: dt.date
    detail: str = ""


@dataclass(frozen=True, slots=True)
class WhatIf:
    """What is tried and never saved. None: as it is. `coefficients`: instead of those of the grade, by name."""

    collateral_type: str = ""
    collateral_value: Decimal = ZERO
    coefficients: Mapping[str, Decimal] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.coefficients) or (bool(self.collateral_type) and self.collateral_value > 0)


@dataclass(frozen=True, slots=True)
class Terms:
    """What is asked for. `discount`: a code of policies.pricing.DISCOUNTS."""

    grade: str
    term_months: int
    requested: Decimal
    discount: str = "none"


@dataclass(frozen=True, slots=True)
class Reckoning:
    """A calculation with all it was made of. `steps` is empty while inputs are missing or the grade gets no line."""

    customer: Customer
    kind: CreditKind
    day: dt.date
    terms: Terms
    inputs: list[Input]
    missing: list[str]
    refused: str
    policies: dict[str, Policy]
    steps: tuple[Step, ...]
    guarantees: list[GuaranteeRow]
    usable: Decimal
    tried: Decimal
    concentration: Concentration
    price: pricing.Price | None
    lpr_date: dt.date | None

    @property
    def limit(self) -> Decimal | None:
        return self.steps[-1].amount if self.steps else None

    def room(self, beside: Decimal) -> Decimal | None:
        """What the calculated limit leaves above what is asked for and all that the customer has `beside`
        (selectors.cases.asked_beside); negative: too much is asked."""
        return None if self.limit is None else self.limit - self.terms.requested - beside

    @property
    def covered(self) -> Decimal | None:
        """Usable guarantees over what is asked for."""
        return self.usable / self.terms.requested if self.terms.requested else None


def gather(
    actor: Actor, customer: Customer, report: Elsewhere | None
) -> tuple[list[Input], list[str], tuple[Decimal, ...]]:
    """(inputs, codes of those that are missing, operating cash flows oldest first) of what is on record and of the newest
    report of other banks."""
    kind = credit_kind(customer)
    statements = statements_of(actor, customer) if kind in _STATEMENT else []
    return inputs_of(kind, statements, collected(actor, customer), report)


def inputs_of(
    kind: CreditKind,
    statements: list[Statement],
    values: Mapping[str, Collected],
    report: Elsewhere | None,
) -> tuple[list[Input], list[str], tuple[Decimal, ...]]:
    """What `gather` returns, of statements (newest first), collected values and the newest report of other banks."""
    inputs, flows = _from_statements(kind, statements if kind in _STATEMENT else [])
    for code in _COLLECTED[kind]:
        v = values.get(code)
        if code == "other_banks" and report is not None and (v is None or report.report_date >= v.as_of):
            inputs.extend(told_by(report))
        elif v is not None:
            inputs.append(Input(code, v.number, "collected", v.as_of, v.source))
    known = {i.code for i in inputs}
    wanted = (*_STATEMENT.get(kind, ()), *_RATIOS.get(kind, ()), *_COLLECTED[kind])
    missing = [code for code in wanted if code not in known and code not in OPTIONAL]
    if kind == CreditKind.CORPORATE and not flows:
        missing.append("operating_cash_flow")
    return inputs, missing, flows


def told_by(report: Elsewhere) -> list[Input]:
    """Other banks by a report: it goes before what was collected of the same or an earlier day, and replaces it.

    Nothing while an amount cannot be converted: the figure is missing then, and the calculation says so.
    """
    if report.total is None:
        return []
    return [Input("other_banks", report.total, report.source, report.report_date, str(report.lenders))]


def _from_statements(kind: str, statements: list[Statement]) -> tuple[list[Input], tuple[Decimal, ...]]:
    if not statements:
        return [], ()
    newest = statements[0]
    figures = {s.year: s.amounts for s in statements}
    amounts, year = figures[newest.year], str(newest.year)
    found = [
        Input(code, amounts[code], "statement", newest.report_date, year)
        for code in _STATEMENT[kind]
        if code in amounts
    ]
    for code in _RATIOS.get(kind, ()):
        value = compute_ratio(_RATIO[code], figures, newest.year).value
        if value is not None:
            found.append(Input(code, value, "ratio", newest.report_date, year))
    recent = [s for s in statements if s.year > newest.year - CASH_FLOW_YEARS]
    flows = [s.amounts.get("operating_cash_flow") for s in reversed(recent)]
    return found, tuple(f for f in flows if f is not None)


def reckon(
    actor: Actor, customer: Customer, terms: Terms, *, day: dt.date, what_if: WhatIf | None = None
) -> Reckoning:
    """The calculation as of a day by the policies in force then."""
    basis = basis_of(actor, customer, terms, day)
    policies = policies_on(credit_kind(customer), day)
    return reckon_by(policies, customer, terms, basis, day=day, tried=what_if or WhatIf())


def basis_of(actor: Actor, customer: Customer, terms: Terms, day: dt.date) -> Basis:
    """What is on record of a customer for a calculation."""
    return Basis(
        gather(actor, customer, elsewhere_of(actor, customer, day)), guarantees_of(actor, customer, day=day),
        concentration_of(actor, customer, day=day, limit=terms.requested or None),
    )  # fmt: skip


def policies_on(kind: str, day: dt.date) -> dict[str, Policy]:
    """What a line of a kind is calculated by on a day."""
    return {s: policy_on(s, day, kind) for s in ("methods", "haircuts", "caps", "pricing", "grades")}


@dataclass(frozen=True, slots=True)
class Basis:
    """What a calculation is made of: (inputs, missing, cash flows), live guarantees, and what is at stake."""

    given: tuple[list[Input], list[str], tuple[Decimal, ...]]
    guarantees: list[GuaranteeRow]
    concentration: Concentration


def reckon_by(
    policies: dict[str, Policy],
    customer: Customer,
    terms: Terms,
    basis: Basis,
    *,
    day: dt.date,
    tried: WhatIf,
) -> Reckoning:
    """The calculation of what is given, by these policies. Reads nothing."""
    kind = credit_kind(customer)
    (inputs, missing, flows), rows = basis.given, basis.guarantees
    extra = _tried_collateral(policies["haircuts"], tried)
    usable = sum((r.usable.amount for r in rows), ZERO) + extra
    price, lpr_date = _price(policies, kind, terms, usable, day)
    row = row_of(policies["methods"].body, kind, terms.grade)
    steps: tuple[Step, ...] = ()
    refused = "" if row else "grade"
    if row is not None and not missing:
        frame = _frame(policies["methods"], row, kind, terms, usable, _amount(inputs, "other_banks"), tried)
        steps = _by_kind(kind, inputs, flows, {**row, **tried.coefficients}, policies, frame, price).steps
    return Reckoning(
        customer, kind, day, terms, inputs, missing, refused, policies, steps, rows, usable, extra,
        basis.concentration, price, lpr_date,
    )  # fmt: skip


def _tried_collateral(policy: Policy, tried: WhatIf) -> Decimal:
    if not tried.collateral_type:
        return ZERO
    rate, _months = rule_of(policy.body, tried.collateral_type)
    return (tried.collateral_value * rate).quantize(Decimal("0.01"))


def _amount(inputs: list[Input], code: str) -> Decimal:
    return next((i.value for i in inputs if i.code == code), ZERO)


def _frame(
    methods: Policy,
    row: Mapping[str, Any],
    kind: str,
    terms: Terms,
    usable: Decimal,
    others: Decimal,
    tried: WhatIf,
) -> limits.Frame:
    params = methods.body.params
    # A person's term is in the annuity already.
    factor = None if kind == CreditKind.PERSONAL else term_factor(methods.body, terms.term_months)
    return limits.Frame(
        cap=row["cap"], round_to=params["round_to"], other_banks=others, guarantee=usable,
        guarantee_share=tried.coefficients.get("guarantee_share_pct", params["guarantee_share_pct"]),
        guarantee_most=params["guarantee_most_pct"], term_months=Decimal(terms.term_months), term_factor=factor,
    )  # fmt: skip


def _by_kind(
    kind: str, inputs: list[Input], flows: tuple[Decimal, ...], row: Mapping[str, Any],
    policies: Mapping[str, Policy], frame: limits.Frame, price: pricing.Price | None,
) -> limits.Calculation:  # fmt: skip
    def of(code: str) -> Decimal:
        return _amount(inputs, code)

    if kind == CreditKind.CORPORATE:
        days = {code: of(code) for code in _DAYS}
        company = limits.Company(
            equity=of("equity"), intangibles=of("intangible_assets"), cash_flows=flows, sales=of("sales"),
            margin=of("sales_margin"), growth=of("growth"), own_funds=of("own_funds"),
            other_sources=of("other_sources"), net_asset_coefficient=row["net_asset_coefficient"],
            cash_flow_multiple=row["cash_flow_multiple"], **days,
        )  # fmt: skip
        return limits.company_limit(company, frame)
    if kind == CreditKind.SME:
        small = limits.SmallBusiness(
            of("equity"),
            of("intangible_assets"),
            of("sales"),
            row["net_asset_coefficient"],
            row["sales_share_pct"],
        )
        return limits.small_business_limit(small, frame)
    if kind == CreditKind.PERSONAL:
        rate = price.rate if price else ZERO
        person = limits.Person(
            of("monthly_income"),
            of("monthly_debt_service"),
            row["income_multiple"],
            row["service_ratio_pct"],
            rate,
        )
        return limits.personal_limit(person, frame)
    household = limits.Household(
        of("household_income"), of("household_costs"), of("household_wages"), of("household_members"),
        policies["methods"].body.params["living_costs"], of("household_assets"), of("household_debts"),
        row["income_multiple"], row["asset_share_pct"],
    )  # fmt: skip
    return limits.household_limit(household, frame)


def _price(
    policies: Mapping[str, Policy], kind: str, terms: Terms, usable: Decimal, day: dt.date
) -> tuple[pricing.Price | None, dt.date | None]:
    """The suggested rate; none for a grade that the scale lacks or before the first LPR that is known."""
    body = policies["pricing"].body
    lpr = lpr_on(body, day, terms.term_months)
    row = next(r for r in body.tables["kinds"] if r["kind"] == kind)
    discount = next((r["rate_pct"] for r in body.tables["discounts"] if r["code"] == terms.discount), ZERO)
    try:
        pd = grades.pd_of(policies["grades"].body, terms.grade)
    except KeyError:
        return None, None
    if lpr is None:
        return None, None
    secured = min(ONE, usable / terms.requested) if terms.requested else ZERO
    p = body.params
    parts = pricing.PriceParts(
        funding=funding_of(body, terms.term_months), pd=pd, lgd=p["lgd_pct"], lgd_secured=p["lgd_secured_pct"],
        secured=secured.quantize(Decimal("0.0001")), operating=row["operating_pct"], risk_weight=row["risk_weight_pct"],
        capital_ratio=p["capital_ratio_pct"], return_on_capital=p["return_pct"], margin=row["margin_pct"],
        discount=discount, floor=p["floor_pct"], lpr=lpr[0],
    )  # fmt: skip
    return pricing.suggested_rate(parts), lpr[1]


def moved_from(actor: Actor, found: Reckoning) -> Decimal | None:
    """The limit without the what-if of a reckoning."""
    return reckon(actor, found.customer, found.terms, day=found.day).limit


def as_content(found: Reckoning) -> dict[str, Any]:
    """Everything that the form shows, as the JSON that is saved and hashed; amounts as text."""
    c = found.concentration
    return {
        "customer": {"number": found.customer.number, "name": found.customer.name},
        "kind": str(found.kind), "as_of": found.day.isoformat(),
        "terms": {**asdict(found.terms), "requested": str(found.terms.requested)},
        "policies": {s: {"id": p.version.pk, "version": p.version.version} for s, p in found.policies.items()},
        "inputs": [
            {"code": i.code, "value": str(i.value), "source": i.source, "as_of": i.as_of.isoformat(), "detail": i.detail}
            for i in found.inputs
        ],
        "steps": as_data(found.steps),
        "limit": str(found.limit),
        "usable": str(found.usable),
        "guarantees": [_guarantee(r) for r in found.guarantees],
        "group": [
            {"customer": m.customer_id, "self": m.is_self, "lent": str(m.stake.lent), "credit": str(m.stake.credit),
             "after": str(m.after.credit)}
            for m in c.members
        ],
        "capital": {
            "as_of": c.capital.as_of.isoformat(), "net": str(c.capital.net_capital),
            "tier1": str(c.capital.tier1_net_capital),
        } if c.capital else None,
        "caps": [
            {"code": u.code, "amount": str(u.amount), "cap": str(u.cap), "pct": str(u.pct), "level": u.level}
            for u in c.uses
        ],
        "price": {
            "steps": as_data(found.price.steps), "lpr": str(found.price.lpr),
            "lpr_date": found.lpr_date.isoformat() if found.lpr_date else "",
        } if found.price else None,
    }  # fmt: skip


def _guarantee(row: GuaranteeRow) -> dict[str, Any]:
    return {
        "id": row.guarantee.pk, "kind": row.guarantee.kind, "name": row.name, "amount": str(row.guarantee.amount),
        "order": row.guarantee.lien_order, "valued": str(row.valued) if row.valued is not None else "",
        "valued_on": row.valued_on.isoformat() if row.valued_on else "", "valuer": row.valuer, "rate": str(row.rate),
        "before": str(row.before), "usable": str(row.usable.amount), "level": row.level,
        "share": str(row.commitment.share) if row.commitment and row.commitment.share is not None else "",
    }  # fmt: skip


def calculations_of(actor: Actor, customer: Customer) -> list[LineCalculation]:
    """Saved calculations, newest first."""
    found = LineCalculation.objects.visible_to(actor).filter(customer=customer).select_related("created_by")
    return list(found.defer("content")[:50])


def calculation(actor: Actor, calculation_id: int) -> LineCalculation:
    """One that was saved. Raises LineCalculation.DoesNotExist."""
    found = LineCalculation.objects.visible_to(actor).select_related("customer", "created_by")
    return found.get(pk=calculation_id)
