"""Whose turn a case is, and what brought it to where it stands (C6)."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import dataclass, field

from credit_rating.models import (
    CaseStatus,
    CreditCase,
    Delegation,
    LineEventKind,
    Opinion,
    OpinionPart,
    SeatKind,
    Verdict,
)
from credit_rating.models.cases import APPROVING
from credit_rating.selectors.cases.people import Branches, objections, stage_people
from credit_rating.selectors.cases.record import conditions_of
from crm_site.accounts.models import Staff

MOST_NAMES = 6


@dataclass(frozen=True, slots=True)
class Asked:
    """Somebody who may decide now, and who decides in the place while that one is away."""

    staff: Staff
    stand_in: Staff | None


@dataclass(frozen=True, slots=True)
class Turn:
    """`asked`: who may decide at the case's stage, of the committee its voting members; at most MOST_NAMES, `more`
    are not named. `said`: the opinions that gave it back or ended it; several of a committee, with
    all its `votes`. `open_conditions`: of an approval. `change`: of an approved change of a line under conditions, "waits" or "lapsed"; "" once in effect."""

    asked: list[Asked] = field(default_factory=list)
    more: int = 0
    said: list[Opinion] = field(default_factory=list)
    votes: list[Opinion] = field(default_factory=list)
    open_conditions: int = 0
    change: str = ""


def turn_of(case: CreditCase, day: dt.date, known: Branches | None = None) -> Turn:
    """What to say of a case read `with_record`: whom it waits for, or whose opinion brought it back or to its end."""
    if case.is_waiting:
        return _waiting(case, day, known or Branches(day))
    if case.status == CaseStatus.APPROVED:
        count = sum(1 for one in conditions_of(case) if one.accepted_at is None)
        return Turn(open_conditions=count, change=_change(case))
    wanted = {CaseStatus.RETURNED: Verdict.RETURN, CaseStatus.REJECTED: Verdict.REJECT}.get(
        CaseStatus(case.status)
    )
    said = [o for o in _of_round(case) if o.verdict == wanted and o.part != OpinionPart.SIGNER]
    votes = [o for o in _of_round(case) if o.part == OpinionPart.VOTE]
    return Turn(said=said, votes=votes if said and said[0].part == OpinionPart.VOTE else [])


def _change(case: CreditCase) -> str:
    line = case.line
    if line is None or line.case_id == case.pk:
        return ""
    if line.waiting_case_id == case.pk:
        return "waits"
    told = {event.kind for event in line.events.all() if event.case_id == case.pk}
    return "lapsed" if LineEventKind.CHANGE_LAPSED in told else ""


def president_may_return(case: CreditCase) -> bool:
    """The president gives a case back once in its life."""
    return not any(
        o.stage == CaseStatus.PRESIDENT and o.verdict == Verdict.RETURN for o in case.opinions.all()
    )


def tally(opinions: list[Opinion]) -> dict[str, int]:
    """verdict -> how many said so, the agreeing ones first and together."""
    counts = Counter("approve" if o.verdict in APPROVING else o.verdict for o in opinions)
    order = (Verdict.APPROVE, Verdict.REJECT, Verdict.RETURN, Verdict.ABSTAIN)
    return {verdict.value: counts[verdict] for verdict in order if counts[verdict]}


def said_already(case: CreditCase, staff_id: int | None, verdict: str, text: str, dossier_hash: str) -> bool:
    """Whether this very opinion of the person stands on the record: the same form, sent twice."""
    given = (staff_id, verdict, text.strip(), dossier_hash)
    kept = case.opinions.filter(staff_id=staff_id or 0, dossier_hash=dossier_hash, voided_at__isnull=True)
    return any((o.staff_id, o.verdict, o.text, o.dossier_hash) == given for o in kept)


def _of_round(case: CreditCase) -> list[Opinion]:
    return [o for o in case.opinions.all() if o.round == case.round and o.voided_at is None]


def _waiting(case: CreditCase, day: dt.date, known: Branches) -> Turn:
    if case.status == CaseStatus.COMMITTEE:
        seats = [seat for seat in case.seats.all() if seat.round == case.round and not seat.recused]
        people = [seat.staff_id for seat in seats if seat.kind == SeatKind.MEMBER]
    else:
        people = stage_people(case, day, known)
        if len(people) <= MOST_NAMES:  # of more, names help nobody, and each costs a statement
            people = [staff_id for staff_id in people if not objections(case, staff_id, day, known)]
    named = people[:MOST_NAMES]
    staff = Staff.objects.in_bulk(named)
    away = Delegation.objects.filter(
        staff_id__in=named, from_date__lte=day, to_date__gte=day, ended_at__isnull=True
    )
    stand_ins = {d.staff_id: d.to for d in away.select_related("to").order_by("-id")}
    asked = [Asked(staff[key], stand_ins.get(key)) for key in named]
    return Turn(asked=asked, more=len(people) - len(named))
