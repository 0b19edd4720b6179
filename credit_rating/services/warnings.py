"""What is done with early warnings, and classes that risk lowers by hand.

A warning lasts as long as its cause; dealing with it answers it, so that it is no longer work, and the same rule makes
no second one until the cause has ended and come back.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils.translation import gettext as _

from credit_rating.engine.classes import Level
from credit_rating.models import Downgrade, LoanClass, Signal, SignalAct, SignalActKind, SignalState
from credit_rating.policies.classes import CODES, LABELS
from credit_rating.selectors.warnings import HANDLE, may_handle, receivers
from credit_rating.warning_words import task_params
from crm_site.accounts.selectors import actor_for
from crm_site.lib.errors import Conflict, DomainError
from crm_site.lib.permissions import Actor, Role, require
from crm_site.work.selectors import staff_with_role
from crm_site.work.services import create_task, finish_cause, move_cause
from crm_site.work.urgency import pressing
from customers.models import Customer, Loan

LOWER = "loan_class.lower"
RAISE = "warning.raise"
REASON, SOURCE = "warning", "warning:"
URGENCY = {"risk": 85, "watch": 60}


def risk_people(day: dt.date) -> list[int]:
    """The staff who take turns with what is risk's."""
    return sorted(staff_with_role(Role.RISK, day))


def owner_of(customer: Customer, owner: str, risk: Sequence[int]) -> int | None:
    """Whose turn it is: the customer's manager, or one of risk (risk_people), always the same for a customer."""
    if owner == "manager":
        return customer.responsible_id
    return risk[customer.pk % len(risk)] if risk else None


def raise_warning(
    actor: Actor,
    *,
    customer: Customer,
    code: str,
    params: Mapping[str, Any],
    level: str,
    day: dt.date,
    now: dt.datetime,
    name: str = "",
    owner: str = "manager",
    days: int = 5,
) -> Signal:
    """A higher room warns of a customer. While the warning is open the same code gives the same one, with new figures.

    It ends when somebody has dealt with it. `level`: "watch" or "risk"; `params`: JSON figures of its own.
    """
    require(actor, RAISE)
    with transaction.atomic():
        signal, created = Signal.objects.get_or_create(
            customer=customer, code=code, ended_on=None,
            defaults={
                "name": name, "level": level, "owner_kind": owner, "owner_id": owner_of(customer, owner, risk_people(day)),
                "is_raised": True, "figures": dict(params), "opened_on": day, "due_on": day + dt.timedelta(days=days),
            },
        )  # fmt: skip
        if not created:
            Signal.objects.filter(pk=signal.pk).update(figures=dict(params), level=level)
            signal.refresh_from_db()
            return signal
        create_task(
            actor, reason=REASON, due_date=signal.due_on, show_from=day, now=now, params=task_params(signal, None),
            customer_id=customer.pk, owner_id=signal.owner_id, unit_id=customer.home_branch_id,
            urgency=pressing(signal.due_on, day, URGENCY[level]), source_key=f"{SOURCE}{signal.pk}",
        )  # fmt: skip
    return signal


def answer_warning(
    actor: Actor, *, signal_id: int, kind: str, note: str, day: dt.date, now: dt.datetime
) -> Signal:
    """Dealt with or a false alarm, and why; its task is done. Twice by the same person: no change.

    Raises Signal.DoesNotExist, PermissionDenied, DomainError without a note, Conflict when somebody was first.
    """
    note = _noted(note)
    with transaction.atomic():
        signal = _locked(actor, signal_id)
        if signal.state == kind and SignalAct.objects.filter(signal=signal, by=actor.staff_id, kind=kind):
            return signal
        _require_open(signal)
        signal.state = SignalState(kind)
        if signal.is_raised:
            signal.ended_on = day
        signal.save(update_fields=["state", "ended_on"])
        _act(actor, signal, SignalActKind(kind), note, now)
        finish_cause(actor, source_key=f"{SOURCE}{signal.pk}", now=now, result=note)
    return signal


def pass_on_warning(
    actor: Actor, *, signal_id: int, to_id: int, note: str, day: dt.date, now: dt.datetime
) -> Signal:
    """Give a warning to a colleague who sees the customer, or to risk. Raises as answer_warning."""
    note = _noted(note)
    with transaction.atomic():
        signal = _locked(actor, signal_id)
        _require_open(signal)
        to = next((person for person in receivers(actor, day) if person.pk == to_id), None)
        if to is None:
            raise _fault("to", _("Choose a colleague."))
        if not Customer.objects.visible_to(actor_for(to, day=day)).filter(pk=signal.customer_id).exists():
            raise _fault("to", _("%s does not see this customer.") % to.name)
        signal.owner, signal.is_passed_on = to, True
        signal.save(update_fields=["owner", "is_passed_on"])
        _act(actor, signal, SignalActKind.PASSED_ON, note, now, to_id)
        move_cause(actor, source_key=f"{SOURCE}{signal.pk}", to=to, now=now, note=note)
    return signal


def _locked(actor: Actor, signal_id: int) -> Signal:
    require(actor, HANDLE)
    found = Signal.objects.visible_to(actor).select_for_update(of=("self",))
    signal = found.select_related("customer__home_branch").get(pk=signal_id)
    if not may_handle(actor, signal):
        raise PermissionDenied(HANDLE)
    return signal


def _require_open(signal: Signal) -> None:
    if not signal.is_open:
        raise Conflict(_("Somebody has dealt with it, or its cause has ended."), code="warning_closed")


def _act(
    actor: Actor, signal: Signal, kind: SignalActKind, note: str, now: dt.datetime, to_id: int | None = None
) -> None:
    SignalAct.objects.create(signal=signal, kind=kind, note=note, to_id=to_id, by_id=actor.staff_id, at=now)


def _noted(note: str, field: str = "note") -> str:
    if not note.strip():
        raise _fault(field, _("Say why."))
    return note.strip()[:400]


def _fault(field: str, message: str) -> DomainError:
    return DomainError(message, code=field, fields={field: message})


# -- classes --------------------------------------------------------------------------------------------------------


def lower_class(actor: Actor, *, loan_id: int, level: int, reason: str, now: dt.datetime) -> Downgrade:
    """Risk says that a loan is at least in a class, from the next night on. Never better than the rule says.

    Raises Loan.DoesNotExist, DomainError for a class that is not worse than the present one or without a reason.
    """
    require(actor, LOWER)
    reason = _noted(reason, "reason")
    with transaction.atomic():
        loan = Loan.objects.visible_to(actor).select_for_update(of=("self",)).get(pk=loan_id)
        held = Downgrade.objects.filter(loan=loan, lifted_at__isnull=True).first()
        standing = LoanClass.objects.filter(loan=loan, until__isnull=True).first()
        least = max(standing.level if standing else Level.NORMAL, held.level if held else Level.NORMAL)
        if not least < level <= Level.LOSS:
            raise _fault("level", _("It must be worse than %s.") % LABELS[CODES[Level(least)]])
        if held is not None:
            _lift(actor, held, reason, now)
        return Downgrade.objects.create(
            loan=loan, customer_id=loan.customer_id, level=level, reason=reason, made_by_id=actor.staff_id,
            made_at=now,
        )  # fmt: skip


def lift_downgrade(actor: Actor, *, loan_id: int, reason: str, now: dt.datetime) -> Downgrade:
    """What was set by hand holds no more; the next night classes the loan by the rules again.

    Raises Loan.DoesNotExist, DomainError without a reason, Conflict when nothing is set by hand.
    """
    require(actor, LOWER)
    reason = _noted(reason, "reason")
    with transaction.atomic():
        loan = Loan.objects.visible_to(actor).select_for_update(of=("self",)).get(pk=loan_id)
        held = Downgrade.objects.filter(loan=loan, lifted_at__isnull=True).first()
        if held is None:
            raise Conflict(_("Nothing is set by hand for this loan."), code="no_downgrade")
        _lift(actor, held, reason, now)
    return held


def _lift(actor: Actor, held: Downgrade, reason: str, now: dt.datetime) -> None:
    held.lifted_by_id, held.lifted_at, held.lifted_reason = actor.staff_id, now, reason
    held.save(update_fields=["lifted_by_id", "lifted_at", "lifted_reason"])
