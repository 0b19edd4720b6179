"""Rating-and-credit campaigns (集中评级授信): what counts as collected, and which members are looked at one by one (C9).

Defaults are cautious: a batch holds what an experienced reviewer would wave through, everything else is a case.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext_lazy

from credit_rating.engine.campaigns import Rules
from credit_rating.policies.grades import GRADES
from credit_rating.policies.shapes import Body, Column, Shape

SUBJECT = "campaign"


# Why a member is decided by itself, by the codes of engine.campaigns.
EXCEPTION_LABELS = {
    "not_rated": gettext_lazy("not rated"),
    "excluded": gettext_lazy("on the exclusion list"),
    "no_line": gettext_lazy("no line can be calculated"),
    "changed": gettext_lazy("the data have changed since"),
    "old": gettext_lazy("reckoned too long ago"),
    "rating_decided": gettext_lazy("the rating was decided otherwise"),
    "case_open": gettext_lazy("a case is under way"),
    "several_lines": gettext_lazy("several lines of this product"),
    "by_hand": gettext_lazy("taken out by hand"),
    "beyond_authority": gettext_lazy("beyond the branch's authority"),
    "maker": gettext_lazy("the approver has made it"),
    "own": gettext_lazy("the approver's own customer"),
    "relative": gettext_lazy("a relative of the approver"),
    "grade": gettext_lazy("weak grade"),
    "amount": gettext_lazy("large line"),
    "missing": gettext_lazy("too much unknown"),
    "override": gettext_lazy("grade changed by hand"),
    "warning": gettext_lazy("warning open"),
    "class": gettext_lazy("class below normal"),
    "related": gettext_lazy("related party"),
    "lowered": gettext_lazy("line would be lowered"),
}


def default(kind: str) -> Mapping[str, Any]:
    """What a new bank begins with."""
    params = {
        "complete_pct": "80", "form_months": "12", "fresh_days": "30", "worst_grade": "BB", "amount_over": "200000.00",
        "missing_over": "2", "on_override": "true", "on_warning": "true", "on_class": "true", "on_related": "true",
        "on_lowered": "true",
    }  # fmt: skip
    return {"params": params, "tables": {}}


def _whole(name: str, label: Any, least: int, most: int, unit: Any) -> Column:
    return Column(name, label, "whole", minimum=Decimal(least), maximum=Decimal(most), unit=unit)


SHAPE = Shape(
    subject=SUBJECT,
    label=gettext_lazy("Rating-and-credit campaigns"),
    description=gettext_lazy("When a customer counts as collected, and which members are decided one by one"),
    default=default,
    by_kind=True,
    params=(
        _whole("complete_pct", gettext_lazy("Collected from a completeness of"), 1, 100, "%"),
        _whole("form_months", gettext_lazy("What was collected counts for"), 1, 60, gettext_lazy("months")),
        _whole("fresh_days", gettext_lazy("A reckoned member may be approved for"), 1, 180, gettext_lazy("days")),
        Column("worst_grade", gettext_lazy("One by one: this grade or worse"), "choice",
               choices=[(g, g) for g in GRADES]),
        Column("amount_over", gettext_lazy("One by one: a line above"), "money", minimum=Decimal(0)),
        _whole("missing_over", gettext_lazy("One by one: more unknown factors than"), 0, 50,
               gettext_lazy("factors")),
        Column("on_override", gettext_lazy("One by one: the grade was changed by hand"), "flag", required=False),
        Column("on_warning", gettext_lazy("One by one: a warning is open"), "flag", required=False),
        Column("on_class", gettext_lazy("One by one: a loan's class is below normal"), "flag", required=False),
        Column("on_related", gettext_lazy("One by one: a related party"), "flag", required=False),
        Column("on_lowered", gettext_lazy("One by one: the line would be lower than it is"), "flag", required=False),
    ),
)  # fmt: skip


def rules_of(body: Body) -> Rules:
    """The rules as the engine takes them."""
    p = body.params
    return Rules(
        worst_grade=p["worst_grade"], amount_over=p["amount_over"], missing_over=p["missing_over"],
        fresh_days=p["fresh_days"],
        on=frozenset(code for code in ("override", "warning", "class", "related", "lowered") if p[f"on_{code}"]),
    )  # fmt: skip
