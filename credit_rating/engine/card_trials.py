"""A card tried on ratings that were decided by others: what it would have told of later defaults, whom it moves (C1, C12).

Probabilities are those of the bank's grade scale: an expert's card estimates none of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from crm_site.lib.modelling import Bools
from crm_site.lib.modelling.validation import (
    auc,
    brier,
    calibration,
    gini,
    ks,
    score_bands,
    shares,
    stability,
)

LEAST_CASES = 30  # of either outcome: with fewer a measure says more of chance than of the card


@dataclass(slots=True)
class Scored:
    """What a card says of some cases: scores that rise with quality, grades, their probabilities of default (fractions)."""

    scores: list[float] = field(default_factory=list)
    grades: list[str] = field(default_factory=list)
    pds: list[float] = field(default_factory=list)

    def add(self, score: float, grade: str, pd: float) -> None:
        """A case more."""
        self.scores.append(score)
        self.grades.append(grade)
        self.pds.append(pd)


def is_enough(bad: Bools) -> bool:
    """Whether there are cases enough of either outcome to measure by."""
    return min(int(bad.sum()), int((~bad).sum())) >= LEAST_CASES


def measure(scored: Scored, bad: Bools, grades: Sequence[str]) -> dict[str, Any]:
    """AUC, Gini and KS of the score, Brier and calibration of the grades' probabilities; grades best first.

    Raises nothing for few cases: is_enough says whether to ask.
    """
    risk, pds = -np.asarray(scored.scores), np.asarray(scored.pds)
    places = [grades.index(grade) for grade in scored.grades]
    return {
        "auc": auc(risk, bad), "gini": gini(risk, bad), "ks": ks(risk, bad), "brier": brier(pds, bad),
        "by_grade": [asdict(band) for band in calibration(pds, bad, places, list(grades)) if band.count],
    }  # fmt: skip


def shift(old: Scored, new: Scored, grades: Sequence[str], *, is_one_scale: bool) -> dict[str, Any]:
    """How the same cases move from one card to another: counts by grade, best first, and PSI of grades and of scores.

    `is_one_scale`: both cards' scores mean the same; else the PSI of scores is None.
    """
    was, becomes = Counter(old.grades), Counter(new.grades)
    count, rank = len(new.grades), {grade: -place for place, grade in enumerate(grades)}
    steps = [rank[b] - rank[a] for a, b in zip(old.grades, new.grades, strict=True)]
    cuts = score_bands(np.asarray(old.scores)) if count and is_one_scale else []
    return {
        "count": count, "up": sum(s > 0 for s in steps), "down": sum(s < 0 for s in steps),
        "grades": [
            {"grade": g, "before": was[g], "after": becomes[g]} for g in grades if was[g] or becomes[g]
        ],
        "psi_grades": stability([was[g] / count for g in grades], [becomes[g] / count for g in grades]) if count else None,
        "psi_scores": stability(
            shares(np.asarray(old.scores), cuts), shares(np.asarray(new.scores), cuts)
        ) if cuts else None,
    }  # fmt: skip
