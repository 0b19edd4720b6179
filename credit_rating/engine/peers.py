"""What a scorecard is measured against in the same run: methods that nobody has to explain to a customer.

Each is `Method` of evaluation: development columns and outcomes, columns to predict -> probabilities.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from credit_rating.engine.binning import tally, weight_of_evidence
from credit_rating.engine.columns import Column
from credit_rating.engine.evaluation import Columns
from crm_site.lib.modelling import Bools, Floats

ITERATIONS = 2000
MOST_CATEGORIES = 100
LEAVES, LEAST_LEAF = 6, 0.05


def _frame(columns: Columns) -> pd.DataFrame:
    """Numbers with NaN, text as it is; the words between numbers are unknown to these methods."""
    return pd.DataFrame({n: c.texts if c.numbers is None else c.numbers for n, c in columns.items()})


def _kinds(columns: Columns) -> tuple[list[str], list[str]]:
    """Names of columns of numbers, and of text."""
    numbers = [name for name, column in columns.items() if column.numbers is not None]
    return numbers, [name for name in columns if name not in set(numbers)]


def logistic_regression(there: Columns, bad: Bools, here: Columns) -> Floats:
    """Numbers by median and scale, with marks where missing, text one column a category; logistic regression."""
    numbers, texts = _kinds(there)
    numbers = [n for n in numbers if not np.isnan(_numbers(there[n])).all()]
    steps = ColumnTransformer(
        [
            (
                "numbers",
                make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler()),
                numbers,
            ),
            (
                "texts",
                OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=MOST_CATEGORIES),
                texts,
            ),
        ]
    )
    model = make_pipeline(steps, LogisticRegression(max_iter=ITERATIONS))
    return model.fit(_frame(there), bad).predict_proba(_frame(here))[:, 1]


def boosted_trees(there: Columns, bad: Bools, here: Columns) -> Floats:
    """scikit-learn's histogram gradient boosting as it comes."""
    _numbers, texts = _kinds(there)
    learn, predict = _frame(there), _frame(here)
    if texts:
        code = OrdinalEncoder(
            handle_unknown="use_encoded_value", unknown_value=np.nan, max_categories=MOST_CATEGORIES
        )
        learn[texts], predict[texts] = code.fit_transform(learn[texts]), code.transform(predict[texts])
    model = HistGradientBoostingClassifier(categorical_features=texts or None, random_state=0)
    return model.fit(learn, bad).predict_proba(predict)[:, 1]


def tree_evidence(there: Columns, bad: Bools, here: Columns) -> Floats:
    """Each column cut by a small decision tree, weight of evidence of the pieces, logistic regression."""
    pairs = [_tree_column(column, bad, here[name]) for name, column in there.items()]
    learn, predict = (np.column_stack(side) for side in zip(*pairs, strict=True))
    return LogisticRegression(max_iter=ITERATIONS).fit(learn, bad).predict_proba(predict)[:, 1]


def _tree_column(column: Column, bad: Bools, other: Column) -> tuple[Floats, Floats]:
    if column.numbers is None:
        codes, names = pd.factorize(column.words())
        known = {name: code for code, name in enumerate(names)}
        at = pd.Series(other.words()).map(known).fillna(len(names)).to_numpy(np.int64)
        size = len(names) + 1
    else:
        there = ~np.isnan(column.numbers)
        cuts = np.array([])
        if there.any():
            tree = DecisionTreeClassifier(max_leaf_nodes=LEAVES, min_samples_leaf=LEAST_LEAF, random_state=0)
            tree.fit(column.numbers[there][:, None], bad[there])
            cuts = np.sort(tree.tree_.threshold[tree.tree_.feature >= 0])
        size = len(cuts) + 2
        codes, at = (
            np.where(np.isnan(values), size - 1, np.searchsorted(cuts, values))
            for values in (column.numbers, _numbers(other))
        )
    woe = weight_of_evidence(tally(codes, size, bad), tally(codes, size), pseudo=1.0)
    return woe[codes], woe[at]


def _numbers(column: Column) -> Floats:
    return np.full(len(column), np.nan) if column.numbers is None else column.numbers


PEERS = {
    "logistic": logistic_regression,
    "boosted": boosted_trees,
    "tree_evidence": tree_evidence,
}
