"""What a case in a list weighs: grade, the cap it comes nearest to, whether it asks for more than was calculated, age.

Of a waiting case these are what is bound to its decision: the dossier of its hash and the calculation it names, so that a
list and the page of the case say the same.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.utils.timezone import localdate

from credit_rating.models import CaseDossier, CreditCase, LineCalculation
from credit_rating.policies.caps import CAPS


@dataclass(frozen=True, slots=True)
class Listed:
    """A case of a list. `age`: days at its stage; `is_late`: to be decided by tomorrow or before; `grade` "" for not
    rated; `share`: of the cap it leaves least room of, by the calculation of `counted_on` (None: nothing was checked)."""

    case: CreditCase
    age: int
    is_late: bool
    grade: str = ""
    above_limit: bool = False
    share: Decimal | None = None
    level: str = "ok"
    cap: str = ""
    counted_on: dt.date | None = None


def listed(cases: Iterable[CreditCase], today: dt.date) -> list[Listed]:
    """Cases with what they weigh, in their order; two statements however many they are."""
    found = list(cases)
    shown = CaseDossier.objects.filter(
        case_id__in=[c.pk for c in found], hash__in=[c.dossier_hash for c in found]
    )
    asked = {
        (case, held): told or {} for case, held, told in shown.values_list("case_id", "hash", "content__authority")
    }  # fmt: skip
    named = LineCalculation.objects.filter(pk__in=[c.calculation_id for c in found if c.calculation_id])
    caps = {key: (day, uses or []) for key, day, uses in named.values_list("pk", "as_of", "content__caps")}
    return [
        Listed(
            case, _age(case, today), _is_late(case, today),
            grade=told.get("grade", ""), above_limit=bool(told.get("above_limit")),
            **_nearest(*caps.get(case.calculation_id or 0, (None, []))),
        )
        for case in found
        for told in [asked.get((case.pk, case.dossier_hash), {})]
    ]  # fmt: skip


def _nearest(day: dt.date | None, uses: list[dict[str, Any]]) -> dict[str, Any]:
    """The most used of the caps that a calculation checked."""
    known = [(Decimal(use["amount"]) / Decimal(use["cap"]), use) for use in uses if Decimal(use["cap"])]
    if not known:
        return {}
    share, use = max(known, key=lambda one: one[0])
    label = CAPS[use["code"]][0] if use["code"] in CAPS else use["code"]
    return {"share": share, "level": use["level"], "cap": str(label), "counted_on": day}


def _age(case: CreditCase, today: dt.date) -> int:
    return max((today - localdate(case.stage_since or case.prepared_at)).days, 0)


def _is_late(case: CreditCase, today: dt.date) -> bool:
    return case.is_waiting and case.deadline is not None and (case.deadline - today).days <= 1
