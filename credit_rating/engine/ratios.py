"""Financial statements: their lines, whether they add up, and the ratios that credit is judged by (C3).

A statement is {item: amount} for one year. Items, sums and ratios are declared as data: a ratio shows its formula and
says why it cannot be computed. Turnover days follow the annex of 《流动资金贷款管理暂行办法》(银监会, 2010): 360 days,
averages of the year's beginning and end; receivables and advances over sales, the others over cost of sales.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, localcontext

from credit_rating.engine.steps import ONE, ZERO

Figures = Mapping[str, Decimal]

BALANCE, INCOME, CASH = "balance", "income", "cash_flow"
ITEMS: dict[str, tuple[str, ...]] = {
    BALANCE: (
        "cash", "receivables", "prepayments", "inventory", "other_current_assets", "current_assets",
        "fixed_assets", "intangible_assets", "other_noncurrent_assets", "total_assets",
        "short_term_loans", "payables", "advances", "other_current_liabilities", "current_liabilities",
        "long_term_loans", "other_noncurrent_liabilities", "total_liabilities",
        "paid_in_capital", "retained_earnings", "other_equity", "equity",
    ),
    INCOME: (
        "sales", "cost_of_sales", "operating_expenses", "interest_expense", "other_income", "profit_before_tax",
        "income_tax", "net_profit",
    ),
    CASH: ("operating_cash_flow", "investing_cash_flow", "financing_cash_flow", "net_cash_change"),
}  # fmt: skip
ALL_ITEMS = tuple(item for items in ITEMS.values() for item in items)

# Sum -> what it is made of, with signs. Checked when the sum and all of its parts are given.
SUMS: dict[str, tuple[tuple[int, str], ...]] = {
    "current_assets": ((1, "cash"), (1, "receivables"), (1, "prepayments"), (1, "inventory"),
                       (1, "other_current_assets")),
    "total_assets": ((1, "current_assets"), (1, "fixed_assets"), (1, "intangible_assets"),
                     (1, "other_noncurrent_assets")),
    "current_liabilities": ((1, "short_term_loans"), (1, "payables"), (1, "advances"),
                            (1, "other_current_liabilities")),
    "total_liabilities": ((1, "current_liabilities"), (1, "long_term_loans"),
                          (1, "other_noncurrent_liabilities")),
    "equity": ((1, "paid_in_capital"), (1, "retained_earnings"), (1, "other_equity")),
    "profit_before_tax": ((1, "sales"), (-1, "cost_of_sales"), (-1, "operating_expenses"),
                          (-1, "interest_expense"), (1, "other_income")),
    "net_profit": ((1, "profit_before_tax"), (-1, "income_tax")),
    "net_cash_change": ((1, "operating_cash_flow"), (1, "investing_cash_flow"), (1, "financing_cash_flow")),
}  # fmt: skip
TOTALS = tuple(SUMS)
# What must not jump from one year to the next without a word about it.
WATCHED = ("sales", "receivables", "inventory", "total_assets", "total_liabilities", "equity", "net_profit")


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a year's statement. `code`: balance, sum, cash_bridge (they must be mended) or jump (is to be
    explained). `expected`: what it should be; `given`: what it says; `change`: relative change of a jump."""

    code: str
    year: int
    item: str
    given: Decimal
    expected: Decimal
    change: Decimal | None = None

    @property
    def is_error(self) -> bool:
        return self.code != "jump"


def check_statements(
    years: Mapping[int, Figures], *, jump: Decimal = Decimal("0.5"), tolerance: Decimal = ONE
) -> list[Fault]:
    """Faults of statements by year, oldest first. A difference within `tolerance` (rounding) is none."""
    faults: list[Fault] = []
    ordered = sorted(years)
    for year in ordered:
        faults += _adds_up(year, years[year], tolerance)
        before = years.get(year - 1)
        if before is not None:
            faults += _against(year, years[year], before, jump, tolerance)
    return faults


def _adds_up(year: int, figures: Figures, tolerance: Decimal) -> Iterator[Fault]:
    for item, parts in SUMS.items():
        if item in figures and all(part in figures for _sign, part in parts):
            expected = sum((sign * figures[part] for sign, part in parts), ZERO)
            if abs(expected - figures[item]) > tolerance:
                yield Fault("sum", year, item, figures[item], expected)
    if {"total_assets", "total_liabilities", "equity"} <= figures.keys():
        expected = figures["total_liabilities"] + figures["equity"]
        if abs(expected - figures["total_assets"]) > tolerance:
            yield Fault("balance", year, "total_assets", figures["total_assets"], expected)


def _against(
    year: int, figures: Figures, before: Figures, jump: Decimal, tolerance: Decimal
) -> Iterator[Fault]:
    if {"cash", "net_cash_change"} <= figures.keys() and "cash" in before:
        expected = before["cash"] + figures["net_cash_change"]
        if abs(expected - figures["cash"]) > tolerance:
            yield Fault("cash_bridge", year, "cash", figures["cash"], expected)
    for item in WATCHED:
        old, new = before.get(item), figures.get(item)
        if old and new is not None and abs(new - old) > abs(old) * jump:
            yield Fault("jump", year, item, new, old, (new - old) / abs(old))


@dataclass(frozen=True, slots=True)
class Part:
    """An item in a formula. `basis`: year, average (of the year's beginning and end), before, first (of three)."""

    item: str
    sign: int = 1
    basis: str = "year"


@dataclass(frozen=True, slots=True)
class Ratio:
    """`factor` × numerator ÷ denominator − `less`. `kind`: percent, times, days. `root`: years of a compound growth.

    `higher_is_better` None: neither.
    """

    code: str
    kind: str
    numerator: tuple[Part, ...]
    denominator: tuple[Part, ...]
    factor: Decimal = ONE
    less: Decimal = ZERO
    root: int = 1
    higher_is_better: bool | None = True


def _p(*items: str, basis: str = "year") -> tuple[Part, ...]:
    return tuple(Part(i.lstrip("-"), -1 if i.startswith("-") else 1, basis) for i in items)


DAYS = Decimal(360)
RATIOS: tuple[Ratio, ...] = (
    Ratio("debt_ratio", "percent", _p("total_liabilities"), _p("total_assets"), higher_is_better=False),
    Ratio("current_ratio", "times", _p("current_assets"), _p("current_liabilities")),
    Ratio("quick_ratio", "times", _p("current_assets", "-inventory", "-prepayments"), _p("current_liabilities")),
    Ratio("roe", "percent", _p("net_profit"), _p("equity", basis="average")),
    Ratio("roa", "percent", _p("net_profit"), _p("total_assets", basis="average")),
    Ratio("sales_margin", "percent", _p("profit_before_tax"), _p("sales")),
    Ratio("cash_to_debt", "percent", _p("operating_cash_flow"), _p("total_liabilities")),
    Ratio("interest_cover", "times", _p("profit_before_tax", "interest_expense"), _p("interest_expense")),
    Ratio("sales_growth", "percent", _p("sales"), _p("sales", basis="before"), less=ONE),
    Ratio("sales_cagr", "percent", _p("sales"), _p("sales", basis="first"), less=ONE, root=2),
    Ratio("inventory_days", "days", _p("inventory", basis="average"), _p("cost_of_sales"), DAYS,
          higher_is_better=False),
    Ratio("receivable_days", "days", _p("receivables", basis="average"), _p("sales"), DAYS,
          higher_is_better=False),
    Ratio("payable_days", "days", _p("payables", basis="average"), _p("cost_of_sales"), DAYS,
          higher_is_better=None),
    Ratio("prepaid_days", "days", _p("prepayments", basis="average"), _p("cost_of_sales"), DAYS,
          higher_is_better=False),
    Ratio("advance_days", "days", _p("advances", basis="average"), _p("sales"), DAYS, higher_is_better=None),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class RatioValue:
    """A ratio of a year: `value`, or None with `reason` (missing, no_year_before, zero, negative) and the `items` it is
    about. `closing_only`: the average had to be taken from the year's end alone."""

    ratio: Ratio
    value: Decimal | None
    reason: str = ""
    items: tuple[str, ...] = ()
    closing_only: bool = False
    numerator: Decimal | None = None
    denominator: Decimal | None = None


class _Absent(ValueError):
    def __init__(self, reason: str, items: Sequence[str]) -> None:
        super().__init__(reason)
        self.reason, self.items = reason, tuple(items)


def compute_ratio(ratio: Ratio, years: Mapping[int, Figures], year: int) -> RatioValue:
    """One ratio of a year."""
    closing_only = _lacks_opening(ratio, years, year)
    try:
        above = _sum(ratio.numerator, years, year)
        below = _sum(ratio.denominator, years, year)
    except _Absent as absent:
        return RatioValue(ratio, None, absent.reason, absent.items)
    named = tuple(part.item for part in ratio.denominator)
    if not below:
        return RatioValue(ratio, None, "zero", named, numerator=above, denominator=below)
    # Over a negative base (equity eaten up by losses) a quotient would read as a good one.
    if below < 0 or (ratio.root > 1 and above < 0):
        return RatioValue(ratio, None, "negative", named, numerator=above, denominator=below)
    with localcontext() as context:
        context.prec = 40
        quotient = ratio.factor * above / below
        if ratio.root > 1:
            quotient = quotient ** (ONE / ratio.root)
        places = Decimal("0.01") if ratio.kind == "days" else Decimal("0.0001")
        value = (quotient - ratio.less).quantize(places, ROUND_HALF_UP)
    return RatioValue(ratio, value, closing_only=closing_only, numerator=above, denominator=below)


def compute_ratios(years: Mapping[int, Figures], year: int) -> list[RatioValue]:
    """Every ratio of a year, in the order of the form."""
    return [compute_ratio(ratio, years, year) for ratio in RATIOS]


def _lacks_opening(ratio: Ratio, years: Mapping[int, Figures], year: int) -> bool:
    averaged = [p.item for p in (*ratio.numerator, *ratio.denominator) if p.basis == "average"]
    return any(item not in years.get(year - 1, {}) for item in averaged)


def _sum(parts: Sequence[Part], years: Mapping[int, Figures], year: int) -> Decimal:
    missing = [p.item for p in parts if p.item not in years.get(_year_of(p, year), {})]
    if missing:
        wanted = {_year_of(p, year) for p in parts}
        raise _Absent("missing" if wanted == {year} else "no_year_before", missing)
    return sum((p.sign * _value(p, years, year) for p in parts), ZERO)


def _year_of(part: Part, year: int) -> int:
    return {"before": year - 1, "first": year - 2}.get(part.basis, year)


def _value(part: Part, years: Mapping[int, Figures], year: int) -> Decimal:
    closing = years[_year_of(part, year)][part.item]
    opening = years.get(year - 1, {}).get(part.item) if part.basis == "average" else None
    return closing if opening is None else (opening + closing) / 2
