"""A scorecard developed from a file with the record that its second person decides on (C1, C12).

The card is developed on the whole sample. What is said of its quality comes from cases that a card like it had not
seen: means over folds, and a card developed on a part and tried on the rest.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import numpy as np
from sklearn.model_selection import train_test_split

from credit_rating.engine.evaluation import Columns, Method, cross_validate
from credit_rating.engine.sample_files import SampleError, least_cases
from credit_rating.engine.samples import Sample
from credit_rating.engine.scorecard import Scorecard, develop
from crm_site.lib.modelling import Bools, Floats
from crm_site.lib.modelling.validation import band_of, calibration, score_bands, shares, validate

HELD_BACK = 0.3  # of the sample
SOFTWARE = ("optbinning", "scikit-learn", "numpy")  # a card is developed again to the same points by the same


def scorecard_method(max_factors: int | None, monotonic: bool) -> Method:
    """Development as production does it; probabilities are those of the rounded points."""

    def method(there: Columns, bad: Bools, here: Columns) -> Floats:
        card = develop(there, bad, max_factors=max_factors, monotonic=monotonic).card
        return card.score(here, len(next(iter(here.values())))).probability

    return method


def develop_record(
    sample: Sample,
    *,
    name: str,
    window: str,
    grades: Sequence[tuple[str, float]],
    max_factors: int | None,
    monotonic: bool,
    folds: int,
    seed: int,
    progress: Callable[[str, float], None] = lambda what, share: None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """(card, record) as JSON documents. `grades`: (grade, probability of default), best first.

    Raises SampleError when the sample has no factor worth taking, or too few cases of an outcome for the folds.
    """
    bad, begun = sample.target, time.perf_counter()
    rarer, least = min(int(bad.sum()), int((~bad).sum())), least_cases(folds)
    if rarer < least:
        text = "%(cases)s cases of the rarer outcome are too few for %(folds)s folds; %(least)s are needed."
        raise SampleError("few_cases", text, cases=rarer, folds=folds, least=least)
    parts = folds + 2  # developments of like effort: the card, one a fold, and the one with a part held back
    found = develop(sample.columns, bad, max_factors=max_factors, monotonic=monotonic)
    if not found.card.factors:
        raise SampleError("no_information", "No column of the sample says enough to be a factor.")
    progress("card", 1 / parts)
    method = scorecard_method(max_factors, monotonic)
    figures = cross_validate(
        method, sample.columns, bad, count=folds, seed=seed,
        progress=lambda share: progress("folds", (1 + share * folds) / parts),
    )  # fmt: skip
    record = {
        "sample": name, "window": window, "rows": len(bad), "bads": int(bad.sum()), "positive": sample.positive, "negative": sample.negative,
        "without_target": sample.without_target, "left_out": sample.left_out, "seed": seed,
        "max_factors": max_factors, "monotonic": monotonic,
        "folds": {"count": folds, "auc": figures.auc, "ks": figures.ks, "gini": figures.gini, "brier": figures.brier},
        "considered": [{"factor": c.name, "iv": c.iv, "left_out": c.reason} for c in found.considered],
        "suspects": found.suspects,
        **_held_back(sample, grades, max_factors, monotonic, seed, name, window),
        "software": {name: version(name) for name in SOFTWARE},
        "seconds": round(time.perf_counter() - begun, 1),
    }  # fmt: skip
    return found.card.as_json(), _plain(record)


def _held_back(
    sample: Sample, grades: Sequence[tuple[str, float]], max_factors: int | None, monotonic: bool, seed: int,
    name: str, window: str,
) -> dict[str, Any]:  # fmt: skip
    """Figures of a card developed on a part, on that part and on the rest."""
    bad = sample.target
    there, here = train_test_split(np.arange(len(bad)), test_size=HELD_BACK, random_state=seed, stratify=bad)
    card = develop(sample.take(there), bad[there], max_factors=max_factors, monotonic=monotonic).card
    scored = {
        "development": card.score(sample.take(there), len(there)),
        "held_back": card.score(sample.take(here), len(here)),
    }
    rows = {"development": there, "held_back": here}
    cuts = score_bands(scored["development"].scores)
    known = shares(scored["development"].scores, cuts)
    reports = {
        part: validate(
            s.scores, s.probability, bad[rows[part]], sample=name, window=window, cuts=cuts,
            development=known if part == "held_back" else None,
        )
        for part, s in scored.items()
    }  # fmt: skip
    kept = ("rows", "bads", "auc", "gini", "ks", "brier", "psi")
    rest = scored["held_back"]
    return {
        "parts": [
            {"name": part, **{k: getattr(report, k) for k in kept}} for part, report in reports.items()
        ],
        "bands": [asdict(band) for band in reports["held_back"].bands],
        "cut_offs": [asdict(cut) for cut in reports["held_back"].cut_offs],
        "by_grade": _by_grade(card, grades, rest.scores, rest.probability, bad[here]),
    }


def _by_grade(
    card: Scorecard, grades: Sequence[tuple[str, float]], scores: Floats, probability: Floats, bad: Bools
) -> list[dict[str, Any]]:
    """Expected and observed bads of the grades that have cases, best first: a grade begins at the score of its
    probability of default."""
    worst_first = list(reversed(grades))
    ends = [min(max(pd, 1e-9), 1 - 1e-9) for _grade, pd in worst_first[1:]]
    cuts = [card.scale.score_of(float(np.log((1 - pd) / pd))) for pd in ends]
    bands = calibration(probability, bad, band_of(scores, cuts).tolist(), [g for g, _pd in worst_first])
    return [asdict(band) for band in reversed(bands) if band.count]


def _plain(value: Any) -> Any:
    """A JSON document: what is no finite number is null."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
