"""What people say of a case: decisions, votes, opinions; one by one or several at once."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from credit_rating.models import (
    CaseCondition,
    CaseStatus,
    CreditCase,
    Opinion,
    OpinionPart,
    Verdict,
)
from credit_rating.selectors import cases as selectors
from credit_rating.selectors.cases import Capacity
from credit_rating.services.cases.flow import (
    bring_up_to_date,
    count_when_all_are_in,
    keep_seen,
    move_on,
    sync_tasks,
)
from credit_rating.services.cases.rules import DECIDE, CaseFault, Stale, locked, objection
from crm_site.lib.errors import Conflict, DomainError
from crm_site.lib.permissions import Actor, require_person

MOST_BATCH = 100


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
    cap_ground: str = "",
) -> Opinion:
    """Say what one thinks of a case: the decision of a stage, a vote of the committee, an added signer's opinion.

    `dossier_hash`: of what was shown. Raises Stale when that is not what is there (a dossier that has changed voids the
    earlier opinions of the round and begins again), Conflict when the stage's time is up or somebody was first,
    DomainError when the caps cannot be counted for want of an exchange rate, CaseFault when the person must not decide or the form lacks something, PermissionDenied without any part in it.
    """
    staff_id = require_person(actor, DECIDE)
    refused = bring_up_to_date(actor, case_id, now, today)
    if refused is not None:
        raise refused
    with transaction.atomic():
        case = locked(actor, case_id)
        stands = stand(actor, case, today)
        if dossier_hash != case.dossier_hash:
            raise Stale(
                _("The case is not what you were shown."), selectors.changes_since(case, dossier_hash)
            )
        kept = [line.strip()[:300] for line in conditions if line.strip()]
        # Who agrees answers for every cap that the case breaks, as it is counted now.
        broken = selectors.broken_by(case, today) if selectors.approving(verdict) else ()
        ground = cap_ground.strip() if broken else ""
        _check_opinion(case, stands, verdict, text, kept, lacks_ground=bool(broken) and not ground)
        told = [use.as_json for use in broken]
        opinion = _say(
            case,
            staff_id,
            stands,
            now,
            today,
            verdict=verdict,
            text=text.strip(),
            broken_caps=told,
            seen_hash=keep_seen(case, today, now),
            cap_ground=ground,
        )
        if verdict == Verdict.CONDITIONAL:
            CaseCondition.objects.bulk_create(
                CaseCondition(case=case, opinion=opinion, text=line) for line in dict.fromkeys(kept)
            )
        _advance(actor, case, opinion, now, today)
    return opinion


def stand(actor: Actor, case: CreditCase, today: dt.date) -> Capacity:
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
        raise objection(against)
    if stands.objections:
        raise objection(stands.objections)
    return stands


def _check_opinion(
    case: CreditCase,
    stands: Capacity,
    verdict: str,
    text: str,
    conditions: Sequence[str],
    *,
    lacks_ground: bool,
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
    if lacks_ground:
        faults["cap_ground"] = _("The case breaks a regulator's cap: say why it may be exceeded.")
    is_given_back = verdict == Verdict.RETURN and case.status == CaseStatus.PRESIDENT
    if is_given_back and not selectors.president_may_return(case):
        faults["verdict"] = _("The president has returned this case once already.")
    if faults:
        raise CaseFault(next(iter(faults.values())), code="opinion", fields=faults)
    if stands.part == OpinionPart.DECISION and (missing := selectors.open_signers(case)):
        names = ", ".join(seat.staff.name for seat in missing)
        raise Conflict(_("The opinion of %s is outstanding.") % names, code="signer_missing")


def _say(
    case: CreditCase, staff_id: int, stands: Capacity, now: dt.datetime, today: dt.date, **said: Any
) -> Opinion:
    try:
        with transaction.atomic():
            return Opinion.objects.create(
                case=case, round=case.round, stage=case.status, part=stands.part, staff_id=staff_id,
                on_behalf_of_id=stands.on_behalf_of, dossier_hash=case.dossier_hash, at=now, day=today, **said,
            )  # fmt: skip
    except IntegrityError as error:
        raise Conflict(_("Somebody has decided here meanwhile."), code="four_eyes") from error


def _advance(actor: Actor, case: CreditCase, opinion: Opinion, now: dt.datetime, today: dt.date) -> None:
    if opinion.part == OpinionPart.SIGNER:
        sync_tasks(case, now, today)
    elif opinion.part == OpinionPart.VOTE:
        count_when_all_are_in(case, now, today)
    else:
        move_on(actor, case, opinion.verdict, now, today)


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
    require_person(actor, DECIDE)
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
