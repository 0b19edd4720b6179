"""How good a model is: definitions of the figures that a validation report shows. Pure NumPy.

`bad` (n,) is the outcome; `probability` (n,) what the model says of it, higher = riskier; any monotone transform of
it has the same AUC, Gini and KS. Overview: Basel Committee, Studies on the Validation of Internal Rating Systems,
Working Paper 14, 2005.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crm_site.lib.modelling import Bools, Floats

STABLE, MOVED = 0.10, 0.25  # of the population stability index


def auc(probability: Floats, bad: Bools) -> float:
    """Area under the ROC curve: the chance that a bad scores riskier than a good, ties half (Hanley and McNeil, The
    meaning and use of the area under a ROC curve, 1982). NaN when one outcome is missing."""
    bad = np.asarray(bad, bool)
    bads, goods = int(bad.sum()), int((~bad).sum())
    if not bads or not goods:
        return float("nan")
    _values, inverse, counts = np.unique(probability, return_inverse=True, return_counts=True)
    rank = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return float((rank[bad].sum() - bads * (bads + 1) / 2) / (bads * goods))


def gini(probability: Floats, bad: Bools) -> float:
    """Accuracy ratio: 2 x AUC - 1 (Engelmann, Hayden, Tasche, Testing rating accuracy, 2003)."""
    return 2 * auc(probability, bad) - 1


def ks(probability: Floats, bad: Bools) -> float:
    """Kolmogorov-Smirnov: the largest distance between the distributions of bads and of goods over the score."""
    bad = np.asarray(bad, bool)
    if bad.all() or not bad.any():
        return float("nan")
    cuts = np.unique(probability)
    bads = np.searchsorted(np.sort(probability[bad]), cuts, side="right") / bad.sum()
    goods = np.searchsorted(np.sort(probability[~bad]), cuts, side="right") / (~bad).sum()
    return float(np.abs(bads - goods).max())


def brier(probability: Floats, bad: Bools) -> float:
    """Mean squared distance between probability and outcome; 0 best; always saying the rate p gives p (1 - p)
    (Brier, Verification of forecasts expressed in terms of probability, 1950)."""
    return float(((np.asarray(probability, float) - np.asarray(bad, float)) ** 2).mean())


@dataclass(frozen=True)
class Band:
    """Cases of a band of scores or of a grade. `expected`: mean probability; `observed`: share of bads; `p_value`:
    how likely so large a distance is when the probabilities are right (normal approximation of the binomial test,
    two-sided; Tasche, Validation of internal rating systems and PD estimates, 2006); None for no cases."""

    label: str
    count: int
    bad: int
    expected: float
    observed: float
    p_value: float | None


def calibration(probability: Floats, bad: Bools, places: Sequence[int], labels: Sequence[str]) -> list[Band]:
    """Expected and observed bads by band: `places` (n,) is each case's position in `labels`."""
    probability, bad, at = np.asarray(probability, float), np.asarray(bad, bool), np.asarray(places)
    bands = []
    for place, label in enumerate(labels):
        rows = at == place
        count, bads = int(rows.sum()), int(bad[rows].sum())
        if not count:
            bands.append(Band(label, 0, 0, float("nan"), float("nan"), None))
            continue
        spread = float(np.sqrt((probability[rows] * (1 - probability[rows])).sum()))
        distance = abs(bads - float(probability[rows].sum()))
        p_value = _two_sided(distance / spread) if spread > 0 else float(distance == 0)
        bands.append(Band(label, count, bads, float(probability[rows].mean()), bads / count, p_value))
    return bands


def _two_sided(z: float) -> float:
    """Chance of a standard normal value at least so far from 0."""
    from math import erfc, sqrt

    return erfc(z / sqrt(2))


def score_bands(scores: Floats, bands: int = 10) -> list[float]:
    """Bounds (bands - 1,) that cut the scores into bands of about one size; fewer where many share a score."""
    inner = np.unique(np.quantile(scores, np.linspace(0, 1, bands + 1)[1:-1]))
    return [float(cut) for cut in inner if cut > scores.min()]


def band_of(scores: Floats, cuts: Sequence[float]) -> np.ndarray:
    """Position (n,) of each score's band; a score on a bound is in the upper one."""
    return np.searchsorted(np.asarray(cuts, float), scores, side="right")


def shares(scores: Floats, cuts: Sequence[float]) -> list[float]:
    """Share of cases in each band."""
    counts = np.bincount(band_of(scores, cuts), minlength=len(cuts) + 1)
    return [float(share) for share in counts / max(len(scores), 1)]


def stability(expected: Sequence[float], actual: Sequence[float]) -> float:
    """Population stability index: sum of (actual - expected) x ln(actual / expected) over the bands' shares, of
    development and of validation; below 0.10 stable, above 0.25 moved (Siddiqi, 2006, ch. 8)."""
    if len(expected) != len(actual):
        raise ValueError("the same bands are needed on both sides")
    e, a = np.maximum(expected, 1e-4), np.maximum(actual, 1e-4)
    return float(((a - e) * np.log(a / e)).sum())


@dataclass(frozen=True)
class Confusion:
    """What a cut-off would do: cases below it are refused. `caught`: share of the bads refused; `lost`: share of the
    goods refused; `approved`: share of all accepted; `bad_rate`: of those accepted (NaN when none)."""

    cut_off: float
    bads_refused: int
    goods_refused: int
    bads_accepted: int
    goods_accepted: int
    caught: float
    lost: float
    approved: float
    bad_rate: float


def confusion(scores: Floats, bad: Bools, cut_offs: Sequence[float]) -> list[Confusion]:
    """The four counts at each cut-off; scores rise with quality."""
    bad = np.asarray(bad, bool)
    rows = []
    for cut in cut_offs:
        refused = scores < cut
        a, b = int((refused & bad).sum()), int((refused & ~bad).sum())
        c, d = int((~refused & bad).sum()), int((~refused & ~bad).sum())
        rows.append(
            Confusion(
                float(cut), a, b, c, d, a / max(a + c, 1), b / max(b + d, 1), (c + d) / max(len(bad), 1),
                c / (c + d) if c + d else float("nan"),
            )
        )  # fmt: skip
    return rows


@dataclass(frozen=True)
class Report:
    """A validation: the sample and its window, in words; cases, bads; figures defined above. `psi` compares with the
    development sample's shares of the same bands; None without them."""

    sample: str
    window: str
    rows: int
    bads: int
    auc: float
    gini: float
    ks: float
    brier: float
    psi: float | None
    bands: tuple[Band, ...]
    cut_offs: tuple[Confusion, ...]


def validate(
    scores: Floats,
    probability: Floats,
    bad: Bools,
    *,
    sample: str,
    window: str,
    cuts: Sequence[float],
    development: Sequence[float] | None = None,
    labels: Sequence[str] | None = None,
) -> Report:
    """The report of a scorecard on a sample. `cuts`: bounds between bands or grades, lowest first; `labels`: their
    names, one more than cuts; `development`: shares of the development sample in them. Raises ValueError when one
    of both outcomes is missing."""
    bad = np.asarray(bad, bool)
    if bad.all() or not bad.any():
        raise ValueError("both outcomes are needed to validate")
    ends = ["", *(f"{cut:g}" for cut in cuts), ""]
    named = labels or [f"{low}…{high}" for low, high in itertools.pairwise(ends)]
    return Report(
        sample, window, len(bad), int(bad.sum()), auc(probability, bad), gini(probability, bad),
        ks(probability, bad), brier(probability, bad),
        None if development is None else stability(development, shares(scores, cuts)),
        tuple(calibration(probability, bad, band_of(scores, cuts).tolist(), named)),
        tuple(confusion(scores, bad, cuts)),
    )  # fmt: skip
