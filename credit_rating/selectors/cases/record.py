"""What has been said of a case, as a reader may see it (C6)."""

from __future__ import annotations

from dataclasses import dataclass, field

from django.db.models import Count, Q

from credit_rating.models import (
    CaseCondition,
    CaseSeat,
    CaseStatus,
    CreditCase,
    Opinion,
    OpinionPart,
    Verdict,
)
from credit_rating.models.cases import APPROVING
from crm_site.lib.permissions import Actor


def votes_are_hidden(case: CreditCase) -> bool:
    """Whether the committee is still voting: nobody sees anybody else's vote until it is closed."""
    return case.status == CaseStatus.COMMITTEE


@dataclass(frozen=True, slots=True)
class Record:
    """What has been said of a case as a reader may see it: opinions, and how many votes are in while they are hidden."""

    opinions: list[Opinion]
    hidden_votes: int = 0
    seats: list[CaseSeat] = field(default_factory=list)


def record_of(actor: Actor, case: CreditCase) -> Record:
    """Opinions, newest first. While the committee votes a reader sees of its votes his own alone."""
    found = case.opinions.select_related("staff", "on_behalf_of").prefetch_related("conditions")
    seats = list(case.seats.filter(round=case.round).select_related("staff"))
    if not votes_are_hidden(case):
        return Record(list(found), 0, seats)
    hidden = Q(round=case.round, part=OpinionPart.VOTE, voided_at__isnull=True) & ~Q(staff_id=actor.staff_id)
    return Record(list(found.exclude(hidden)), found.filter(hidden).count(), seats)


def conditions_of(case: CreditCase) -> list[CaseCondition]:
    """Conditions precedent of this round's approvals."""
    shown = ~Q(opinion__part=OpinionPart.VOTE) if votes_are_hidden(case) else Q()
    return list(
        case.conditions.filter(
            shown, opinion__round=case.round, opinion__voided_at__isnull=True,
            opinion__verdict=Verdict.CONDITIONAL,
        ).select_related("opinion__staff", "evidenced_by", "accepted_by").prefetch_related("files__uploaded_by")
    )  # fmt: skip


def open_conditions(case_id: int) -> int:
    """Conditions of an approval that nobody has accepted as met."""
    case = CreditCase.objects.filter(pk=case_id).first()
    return 0 if case is None else sum(1 for one in conditions_of(case) if one.accepted_at is None)


def vote_counts(case: CreditCase) -> dict[str, int]:
    """verdict -> votes of this round that count."""
    votes = case.opinions.filter(
        round=case.round, stage=CaseStatus.COMMITTEE, part=OpinionPart.VOTE, voided_at__isnull=True
    )
    return dict(votes.values_list("verdict").annotate(n=Count("id")).order_by())


def approving(verdict: str) -> bool:
    return verdict in [v.value for v in APPROVING]
