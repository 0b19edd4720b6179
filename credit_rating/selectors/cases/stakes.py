"""What a case in a list weighs: grade, the cap it comes nearest to, whether it asks for more than was calculated, age.

Grade and limit are those of the dossier that the decision is bound to; the caps are live, as on the case's own page.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.utils.timezone import localdate

from credit_rating.engine.exposure import CapUse
from credit_rating.models import CaseDossier, CreditCase, CreditLine
from credit_rating.models.cases import STAGES
from credit_rating.models.lines import PROMISED
from credit_rating.policies.caps import CAPS
from credit_rating.selectors.cases.dossier import total_asked
from credit_rating.selectors.exposure import cap_uses
from crm_site.lib.errors import DomainError


@dataclass(frozen=True, slots=True)
class Listed:
    """A case of a list. `age`: days at its stage; `is_late`: to be decided by tomorrow or before; `grade` "" for not
    rated; `use`: the cap that is used most after it (None: nothing was checked), `cap` its name."""

    case: CreditCase
    age: int
    is_late: bool
    grade: str = ""
    above_limit: bool = False
    uncalculated: bool = False
    use: CapUse | None = None
    cap: str = ""


def listed(cases: Iterable[CreditCase], today: dt.date) -> list[Listed]:
    """Cases with what they weigh, in their order; the same few statements however many they are."""
    found = list(cases)
    shown = CaseDossier.objects.filter(
        case_id__in=[c.pk for c in found], hash__in=[c.dossier_hash for c in found]
    )
    rows = shown.values_list("case_id", "hash", "content__authority")
    asked = {(case, seal): told or {} for case, seal, told in rows}
    uses = _nearest([case for case in found if case.is_waiting], today)
    result = []
    for case in found:
        told, use = asked.get((case.pk, case.dossier_hash), {}), uses.get(case.pk)
        result.append(
            Listed(
                case, _age(case, today), _is_late(case, today), told.get("grade", ""), bool(told.get("above_limit")),
                bool(told.get("uncalculated")), use, str(CAPS[use.code][0]) if use else "",
            )
        )  # fmt: skip
    return result


def _nearest(cases: Sequence[CreditCase], today: dt.date) -> dict[int, CapUse]:
    """Waiting case -> the cap of which most is used after it; nothing for a currency without an exchange rate."""
    customers = {case.customer_id for case in cases}
    if not customers:
        return {}
    lines: dict[int, list[CreditLine]] = defaultdict(list)
    for line in CreditLine.objects.filter(PROMISED, customer_id__in=customers):
        lines[line.customer_id].append(line)
    under_way: dict[int, list[CreditCase]] = defaultdict(list)
    for other in CreditCase.objects.filter(customer_id__in=customers, status__in=STAGES):
        under_way[other.customer_id].append(other)
    try:
        limits = {
            case.customer_id: total_asked(
                case, lines[case.customer_id], [o for o in under_way[case.customer_id] if o.pk != case.pk],
                case.as_of or today,
            )
            for case in cases
        }  # fmt: skip
        uses = cap_uses(limits, today)
    except DomainError:
        return {}
    return {
        c.pk: max(uses[c.customer_id], key=lambda use: use.share) for c in cases if uses.get(c.customer_id)
    }


def _age(case: CreditCase, today: dt.date) -> int:
    return max((today - localdate(case.stage_since or case.prepared_at)).days, 0)


def _is_late(case: CreditCase, today: dt.date) -> bool:
    return case.is_waiting and case.deadline is not None and (case.deadline - today).days <= 1
