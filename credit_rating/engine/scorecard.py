"""A scorecard: tables of bins with points. Its development from a sample, and scoring from the tables alone.

Score = base + the points of each factor's bin. Points are the log-odds of being good on a scale: `score` points at
odds of `odds` goods to one bad, and `pdo` points double the odds (Siddiqi, Credit Risk Scorecards, 2006, ch. 6):
points = pdo / ln 2 x weight x evidence. So a bin as good as the sample has 0 points, and so has a value that the
sample told nothing about: it is neutral. Tables are data (`as_json`); scoring needs nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from credit_rating.engine.binning import Factor, bin_factor, honest_evidence, information_of
from credit_rating.engine.columns import Column
from crm_site.lib.modelling import Bools, Floats, Ints
from crm_site.lib.modelling.regression import logistic, score_gains, sigmoid

LEAST_INFORMATION = 0.005  # information value below which a factor is left out
MOST_CORRELATION = 0.95  # between the evidence of two factors; the one with less information is left out
LEAST_GAIN = 2.71  # chi square, one degree: 10 %; below it a further factor is not worth its place


@dataclass(frozen=True)
class Scale:
    """`score` points at `odds` goods to one bad; `pdo` points double the odds; points have `decimals`."""

    score: float = 600.0
    odds: float = 50.0
    pdo: float = 20.0
    decimals: int = 0

    @property
    def per_log_odds(self) -> float:
        return self.pdo / float(np.log(2))

    def score_of(self, log_odds: float) -> float:
        """Points of so many log-odds of being good."""
        return self.score + self.per_log_odds * (log_odds - float(np.log(self.odds)))

    def probability(self, scores: Floats) -> Floats:
        """Probability of being bad at each score."""
        return sigmoid(-(np.log(self.odds) + (np.asarray(scores, float) - self.score) / self.per_log_odds))


# A column with so much information tells the outcome nearly by itself: it was hardly known before (the outcome in other
# words, or what was done about it). What applicants tell seldom comes to 1.
TELLS_ALL = 3.0


@dataclass(frozen=True)
class Considered:
    """What became of a candidate factor: `reason` is empty when it was taken."""

    name: str
    iv: float
    reason: str


@dataclass(frozen=True)
class Scored:
    """Scores and probabilities of being bad (n,); per factor the position of its bin and its points (n, factors)."""

    scores: Floats
    probability: Floats
    places: Ints
    points: Floats


@dataclass(frozen=True)
class Scorecard:
    """Tables, base points and scale; `rows`, `bads` of the development sample."""

    factors: tuple[Factor, ...]
    base: float
    scale: Scale
    rows: int = 0
    bads: int = 0

    def score(self, values: Mapping[str, Any], size: int | None = None) -> Scored:
        """Score rows: `values` by factor name (n,), raw or as Column. A factor without values is unknown for all;
        then `size` is needed when no factor has any. Unknown, unseen: see binning."""
        given = [values.get(factor.name) for factor in self.factors]
        n = size if size is not None else next((len(v) for v in given if v is not None), 0)
        places = np.zeros((n, len(self.factors)), np.int64)
        points = np.zeros((n, len(self.factors)))
        for i, (factor, column) in enumerate(zip(self.factors, given, strict=True)):
            places[:, i] = factor.places(factor.column([None] * n if column is None else column))
            points[:, i] = np.array([b.points for b in factor.bins])[places[:, i]]
        scores = self.base + points.sum(axis=1)
        return Scored(scores, self.scale.probability(scores), places, points)

    def reasons(self, scored: Scored, top: int = 3) -> list[list[tuple[str, str, float]]]:
        """For each row the factors that cost it most: name, bin, points (below 0, lowest first)."""
        order = np.argsort(scored.points, axis=1, kind="stable")[:, :top]
        return [
            [
                (self.factors[i].name, self.factors[i].bins[scored.places[row, i]].label, float(points))
                for i in order[row].tolist()
                if (points := scored.points[row, i]) < 0
            ]
            for row in range(len(order))
        ]

    def as_json(self) -> dict[str, Any]:
        return {
            "factors": [factor.as_json() for factor in self.factors],
            "base": self.base,
            "scale": {
                "score": self.scale.score, "odds": self.scale.odds, "pdo": self.scale.pdo,
                "decimals": self.scale.decimals,
            },
            "rows": self.rows,
            "bads": self.bads,
        }  # fmt: skip

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Scorecard:
        """Raises KeyError or TypeError for a document of another shape."""
        return cls(
            tuple(Factor.from_json(factor) for factor in data["factors"]),
            float(data["base"]),
            Scale(**data["scale"]),
            int(data["rows"]),
            int(data["bads"]),
        )


@dataclass(frozen=True)
class Development:
    """A scorecard and what became of each candidate, most informative first."""

    card: Scorecard
    considered: tuple[Considered, ...]

    @property
    def suspects(self) -> list[str]:
        """Factors that tell the outcome nearly by themselves (TELLS_ALL)."""
        return [c.name for c in self.considered if not c.reason and c.iv >= TELLS_ALL]


def develop(
    columns: Mapping[str, Column],
    bad: Bools,
    *,
    max_factors: int | None = None,
    monotonic: bool = False,
    least_information: float = LEAST_INFORMATION,
    most_correlation: float = MOST_CORRELATION,
    scale: Scale | None = None,
) -> Development:
    """Develop a scorecard from columns (n,) and outcomes (n,).

    Factors are binned, weak ones and near doubles left out; with `max_factors` the rest enter one by one, the one
    that explains most of what is left first (Rao's score test); a factor whose weight would turn against its own
    evidence is left out. Raises ValueError when one of both outcomes is missing.
    """
    bad = np.asarray(bad, bool)
    if bad.all() or not bad.any():
        raise ValueError("both outcomes are needed to develop a scorecard")
    scale = scale or Scale()
    tables = [bin_factor(name, column, bad, monotonic=monotonic) for name, column in columns.items()]
    proofs = [-honest_evidence(table, columns[table.name], bad) for table in tables]
    tables = [
        replace(table, iv=information_of(-proof, bad)) for table, proof in zip(tables, proofs, strict=True)
    ]
    fate = dict.fromkeys(columns, "")
    kept = _worth(tables, proofs, fate, least_information, most_correlation)
    matrix = np.column_stack([proofs[i] for i in kept]) if kept else np.zeros((len(bad), 0))
    chosen, intercept, weights = _choose(matrix, bad, max_factors)
    for position, i in enumerate(kept):
        if position not in chosen:
            fate[tables[i].name] = "adds nothing beside the others"
    factors = [
        _with_points(tables[kept[position]], float(weight), scale)
        for position, weight in sorted(
            zip(chosen, weights, strict=True), key=lambda c: -tables[kept[c[0]]].iv
        )
    ]
    base = round(scale.score_of(-intercept), scale.decimals)
    card = Scorecard(tuple(factors), base, scale, len(bad), int(bad.sum()))
    considered = sorted((Considered(t.name, t.iv, fate[t.name]) for t in tables), key=lambda c: -c.iv)
    return Development(card, tuple(considered))


def _worth(
    tables: Sequence[Factor], proofs: Sequence[Floats], fate: dict[str, str], least: float, correlation: float
) -> list[int]:
    """Positions of the candidates that carry information of their own, most informative first."""
    kept: list[int] = []
    for i in sorted(range(len(tables)), key=lambda i: -tables[i].iv):
        if tables[i].iv < least or proofs[i].min() == proofs[i].max():
            fate[tables[i].name] = "too little information"
            continue
        double = next((j for j in kept if abs(np.corrcoef(proofs[i], proofs[j])[0, 1]) > correlation), None)
        if double is not None:
            fate[tables[i].name] = f"says the same as {tables[double].name}"
            continue
        kept.append(i)
    return kept


def _choose(matrix: Floats, bad: Bools, most: int | None) -> tuple[list[int], float, Floats]:
    """Columns taken, intercept and their weights, all positive."""
    chosen: list[int] = [] if most is not None else list(range(matrix.shape[1]))
    barred: set[int] = set()
    while most is not None and len(chosen) < most and len(chosen) + len(barred) < matrix.shape[1]:
        gains = score_gains(matrix, bad, chosen)
        gains[list(barred)] = 0.0
        best = int(np.argmax(gains))
        if gains[best] < LEAST_GAIN:
            break
        chosen.append(best)
        _intercept, weights = logistic(matrix[:, chosen], bad)
        turned = [chosen[i] for i in np.flatnonzero(weights <= 0)]
        barred.update(turned)
        chosen = [i for i in chosen if i not in barred]
    while True:
        intercept, weights = logistic(matrix[:, chosen], bad)
        if not chosen or weights.min() > 0:
            return chosen, intercept, weights
        del chosen[int(np.argmin(weights))]


def _with_points(table: Factor, weight: float, scale: Scale) -> Factor:
    bins = tuple(
        replace(b, points=round(scale.per_log_odds * weight * b.woe, scale.decimals) + 0.0)
        for b in table.bins
    )
    return replace(table, weight=weight, bins=bins)
