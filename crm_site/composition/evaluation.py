"""The methods that production develops models with, tried on an outside file (evaluate_model)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from credit_rating.engine.columns import Column
from credit_rating.engine.evaluation import Columns, Figures, Method, cross_validate
from credit_rating.engine.peers import PEERS
from credit_rating.engine.samples import Sample
from credit_rating.engine.scorecard import Development
from crm_site.lib.modelling import Bools, Floats
from segmentation.engine import churn

# A churn factor of text is a code a category; so many distinct values have bins of their own there.
CATEGORIES = len(churn.QUANTILES)
Progress = Callable[[str, float], None]


def churn_method(there: Columns, left: Bools, here: Columns) -> Floats:
    """Churn model development of segmentation on columns of any name; text as codes, commonest first."""
    values: dict[str, Floats] = {}
    given: dict[str, Floats] = {}
    for name, column in there.items():
        values[name], given[name] = _coded(column, column), _coded(here[name], column)
    return churn.fit(values, left).score(given).probability


def churn_factors(sample: Sample) -> list[str]:
    """What the churn model of the whole sample reads."""
    coded = {name: _coded(column, column) for name, column in sample.columns.items()}
    return list(churn.fit(coded, sample.target).names)


def _coded(column: Column, known: Column) -> Floats:
    if column.numbers is not None:
        return column.numbers
    if known.texts is None or column.texts is None:
        return np.full(len(column), np.nan)
    common = pd.Series(known.texts).replace("", np.nan).value_counts().index[:CATEGORIES]
    codes = {name: float(code) for code, name in enumerate(common)}
    found = pd.Series(column.texts).map(codes).fillna(float(len(codes)))
    return np.where(column.texts == "", np.nan, found.to_numpy(float))


def evaluate(
    sample: Sample, method: Method, *, folds: int, seed: int, progress: Progress
) -> tuple[Figures, dict[str, Figures], float]:
    """Figures of the method, of its peers on the same folds, and the seconds that the method took."""
    started = time.perf_counter()

    def tried(name: str, one: Method) -> Figures:
        return cross_validate(
            one,
            sample.columns,
            sample.target,
            count=folds,
            seed=seed,
            progress=lambda share: progress(name, share),
        )

    own = tried("model", method)
    seconds = time.perf_counter() - started
    return own, {name: tried(name, peer) for name, peer in PEERS.items()}, seconds


def points_table(development: Development) -> list[dict[str, Any]]:
    """One row a bin, as --json gives it."""
    return [
        {
            "factor": factor.name,
            "bin": b.label,
            "kind": b.kind,
            "lower": b.lower,
            "upper": b.upper,
            "values": list(b.values),
            "count": b.count,
            "positives": b.bad,
            "rate": b.bad / b.count if b.count else None,
            "woe": b.woe,
            "points": b.points,
        }
        for factor in development.card.factors
        for b in factor.bins
    ]
