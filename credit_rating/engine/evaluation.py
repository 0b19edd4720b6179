"""A model tried on a sample by cross-validation: everything that looks at outcomes, binning included, is developed
inside each fold on the other folds alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from credit_rating.engine.columns import Bools, Column, Floats, Ints
from credit_rating.engine.validation import auc, brier, ks

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


def folds(target: Bools, count: int, seed: int) -> Iterator[tuple[Ints, Ints]]:
    """Rows to develop on and rows to predict, `count` times; each fold has its share of positives."""
    order = np.random.default_rng(seed)
    part = np.empty(len(target), np.int64)
    for outcome in (True, False):
        rows = order.permutation(np.flatnonzero(target == outcome))
        part[rows] = np.arange(len(rows)) % count
    for fold in range(count):
        yield np.flatnonzero(part != fold), np.flatnonzero(part == fold)


def cross_validate(
    method: Method, columns: Columns, target: Bools, *, count: int, seed: int,
    progress: Callable[[float], None] = lambda share: None,
) -> Figures:  # fmt: skip
    """Mean AUC, KS, Gini and Brier score of `method` over the folds."""
    found: list[tuple[float, float, float]] = []
    for develop_on, predict_on in folds(target, count, seed):
        there = {name: column.take(develop_on) for name, column in columns.items()}
        here = {name: column.take(predict_on) for name, column in columns.items()}
        probability, outcome = method(there, target[develop_on], here), target[predict_on]
        found.append((auc(probability, outcome), ks(probability, outcome), brier(probability, outcome)))
        progress(len(found) / count)
    areas, distances, squares = (np.array(column) for column in zip(*found, strict=True))
    mean = float(areas.mean())
    return Figures(mean, float(distances.mean()), 2 * mean - 1, float(squares.mean()), tuple(areas.tolist()))
