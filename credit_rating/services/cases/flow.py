"""The way of a case from stage to stage: entered, counted, moved on, ended; what time and change do to it (C6).

Nothing is approved by default. Each act first looks whether the dossier still is the one that was shown and whether the
stage's time is up; what it finds is kept even where the act itself is refused.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from decimal import Decimal

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from credit_rating.engine.authority import Votes, outcome
from credit_rating.models import (
    CaseDossier,
    CaseMaker,
    CaseSeat,
    CaseSeen,
    CaseStatus,
    CreditCase,
    OpinionPart,
    SeatKind,
    Verdict,
)
from credit_rating.models.calculations import content_hash
from credit_rating.models.cases import BY_RULE, STAGES
from credit_rating.policies import Body
from credit_rating.selectors import cases as selectors
from credit_rating.selectors.cases import Dossier
from credit_rating.services.campaigns.progress import note_case_ended
from credit_rating.services.cases.rules import Stale, address, locked
from credit_rating.services.lines import Opening, change_line, open_lines
from credit_rating.services.sub_limits import decided_sub_limits
from crm_site.lib.dates import add_months
from crm_site.lib.errors import Conflict, DomainError
from crm_site.lib.permissions import Actor, Grant, Role
from crm_site.lib.tenancy import because, require_bank
from crm_site.work.services import TaskRow, notify, put_tasks
from crm_site.work.urgency import pressing


def bind(case: CreditCase, today: dt.date, now: dt.datetime) -> Dossier:
    """Compute dossier, route and makers anew and keep what was shown."""
    dossier = selectors.dossier_of(case, today, today)
    take(case, dossier, today)
    CaseDossier.objects.get_or_create(
        case=case, hash=dossier.hash, defaults={"content": dossier.content, "at": now}
    )
    keep_makers([(case, dossier)])
    return dossier


def take(case: CreditCase, dossier: Dossier, today: dt.date) -> None:
    """Set what of a dossier a case holds itself."""
    case.as_of, case.dossier_hash, case.rating_id = today, dossier.hash, dossier.rating_id
    case.route, case.route_why = list(dossier.route.stages), dossier.route.why
    case.quorum, case.majority_pct, case.kin_steps = dossier.quorum, dossier.majority_pct, dossier.kin_steps


def keep_makers(bound: Iterable[tuple[CreditCase, Dossier]]) -> None:
    """Put on record who had a hand in what cases rest on; the database asks these rows. Nobody ever leaves them."""
    CaseMaker.objects.bulk_create(
        [
            CaseMaker(case=case, staff_id=staff_id, part=part)
            for case, dossier in bound
            for staff_id, part in dossier.makers
        ],
        ignore_conflicts=True,
        batch_size=500,  # each row is in the record, which sums up what is written by the thousand
    )


def keep_seen(case: CreditCase, today: dt.date, now: dt.datetime) -> str:
    """Keep what stands beside the dossier now, once for each content. Returns its hash."""
    content = selectors.seen_content(case, today)
    digest = content_hash(content)
    CaseSeen.objects.get_or_create(case=case, hash=digest, defaults={"content": content, "at": now})
    return digest


def enter(case: CreditCase, stage: CaseStatus, now: dt.datetime, today: dt.date) -> None:
    """Hand the case to a stage; the committee's members get their seats, those concerned are recused at once."""
    hand_to(case, stage, selectors.authority_policy(case.as_of or today)[1], now, today)
    case.save()
    if stage == CaseStatus.COMMITTEE:
        _seat_committee(case, now, today)
    sync_tasks(case, now, today)


def hand_to(case: CreditCase, stage: CaseStatus, policy: Body, now: dt.datetime, today: dt.date) -> None:
    """Set that a case is at a stage, and until when."""
    until = today + dt.timedelta(days=int(policy.params[f"{stage}_days"]))
    case.status, case.stage_since = stage, now
    case.deadline = min(until, case.expires_on or until)


def _seat_committee(case: CreditCase, now: dt.datetime, today: dt.date) -> None:
    _clear_seats(case, SeatKind.MEMBER)
    seated = set(case.seats.filter(round=case.round).values_list("staff_id", flat=True))
    seats = [
        CaseSeat(
            case=case, round=case.round, stage=CaseStatus.COMMITTEE, staff_id=staff_id, kind=SeatKind.MEMBER,
            recused=_by_rule(selectors.objections(case, staff_id, today)), at=now,
        )
        for staff_id in selectors.role_holders(Role.COMMITTEE_MEMBER, today)
        if staff_id not in seated
    ]  # fmt: skip
    able = sum(1 for seat in seats if not seat.recused)
    if able < case.quorum:
        raise Conflict(
            _("Only %(able)s members may vote on this case; the committee needs %(quorum)s.")
            % {"able": able, "quorum": case.quorum},
            code="no_quorum",
        )
    CaseSeat.objects.bulk_create(seats)


def _by_rule(codes: Sequence[str]) -> str:
    return f"{BY_RULE}{codes[0]}" if codes else ""


def _clear_seats(case: CreditCase, *kinds: str) -> None:
    """Take the seats of this round away, but for those who have recused themselves."""
    seats = case.seats.filter(round=case.round, kind__in=kinds)
    seats.filter(Q(recused="") | Q(recused__startswith=BY_RULE)).delete()


def count_when_all_are_in(case: CreditCase, now: dt.datetime, today: dt.date) -> None:
    """Close the committee's vote once everybody who may vote has voted."""
    votes = case.opinions.filter(round=case.round, part=OpinionPart.VOTE, voided_at__isnull=True)
    voted = {v.on_behalf_of_id or v.staff_id for v in votes}
    if voted and set(selectors.stage_people(case, today)) <= voted:
        _close_votes(case, now, today)
    else:
        sync_tasks(case, now, today)


def _close_votes(case: CreditCase, now: dt.datetime, today: dt.date) -> None:
    """Count the committee's votes: all are in, or its time is up."""
    counts = selectors.vote_counts(case)
    votes = Votes(
        approve=sum(n for verdict, n in counts.items() if selectors.approving(verdict)),
        reject=counts.get(Verdict.REJECT, 0),
        give_back=counts.get(Verdict.RETURN, 0),
        abstain=counts.get(Verdict.ABSTAIN, 0),
    )
    came_to = outcome(votes, quorum=case.quorum, majority_pct=case.majority_pct)
    if came_to == "no_quorum":
        end(case, CaseStatus.EXPIRED, now, today)
        return
    move_on(_committee(), case, Verdict(came_to), now, today)


def _committee() -> Actor:
    """The committee as the one that opens a line: its votes have decided, not the person who was last."""
    grant = Grant(Role.COMMITTEE_MEMBER, 0, 2_147_483_647)
    return Actor(require_bank(), "Credit committee", grants=(grant,))


def move_on(actor: Actor, case: CreditCase, verdict: str, now: dt.datetime, today: dt.date) -> None:
    """What a stage's verdict brings: back to the maker, the end, the next stage or, after the last, the line."""
    if verdict == Verdict.RETURN:
        case.status, case.stage_since, case.deadline = CaseStatus.RETURNED, now, None
        case.save()
        sync_tasks(case, now, today)
        return
    if not selectors.approving(verdict):
        end(case, CaseStatus.REJECTED, now, today)
        return
    place = case.route.index(case.status)
    if place + 1 < len(case.route):
        enter(case, CaseStatus(case.route[place + 1]), now, today)
        return
    end(case, CaseStatus.APPROVED, now, today)
    carry_out(actor, case, now, today)


def end(case: CreditCase, status: CaseStatus, now: dt.datetime, today: dt.date) -> None:
    """Close a case with what was seen of it, and tell its maker and those it was copied to."""
    said = selectors.newest_opinion(case) if status in (CaseStatus.APPROVED, CaseStatus.REJECTED) else None
    case.seen_hash = said.seen_hash if said else keep_seen(case, today, now)
    case.status, case.closed_at = status, now
    case.save()
    note_case_ended(case)
    sync_tasks(case, now, today)
    told = [case.prepared_by_id, *case.copies.values_list("staff_id", flat=True)]
    notify(told, "case.ended", {"case": case.number, "status": str(status)}, address(case), now=now)


def carry_out(actor: Actor, case: CreditCase, now: dt.datetime, today: dt.date) -> None:
    """The approval opens its line or changes the one it is about; while conditions are open or a guarantee is not in
    force neither gives room."""
    waits = bool(selectors.open_conditions(case.pk) or selectors.guarantees_out_of_force(case.pk, today))
    if case.line is not None:
        until = add_months(today, case.term_months)
        change_line(
            actor, line_id=case.line.pk, limit=Decimal(case.amount), expires_on=max(until, case.line.expires_on),
            case_id=case.pk, now=now, conditions_open=waits, reason=case.number,
            sub_limits=decided_sub_limits(case.sub_limits),
        )  # fmt: skip
        return
    [case.line] = open_lines(actor, openings=[opening_of(case, today, waits=waits)], starts_on=today, now=now)
    case.save(update_fields=["line"])


def opening_of(case: CreditCase, today: dt.date, *, waits: bool) -> Opening:
    """The line that a case approved today opens; `waits`: for conditions or guarantees."""
    sub_limits = decided_sub_limits(case.sub_limits) if case.sub_limits else {}
    return Opening(
        case.customer, case.product, case.currency, Decimal(case.amount), add_months(today, case.term_months), case.pk,
        waits, sub_limits, case.number,
    )  # fmt: skip


def bring_up_to_date(actor: Actor, case_id: int, now: dt.datetime, today: dt.date) -> Conflict | None:
    """What happened to a case since it was shown: its stage's time is up, or its dossier changed. Kept in any case."""
    with transaction.atomic():
        case = locked(actor, case_id)
        if not case.is_waiting:
            return None
        if _settle(case, now, today):
            return Conflict(_("The time to decide is over."), code="deadline_passed")
        before = case.dossier_hash
        if not void_if_changed(case, now, today):
            return None
        return Stale(
            _("The case has changed: earlier opinions of this round are void, and it begins again."),
            selectors.changes_since(case, before),
        )


def _settle(case: CreditCase, now: dt.datetime, today: dt.date) -> bool:
    """Whether the stage's last day has passed; then the votes are counted, or the case expires."""
    if case.deadline is None or today <= case.deadline:
        return False
    counts = case.status == CaseStatus.COMMITTEE and today <= (case.expires_on or today)
    # Votes count only on what still is what they were cast on.
    if counts and selectors.still_holds(case, selectors.dossier_of(case, case.as_of or today, today)):
        _close_votes(case, now, today)
    else:
        end(case, CaseStatus.EXPIRED, now, today)
    return True


def void_if_changed(case: CreditCase, now: dt.datetime, today: dt.date) -> bool:
    found = selectors.dossier_of(case, case.as_of or today, today)
    if selectors.still_holds(case, found):
        # What was typed since without changing the dossier (what a guarantor can carry, say) has a maker as well.
        keep_makers([(case, found)])
        return False
    case.opinions.filter(round=case.round, voided_at__isnull=True).update(voided_at=now)
    _clear_seats(case, *SeatKind.values)
    bind(case, today, now)
    enter(case, CaseStatus(case.route[0]), now, today)
    return True


def close_due(*, now: dt.datetime, today: dt.date, customers: tuple[int, int] | None = None) -> int:
    """The night's act: cases past a deadline are counted or expire; a branch at which nobody may decide any more, a new
    relative say, is left out. Returns how many moved. Safe to repeat."""
    over = Q(status__in=STAGES, deadline__lt=today) | Q(status=CaseStatus.RETURNED, expires_on__lt=today)
    found = CreditCase.objects.filter(over | Q(status=CaseStatus.BRANCH))
    if customers is not None:
        found = found.filter(customer_id__gte=customers[0], customer_id__lte=customers[1])
    closed = 0
    for case_id in list(found.values_list("pk", flat=True)):
        with transaction.atomic():
            case = CreditCase.objects.select_for_update(of=("self",)).get(pk=case_id)
            because(case.number)  # as what people do to a case stands in the record (rules.locked)
            if case.is_waiting:
                closed += _settle_or_expire(case, now, today) or _leave_branch(case, now, today)
            elif case.status == CaseStatus.RETURNED:
                end(case, CaseStatus.EXPIRED, now, today)
                closed += 1
            because("")
    return closed


def _leave_branch(case: CreditCase, now: dt.datetime, today: dt.date) -> bool:
    """Hand a case on to headquarters that nobody at its branch may decide."""
    is_stuck = case.status == CaseStatus.BRANCH and selectors.without_branch(case, (), today, case.kin_steps)
    return is_stuck and void_if_changed(case, now, today)


def _settle_or_expire(case: CreditCase, now: dt.datetime, today: dt.date) -> bool:
    """As _settle; what the committee's votes cannot bring about (its line is closed, say) expires."""
    try:
        with transaction.atomic():
            return _settle(case, now, today)
    except DomainError:
        case.refresh_from_db()
        end(case, CaseStatus.EXPIRED, now, today)
        return True


def sync_tasks(case: CreditCase, now: dt.datetime, today: dt.date) -> None:
    """Who can move the case has it on his worklist with the deadline; nobody else."""
    put_tasks(
        require_bank(), case_tasks(case, today), sources=[f"case:{case.pk}:"], as_of=today, now=now,
        customers=(case.customer_id, case.customer_id),
    )  # fmt: skip


def case_tasks(case: CreditCase, today: dt.date) -> list[TaskRow]:
    """The tasks that a case calls for as it stands."""
    source = f"case:{case.pk}:"
    rows = []
    if case.status == CaseStatus.RETURNED:
        rows.append(
            _task(case, source, case.prepared_by_id, "case_returned", case.expires_on or today, today)
        )
    rows.extend(
        _task(case, source, staff_id, "case_decide", case.deadline or today, today)
        for staff_id in _asked(case, today)
    )
    return rows


def _asked(case: CreditCase, today: dt.date) -> list[int]:
    if not case.is_waiting:
        return []
    signers = [seat.staff_id for seat in selectors.open_signers(case)]
    people = [*signers, *([] if signers else selectors.stage_people(case, today))]
    return [staff_id for staff_id in people if not selectors.objections(case, staff_id, today)]


def _task(case: CreditCase, source: str, staff_id: int, reason: str, due: dt.date, today: dt.date) -> TaskRow:
    return TaskRow(
        reason=reason, source_key=f"{source}{case.round}:{case.status}:{staff_id}", due_date=due,
        customer_id=case.customer_id, owner_id=staff_id,
        params={"case": case.number, "case_id": case.pk, "amount": str(case.amount), "currency": case.currency},
        urgency=pressing(due, today, 70),
    )  # fmt: skip
