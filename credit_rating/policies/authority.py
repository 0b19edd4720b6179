"""Delegated authority: who decides which case finally, how the committee votes, and how long each stage has (C6).

The defaults are a cautious beginning that each bank replaces by its own authorisation (授权书); committees decide by two
thirds, as is usual for 贷审会 (《商业银行授信工作尽职指引》, 银监发〔2004〕51号, asks for separate review and independent votes).
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from credit_rating.engine.authority import HIGHEST, STAGES, Asked, Authority, Route, find_route
from credit_rating.policies.grades import GRADES
from credit_rating.policies.shapes import Body, Column, Shape, Table

# The codes of models.kinds.CreditKind and models.guarantees.GuaranteeKind with their words.
KINDS = (
    ("corporate", gettext_lazy("Corporate")),
    ("sme", gettext_lazy("Small business")),
    ("personal", gettext_lazy("Personal")),
    ("household", gettext_lazy("Rural household")),
)
GUARANTEES = (
    ("credit", gettext_lazy("Unsecured")),
    ("guarantor", gettext_lazy("Guaranty")),
    ("mortgage", gettext_lazy("Mortgage")),
    ("pledge", gettext_lazy("Pledge")),
)
STAGE_LABELS = {
    "branch": gettext_lazy("Branch"),
    "headquarters": gettext_lazy("Headquarters review"),
    "committee": gettext_lazy("Credit committee"),
    "president": gettext_lazy("President"),
}
KIN_STEPS = 2
CALCULATION_DAYS = 90
_SECURED = ("guarantor", "mortgage", "pledge")
_ALL = ("credit", *_SECURED)
_MATRIX = (
    ("branch", 300_000, "BBB", ("personal", "household"), _ALL),
    ("branch", 1_000_000, "BBB", ("sme", "personal", "household"), _SECURED),
    ("headquarters", 3_000_000, "BBB", ("sme", "personal", "household"), _ALL),
    ("headquarters", 5_000_000, "A", ("corporate", "sme"), _SECURED),
    ("committee", 50_000_000, "BB", ("corporate", "sme", "personal", "household"), _ALL),
)


def default(kind: str) -> Mapping[str, Any]:
    """What a new bank begins with; what no row covers goes to the president."""
    rows = [
        {
            "stage": s,
            "up_to": f"{amount}.00",
            "worst_grade": grade,
            "kinds": list(kinds),
            "guarantees": list(g),
        }
        for s, amount, grade, kinds, g in _MATRIX
    ]
    return {
        "params": {"quorum": "3", "majority_pct": "66", "president_sees": "true", "branch_days": "5",
                   "headquarters_days": "7", "committee_days": "10", "president_days": "7", "case_days": "90",
                   "kin_steps": "2", "calculation_days": "90"},
        "tables": {"matrix": rows},
    }  # fmt: skip


def check(body: Body) -> Mapping[str, str]:
    """Rows stand lowest stage first."""
    rows = body.tables["matrix"]
    faults: dict[str, str] = {}
    for i in range(1, len(rows)):
        if STAGES.index(rows[i]["stage"]) < STAGES.index(rows[i - 1]["stage"]):
            faults[f"matrix-{i}-stage"] = _("Rows stand lowest stage first.")
    return faults


def _days(stage: str, label: Any, most: int = 60) -> Column:
    return Column(f"{stage}_days", label, "whole", minimum=Decimal(1), maximum=Decimal(most),
                  unit=gettext_lazy("days"))  # fmt: skip


SHAPE = Shape(
    subject="authority",
    label=gettext_lazy("Delegated authority"),
    description=gettext_lazy("Who decides which case finally, how the committee votes, and how long each stage has"),
    default=default,
    params=(
        Column("quorum", gettext_lazy("Votes that the committee needs at least"), "whole", minimum=Decimal(1),
               maximum=Decimal(30), unit=gettext_lazy("votes")),
        Column("majority_pct", gettext_lazy("Votes in favour, of those cast, at least"), "whole",
               minimum=Decimal(51), maximum=Decimal(100), unit="%"),
        Column("president_sees", gettext_lazy("What the committee approves goes to the president, who may veto it"),
               "flag", required=False),
        _days("branch", gettext_lazy("The branch decides within")),
        _days("headquarters", gettext_lazy("Headquarters reviews within")),
        _days("committee", gettext_lazy("The committee votes within")),
        _days("president", gettext_lazy("The president decides within")),
        _days("case", gettext_lazy("A case expires after"), 365),
        Column("kin_steps", gettext_lazy("Nobody decides on relatives of relatives, and their companies, up to"), "whole",
               required=False, minimum=Decimal(0), maximum=Decimal(6), unit=gettext_lazy("relations away")),
        Column("calculation_days", gettext_lazy("A case rests on a line calculation of at most"), "whole",
               required=False, minimum=Decimal(1), maximum=Decimal(365), unit=gettext_lazy("days")),
    ),
    tables=(
        Table(
            "matrix", gettext_lazy("Authority matrix"),
            (
                Column("stage", gettext_lazy("Decides finally"), "choice", choices=list(STAGE_LABELS.items())),
                Column("up_to", gettext_lazy("Amount up to"), "money", minimum=Decimal("0.01")),
                Column("worst_grade", gettext_lazy("Worst grade"), "choice", choices=[(g, g) for g in GRADES]),
                Column("kinds", gettext_lazy("Kinds of customers"), "choices", choices=KINDS),
                Column("guarantees", gettext_lazy("Guarantees"), "choices", choices=GUARANTEES),
            ),
            help=gettext_lazy("the amount is all that the customer then has; what no row covers goes to the president"),
        ),
    ),
    check=check,
)  # fmt: skip


def kin_steps_of(body: Body) -> int:
    """How many relations away a relative still is one; 2 where the policy is older than the question."""
    steps = body.params["kin_steps"]
    return KIN_STEPS if steps is None else int(steps)


def calculation_days_of(body: Body) -> int:
    """For how many days a line calculation holds; 90 where the policy is older than the question."""
    days = body.params["calculation_days"]
    return CALCULATION_DAYS if days is None else int(days)


def matrix_of(body: Body) -> tuple[Authority, ...]:
    """The rows as the engine takes them."""
    return tuple(
        Authority(r["stage"], r["up_to"], r["worst_grade"], tuple(r["kinds"]), tuple(r["guarantees"]))
        for r in body.tables["matrix"]
    )


def route_of(body: Body, asked: Asked) -> Route:
    """Through which stages a case goes; with `president_sees` what the committee would decide goes on to him."""
    route = find_route(matrix_of(body), asked, GRADES)
    if body.params["president_sees"] and route.decides == "committee":
        return Route((*route.stages, HIGHEST), "president_sees", route.reasons)
    return route
