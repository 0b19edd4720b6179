"""A calculation that shows its work: each step is a row of terms, and its amount is what these terms come to.

`settle` is the only place where arithmetic happens, so that what is printed and what is decided cannot differ: a
reader with a pocket calculator gets the amount from the terms that the step shows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal, localcontext
from typing import Any

ZERO, ONE = Decimal(0), Decimal(1)
PRECISION = 50


@dataclass(frozen=True, slots=True)
class Term:
    """A figure of a formula. `op` stands before it: "" first, "+", "-", "*", "/" with the usual precedence, then
    "min", "max", "floor" and "ceil" (down or up to a multiple of it) on all that stands before, in their order.

    `kind`: money, percent (a fraction), times, days, months, number. `source`: the input it was taken from, "" for a
    figure of an earlier step or of the policy.
    """

    code: str
    value: Decimal
    kind: str = "money"
    op: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """A numbered line of the form. `role`: detail (leads up to a method), method, level (the running figure),
    change (added to it with its sign), limit (the result). `note`: a code of what to know about it."""

    code: str
    amount: Decimal
    terms: tuple[Term, ...]
    kind: str = "money"
    role: str = "level"
    note: str = ""


PLACES = {"money": 2, "percent": 6, "times": 6, "days": 2, "months": 0, "number": 8}


def settle(terms: Sequence[Term], kind: str = "money") -> Decimal:
    """What the terms come to, rounded half up to the places of `kind`. Raises ZeroDivisionError for a zero divisor.

    "annuity" takes the months in its term over the monthly rate before it: (1 - (1 + i)^-n) / i.
    """
    with localcontext() as context:
        context.prec = PRECISION
        total, product = ZERO, ZERO
        for term in terms:
            if term.op in ("", "+", "-"):
                total += product
                product = -term.value if term.op == "-" else term.value
            elif term.op == "*":
                product *= term.value
            elif term.op == "/":
                if not term.value:
                    raise ZeroDivisionError(term.code)
                product /= term.value
            else:
                total, product = ZERO, _over_all(term, total + product)
        places = ONE.scaleb(-PLACES[kind])
        return (total + product).quantize(places, ROUND_HALF_UP)


def _over_all(term: Term, before: Decimal) -> Decimal:
    if term.op == "min":
        return min(before, term.value)
    if term.op == "max":
        return max(before, term.value)
    if term.op in ("floor", "ceil"):
        rounding = ROUND_FLOOR if term.op == "floor" else ROUND_CEILING
        return (before / term.value).to_integral_value(rounding) * term.value
    if term.op == "annuity":
        return annuity_factor(before, int(term.value))
    raise ValueError(f"unknown operation {term.op!r}")


def annuity_factor(monthly_rate: Decimal, months: int) -> Decimal:
    """How many equal instalments, due at each month's end, a loan is worth today: (1 - (1 + i)^-n) / i; n at 0%."""
    if not monthly_rate:
        return Decimal(months)
    return (ONE - (ONE + monthly_rate) ** -months) / monthly_rate


def step(code: str, *terms: Term, kind: str = "money", role: str = "level", note: str = "") -> Step:
    """A step whose amount is what its terms come to."""
    return Step(code, settle(terms, kind), terms, kind, role, note)


def as_data(steps: Sequence[Step]) -> list[dict[str, Any]]:
    """Steps as JSON, figures as text."""
    return [
        {
            "code": s.code, "amount": str(s.amount), "kind": s.kind, "role": s.role, "note": s.note,
            "terms": [
                {"code": t.code, "value": str(t.value), "kind": t.kind, "op": t.op, "source": t.source}
                for t in s.terms
            ],
        }
        for s in steps
    ]  # fmt: skip


def from_data(rows: Sequence[Mapping[str, Any]]) -> list[Step]:
    """Steps that `as_data` has written."""
    return [
        Step(
            row["code"], Decimal(row["amount"]),
            tuple(Term(t["code"], Decimal(t["value"]), t["kind"], t["op"], t["source"]) for t in row["terms"]),
            row["kind"], row["role"], row["note"],
        )
        for row in rows
    ]  # fmt: skip
