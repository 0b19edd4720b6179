"""The grade scale: which score is which grade, and the probability of default that a grade stands for (C2)."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from itertools import pairwise
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from credit_rating.policies.shapes import Body, Column, Shape, Table

GRADES = ("AAA", "AA", "A", "BBB", "BB", "B", "CCC", "CC", "C", "D")
# One-year probabilities of default in per cent: the order of magnitude of the agencies' long-run averages, to be
# replaced by the bank's own calibration. D has defaulted.
DEFAULT = {
    "AAA": ("90", "0.03"), "AA": ("85", "0.08"), "A": ("75", "0.25"), "BBB": ("65", "0.75"), "BB": ("58", "1.80"),
    "B": ("50", "4.00"), "CCC": ("42", "9.00"), "CC": ("34", "18.00"), "C": ("20", "35.00"), "D": ("0", "100.00"),
}  # fmt: skip


def default(kind: str) -> Mapping[str, Any]:
    """The scale that a new bank begins with."""
    rows = [{"grade": g, "score_from": score, "pd_pct": pd} for g, (score, pd) in DEFAULT.items()]
    return {"params": {"valid_months": "12", "notches_up": "1"}, "tables": {"scale": rows}}


def check(body: Body) -> Mapping[str, str]:
    """Grades stand best first, with falling scores and rising probabilities of default; the last takes the rest."""
    rows = body.tables["scale"]
    faults: dict[str, str] = {}
    for number, (upper, lower) in enumerate(pairwise(rows), start=1):
        if GRADES.index(lower["grade"]) <= GRADES.index(upper["grade"]):
            faults[f"scale-{number}-grade"] = _("Grades stand best first.")
        if lower["score_from"] >= upper["score_from"]:
            faults[f"scale-{number}-score_from"] = _("The score must be below that of the grade above it.")
        if lower["pd_pct"] <= upper["pd_pct"]:
            faults[f"scale-{number}-pd_pct"] = _(
                "The probability of default must be above that of the grade above it."
            )
    if rows and rows[-1]["score_from"] > 0:
        faults[f"scale-{len(rows) - 1}-score_from"] = _("The last grade begins at a score of 0.")
    return faults


SHAPE = Shape(
    subject="grades",
    label=gettext_lazy("Grade scale"),
    description=gettext_lazy(
        "Which score is which grade, what probability of default it stands for, and how far a manager may depart from it"
    ),
    default=default,
    params=(
        Column("valid_months", gettext_lazy("A rating holds for"), "whole", minimum=Decimal(1), maximum=Decimal(36),
               unit=gettext_lazy("months")),
        Column("notches_up", gettext_lazy("A manager may raise a grade by"), "whole", minimum=Decimal(0),
               maximum=Decimal(2), unit=gettext_lazy("notches")),
    ),
    tables=(
        Table(
            "scale",
            gettext_lazy("Grades, best first"),
            (
                Column("grade", gettext_lazy("Grade"), "choice", choices=[(g, g) for g in GRADES]),
                Column("score_from", gettext_lazy("From a score of"), "number", minimum=Decimal(0), maximum=Decimal(100)),
                Column("pd_pct", gettext_lazy("Probability of default, %"), "percent", minimum=Decimal(0),
                       maximum=Decimal(100)),
            ),
            key=("grade",),
            minimum=2,
        ),
    ),
    by_kind=True,
    check=check,
)  # fmt: skip


def grade_of(body: Body, score: Decimal) -> str:
    """The grade of a score (0–100): a boundary belongs to the better grade."""
    for row in body.tables["scale"]:
        if score >= row["score_from"]:
            return str(row["grade"])
    return str(body.tables["scale"][-1]["grade"])


def pd_of(body: Body, grade: str) -> Decimal:
    """One-year probability of default of a grade, a fraction. Raises KeyError for a grade the scale does not have."""
    return {row["grade"]: row["pd_pct"] for row in body.tables["scale"]}[grade]


def grade_of_pd(body: Body, pd: Decimal) -> str:
    """The best grade whose probability of default is not below `pd` (a fraction)."""
    for row in body.tables["scale"]:
        if pd <= row["pd_pct"]:
            return str(row["grade"])
    return str(body.tables["scale"][-1]["grade"])


def notches(grade: str, other: str) -> int:
    """How many notches `other` is above `grade` (negative: below)."""
    return GRADES.index(grade) - GRADES.index(other)
