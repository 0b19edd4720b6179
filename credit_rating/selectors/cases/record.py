"""What has been said of a case, as a reader may see it (C6)."""

from __future__ import annotations

from dataclasses import dataclass, field

from django.db.models import Count, Prefetch, prefetch_related_objects

from credit_rating.models import (
    CaseCondition,
    CaseCopy,
    CaseFile,
    CaseSeat,
    CaseStatus,
    CreditCase,
    Opinion,
    OpinionPart,
    TieCorrection,
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


def with_record(case: CreditCase) -> CreditCase:
    """The case with everything that people left on it: one statement a kind of thing, and none after it."""
    with_staff = {"seats": CaseSeat, "copies": CaseCopy}
    related: list[str | Prefetch] = [
        Prefetch(name, model.objects.select_related("staff")) for name, model in with_staff.items()
    ]
    prefetch_related_objects(
        [case],
        "makers",
        *related,
        Prefetch("opinions", Opinion.objects.select_related("staff", "on_behalf_of")),
        Prefetch("conditions", CaseCondition.objects.select_related("evidenced_by", "accepted_by")),
        Prefetch("corrections", TieCorrection.objects.select_related("record", "by")),
        Prefetch("files", CaseFile.objects.select_related("uploaded_by", "withdrawn_by")),
    )
    return case


def record_of(actor: Actor, case: CreditCase) -> Record:
    """Opinions, newest first. While the committee votes a reader sees of its votes his own alone."""
    seats = [seat for seat in case.seats.all() if seat.round == case.round]
    said = list(case.opinions.all())
    if not votes_are_hidden(case):
        return Record(said, 0, seats)
    seen = [o for o in said if not _is_vote_of(o, case.round) or o.staff_id == actor.staff_id]
    return Record(seen, len(said) - len(seen), seats)


def _is_vote_of(opinion: Opinion, turn: int) -> bool:
    return opinion.round == turn and opinion.part == OpinionPart.VOTE and opinion.voided_at is None


def conditions_of(case: CreditCase) -> list[CaseCondition]:
    """Conditions precedent of this round's approvals."""
    said = {o.pk: o for o in case.opinions.all() if o.round == case.round and o.voided_at is None}
    if votes_are_hidden(case):
        said = {pk: o for pk, o in said.items() if o.part != OpinionPart.VOTE}
    found = [c for c in case.conditions.all() if c.opinion_id in said]
    for one in found:
        one.opinion = said[one.opinion_id]
    return [one for one in found if one.opinion.verdict == Verdict.CONDITIONAL]


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
