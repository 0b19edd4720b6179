"""The way of a case from its maker to the last signature (C6). Nothing is approved by default.

Who decides sends the hash of the dossier that he was shown. Each act first looks whether the dossier still is that one
and whether the stage's time is up; what it finds is kept even where the act itself is refused.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, connection, transaction
from django.db.models import Max, Q
from django.utils.translation import gettext as _

from credit_rating.engine.authority import Votes, outcome
from credit_rating.models import (
    CaseCondition,
    CaseCopy,
    CaseDossier,
    CaseKind,
    CaseMaker,
    CaseSeat,
    CaseStatus,
    CreditCase,
    CreditLine,
    Delegation,
    Opinion,
    OpinionPart,
    SeatKind,
    StaffRelation,
    Verdict,
)
from credit_rating.models.cases import BY_RULE, STAGES
from credit_rating.selectors import cases as selectors
from credit_rating.selectors.cases import Capacity, Dossier
from credit_rating.services.lines import change_line, open_line
from crm_site.accounts.models import Staff
from crm_site.accounts.selectors import actor_for
from crm_site.lib.dates import add_months
from crm_site.lib.errors import Conflict, DomainError
from crm_site.lib.permissions import Actor, Grant, Role, may, require
from crm_site.lib.tenancy import require_bank
from crm_site.work.services import TaskRow, notify, put_tasks
from customers.models import Customer, Product

PREPARE, DECIDE, READ = "credit.prepare", "credit.decide", "credit.read"
REGISTER, MANAGE = "credit_register.manage", "line.manage"
EDITABLE = (CaseStatus.DRAFT, CaseStatus.RETURNED)
MOST_BATCH = 100


class CaseFault(DomainError):
    """A case that cannot be made, submitted or decided like this."""


class Stale(Conflict):
    """What was shown is not what is there: `changed` says where, (place, before, after)."""

    def __init__(self, message: str, changed: Sequence[tuple[str, str, str]]) -> None:
        super().__init__(message, code="stale_dossier")
        self.changed = list(changed)


@dataclass(frozen=True, slots=True)
class Terms:
    """What is asked for; `rate_bp` in basis points."""

    kind: str
    product: Product
    currency: str
    amount: Decimal
    term_months: int
    purpose: str
    rate_bp: int | None = None
    line: CreditLine | None = None
    calculation_id: int | None = None
    rating_id: int | None = None


# -- made and submitted ---------------------------------------------------------------------------------------------


def create_case(actor: Actor, *, customer: Customer, terms: Terms, now: dt.datetime) -> CreditCase:
    """A draft. Raises CaseFault with the field's name, Conflict while the customer has a case for the product."""
    staff_id = _person(actor, PREPARE)
    _check_terms(customer, terms)
    try:
        with transaction.atomic():
            seen = Customer.objects.visible_to(actor).get(pk=customer.pk)
            return CreditCase.objects.create(
                year=now.year, serial=_next_serial(now.year), customer=seen, prepared_by_id=staff_id, prepared_at=now,
                **_columns(terms),
            )  # fmt: skip
    except IntegrityError as error:
        raise Conflict(_("This customer has a case for this product already."), code="case_open") from error


def edit_case(
    actor: Actor, *, case_id: int, terms: Terms, investigation: str, now: dt.datetime
) -> CreditCase:
    """Its maker changes a draft or a returned case."""
    with transaction.atomic():
        case = _own(actor, case_id)
        _check_terms(case.customer, terms)
        for name, value in _columns(terms).items():
            setattr(case, name, value)
        case.investigation = investigation.strip()
        case.save(update_fields=[*_columns(terms), "investigation"])
    return case


def _columns(terms: Terms) -> dict[str, Any]:
    return {name: getattr(terms, name) for name in Terms.__slots__}


def _check_terms(customer: Customer, terms: Terms) -> None:
    faults = {}
    line = terms.line
    if terms.amount <= 0:
        faults["amount"] = _("The amount must be above zero.")
    if not 0 < terms.term_months <= 360:
        faults["term_months"] = _("Between 1 and 360 months.")
    if not terms.purpose.strip():
        faults["purpose"] = _("Say what for.")
    if line is None and terms.kind in (CaseKind.INCREASE, CaseKind.DECREASE, CaseKind.REVIEW):
        faults["line"] = _("Choose the line.")
    if line is not None:
        if (line.customer_id, line.product_id, line.currency) != (
            customer.pk,
            terms.product.pk,
            terms.currency,
        ):
            faults["line"] = _("The line is of another customer, product or currency.")
        elif terms.kind == CaseKind.NEW:
            faults["line"] = _("A new line changes none.")
        elif terms.kind == CaseKind.INCREASE and terms.amount <= line.limit:
            faults["amount"] = _("It must be above the line's limit.")
        elif terms.kind == CaseKind.DECREASE and terms.amount >= line.limit:
            faults["amount"] = _("It must be below the line's limit.")
    if faults:
        raise CaseFault(next(iter(faults.values())), code="terms", fields=faults)


def submit_case(actor: Actor, *, case_id: int, now: dt.datetime, today: dt.date) -> CreditCase:
    """The manager's investigation is done: a new round begins at the first stage of the route."""
    with transaction.atomic():
        case = _own(actor, case_id)
        if not case.investigation.strip():
            message = _("Write what the investigation found.")
            raise CaseFault(message, code="investigation", fields={"investigation": message})
        case.round += 1
        case.submitted_at = now
        body = selectors.authority_policy(today)[1]
        if case.expires_on is None:
            case.expires_on = today + dt.timedelta(days=int(body.params["case_days"]))
        if case.expires_on < today:
            raise Conflict(_("The case has expired."), code="case_ended")
        _bind(case, today, now)
        _enter(case, CaseStatus(case.route[0]), now, today)
    return case


def _bind(case: CreditCase, today: dt.date, now: dt.datetime) -> Dossier:
    """Compute dossier, route and makers anew and keep what was shown."""
    dossier = selectors.dossier_of(case, today, today)
    case.as_of, case.dossier_hash = today, dossier.hash
    case.route, case.route_why = list(dossier.route.stages), dossier.route.why
    case.quorum, case.majority_pct = dossier.quorum, dossier.majority_pct
    CaseDossier.objects.get_or_create(
        case=case, hash=dossier.hash, defaults={"content": dossier.content, "at": now}
    )
    CaseMaker.objects.bulk_create(
        [CaseMaker(case=case, staff_id=staff_id, part=part) for staff_id, part in dossier.makers],
        ignore_conflicts=True,
    )
    return dossier


def _enter(case: CreditCase, stage: CaseStatus, now: dt.datetime, today: dt.date) -> None:
    """Hand the case to a stage; the committee's members get their seats, those concerned are recused at once."""
    body = selectors.authority_policy(case.as_of or today)[1]
    until = today + dt.timedelta(days=int(body.params[f"{stage}_days"]))
    case.status, case.stage_since = stage, now
    case.deadline = min(until, case.expires_on or until)
    case.save()
    if stage == CaseStatus.COMMITTEE:
        _seat_committee(case, now, today)
    _sync_tasks(case, now, today)


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


# -- decided --------------------------------------------------------------------------------------------------------


def decide(
    actor: Actor,
    *,
    case_id: int,
    verdict: str,
    text: str,
    dossier_hash: str,
    now: dt.datetime,
    today: dt.date,
    conditions: Sequence[str] = (),
) -> Opinion:
    """Say what one thinks of a case: the decision of a stage, a vote of the committee, an added signer's opinion.

    `dossier_hash`: of what was shown. Raises Stale when that is not what is there (a dossier that has changed voids the
    earlier opinions of the round and begins again), Conflict when the stage's time is up or somebody was first,
    CaseFault when the person must not decide or the form lacks something, PermissionDenied without any part in it.
    """
    staff_id = _person(actor, DECIDE)
    refused = _bring_up_to_date(actor, case_id, now, today)
    if refused is not None:
        raise refused
    with transaction.atomic():
        case = _locked(actor, case_id)
        stands = _stand(actor, case, today)
        if dossier_hash != case.dossier_hash:
            raise Stale(
                _("The case is not what you were shown."), selectors.changes_since(case, dossier_hash)
            )
        kept = [line.strip()[:300] for line in conditions if line.strip()]
        _check_opinion(case, stands, verdict, text, kept)
        opinion = _say(case, staff_id, stands, verdict, text, now, today)
        if verdict == Verdict.CONDITIONAL:
            CaseCondition.objects.bulk_create(
                CaseCondition(case=case, opinion=opinion, text=line) for line in dict.fromkeys(kept)
            )
        _advance(actor, case, opinion, now, today)
    return opinion


def _stand(actor: Actor, case: CreditCase, today: dt.date) -> Capacity:
    """In what part the actor speaks. Raises Conflict, CaseFault or PermissionDenied when he may not."""
    if not case.is_waiting:
        raise Conflict(
            _("The case is %s now; there is nothing to decide.") % case.get_status_display(),
            code="case_status",
        )
    stands = selectors.capacity(actor, case, today)
    if stands is None:
        against = selectors.objections(case, actor.staff_id or 0, today)
        if not against:
            raise PermissionDenied(DECIDE)
        raise _objection(against)
    if stands.objections:
        raise _objection(stands.objections)
    return stands


def _objection(codes: Iterable[str]) -> CaseFault:
    first = next(iter(codes))
    return CaseFault(objection_words()[first], code=f"four_eyes_{first}")


def objection_words() -> dict[str, str]:
    """Why somebody must not decide, in the reader's words."""
    return {
        "maker": _("Whoever has made a case or what it rests on does not decide it."),
        "own": _("Nobody decides on his own customer."),
        "relative": _("Nobody decides on a relative or a company of his."),
        "decided": _("Nobody decides twice in a round."),
        "recused": _("You take no part in this case."),
    }


def _check_opinion(
    case: CreditCase, stands: Capacity, verdict: str, text: str, conditions: Sequence[str]
) -> None:
    faults = {}
    if verdict not in Verdict.values or (verdict == Verdict.ABSTAIN and stands.part != OpinionPart.VOTE):
        faults["verdict"] = _("Choose one.")
    if not text.strip():
        faults["text"] = _("Say why.")
    if verdict == Verdict.CONDITIONAL and not conditions:
        faults["conditions"] = _("Write at least one condition.")
    if verdict != Verdict.CONDITIONAL and conditions:
        faults["conditions"] = _("Conditions need the opinion that agrees with conditions.")
    returned = case.opinions.filter(stage=CaseStatus.PRESIDENT, verdict=Verdict.RETURN)
    if verdict == Verdict.RETURN and case.status == CaseStatus.PRESIDENT and returned.exists():
        faults["verdict"] = _("The president has returned this case once already.")
    if faults:
        raise CaseFault(next(iter(faults.values())), code="opinion", fields=faults)
    if stands.part == OpinionPart.DECISION and (missing := selectors.open_signers(case)):
        names = ", ".join(seat.staff.name for seat in missing)
        raise Conflict(_("The opinion of %s is outstanding.") % names, code="signer_missing")


def _say(
    case: CreditCase,
    staff_id: int,
    stands: Capacity,
    verdict: str,
    text: str,
    now: dt.datetime,
    today: dt.date,
) -> Opinion:
    try:
        with transaction.atomic():
            return Opinion.objects.create(
                case=case, round=case.round, stage=case.status, part=stands.part, staff_id=staff_id,
                on_behalf_of_id=stands.on_behalf_of, verdict=verdict, text=text.strip(),
                dossier_hash=case.dossier_hash, at=now, day=today,
            )  # fmt: skip
    except IntegrityError as error:
        raise Conflict(_("Somebody has decided here meanwhile."), code="four_eyes") from error


def _advance(actor: Actor, case: CreditCase, opinion: Opinion, now: dt.datetime, today: dt.date) -> None:
    if opinion.part == OpinionPart.SIGNER:
        _sync_tasks(case, now, today)
    elif opinion.part == OpinionPart.VOTE:
        _count_when_all_are_in(case, now, today)
    else:
        _move_on(actor, case, opinion.verdict, now, today)


def _count_when_all_are_in(case: CreditCase, now: dt.datetime, today: dt.date) -> None:
    votes = case.opinions.filter(round=case.round, part=OpinionPart.VOTE, voided_at__isnull=True)
    voted = {v.on_behalf_of_id or v.staff_id for v in votes}
    if voted and set(selectors.stage_people(case, today)) <= voted:
        _close_votes(case, now, today)
    else:
        _sync_tasks(case, now, today)


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
        _end(case, CaseStatus.EXPIRED, now, today)
        return
    _move_on(_committee(), case, Verdict(came_to), now, today)


def _committee() -> Actor:
    """The committee as the one that opens a line: its votes have decided, not the person who was last."""
    grant = Grant(Role.COMMITTEE_MEMBER, 0, 2_147_483_647)
    return Actor(require_bank(), "Credit committee", grants=(grant,))


def _move_on(actor: Actor, case: CreditCase, verdict: str, now: dt.datetime, today: dt.date) -> None:
    if verdict == Verdict.RETURN:
        case.status, case.stage_since, case.deadline = CaseStatus.RETURNED, now, None
        case.save()
        _sync_tasks(case, now, today)
        return
    if not selectors.approving(verdict):
        _end(case, CaseStatus.REJECTED, now, today)
        return
    place = case.route.index(case.status)
    if place + 1 < len(case.route):
        _enter(case, CaseStatus(case.route[place + 1]), now, today)
        return
    _end(case, CaseStatus.APPROVED, now, today)
    _carry_out(actor, case, now, today)


def _end(case: CreditCase, status: CaseStatus, now: dt.datetime, today: dt.date) -> None:
    case.status, case.closed_at = status, now
    case.save()
    _sync_tasks(case, now, today)
    told = [case.prepared_by_id, *case.copies.values_list("staff_id", flat=True)]
    notify(told, "case.ended", {"case": case.number, "status": str(status)}, address(case), now=now)


def _carry_out(actor: Actor, case: CreditCase, now: dt.datetime, today: dt.date) -> None:
    """The approval opens its line, pending while conditions are open, or changes the one it is about."""
    until = add_months(today, case.term_months)
    if case.line is not None:
        change_line(
            actor, line_id=case.line.pk, limit=Decimal(case.amount), expires_on=max(until, case.line.expires_on),
            case_id=case.pk, now=now, reason=case.number,
        )  # fmt: skip
        return
    case.line = open_line(
        actor, customer=case.customer, product=case.product, currency=case.currency, limit=Decimal(case.amount),
        starts_on=today, expires_on=until, now=now, case_id=case.pk, reason=case.number,
        conditions_open=selectors.open_conditions(case.pk) > 0,
    )  # fmt: skip
    case.save(update_fields=["line"])


# -- what time and change do ----------------------------------------------------------------------------------------


def _bring_up_to_date(actor: Actor, case_id: int, now: dt.datetime, today: dt.date) -> Conflict | None:
    """What happened to a case since it was shown: its stage's time is up, or its dossier changed. Kept in any case."""
    with transaction.atomic():
        case = _locked(actor, case_id)
        if not case.is_waiting:
            return None
        if _settle(case, now, today):
            return Conflict(_("The time to decide is over."), code="deadline_passed")
        before = case.dossier_hash
        if not _void_if_changed(case, now, today):
            return None
        return Stale(
            _("The case has changed: earlier opinions of this round are void, and it begins again."),
            selectors.changes_since(case, before),
        )


def _settle(case: CreditCase, now: dt.datetime, today: dt.date) -> bool:
    """Whether the stage's last day has passed; then the votes are counted, or the case expires."""
    if case.deadline is None or today <= case.deadline:
        return False
    # Votes count only on what still is what they were cast on.
    is_same = selectors.dossier_of(case, case.as_of or today, today).hash == case.dossier_hash
    if case.status == CaseStatus.COMMITTEE and is_same and today <= (case.expires_on or today):
        _close_votes(case, now, today)
    else:
        _end(case, CaseStatus.EXPIRED, now, today)
    return True


def _void_if_changed(case: CreditCase, now: dt.datetime, today: dt.date) -> bool:
    if selectors.dossier_of(case, case.as_of or today, today).hash == case.dossier_hash:
        return False
    case.opinions.filter(round=case.round, voided_at__isnull=True).update(voided_at=now)
    _clear_seats(case, *SeatKind.values)
    _bind(case, today, now)
    _enter(case, CaseStatus(case.route[0]), now, today)
    return True


def close_due(*, now: dt.datetime, today: dt.date, customers: tuple[int, int] | None = None) -> int:
    """The night's act: cases past a deadline are counted or expire. Returns how many. Safe to repeat."""
    over = Q(status__in=STAGES, deadline__lt=today) | Q(status=CaseStatus.RETURNED, expires_on__lt=today)
    found = CreditCase.objects.filter(over)
    if customers is not None:
        found = found.filter(customer_id__gte=customers[0], customer_id__lte=customers[1])
    closed = 0
    for case_id in list(found.values_list("pk", flat=True)):
        with transaction.atomic():
            case = CreditCase.objects.select_for_update(of=("self",)).get(pk=case_id)
            if case.is_waiting:
                closed += _settle_or_expire(case, now, today)
            elif case.status == CaseStatus.RETURNED:
                _end(case, CaseStatus.EXPIRED, now, today)
                closed += 1
    return closed


def _settle_or_expire(case: CreditCase, now: dt.datetime, today: dt.date) -> bool:
    """As _settle; what the committee's votes cannot bring about (its line is closed, say) expires."""
    try:
        with transaction.atomic():
            return _settle(case, now, today)
    except DomainError:
        case.refresh_from_db()
        _end(case, CaseStatus.EXPIRED, now, today)
        return True


def withdraw_case(actor: Actor, *, case_id: int, now: dt.datetime, today: dt.date) -> CreditCase:
    """Its maker takes it back, at any time before its end."""
    staff_id = _person(actor, PREPARE)
    with transaction.atomic():
        case = _locked(actor, case_id)
        if case.prepared_by_id != staff_id:
            raise PermissionDenied(PREPARE)
        if not case.is_waiting and case.status not in EDITABLE:
            raise Conflict(_("The case has ended."), code="case_ended")
        _end(case, CaseStatus.WITHDRAWN, now, today)
    return case


# -- who else ------------------------------------------------------------------------------------------------------


def add_signer(actor: Actor, *, case_id: int, staff_id: int, now: dt.datetime, today: dt.date) -> CaseSeat:
    """Who decides the stage asks for another's opinion first; the stage waits for it."""
    _person(actor, DECIDE)
    with transaction.atomic():
        case = _locked(actor, case_id)
        stands = _stand(actor, case, today)
        if stands.part != OpinionPart.DECISION:
            raise PermissionDenied(DECIDE)
        signer = selectors.deciding_staff(today).filter(pk=staff_id).exclude(pk=actor.staff_id or 0).first()
        if signer is None or not _sees(signer, case, today):
            message = _("Choose a colleague who decides on credit and may see the customer.")
            raise CaseFault(message, code="signer", fields={"staff": message})
        if against := selectors.objections(case, staff_id, today):
            raise CaseFault(
                objection_words()[against[0]], code=f"four_eyes_{against[0]}",
                fields={"staff": objection_words()[against[0]]},
            )  # fmt: skip
        seat, made = CaseSeat.objects.get_or_create(
            case=case, round=case.round, staff_id=staff_id,
            defaults={"stage": case.status, "kind": SeatKind.SIGNER, "added_by_id": actor.staff_id, "at": now},
        )  # fmt: skip
        if made:
            _sync_tasks(case, now, today)
    return seat


def recuse(actor: Actor, *, case_id: int, reason: str, now: dt.datetime, today: dt.date) -> CaseSeat:
    """A person takes no part in this round: for a relative, or another interest that no register knows."""
    staff_id = _person(actor, DECIDE)
    if not reason.strip():
        raise CaseFault(_("Say why."), code="reason", fields={"reason": _("Say why.")})
    with transaction.atomic():
        case = _locked(actor, case_id)
        if not case.is_waiting or "decided" in selectors.objections(case, staff_id, today):
            raise Conflict(_("It is too late for that."), code="case_status")
        seat, _made = CaseSeat.objects.update_or_create(
            case=case, round=case.round, staff_id=staff_id,
            defaults={"recused": reason.strip()[:200], "at": now},
            create_defaults={"stage": case.status, "kind": SeatKind.MEMBER, "recused": reason.strip()[:200], "at": now},
        )  # fmt: skip
        if case.status == CaseStatus.COMMITTEE:
            _count_when_all_are_in(case, now, today)
        else:
            _sync_tasks(case, now, today)
    return seat


def copy_case(actor: Actor, *, case_id: int, staff_id: int, now: dt.datetime, today: dt.date) -> CaseCopy:
    """Keep a colleague informed who may see the customer anyhow."""
    _person(actor, READ)
    case = selectors.seen_case(actor, case_id)
    to = Staff.objects.active().filter(pk=staff_id).first()
    if to is None or not _sees(to, case, today):
        message = _("Choose a colleague who may see the customer.")
        raise CaseFault(message, code="copy", fields={"staff": message})
    copy, made = CaseCopy.objects.get_or_create(
        case=case, staff=to, defaults={"sent_by_id": actor.staff_id, "at": now}
    )
    if made:
        notify([to.pk], "case.copied", {"case": case.number, "by": actor.label}, address(case), now=now)
    return copy


def delegate(
    actor: Actor, *, to_id: int, from_date: dt.date, to_date: dt.date, now: dt.datetime, today: dt.date
) -> Delegation:
    """Name who decides in one's place while away: somebody who decides on credit himself. It is not passed on."""
    staff_id = _person(actor, DECIDE)
    faults = {}
    if to_date < from_date or from_date < today:
        faults["to_date"] = _("It begins today at the earliest and does not end before it begins.")
    if to_id == staff_id or not selectors.deciding_staff(today).filter(pk=to_id).exists():
        faults["to"] = _("Choose a colleague who decides on credit.")
    if faults:
        raise CaseFault(next(iter(faults.values())), code="delegation", fields=faults)
    return Delegation.objects.create(
        staff_id=staff_id, to_id=to_id, from_date=from_date, to_date=to_date, at=now
    )


def end_delegation(actor: Actor, *, delegation_id: int, now: dt.datetime) -> None:
    """Take a delegation back; twice changes nothing."""
    staff_id = _person(actor, DECIDE)
    Delegation.objects.get(pk=delegation_id, staff_id=staff_id)
    Delegation.objects.filter(pk=delegation_id, ended_at__isnull=True).update(ended_at=now)


def record_relation(
    actor: Actor, *, staff_id: int, customer: Customer, basis: str, from_date: dt.date, now: dt.datetime
) -> StaffRelation:
    """Enter that a customer is a relative of a member of staff, or a company of theirs."""
    require(actor, REGISTER)
    if not basis.strip():
        raise CaseFault(_("Say why."), code="basis", fields={"basis": _("Say why.")})
    relation, _made = StaffRelation.objects.get_or_create(
        staff_id=staff_id, customer=customer, from_date=from_date,
        defaults={"basis": basis.strip()[:240], "entered_by_id": actor.staff_id, "entered_at": now},
    )  # fmt: skip
    return relation


# -- conditions precedent -------------------------------------------------------------------------------------------


def evidence_condition(actor: Actor, *, condition_id: int, evidence: str, now: dt.datetime) -> CaseCondition:
    """Say by what a condition is met; another evidence replaces one that nobody has accepted."""
    staff_id = _person(actor, PREPARE)
    if not evidence.strip():
        raise CaseFault(_("Say by what it is met."), fields={"evidence": _("Say by what it is met.")})
    with transaction.atomic():
        condition = _condition(actor, condition_id)
        if condition.accepted_at is not None:
            raise Conflict(_("Somebody has accepted it already."), code="condition_met")
        condition.evidence, condition.evidenced_at = evidence.strip()[:400], now
        condition.evidenced_by_id = staff_id
        condition.save(update_fields=["evidence", "evidenced_by", "evidenced_at"])
    return condition


def accept_condition(actor: Actor, *, condition_id: int, now: dt.datetime) -> CaseCondition:
    """A second person has seen the evidence. The line is freed by services.lines.activate_line when all are met."""
    staff_id = _person(actor, MANAGE)
    with transaction.atomic():
        condition = _condition(actor, condition_id)
        if condition.accepted_at is not None:
            return condition
        if condition.evidenced_by_id is None:
            raise Conflict(_("There is no evidence yet."), code="no_evidence")
        if staff_id in (condition.evidenced_by_id, condition.case.prepared_by_id):
            raise CaseFault(_("A second person accepts it."), code="four_eyes_maker")
        condition.accepted_by_id, condition.accepted_at = staff_id, now
        condition.save(update_fields=["accepted_by", "accepted_at"])
    return condition


def _condition(actor: Actor, condition_id: int) -> CaseCondition:
    found = CaseCondition.objects.visible_to(actor).select_for_update(of=("self",))
    condition: CaseCondition = found.select_related("case").get(pk=condition_id)
    if condition.case.status != CaseStatus.APPROVED:
        raise Conflict(_("The case is not approved."), code="case_status")
    return condition


# -- many at once ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Batch:
    """What a batch did: numbers of cases decided, and (number, why not) of the exceptions."""

    done: list[str]
    exceptions: list[tuple[str, str]]


def decide_batch(
    actor: Actor,
    *,
    items: Sequence[tuple[int, str]],
    verdict: str,
    text: str,
    now: dt.datetime,
    today: dt.date,
) -> Batch:
    """Agree with several cases, (case, hash that was shown) each; every one by itself, what fails is an exception."""
    _person(actor, DECIDE)
    if verdict != Verdict.APPROVE or not 0 < len(items) <= MOST_BATCH:
        raise CaseFault(_("Choose between 1 and %s cases to agree with.") % MOST_BATCH, code="batch")
    done: list[str] = []
    exceptions: list[tuple[str, str]] = []
    numbers = {
        c.pk: c.number for c in CreditCase.objects.visible_to(actor).filter(pk__in=[i for i, _h in items])
    }
    for case_id, shown in items:
        number = numbers.get(case_id, str(case_id))
        act = partial(
            decide,
            actor,
            case_id=case_id,
            verdict=verdict,
            text=text,
            dossier_hash=shown,
            now=now,
            today=today,
        )
        why = _try(act)
        if why:
            exceptions.append((number, why))
        else:
            done.append(number)
    return Batch(done, exceptions)


def _try(act: Callable[[], Opinion]) -> str:
    """Do one of a batch: "" or why not."""
    try:
        act()
    except DomainError as error:
        return error.message
    except CreditCase.DoesNotExist:
        return str(_("There is no such case."))
    except PermissionDenied:
        return str(_("This is not yours to decide."))
    return ""


# -- shared ---------------------------------------------------------------------------------------------------------


def address(case: CreditCase) -> str:
    return f"/credit/cases/{case.pk}/"


def _person(actor: Actor, action: str) -> int:
    """The member of staff who acts. Machines and jobs make and decide nothing."""
    require(actor, action)
    if actor.staff_id is None:
        raise PermissionDenied(action)
    return actor.staff_id


def _locked(actor: Actor, case_id: int) -> CreditCase:
    found = CreditCase.objects.visible_to(actor).select_for_update(of=("self",))
    case: CreditCase = found.get(pk=case_id)
    return case


def _own(actor: Actor, case_id: int) -> CreditCase:
    """A case that the actor makes and may still change."""
    staff_id = _person(actor, PREPARE)
    case = _locked(actor, case_id)
    if case.prepared_by_id != staff_id:
        raise PermissionDenied(PREPARE)
    if case.status not in EDITABLE:
        raise Conflict(_("The case is under way; withdraw it to change it."), code="case_status")
    return case


def _sees(staff: Staff, case: CreditCase, today: dt.date) -> bool:
    actor = actor_for(staff, day=today)
    return may(actor, READ) and CreditCase.objects.visible_to(actor).filter(pk=case.pk).exists()


def _next_serial(year: int) -> int:
    """The bank's next number of the year; two makers wait for each other."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select pg_advisory_xact_lock(hashtextextended('credit case number', %s))", [require_bank()]
        )
    return int(CreditCase.objects.filter(year=year).aggregate(newest=Max("serial"))["newest"] or 0) + 1


def _sync_tasks(case: CreditCase, now: dt.datetime, today: dt.date) -> None:
    """Who can move the case has it on his worklist with the deadline; nobody else."""
    source = f"case:{case.pk}:"
    rows = []
    if case.status == CaseStatus.RETURNED:
        rows.append(_task(case, source, case.prepared_by_id, "case_returned", case.expires_on or today))
    rows.extend(
        _task(case, source, staff_id, "case_decide", case.deadline or today)
        for staff_id in _asked(case, today)
    )
    put_tasks(require_bank(), rows, sources=[source], as_of=today, now=now)


def _asked(case: CreditCase, today: dt.date) -> list[int]:
    if not case.is_waiting:
        return []
    signers = [seat.staff_id for seat in selectors.open_signers(case)]
    people = [*signers, *([] if signers else selectors.stage_people(case, today))]
    return [staff_id for staff_id in people if not selectors.objections(case, staff_id, today)]


def _task(case: CreditCase, source: str, staff_id: int, reason: str, due: dt.date) -> TaskRow:
    return TaskRow(
        reason=reason, source_key=f"{source}{case.round}:{case.status}:{staff_id}", due_date=due,
        customer_id=case.customer_id, owner_id=staff_id,
        params={"case": case.number, "case_id": case.pk, "amount": str(case.amount), "currency": case.currency},
        urgency=70,
    )  # fmt: skip
