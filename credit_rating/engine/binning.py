"""Factors cut into bins, and what each bin says: counts, weight of evidence, information value.

Weight of evidence of a bin = ln(share of the goods in it / share of the bads in it): above 0 it is safer than the
sample, below 0 riskier. Information value = the sum over bins of (share of goods - share of bads) x weight of
evidence: under 0.02 a factor says next to nothing, above 0.3 much (Siddiqi, Credit Risk Scorecards, 2006, ch. 6).
Optimal binning: Navas-Palencia, Optimal binning: mathematical programming formulation, 2020 (optbinning).

What is no ordinary value has bins of its own: unknown values, special codes (-9, 999, words between numbers), rare
and unseen categories. Where such a bin holds too few cases to say anything, its evidence is 0: it is neutral.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from sklearn.tree import DecisionTreeClassifier

from credit_rating.engine.columns import Column, number_column, text_column, text_of
from crm_site.lib.modelling import Bools, Floats, Ints

MOST_PREBINS = 20  # among which the optimum is sought
MOST_BINS = 12
LEAST_SHARE = 0.025  # of the sample in an ordinary bin
LEAST_CASES = 20  # in a bin that is neither a range nor a group of categories, and of a category of its own
PSEUDO_CASES = 10.0  # at the sample's own rate, added to each bin: small bins say less
PENALTY = (
    2.0  # x ln(cases) for each further bin that a turn of the trend costs (twice the Bayesian criterion)
)
MOST_CODES = 5
MANY_CATEGORIES = 10
PARTS = 3
# Numbers that files use to say why there is no number.
LOW_CODES = frozenset(
    float(-c) for c in (*range(1, 10), 88, 98, 99, 888, 998, 999, 9998, 9999, 99999, 999999)
)
HIGH_CODES = frozenset(
    float(c) for d in (2, 3, 4, 5, 6, 7, 8) for c in range(10**d - 4, 10**d)
)  # 96 … 99, 996 … 999, …
APART = 3.0  # a high code is so many times the largest ordinary value


@dataclass(frozen=True)
class Bin:
    """One row of a factor's table.

    `kind`: range (lower <= number < upper, None = open), values (the categories listed), special (the code or word
    listed), other (categories rare or unseen), missing. `count`, `bad`: development cases; `woe` as above;
    `points` what it adds to the score.
    """

    kind: str
    lower: float | None = None
    upper: float | None = None
    values: tuple[str, ...] = ()
    count: int = 0
    bad: int = 0
    woe: float = 0.0
    points: float = 0.0

    @property
    def label(self) -> str:
        """The bin as tables show it."""
        if self.kind == "range":
            low = "-∞" if self.lower is None else f"{self.lower:g}"
            return f"[{low}, {'∞' if self.upper is None else f'{self.upper:g}'})"
        return {"missing": "missing", "other": "other"}.get(self.kind) or ", ".join(self.values)

    @property
    def bad_rate(self) -> float:
        return self.bad / self.count if self.count else float("nan")

    def as_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind, "lower": self.lower, "upper": self.upper, "values": list(self.values),
            "count": self.count, "bad": self.bad, "woe": self.woe, "points": self.points,
        }  # fmt: skip

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Bin:
        return cls(**{**data, "values": tuple(data["values"])})


@dataclass(frozen=True)
class Factor:
    """A factor's table. `is_number`: its bins are ranges; `iv` information value; `trend` of the evidence over
    ranges: "rising" (safer as the number rises), "falling" or "" for neither; `weight`: its coefficient."""

    name: str
    is_number: bool
    bins: tuple[Bin, ...]
    iv: float = 0.0
    weight: float = 1.0

    @property
    def trend(self) -> str:
        steps = np.diff([b.woe for b in self.bins if b.kind == "range"])
        if not len(steps) or (steps == 0).all():
            return ""
        return "rising" if (steps >= 0).all() else "falling" if (steps <= 0).all() else ""

    def column(self, values: Any) -> Column:
        """Raw values as this factor reads them."""
        if isinstance(values, Column):
            return values
        return number_column(values) if self.is_number else text_column(values)

    def places(self, column: Column) -> Ints:
        """The position of each value's bin (n,). Every value has one."""
        at = {b.kind: i for i, b in enumerate(self.bins)}
        special = {value: i for i, b in enumerate(self.bins) if b.kind == "special" for value in b.values}
        if column.numbers is None:
            words = {value: i for i, b in enumerate(self.bins) if b.kind == "values" for value in b.values}
            words[""] = at["missing"]
            return np.asarray(pd.Series(column.words()).map(words).fillna(at["other"]), np.int64)
        edges = [b.upper for b in self.bins if b.kind == "range" and b.upper is not None]
        places = np.searchsorted(np.asarray(edges, float), column.numbers, side="right")
        for value, place in special.items():
            code = number_column([value]).numbers
            if code is not None and not np.isnan(code[0]):
                places[column.numbers == code[0]] = place
        unknown = np.isnan(column.numbers)
        if unknown.any():
            places[unknown] = at["missing"]
            if column.texts is not None:
                words = {value: place for value, place in special.items() if value}
                found = pd.Series(column.texts[unknown]).map(words).fillna(at["missing"])
                places[unknown] = np.asarray(found, np.int64)
        return places.astype(np.int64)

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name, "is_number": self.is_number, "iv": self.iv, "weight": self.weight,
            "bins": [b.as_json() for b in self.bins],
        }  # fmt: skip

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Factor:
        return cls(**{**data, "bins": tuple(Bin.from_json(b) for b in data["bins"])})


def weight_of_evidence(bad: Floats, count: Floats, pseudo: float = 0.0) -> Floats:
    """ln((goods of the bin / all goods) / (bads of the bin / all bads)), with `pseudo` cases at the sample's own
    rate added to each bin. Empty bins and bins that lack one outcome without pseudo cases: 0."""
    rate = bad.sum() / max(count.sum(), 1)
    bads, goods = bad + pseudo * rate, (count - bad) + pseudo * (1 - rate)
    with np.errstate(divide="ignore", invalid="ignore"):
        woe = np.log(goods / bads) - np.log((1 - rate) / rate)
    return np.where(np.isfinite(woe), woe, 0.0)


def tally(places: Ints, size: int, of: Bools | None = None) -> Floats:
    """Cases at each place (size,), or of them those in `of`."""
    return np.bincount(places, of, minlength=size).astype(float)


def information_value(bad: Floats, count: Floats, woe: Floats) -> float:
    """Sum over bins of (share of goods - share of bads) x weight of evidence."""
    good = count - bad
    if not bad.sum() or not good.sum():
        return 0.0
    return float(((good / good.sum() - bad / bad.sum()) * woe).sum())


def optimal_cuts(numbers: Floats, bad: Bools, *, size: int, monotonic: bool) -> list[float]:
    """Bounds between ranges that hold the most information, each with at least LEAST_SHARE of `size` cases; with
    `monotonic` the share of bads only rises or only falls over them."""
    if len(numbers) < 2 * LEAST_CASES or bad.all() or not bad.any() or numbers.min() == numbers.max():
        return []
    from optbinning import OptimalBinning  # heavy: where a model is developed only

    share = max(LEAST_SHARE * size, LEAST_CASES) / len(numbers)
    if share >= 0.5:
        return []
    found = OptimalBinning(
        dtype="numerical", max_n_prebins=MOST_PREBINS, min_prebin_size=share, max_n_bins=MOST_BINS,
        monotonic_trend="auto_asc_desc" if monotonic else None, time_limit=20, random_state=0,
    ).fit(numbers, bad.astype(np.int64))  # fmt: skip
    return [float(cut) for cut in found.splits] or _pure_cut(numbers, bad, least=share)


def _pure_cut(numbers: Floats, bad: Bools, *, least: float) -> list[float]:
    """The one bound that parts off cases of one outcome alone; [] where there is none. optbinning joins every bin
    that lacks an outcome to its neighbour, so that a flag which no bad (or no good) case carries would say nothing."""
    stump = DecisionTreeClassifier(max_leaf_nodes=2, min_samples_leaf=least, random_state=0)
    tree = stump.fit(numbers[:, None], bad).tree_
    if tree.node_count < 3 or tree.value[1:, 0].min() > 0:
        return []
    return [float(tree.threshold[0])]


def special_numbers(numbers: Floats) -> list[float]:
    """Codes among numbers that mean no number: customary ones that stand apart from all ordinary values. Negative
    ones where no other value is negative; high ones far above the largest other."""
    known = numbers[~np.isnan(numbers)]
    values, counts = np.unique(known, return_counts=True)
    often = dict(zip(values.tolist(), counts.tolist(), strict=True))
    below = values[values < 0].tolist()
    codes = (
        below if len(below) <= MOST_CODES and LOW_CODES.issuperset(below) and len(below) < len(values) else []
    )
    rest = [v for v in values.tolist() if v not in codes]
    high: list[float] = []
    while len(rest) > 1 and len(high) < MOST_CODES and rest[-1] in HIGH_CODES:
        high.append(rest.pop())
    while high and not (rest[-1] > 0 and high[-1] > APART * rest[-1]):
        rest.append(high.pop())
    return sorted(code for code in (*codes, *high) if often[code] >= 2)


def bin_factor(name: str, column: Column, bad: Bools, *, monotonic: bool = False) -> Factor:
    """The table of a factor, with counts, evidence and information value; weight 1, no points yet.

    The evidence over ranges of numbers has one trend; a turn is believed only where `monotonic` does not forbid it
    and the likelihood it gains pays for its bins (Schwarz, Estimating the dimension of a model, 1978).
    """
    if column.numbers is None:
        return _count(Factor(name, False, tuple(_text_bins(column, bad))), column, bad)
    ordinary, rest = _number_bins(column)
    numbers, bads = column.numbers[ordinary], bad[ordinary]

    def table(one_trend: bool) -> Factor:
        cuts = [None, *optimal_cuts(numbers, bads, size=len(bad), monotonic=one_trend), None]
        ranges = [Bin("range", low, high) for low, high in itertools.pairwise(cuts)]
        return _count(Factor(name, True, (*ranges, *rest)), column, bad)

    factor = table(True)
    while (pair := _against_trend(factor)) is not None:  # what smoothing turned
        joined = replace(factor.bins[pair], upper=factor.bins[pair + 1].upper)
        factor = _count(
            replace(factor, bins=(*factor.bins[:pair], joined, *factor.bins[pair + 2 :])), column, bad
        )
    price = PENALTY * np.log(max(len(bad), 2))
    if monotonic or 2 * (_finest(numbers, bads, len(bad)) - _likelihood(factor)) <= price:
        return factor
    turning = table(False)
    more = max(len(turning.bins) - len(factor.bins), 1)
    return turning if 2 * (_likelihood(turning) - _likelihood(factor)) > price * more else factor


def _likelihood(factor: Factor) -> float:
    """Log-likelihood of the cases in ranges at the ranges' own rates."""
    ranges = [b for b in factor.bins if b.kind == "range"]
    return _binomial(np.array([b.bad for b in ranges], float), np.array([b.count for b in ranges], float))


def _binomial(bad: Floats, count: Floats) -> float:
    rate = np.clip(bad / np.maximum(count, 1), 1e-9, 1 - 1e-9)
    return float((bad * np.log(rate) + (count - bad) * np.log(1 - rate)).sum())


def _finest(numbers: Floats, bad: Bools, size: int) -> float:
    """Log-likelihood that no binning can pass: that of the pre-bins which every binning joins."""
    if len(numbers) < 2 * LEAST_CASES:
        return float("-inf")
    least = int(np.ceil(max(LEAST_SHARE * size, LEAST_CASES)))
    tree = DecisionTreeClassifier(max_leaf_nodes=MOST_PREBINS, min_samples_leaf=least, random_state=0)
    leaves = tree.fit(numbers[:, None], bad).apply(numbers[:, None])
    return _binomial(tally(leaves, 0, bad), tally(leaves, 0))


def _number_bins(column: Column) -> tuple[Bools, list[Bin]]:
    """Which values are ordinary numbers, and the bins of all others."""
    numbers = column.numbers
    if numbers is None:
        raise TypeError("not a column of numbers")
    codes = special_numbers(numbers)
    words = [] if column.texts is None else sorted(set(column.texts) - {""})
    rest = [Bin("special", values=(text_of(code),)) for code in codes]
    rest += [Bin("special", values=(word,)) for word in words]
    return ~np.isnan(numbers) & ~np.isin(numbers, codes), [*rest, Bin("missing")]


def _text_bins(column: Column, bad: Bools) -> list[Bin]:
    """Categories of like evidence together, riskiest first; rare ones in one bin with those never seen."""
    codes, names = pd.factorize(column.words())
    count = tally(codes, len(names))
    own = (count >= LEAST_CASES) & np.array([name != "" for name in names], bool)
    rate = (tally(codes, len(names), bad) + PSEUDO_CASES * bad.mean()) / (count + PSEUDO_CASES)
    rank = -rate  # ordered from risky to safe
    rows = own[codes]
    cuts = optimal_cuts(rank[codes][rows], bad[rows], size=len(bad), monotonic=False)
    group = np.searchsorted(np.asarray(cuts, float), rank, side="right")
    grouped = [
        tuple(str(names[i]) for i in np.flatnonzero(own & (group == g))[np.argsort(rank[own & (group == g)])])
        for g in range(len(cuts) + 1)
    ]
    return [*(Bin("values", values=values) for values in grouped if values), Bin("other"), Bin("missing")]


def _count(factor: Factor, column: Column, bad: Bools) -> Factor:
    """Fill in cases, evidence and information value."""
    places = factor.places(column)
    size = len(factor.bins)
    count, bads = tally(places, size), tally(places, size, bad)
    woe = weight_of_evidence(bads, count, PSEUDO_CASES)
    few = np.array([b.kind not in ("range", "values") for b in factor.bins]) & (count < LEAST_CASES)
    woe = np.where(few, 0.0, woe)
    bins = tuple(
        replace(b, count=int(n), bad=int(k), woe=float(w))
        for b, n, k, w in zip(factor.bins, count, bads, woe, strict=True)
    )
    return replace(factor, bins=bins, iv=information_value(bads, count, woe))


def _against_trend(factor: Factor) -> int | None:
    """The first range whose step to the next goes against most of the way from first to last; None when none."""
    woe = np.array([b.woe for b in factor.bins if b.kind == "range"])
    steps = np.diff(woe)
    if factor.trend or len(steps) < 2:
        return None
    against = steps * (1.0 if woe[-1] >= woe[0] else -1.0) < 0
    return int(np.argmax(against)) if against.any() else None


def evidence(factor: Factor, column: Column) -> Floats:
    """Weight of evidence of each value (n,)."""
    return np.array([b.woe for b in factor.bins])[factor.places(column)]


def honest_evidence(factor: Factor, column: Column, bad: Bools) -> Floats:
    """Weight of evidence (n,) to weigh the factor by. Many categories are grouped by the very outcomes that their
    evidence then explains; so theirs comes from tables that did not see the case (Micci-Barreca, 2001)."""
    if factor.is_number or sum(len(b.values) for b in factor.bins) <= MANY_CATEGORIES:
        return evidence(factor, column)
    part = np.zeros(len(bad), np.int64)
    for outcome in (True, False):
        rows = np.flatnonzero(bad == outcome)
        part[rows] = np.arange(len(rows)) % PARTS
    found = np.zeros(len(bad))
    for own in range(PARTS):
        seen, unseen = part != own, part == own
        other = bin_factor(factor.name, column.take(seen), bad[seen])
        found[unseen] = evidence(other, column.take(unseen))
    return found


def information_of(found: Floats, bad: Bools) -> float:
    """Information value of cases' evidence (n,), whatever table it comes from."""
    goods, bads = found[~bad], found[bad]
    return float(goods.mean() - bads.mean()) if len(goods) and len(bads) else 0.0
