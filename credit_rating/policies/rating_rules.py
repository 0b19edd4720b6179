"""What no score outweighs, and when a rating is looked at again before its time (C2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext_lazy

from credit_rating.policies.grades import GRADES
from credit_rating.policies.shapes import Body, Column, Shape, Table

# Factor sources (credit_rating.factors) that may cap a grade; all of them days.
MEASURES = {
    "days_past_due": gettext_lazy("Days past due"),
    "worst_arrears": gettext_lazy("Worst arrears in 12 months"),
}
DEFAULT = (
    ("days_past_due", "90", "D"), ("days_past_due", "30", "CCC"), ("worst_arrears", "90", "B"),
    ("worst_arrears", "30", "BB"),
)  # fmt: skip


def default(kind: str) -> Mapping[str, Any]:
    """Over 90 days is default (Basel); what was overdue within a year weighs on."""
    rows = [{"measure": m, "over": over, "grade": grade} for m, over, grade in DEFAULT]
    params = {
        "review_arrears_days": "30", "review_drop_pct": "50", "review_drop_from": "50000", "expiring_days": "30",
    }  # fmt: skip
    return {"params": params, "tables": {"caps": rows}}


SHAPE = Shape(
    subject="rating_rules",
    label=gettext_lazy("Rating rules"),
    description=gettext_lazy(
        "Which arrears cap a grade whatever the score, and when a rating is due for review before it expires"
    ),
    default=default,
    params=(
        Column("review_arrears_days", gettext_lazy("Review from so many days past due on"), "whole",
               minimum=Decimal(1), unit=gettext_lazy("days")),
        Column("review_drop_pct", gettext_lazy("Review when deposits fall by"), "percent", minimum=Decimal(1),
               maximum=Decimal(100), unit="%"),
        Column("review_drop_from", gettext_lazy("of deposits of at least"), "money", minimum=Decimal(0)),
        Column("expiring_days", gettext_lazy("Remind before a rating expires"), "whole", minimum=Decimal(1),
               maximum=Decimal(120), unit=gettext_lazy("days")),
    ),
    tables=(
        Table(
            "caps",
            gettext_lazy("Caps"),
            (
                Column("measure", gettext_lazy("Measure"), "choice", choices=list(MEASURES.items())),
                Column("over", gettext_lazy("More than"), "whole", minimum=Decimal(0), unit=gettext_lazy("days")),
                Column("grade", gettext_lazy("Grade at most"), "choice", choices=[(g, g) for g in GRADES]),
            ),
            key=("measure", "over"),
            minimum=0,
        ),
    ),
    by_kind=True,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class GradeCap:
    """A rule that bites: the measure, the days it must not exceed, and the best grade it allows."""

    measure: str
    over: int
    grade: str


def cap_of(body: Body, values: Mapping[str, Any]) -> GradeCap | None:
    """The hardest cap that a customer's measures call for. What is not known caps nothing."""
    hit = [
        GradeCap(row["measure"], row["over"], row["grade"])
        for row in body.tables["caps"]
        if values.get(row["measure"]) is not None and values[row["measure"]] > row["over"]
    ]
    return max(hit, key=lambda cap: GRADES.index(cap.grade), default=None)
