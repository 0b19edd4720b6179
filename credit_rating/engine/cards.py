"""Scoring one customer by a table of points: in plain decimals, without loading what development needs.

Expert cards and developed ones (credit_rating.engine.scorecard.Scorecard.as_json) have the same tables. A value that
is not known takes the points of its factor's missing bin; so does a category that no bin lists where none is "other".
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

ZERO = Decimal(0)
Value = Decimal | str | None


@dataclass(frozen=True, slots=True)
class CardBin:
    """`kind`: range (lower <= number < upper, None = open), values, special (codes), other or missing."""

    kind: str
    points: Decimal
    lower: Decimal | None = None
    upper: Decimal | None = None
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CardFactor:
    """`is_number`: its ordinary bins are ranges."""

    code: str
    is_number: bool
    bins: tuple[CardBin, ...]

    @property
    def most(self) -> Decimal:
        """The most points it can give."""
        return max(b.points for b in self.bins)

    def bin_of(self, value: Value) -> CardBin:
        """The bin of a value. Every value has one."""
        if value is None or value == "":
            return self._named("missing")
        for b in self.bins:
            if b.kind in ("values", "special") and any(_same(value, listed) for listed in b.values):
                return b
        if not self.is_number:
            return next((b for b in self.bins if b.kind == "other"), self._named("missing"))
        number = _number(value)
        if number is None:
            return self._named("missing")
        inside = (b for b in self.bins if b.kind == "range" and _holds(b, number))
        return next(inside, self._named("missing"))

    def _named(self, kind: str) -> CardBin:
        return next(b for b in self.bins if b.kind == kind)


def _number(value: Value) -> Decimal | None:
    try:
        found = Decimal(str(value))
    except ArithmeticError:
        return None
    return found if found.is_finite() else None


def _same(value: Value, listed: str) -> bool:
    if str(value) == listed:
        return True
    one, other = _number(value), _number(listed)
    return one is not None and one == other


def _holds(b: CardBin, number: Decimal) -> bool:
    return (b.lower is None or b.lower <= number) and (b.upper is None or number < b.upper)


@dataclass(frozen=True, slots=True)
class Odds:
    """`score` points at `odds` goods to one bad; `pdo` points double the odds."""

    score: Decimal
    odds: Decimal
    pdo: Decimal

    def probability(self, score: Decimal) -> Decimal:
        """Probability of being bad at a score, six decimals."""
        log_odds = math.log(self.odds) + float(score - self.score) * math.log(2) / float(self.pdo)
        return Decimal(1 / (1 + math.exp(log_odds))).quantize(Decimal("0.000001"))


@dataclass(frozen=True, slots=True)
class Card:
    """`scale` is there for a developed card: its points are log-odds; an expert's go from 0 to 100."""

    factors: tuple[CardFactor, ...]
    base: Decimal = ZERO
    scale: Odds | None = None

    @property
    def most(self) -> Decimal:
        return self.base + sum((f.most for f in self.factors), ZERO)

    def bins(self, values: Mapping[str, Value]) -> list[tuple[CardFactor, CardBin]]:
        """The bin of each factor; what `values` lacks is unknown."""
        return [(factor, factor.bin_of(values.get(factor.code))) for factor in self.factors]

    def score(self, values: Mapping[str, Value]) -> Decimal:
        return self.base + sum((b.points for _factor, b in self.bins(values)), ZERO)


def developed_card(data: Mapping[str, Any]) -> Card:
    """The card of a Scorecard.as_json document. Raises KeyError for a document of another shape."""
    scale = data["scale"]
    return Card(
        tuple(
            CardFactor(f["name"], bool(f["is_number"]), tuple(_bin(b) for b in f["bins"]))
            for f in data["factors"]
        ),
        _decimal(data["base"]),
        Odds(_decimal(scale["score"]), _decimal(scale["odds"]), _decimal(scale["pdo"])),
    )


def _bin(data: Mapping[str, Any]) -> CardBin:
    lower, upper = (None if data[end] is None else _decimal(data[end]) for end in ("lower", "upper"))
    return CardBin(data["kind"], _decimal(data["points"]), lower, upper, tuple(data["values"]))


def _decimal(number: float) -> Decimal:
    """The decimal that a float is written as: points and bounds are read, never computed, here."""
    return Decimal(repr(number))
