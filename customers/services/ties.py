"""Ties between customers that staff record and end (A6): one place for what may stand on record of whom with whom.

What core banking delivers is the core's and only read here (customers.ingest.relations). Nothing is ever deleted: the
record of an ended tie stays (RecordedTie); the relation that everybody reads goes.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import NoReturn

from django.db import IntegrityError, OperationalError, connection, transaction
from django.db.models import Q
from django.utils.timezone import localdate
from django.utils.translation import gettext as _
from psycopg.errors import LockNotAvailable

from crm_site.lib.errors import Conflict, DomainError
from crm_site.lib.permissions import Actor, may, require_person
from crm_site.lib.tenancy import act_as, require_bank
from customers.models import Customer, RecordedTie, Relation, RelationKind, TieEnd
from customers.models.ties import HOLDINGS, SYMMETRIC, WITH_SHARE, fits, tie_key
from customers.selectors.ties import other_party
from customers.ties import TIE_KEEPERS, TieHold, holds_of, say_holds, say_share

CORRECT = "tie.correct"
MAJORITY = Decimal("0.5")  # who holds more is as a parent: nobody is one of himself, however many steps up
MOST_STEPS = 50
PATIENCE = "3s"  # for cases that are made while a tie is to be recorded or ended
_UNIT = Decimal("0.000001")


def record_tie(
    actor: Actor,
    *,
    customer: Customer,
    other: str,
    kind: str,
    is_from: bool,
    share: Decimal | None = None,
    from_date: dt.date | None = None,
    evidence: str,
    submission: uuid.UUID,
    now: dt.datetime,
) -> RecordedTie:
    """A tie of a customer that the actor sees with the customer or prospect of the number `other`.

    `is_from`: the customer is <kind> of the other, else the other way round; `share`: a fraction, of kinds that have one;
    `from_date`: since when, None where it is not known; `evidence`: how the bank knows. Sending the same form twice
    records it once. Raises DomainError with the field's name, Conflict where the tie is on record.
    """
    staff_id = require_person(actor, "tie.record")
    if known := RecordedTie.objects.filter(submission=submission).first():
        return known
    found = other_party(actor, other)
    if found is None:
        _refuse("other", _("There is no such customer whom you may see."))
    if found.customer.pk == customer.pk:
        _refuse("other", _("That is the same customer: a tie needs two."))
    one, two = (customer, found.customer) if is_from else (found.customer, customer)
    if kind not in RelationKind.values or not fits(kind, one, two):
        _refuse("tie", _("Choose a tie that can hold between the two."))
    share = _checked_share(kind, share)
    if not evidence.strip():
        _refuse("evidence", _("Say how the bank knows: a document, a register, who told it."))
    if from_date and from_date > localdate(now):
        _refuse("from_date", _("A tie that begins in the future is recorded once it holds."))
    try:
        with transaction.atomic():
            _hold_ties(shared=True)
            # Whoever records something else about one of the two waits, so that shares add up and no ring closes.
            list(
                Customer.objects.select_for_update(no_key=True, of=("self",))
                .filter(pk__in=(one.pk, two.pk))
                .order_by("pk")
            )
            if known := RecordedTie.objects.filter(submission=submission).first():
                return known  # the second click of two at once has waited here for the first
            _check_against_record(kind, one, two, share)
            record = RecordedTie.objects.create(
                customer=one, other=two, kind=kind, share=share, from_date=from_date, evidence=evidence.strip(),
                recorded_by_id=staff_id, recorded_at=now, submission=submission,
            )  # fmt: skip
            Relation.objects.create(customer=one, other=two, kind=kind, share=share, record=record)
    except IntegrityError as error:
        if "relation_once" not in str(error) and "recordedtie_once" not in str(error):
            raise
        raise Conflict(_("Somebody has recorded the same tie at this moment."), code="sent_twice") from error
    return record


def end_tie(
    actor: Actor, *, record: RecordedTie, ended_date: dt.date, reason: str, note: str = "", now: dt.datetime
) -> RecordedTie:
    """The end of a tie that staff recorded. Sending the same twice ends it once.

    While something under way may count the tie it stays, but for one way: who may correct ties and has no hand in what
    counts it declares, with a reason, that it was recorded by mistake.

    Raises Conflict when it has ended otherwise, core banking delivers it by now, or it is held; DomainError with the
    field's name for a day in the future or before it began, or where a correction lacks its reason.
    """
    staff_id = require_person(actor, "tie.record")
    if reason not in TieEnd.values:
        _refuse("reason", _("Choose one."))
    if ended_date > localdate(now):
        _refuse("ended_date", _("A tie cannot have ended in the future."))
    if record.from_date and ended_date < record.from_date:
        _refuse("ended_date", _("That is before the tie began."))
    with transaction.atomic():
        _hold_ties(shared=False)
        current = RecordedTie.objects.select_for_update(of=("self",)).get(pk=record.pk)
        if current.ended_at:
            if (current.ended_date, current.end_reason) == (ended_date, reason):
                return current
            raise Conflict(_("Somebody has ended this tie meanwhile."), code="has_ended")
        relation = Relation.objects.select_for_update(of=("self",)).filter(record=current).first()
        if relation is None:
            raise Conflict(_core_owns(current), code="core_owned")
        if holds := holds_of(actor, (current.customer_id, current.other_id), localdate(now)):
            _correct(actor, current, reason, note.strip(), now, holds)
        current.ended_date, current.end_reason, current.end_note = ended_date, reason, note.strip()
        current.ended_by_id, current.ended_at = staff_id, now
        current.save(update_fields=["ended_date", "end_reason", "end_note", "ended_by", "ended_at"])
        relation.delete()
        for keeper in TIE_KEEPERS if holds else ():
            keeper.corrected(current, now, localdate(now))
    return current


def _correct(
    actor: Actor, record: RecordedTie, reason: str, why: str, now: dt.datetime, holds: Sequence[TieHold]
) -> None:
    """The only end of a tie that is held: a mistake of somebody else, declared by who may."""
    if reason != TieEnd.MISTAKE or not may(actor, CORRECT):
        raise Conflict(say_holds(holds), code="tie_held")
    if not why:
        _refuse("note", _("Say why: what was said on the cases that count it is void by that."))
    if record.recorded_by_id == actor.staff_id:
        raise DomainError(
            _("Who recorded a tie does not declare it mistaken while a case counts it."), code="own_tie"
        )
    act_as(actor, reason=why)  # of all that it makes void as well
    for keeper in TIE_KEEPERS:
        keeper.correct(actor, record, why, now, localdate(now))


def _hold_ties(*, shared: bool) -> None:
    """Until the transaction ends: recording ties and making cases go on side by side, ending one waits for all of them
    and they for it (the trigger case_ties, credit_rating migration 0110), so that what an end was weighed by stands.

    Nobody waits long: whoever asks after one who waits stands behind him. Raises Conflict then."""
    lock = "pg_advisory_xact_lock_shared" if shared else "pg_advisory_xact_lock"
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = '{PATIENCE}'")
            cursor.execute(f"SELECT {lock}(hashtextextended('ties of customers', %s))", [require_bank()])
            cursor.execute("SET LOCAL lock_timeout TO DEFAULT")
    except OperationalError as error:
        if isinstance(error.__cause__, LockNotAvailable):
            message = _("Credit cases are being made at this moment. Try again in a moment.")
            raise Conflict(message, code="busy") from error
        raise


def _core_owns(record: RecordedTie) -> str:
    ties = Relation.objects.filter(
        kind=record.kind,
        customer__in=(record.customer_id, record.other_id),
        other__in=(record.customer_id, record.other_id),
    )
    if record.key in {tie_key(*tie) for tie in ties.values_list("kind", "customer_id", "other_id")}:
        return _("Core banking delivers this tie: only core banking ends it.")
    return _("Core banking had taken this tie over and has ended it.")


def _checked_share(kind: str, share: Decimal | None) -> Decimal | None:
    if share is None:
        return None
    if kind not in WITH_SHARE:
        _refuse("share", _("This tie has no share."))
    share = share.quantize(_UNIT, rounding=ROUND_HALF_UP)
    if not 0 < share <= 1:
        _refuse("share", _("A share is more than 0% and at most 100%."))
    return share


def _check_against_record(kind: str, one: Customer, other: Customer, share: Decimal | None) -> None:
    """What contradicts what is on record: the same tie, shares of more than the whole, a parent of itself."""
    same = Q(customer=one, other=other)
    if kind in SYMMETRIC:
        same |= Q(customer=other, other=one)
    if there := Relation.objects.filter(same, kind=kind).select_related("record__recorded_by").first():
        who = there.record.recorded_by.name if there.record else _("Core banking")
        message = _("This tie is on record already: %s.") % who
        raise Conflict(message, code="on_record", fields={"tie": message})
    if share is not None and kind in HOLDINGS:
        _check_sum(kind, one, other, share)
    if kind == RelationKind.PARENT_COMPANY or (
        kind == RelationKind.SHAREHOLDER and share is not None and share > MAJORITY
    ):
        _check_ring(one, other)


def _check_sum(kind: str, one: Customer, other: Customer, share: Decimal) -> None:
    """Nobody holds a part that others hold: each holder counts once, by the greatest share on record."""
    held: dict[int, Decimal] = {}
    rows = Relation.objects.filter(other=other, kind__in=HOLDINGS[kind], share__isnull=False)
    for holder, part in rows.values_list("customer_id", "share"):
        held[holder] = max(held.get(holder, Decimal(0)), part or Decimal(0))
    held[one.pk] = max(held.get(one.pk, Decimal(0)), share)
    if (whole := sum(held.values())) > 1:
        left = max(1 - (whole - held[one.pk]), Decimal(0))
        _refuse("share", _("The others hold so much on record that %s is left.") % say_share(left))


def _check_ring(one: Customer, other: Customer) -> None:
    """Nobody is above himself: `other` is no parent of `one`, at any step."""
    above, wave = {one.pk}, {one.pk}
    for _step in range(MOST_STEPS):
        rows = Relation.objects.filter(other_id__in=wave).filter(
            Q(kind=RelationKind.PARENT_COMPANY) | Q(kind=RelationKind.SHAREHOLDER, share__gt=MAJORITY)
        )
        wave = set(rows.values_list("customer_id", flat=True)) - above
        above |= wave
        if not wave or other.pk in above:
            break
    if other.pk in above:
        _refuse("tie", _("The record says the opposite: the one is above the other, at one step or several."))


def _refuse(field: str, message: str) -> NoReturn:
    raise DomainError(message, fields={field: message})
