"""A model tried on a sample by cross-validation: everything that looks at outcomes, binning included, is developed
inside each fold on the other folds alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import StratifiedKFold
from threadpoolctl import threadpool_limits

from credit_rating.engine.columns import Column
from crm_site.lib.modelling import Bools, Floats
from crm_site.lib.modelling.validation import auc, brier, ks

Columns = Mapping[str, Column]
# Development columns, their outcomes, columns to predict -> probabilities of the latter.
Method = Callable[[Columns, Bools, Columns], Floats]


@dataclass(frozen=True)
class Figures:
    """Means over folds; `gini` is 2 x auc - 1; `fold_auc` one for each."""

    auc: float
    ks: float
    gini: float
    brier: float
    fold_auc: tuple[float, ...]


def cross_validate(
    method: Method, columns: Columns, target: Bools, *, count: int, seed: int,
    progress: Callable[[float], None] = lambda share: None,
) -> Figures:  # fmt: skip
    """Mean AUC, KS, Gini and Brier score of `method` over stratified folds, drawn by `seed`."""
    found: list[tuple[float, float, float]] = []
    parts = StratifiedKFold(count, shuffle=True, random_state=seed)
    for develop_on, predict_on in parts.split(np.zeros(len(target)), target):
        there = {name: column.take(develop_on) for name, column in columns.items()}
        here = {name: column.take(predict_on) for name, column in columns.items()}
        with threadpool_limits(1):  # threads that wait for each other crawl where cores are shared
            probability, outcome = method(there, target[develop_on], here), target[predict_on]
        found.append((auc(probability, outcome), ks(probability, outcome), brier(probability, outcome)))
        progress(len(found) / count)
    areas, distances, squares = (np.array(column) for column in zip(*found, strict=True))
    mean = float(areas.mean())
    return Figures(mean, float(distances.mean()), 2 * mean - 1, float(squares.mean()), tuple(areas.tolist()))
