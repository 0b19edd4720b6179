"""Guarantees: entered, valued again, put in force by a second person, their proof given later, released (C4)."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from credit_rating.engine.guarantees import object_key
from credit_rating.engine.steps import ZERO
from credit_rating.models import (
    Collateral,
    Guarantee,
    GuaranteeKind,
    GuaranteeStatus,
    GuarantorCapacity,
    Valuation,
)
from credit_rating.models.guarantees import LIVE
from credit_rating.policies.haircuts import KIND_OF_TYPE
from credit_rating.selectors.guarantees import known_thing
from crm_site.lib.errors import Conflict, DomainError
from crm_site.lib.permissions import Actor, require
from customers.models import Customer

PREPARE, MANAGE = "credit.prepare", "line.manage"


class GuaranteeFault(DomainError):
    """A guarantee that cannot be entered like this."""


@dataclass(frozen=True, slots=True)
class Thing:
    """What is mortgaged or pledged, as typed."""

    asset_type: str
    registration_number: str
    name: str
    owner_name: str = ""


def _fault(field: str, message: str, code: str) -> GuaranteeFault:
    return GuaranteeFault(message, code=code, fields={field: message})


def _check_amounts(amount: Decimal, prior_liens: Decimal) -> None:
    if amount <= 0:
        raise _fault("amount", _("It must be above 0."), "amount")
    if prior_liens < 0:
        raise _fault("prior_liens", _("It must be at least %s.") % 0, "prior_liens")


def mortgage_thing(
    actor: Actor, *, customer: Customer, thing: Thing, amount: Decimal, lien_order: int, prior_liens: Decimal,
    value: Decimal, valued_on: dt.date, valuer: str, from_date: dt.date, to_date: dt.date | None, note: str,
    today: dt.date, now: dt.datetime,
) -> Guarantee:  # fmt: skip
    """Let a thing secure a customer's debts for at most `amount`.

    The thing is known by its registration number, however it is written. Raises Conflict (code "double_pledge") when
    it secures something already and this rank is taken: the message names the rank that is free.
    """
    require(actor, PREPARE)
    _check_amounts(amount, prior_liens)
    if not object_key(thing.registration_number):
        raise _fault("registration_number", _("Letters or digits are needed."), "registration_number")
    if value <= 0:
        raise _fault("value", _("It must be above 0."), "value")
    if valued_on > today:
        raise _fault("valued_on", _("It must not lie in the future."), "valued_on")
    seen = Customer.objects.visible_to(actor).get(pk=customer.pk)
    known = known_thing(thing.registration_number)
    if known and known.collateral.asset_type != thing.asset_type:
        raise _fault("asset_type", _("The bank knows this number as another type of thing."), "asset_type")
    if known and lien_order in {claim.order for claim in known.claims}:
        raise _double_pledge(known.next_order)
    try:
        with transaction.atomic():
            collateral = known.collateral if known else _new_thing(thing, now)
            Valuation.objects.create(
                collateral=collateral, value=value, valued_on=valued_on, valuer=valuer, entered_by_id=actor.staff_id,
                entered_at=now,
            )  # fmt: skip
            return Guarantee.objects.create(
                customer=seen, kind=KIND_OF_TYPE[thing.asset_type], collateral=collateral, amount=amount,
                lien_order=lien_order, prior_liens=prior_liens, from_date=from_date, to_date=to_date, note=note,
                entered_by_id=actor.staff_id, entered_at=now,
            )  # fmt: skip
    except IntegrityError:  # another person entered the same thing or rank between the look and the write
        now_known = known_thing(thing.registration_number)
        raise _double_pledge(now_known.next_order if now_known else lien_order + 1) from None


def _double_pledge(free: int) -> Conflict:
    message = _("This thing secures another debt at this rank already. The next free rank is %s.") % free
    return Conflict(message, code="double_pledge", fields={"lien_order": message})


def _new_thing(thing: Thing, now: dt.datetime) -> Collateral:
    return Collateral.objects.create(
        asset_type=thing.asset_type, registration_number=thing.registration_number.strip(),
        object_key=object_key(thing.registration_number), name=thing.name, owner_name=thing.owner_name, created_at=now,
    )  # fmt: skip


def promise(
    actor: Actor, *, customer: Customer, guarantor_number: str, amount: Decimal, is_joint: bool, from_date: dt.date,
    to_date: dt.date | None, note: str, now: dt.datetime,
) -> Guarantee:  # fmt: skip
    """Let another customer or prospect stand for a customer's debts, for at most `amount`.

    The guarantor is named by its customer number: whoever knows it may name it, seen or not. What its capacity leaves
    is reckoned, not refused here: a promise beyond the capacity counts for the rest alone and is shown as such.
    """
    require(actor, PREPARE)
    _check_amounts(amount, ZERO)
    seen = Customer.objects.visible_to(actor).get(pk=customer.pk)
    guarantor = Customer.objects.filter(number=guarantor_number.strip()).first()
    if guarantor is None:
        raise _fault("guarantor_number", _("No customer has this number."), "guarantor_number")
    if guarantor.pk == customer.pk:
        raise _fault("guarantor_number", _("Nobody stands for himself."), "guarantor_number")
    try:
        with transaction.atomic():
            return Guarantee.objects.create(
                customer=seen, kind=GuaranteeKind.GUARANTOR, guarantor=guarantor, amount=amount, is_joint=is_joint,
                from_date=from_date, to_date=to_date, note=note, entered_by_id=actor.staff_id, entered_at=now,
            )  # fmt: skip
    except IntegrityError:
        message = _("This guarantor stands for the customer already.")
        raise Conflict(message, code="promise_known", fields={"guarantor_number": message}) from None


def value_again(
    actor: Actor, *, guarantee: Guarantee, value: Decimal, valued_on: dt.date, valuer: str, today: dt.date,
    now: dt.datetime,
) -> Valuation | GuarantorCapacity:  # fmt: skip
    """Add a valuation of a thing, or an assessment of what a guarantor can promise; older ones stay."""
    require(actor, PREPARE)
    if value < 0:
        raise _fault("value", _("It must be at least %s.") % 0, "value")
    if valued_on > today:
        raise _fault("valued_on", _("It must not lie in the future."), "valued_on")
    seen = Guarantee.objects.visible_to(actor).get(pk=guarantee.pk)
    if seen.collateral_id:
        return Valuation.objects.create(
            collateral_id=seen.collateral_id, value=value, valued_on=valued_on, valuer=valuer,
            entered_by_id=actor.staff_id, entered_at=now,
        )  # fmt: skip
    if seen.guarantor_id is None:
        raise GuaranteeFault(_("There is nothing to value."), code="unsecured")
    return GuarantorCapacity.objects.create(
        guarantor_id=seen.guarantor_id, capacity=value, assessed_on=valued_on, basis=valuer,
        entered_by_id=actor.staff_id, entered_at=now,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Proof:
    """What shows that a guarantee is signed and registered: number and day of the registration certificate of a thing,
    or of the contract of a promise."""

    number: str
    on: dt.date
    note: str = ""


def put_in_force(actor: Actor, *, guarantee: Guarantee, proof: Proof, today: dt.date) -> Guarantee:
    """Confirm, by its proof, that the guarantee is signed and registered: never by who entered it."""
    require(actor, MANAGE)
    _check_proof(proof, today)
    with transaction.atomic():
        found = _locked(actor, guarantee)
        if found.status != GuaranteeStatus.PROPOSED:
            raise Conflict(_("Somebody has decided this guarantee meanwhile."), code="guarantee_changed")
        if found.entered_by_id == actor.staff_id:
            raise GuaranteeFault(_("A second person puts it in force."), code="second_person")
        found.status = GuaranteeStatus.ACTIVE
        _write_proof(found, proof)
    return found


def add_proof(actor: Actor, *, guarantee: Guarantee, proof: Proof, today: dt.date) -> Guarantee:
    """Put the proof of a guarantee on record that came into force without one: never by who entered it.

    Raises Conflict (code "proof_known") when there is one: a proof is never changed, the database refuses it as well.
    """
    require(actor, MANAGE)
    _check_proof(proof, today)
    with transaction.atomic():
        found = _locked(actor, guarantee)
        if found.status != GuaranteeStatus.ACTIVE:
            raise Conflict(_("The guarantee is not in force."), code="guarantee_changed")
        if found.proof_number:
            raise Conflict(_("Its certificate or contract is on record already."), code="proof_known")
        if found.entered_by_id == actor.staff_id:
            raise GuaranteeFault(_("A second person gives its proof."), code="second_person")
        _write_proof(found, proof)
    return found


def _check_proof(proof: Proof, today: dt.date) -> None:
    if not object_key(proof.number):
        raise _fault("proof_number", _("Letters or digits are needed."), "proof_number")
    if proof.on > today:
        raise _fault("proof_on", _("It must not lie in the future."), "proof_on")


def _write_proof(found: Guarantee, proof: Proof) -> None:
    found.proof_number, found.proof_on, found.proof_note = proof.number.strip(), proof.on, proof.note.strip()
    found.save(update_fields=["status", "proof_number", "proof_on", "proof_note"])


def withdraw(actor: Actor, *, guarantee: Guarantee, now: dt.datetime) -> Guarantee:
    """Take back a proposal that is not in force yet."""
    require(actor, PREPARE)
    return _let_go(actor, guarantee, (GuaranteeStatus.PROPOSED,), now)


def release(actor: Actor, *, guarantee: Guarantee, now: dt.datetime) -> Guarantee:
    """Let a guarantee go, in force or not."""
    require(actor, MANAGE)
    return _let_go(actor, guarantee, LIVE, now)


def _let_go(
    actor: Actor, guarantee: Guarantee, statuses: tuple[GuaranteeStatus, ...], now: dt.datetime
) -> Guarantee:
    with transaction.atomic():
        found = _locked(actor, guarantee)
        if found.status not in statuses:
            raise Conflict(_("Somebody has decided this guarantee meanwhile."), code="guarantee_changed")
        found.status, found.released_at = GuaranteeStatus.RELEASED, now
        found.save(update_fields=["status", "released_at"])
    return found


def _locked(actor: Actor, guarantee: Guarantee) -> Guarantee:
    return Guarantee.objects.visible_to(actor).select_for_update(of=("self",)).get(pk=guarantee.pk)
