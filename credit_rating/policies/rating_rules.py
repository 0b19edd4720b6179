"""What no score outweighs, and when a rating is looked at again before its time (C2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy

from credit_rating.policies.grades import GRADES
from credit_rating.policies.shapes import Body, Column, Shape, Table


class ReviewReason(models.TextChoices):
    """Why a rating is looked at before its time."""

    ARREARS = "arrears", gettext_lazy("Arrears")
    DEPOSITS = "deposits", gettext_lazy("Deposits have fallen")
    CLASS = "class", gettext_lazy("Five-level class got worse")
    GUARANTOR = "guarantor", gettext_lazy("A guarantor is in trouble")
    GROUP = "group", gettext_lazy("A member of its group or a connected customer is in trouble")
    KEY_PERSON = "key_person", gettext_lazy("A key person came or left")
    EXCLUDED = "excluded", gettext_lazy("On the exclusion list")
    ACTIVITY = "activity", gettext_lazy("Unusual activity on the accounts")
    STATEMENT = "statement", gettext_lazy("A newer statement is there")
    ELSEWHERE = "elsewhere", gettext_lazy("Debts at other banks have grown")


# Factor sources (credit_rating.factors) that may cap a grade; all of them days.
MEASURES = {
    "days_past_due": gettext_lazy("Days past due"),
    "worst_arrears": gettext_lazy("Worst arrears in 12 months"),
}
DEFAULT = (
    ("days_past_due", "90", "D"), ("days_past_due", "30", "CCC"), ("worst_arrears", "90", "B"),
    ("worst_arrears", "30", "BB"),
)  # fmt: skip
# News of a customer since its rating, each with its reason; the early warnings that tell of it.
WARNINGS = {
    "class_worse": ReviewReason.CLASS, "guarantor": ReviewReason.GUARANTOR, "group_member": ReviewReason.GROUP,
    "key_person": ReviewReason.KEY_PERSON, "excluded": ReviewReason.EXCLUDED,
    "unusual_activity": ReviewReason.ACTIVITY,
}  # fmt: skip
EVENTS = tuple(
    (reason.value, reason.label)
    for reason in (*WARNINGS.values(), ReviewReason.STATEMENT, ReviewReason.ELSEWHERE)
)
# A policy of before the question says the same.
REVIEW = {"review_days": "14", "elsewhere_pct": "50", "elsewhere_from": "500000"}


def default(kind: str) -> Mapping[str, Any]:
    """Over 90 days is default (Basel); what was overdue within a year weighs on."""
    rows = [{"measure": m, "over": over, "grade": grade} for m, over, grade in DEFAULT]
    params: dict[str, Any] = {
        "review_arrears_days": "30", "review_drop_pct": "50", "review_drop_from": "50000", "expiring_days": "30",
        "review_events": [code for code, _label in EVENTS], **REVIEW,
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
        Column("review_events", gettext_lazy("Review when since the rating"), "choices", EVENTS,
               required=False, fallback=[code for code, _label in EVENTS]),
        Column("elsewhere_pct", gettext_lazy("Debts at other banks have grown: by"), "percent",
               minimum=Decimal(1), maximum=Decimal(1000), unit="%", fallback=REVIEW["elsewhere_pct"]),
        Column("elsewhere_from", gettext_lazy("and by at least"), "money", minimum=Decimal(0),
               fallback=REVIEW["elsewhere_from"]),
        Column("review_days", gettext_lazy("A review is to be done within"), "whole", minimum=Decimal(1),
               maximum=Decimal(180), unit=gettext_lazy("days"), fallback=REVIEW["review_days"]),
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


def events_of(body: Body) -> frozenset[str]:
    """The reasons of ReviewReason by which news call for a review."""
    return frozenset(body.params["review_events"])


def review_days(body: Body) -> int:
    """Within how many days a review is to be done."""
    return int(body.params["review_days"])


def has_grown(body: Body, before: Decimal, now: Decimal) -> bool:
    """Whether debts at other banks have grown so much that the rating is looked at again; both bounds belong to it."""
    grown, params = now - before, body.params
    return bool(grown > 0 and grown >= params["elsewhere_from"] and grown >= params["elsewhere_pct"] * before)


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
