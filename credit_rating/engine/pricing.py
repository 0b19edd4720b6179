"""What a loan must earn (C11): a rate put together from its parts, as LPR ± basis points, and annualised.

Annualisation: 中国人民银行公告〔2021〕第3号: the yearly rate is what the borrower pays over the principal he really has the
use of; by compound interest (internal rate of return) or simple interest. Both are given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, localcontext

from credit_rating.engine.steps import ONE, ZERO, Step, Term, step

BASIS = Decimal(10_000)


@dataclass(frozen=True, slots=True)
class PriceParts:
    """Fractions of the loan a year. `pd`: one-year probability of default; `lgd`: loss given default of what is
    unsecured; `secured`: part of the limit that guarantees cover, with its own `lgd_secured`."""

    funding: Decimal
    pd: Decimal
    lgd: Decimal
    lgd_secured: Decimal
    secured: Decimal
    operating: Decimal
    risk_weight: Decimal
    capital_ratio: Decimal
    return_on_capital: Decimal
    margin: Decimal
    discount: Decimal
    floor: Decimal
    lpr: Decimal


@dataclass(frozen=True, slots=True)
class Price:
    """The steps and the rate, a fraction a year to the basis point."""

    steps: tuple[Step, ...]
    lpr: Decimal

    @property
    def rate(self) -> Decimal:
        return self.steps[-1].amount

    @property
    def lpr_bp(self) -> int:
        """Basis points above (or below) LPR."""
        return int((self.rate - self.lpr) * BASIS)


def suggested_rate(p: PriceParts) -> Price:
    """Funding + expected loss + operating cost + capital charge + margin − discount, not below the policy's floor,
    rounded up to a basis point: the bank does not lend below its own price."""
    lgd = step(
        "mixed_lgd", Term("lgd_secured", p.lgd_secured, "percent"), Term("secured_part", p.secured, "percent", "*"),
        Term("lgd", p.lgd, "percent", "+"), Term("unsecured_part", ONE - p.secured, "percent", "*"),
        kind="percent", role="detail",
    )  # fmt: skip
    loss = step(
        "expected_loss", Term("pd", p.pd, "percent"), Term("mixed_lgd", lgd.amount, "percent", "*"),
        kind="percent", role="change",
    )  # fmt: skip
    capital = step(
        "capital_charge", Term("risk_weight", p.risk_weight, "percent"),
        Term("capital_ratio", p.capital_ratio, "percent", "*"),
        Term("return_on_capital", p.return_on_capital, "percent", "*"), kind="percent", role="change",
    )  # fmt: skip
    funding = step("funding", Term("funding", p.funding, "percent"), kind="percent", role="change")
    operating = step("operating", Term("operating", p.operating, "percent"), kind="percent", role="change")
    margin = step("margin", Term("margin", p.margin, "percent"), kind="percent", role="change")
    discount = step("discount", Term("discount", p.discount, "percent", "-"), kind="percent", role="change")
    parts = (funding, loss, operating, capital, margin)
    terms = [Term(part.code, part.amount, "percent", "+" if i else "") for i, part in enumerate(parts)] + [
        Term("discount", -discount.amount, "percent", "-"),
        Term("floor_rate", p.floor, "percent", "max"),
    ]
    raw = step("full_cost", *terms, kind="percent", role="level")
    rate = step(
        "rate", Term("full_cost", raw.amount, "percent"), Term("basis_point", ONE / BASIS, "percent", "ceil"),
        kind="percent", role="limit",
    )  # fmt: skip
    return Price((funding, lgd, loss, operating, capital, margin, discount, raw, rate), p.lpr)


@dataclass(frozen=True, slots=True)
class AskedRate:
    """The rate that a case asks for beside its calculation's: fractions a year, None where there is none."""

    asked: Decimal | None
    suggested: Decimal | None = None
    floor: Decimal | None = None

    @property
    def is_below_floor(self) -> bool:
        return self.asked is not None and self.floor is not None and self.asked < self.floor

    @property
    def is_below(self) -> bool:
        """Below the suggested rate, or below the policy's lowest."""
        return self.is_below_floor or (
            self.asked is not None and self.suggested is not None and self.asked < self.suggested
        )


def asked_rate(asked: Decimal | None, suggested: Decimal | None, steps: Sequence[Step]) -> AskedRate:
    """`steps`: those of the calculation's price, empty without one."""
    floor = next((t.value for s in steps for t in s.terms if t.code == "floor_rate"), None)
    return AskedRate(asked, suggested, floor)


def instalments(principal: Decimal, annual_rate: Decimal, months: int) -> list[Decimal]:
    """Equal monthly instalments (等额本息), to the cent; the last settles the rest."""
    cent = Decimal("0.01")
    rate = annual_rate / 12
    with localcontext() as context:
        context.prec = 40
        level = principal / months if not rate else principal * rate / (ONE - (ONE + rate) ** -months)
        level = level.quantize(cent, ROUND_HALF_UP)
        left, paid = principal, []
        for number in range(1, months + 1):
            interest = (left * rate).quantize(cent, ROUND_HALF_UP)
            payment = left + interest if number == months else level
            left -= payment - interest
            paid.append(payment)
    return paid


def periodic_rate(principal: Decimal, payments: Sequence[Decimal]) -> Decimal:
    """Internal rate of return a period: the rate at which the payments are worth the principal.

    Raises ValueError when the payments do not return the principal (no rate of 0 or more does it).
    """
    if principal <= 0 or sum(payments, ZERO) < principal:
        raise ValueError("the payments do not return the principal")
    low, high = 0.0, 1.0
    flows = [float(p) for p in payments]
    target = float(principal)

    def worth(rate: float) -> float:
        value = 0.0
        for payment in reversed(flows):
            value = (value + payment) / (1 + rate)
        return value

    while worth(high) > target:
        high *= 2
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if worth(middle) > target else (low, middle)
    return Decimal(repr((low + high) / 2))


def annualised(principal: Decimal, payments: Sequence[Decimal], periods: int = 12) -> tuple[Decimal, Decimal]:
    """(compound, simple) yearly rate of a loan repaid in equal periods, fractions to six decimals."""
    rate = periodic_rate(principal, payments)
    places = Decimal("0.000001")
    compound = ((ONE + rate) ** periods - ONE).quantize(places, ROUND_HALF_UP)
    return compound, (rate * periods).quantize(places, ROUND_HALF_UP)
