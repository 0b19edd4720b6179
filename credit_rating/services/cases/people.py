"""Who else takes part: added signers, those who step aside, copies, delegations, relatives on record."""

from __future__ import annotations

import datetime as dt

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils.translation import gettext as _

from credit_rating.models import (
    CaseCopy,
    CaseSeat,
    CaseStatus,
    Delegation,
    OpinionPart,
    SeatKind,
    StaffRelation,
)
from credit_rating.selectors import cases as selectors
from credit_rating.services.cases.deciding import stand
from credit_rating.services.cases.flow import count_when_all_are_in, sync_tasks, void_if_changed
from credit_rating.services.cases.rules import (
    DECIDE,
    READ,
    REGISTER,
    CaseFault,
    address,
    locked,
    objection_words,
    sees,
)
from crm_site.accounts.models import Staff
from crm_site.lib.errors import Conflict
from crm_site.lib.permissions import Actor, require, require_person
from crm_site.work.services import notify
from customers.models import Customer


def add_signer(actor: Actor, *, case_id: int, staff_id: int, now: dt.datetime, today: dt.date) -> CaseSeat:
    """Who decides the stage asks for another's opinion first; the stage waits for it."""
    require_person(actor, DECIDE)
    with transaction.atomic():
        case = locked(actor, case_id)
        stands = stand(actor, case, today)
        if stands.part != OpinionPart.DECISION:
            raise PermissionDenied(DECIDE)
        signer = selectors.deciding_staff(today).filter(pk=staff_id).exclude(pk=actor.staff_id or 0).first()
        if signer is None or not sees(signer, case, today):
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
            sync_tasks(case, now, today)
    return seat


def recuse(actor: Actor, *, case_id: int, reason: str, now: dt.datetime, today: dt.date) -> CaseSeat:
    """A person takes no part in this round: for a relative, or another interest that no register knows."""
    staff_id = require_person(actor, DECIDE)
    if not reason.strip():
        raise CaseFault(_("Say why."), code="reason", fields={"reason": _("Say why.")})
    with transaction.atomic():
        case = locked(actor, case_id)
        if not case.is_waiting or "decided" in selectors.objections(case, staff_id, today):
            raise Conflict(_("It is too late for that."), code="case_status")
        seat, _made = CaseSeat.objects.update_or_create(
            case=case, round=case.round, staff_id=staff_id,
            defaults={"recused": reason.strip()[:200], "at": now},
            create_defaults={"stage": case.status, "kind": SeatKind.MEMBER, "recused": reason.strip()[:200], "at": now},
        )  # fmt: skip
        if case.status == CaseStatus.COMMITTEE:
            count_when_all_are_in(case, now, today)
        elif case.status == CaseStatus.BRANCH and void_if_changed(case, now, today):
            pass  # nobody is left at the branch: headquarters has it now
        else:
            sync_tasks(case, now, today)
    return seat


def copy_case(actor: Actor, *, case_id: int, staff_id: int, now: dt.datetime, today: dt.date) -> CaseCopy:
    """Keep a colleague informed who may see the customer anyhow."""
    require_person(actor, READ)
    case = selectors.seen_case(actor, case_id)
    to = Staff.objects.active().filter(pk=staff_id).first()
    if to is None or not sees(to, case, today):
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
    """Name who decides in one's place while away: somebody who decides on credit himself and sees the same customers.
    It is not passed on."""
    staff_id = require_person(actor, DECIDE)
    faults = {}
    if to_date < from_date or from_date < today:
        faults["to_date"] = _("It begins today at the earliest and does not end before it begins.")
    if not selectors.stand_ins(actor, today).filter(pk=to_id).exists():
        faults["to"] = _("Choose a colleague who decides on credit and sees the same customers.")
    if faults:
        raise CaseFault(next(iter(faults.values())), code="delegation", fields=faults)
    return Delegation.objects.create(
        staff_id=staff_id, to_id=to_id, from_date=from_date, to_date=to_date, at=now
    )


def end_delegation(actor: Actor, *, delegation_id: int, now: dt.datetime) -> None:
    """Take a delegation back; twice changes nothing."""
    staff_id = require_person(actor, DECIDE)
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
