"""What core banking does to a line: check, reserve, commit, release, repay (C8). Strongly consistent, by one statement.

Each act is one SQL statement that tests and changes the line's row under its own lock and appends to the ledger, so
that any number of callers at once never overdraw a line, and a killed process leaves either all of an act or nothing.
Lock order everywhere: reservation, line, sub-limit. Amounts are in the line's currency.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.utils.translation import gettext as _

from credit_rating.models import (
    CreditLine,
    EntryKind,
    LineStatus,
    Reservation,
    ReservationStatus,
    SubLimit,
)
from credit_rating.selectors.lines import control_policy
from crm_site.lib.errors import Conflict, DomainError
from crm_site.lib.formats import money_full
from crm_site.lib.money import from_minor, round_to, to_minor
from crm_site.lib.permissions import Actor, require
from crm_site.lib.tenancy import require_bank
from customers.models import Product

CONTROL = "line.control"
POLICY_SECONDS = 30.0
EXPIRY_BATCH = 1000
_minutes: dict[int, tuple[float, int]] = {}


@dataclass(frozen=True, slots=True)
class ReservationState:
    """A reservation and the room its line has right after the act."""

    id: int
    line: int
    currency: str
    amount: Decimal
    committed: Decimal
    status: str
    expires_at: dt.datetime
    reference: str
    available: Decimal


# The line's row of an act as a ledger row: what moved, and how the line stands after it.
_ENTRY = """INSERT INTO credit_rating_lineentry (bank_id, line_id, reservation_id, product_id, kind, at, amount,
    reserved_change, utilised_change, reserved_after, utilised_after, reference, made_by)"""
_RESERVE = f"""
WITH l AS (
    UPDATE credit_rating_creditline SET reserved = reserved + %(amount)s, changed_at = %(now)s
    WHERE bank_id = %(bank)s AND id = %(line)s AND currency = %(currency)s AND status = 'active'
        AND starts_on <= %(day)s AND expires_on >= %(day)s AND limit_amount - reserved - utilised >= %(amount)s
    RETURNING id, limit_amount, reserved, utilised
), s AS (
    UPDATE credit_rating_sublimit t SET reserved = t.reserved + %(amount)s FROM l
    WHERE t.bank_id = %(bank)s AND t.line_id = l.id AND t.product_id = %(product)s
), r AS (
    INSERT INTO credit_rating_reservation (bank_id, line_id, product_id, amount, committed, status, reference,
        reserved_at, expires_at)
    SELECT %(bank)s, l.id, %(product)s, %(amount)s, 0, 'reserved', %(reference)s, %(now)s, %(until)s FROM l
    RETURNING id
), e AS (
    {_ENTRY}
    SELECT %(bank)s, l.id, r.id, %(product)s, 'reserve', %(now)s, %(amount)s, %(amount)s, 0, l.reserved, l.utilised,
        %(reference)s, %(by)s FROM l, r
)
SELECT r.id, l.limit_amount - l.reserved - l.utilised FROM l, r
"""
_CLOSE = f"""
WITH r AS (
    UPDATE credit_rating_reservation SET status = %(status)s, closed_at = %(now)s,
        committed = CASE WHEN %(status)s = 'committed' THEN coalesce(%(amount)s, amount) ELSE 0 END
    WHERE bank_id = %(bank)s AND id = %(reservation)s AND status = 'reserved' AND expires_at > %(now)s
        AND coalesce(%(amount)s, 0) <= amount
    RETURNING id, line_id, product_id, amount, committed, reference, expires_at
), l AS (
    UPDATE credit_rating_creditline t SET reserved = t.reserved - r.amount, utilised = t.utilised + r.committed,
        changed_at = %(now)s
    FROM r WHERE t.bank_id = %(bank)s AND t.id = r.line_id
    RETURNING t.id, t.currency, t.limit_amount, t.reserved, t.utilised
), s AS (
    UPDATE credit_rating_sublimit t SET reserved = t.reserved - r.amount, utilised = t.utilised + r.committed
    FROM r WHERE t.bank_id = %(bank)s AND t.line_id = r.line_id AND t.product_id = r.product_id
), e AS (
    {_ENTRY}
    SELECT %(bank)s, l.id, r.id, r.product_id, %(kind)s, %(now)s,
        CASE WHEN r.committed > 0 THEN r.committed ELSE r.amount END, -r.amount, r.committed, l.reserved, l.utilised,
        r.reference, %(by)s FROM l, r
)
SELECT r.id, r.line_id, r.amount, r.committed, r.expires_at, r.reference, l.limit_amount - l.reserved - l.utilised,
    l.currency
FROM l, r
"""
_REPAY = f"""
WITH l AS (
    UPDATE credit_rating_creditline SET utilised = utilised - %(amount)s, changed_at = %(now)s
    WHERE bank_id = %(bank)s AND id = %(line)s AND currency = %(currency)s AND utilised >= %(amount)s
    RETURNING id, reserved, utilised
), s AS (
    UPDATE credit_rating_sublimit t SET utilised = t.utilised - %(amount)s FROM l
    WHERE t.bank_id = %(bank)s AND t.line_id = l.id AND t.product_id = %(product)s
), e AS (
    {_ENTRY}
    SELECT %(bank)s, l.id, NULL, %(product)s, 'repay', %(now)s, %(amount)s, 0, -%(amount)s, l.reserved, l.utilised,
        %(reference)s, %(by)s FROM l
)
SELECT l.id FROM l
"""
_EXPIRE = f"""
WITH due AS (
    SELECT id FROM credit_rating_reservation
    WHERE bank_id = %(bank)s AND line_id = %(line)s AND status = 'reserved' AND expires_at <= %(now)s
    ORDER BY id LIMIT {EXPIRY_BATCH} FOR UPDATE SKIP LOCKED
), r AS (
    UPDATE credit_rating_reservation t SET status = 'expired', closed_at = %(now)s FROM due
    WHERE t.bank_id = %(bank)s AND t.id = due.id
    RETURNING t.id, t.product_id, t.amount, t.reference
), l AS (
    UPDATE credit_rating_creditline t SET reserved = t.reserved - g.total, changed_at = %(now)s
    FROM (SELECT sum(amount)::bigint AS total FROM r HAVING count(*) > 0) g
    WHERE t.bank_id = %(bank)s AND t.id = %(line)s
    RETURNING t.id, t.reserved, t.utilised
), s AS (
    UPDATE credit_rating_sublimit t SET reserved = t.reserved - g.total
    FROM (SELECT product_id, sum(amount)::bigint AS total FROM r GROUP BY product_id) g
    WHERE t.bank_id = %(bank)s AND t.line_id = %(line)s AND t.product_id = g.product_id
), e AS (
    {_ENTRY}
    SELECT %(bank)s, l.id, r.id, r.product_id, 'expire', %(now)s, r.amount, -r.amount, 0,
        l.reserved + coalesce(sum(r.amount) OVER (ORDER BY r.id ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING), 0),
        l.utilised, r.reference, %(by)s FROM l, r ORDER BY r.id
)
SELECT count(*) FROM r
"""


def check(
    actor: Actor,
    *,
    line_id: int,
    amount: Decimal,
    currency: str,
    product: str = "",
    day: dt.date,
    now: dt.datetime,
) -> CreditLine:
    """The line, when so much could be reserved now. Raises as `reserve` does; changes nothing but what has run out."""
    require(actor, CONTROL)
    _payable(amount, currency)
    product_id = _product(product)
    for last in (False, True):
        line = _line(line_id, currency, day)
        if line.available >= amount and _sub_room(line_id, product_id, amount):
            return line
        if last or not expire_due(line_id, now=now):
            break
    raise _insufficient(line)


def reserve(
    actor: Actor,
    *,
    line_id: int,
    amount: Decimal,
    currency: str,
    reference: str,
    product: str = "",
    day: dt.date,
    now: dt.datetime,
) -> ReservationState:
    """Hold room on a line until the policy's minutes are over. `product` (a code): also within its sub-limit.

    Raises CreditLine.DoesNotExist; Conflict `line_not_available` (frozen, expired, not begun, closed) or
    `insufficient_limit`; DomainError for another currency or an unknown product. Reservations that have run out give
    their room back before the answer is no.
    """
    require(actor, CONTROL)
    _payable(amount, currency)
    until = now + dt.timedelta(minutes=_reservation_minutes(day))
    values = {**_values(actor, now), "line": line_id, "amount": to_minor(amount), "currency": currency, "day": day,
              "product": _product(product), "reference": reference, "until": until}  # fmt: skip
    for last in (False, True):
        row = _guarded(_RESERVE, values, product, _insufficient_sub)
        if row is not None:
            return ReservationState(
                row[0], line_id, currency, amount, Decimal(0), ReservationStatus.RESERVED, until, reference,
                from_minor(row[1]),
            )  # fmt: skip
        line = _line(line_id, currency, day)
        if last or not (expire_due(line_id, now=now) or line.available >= amount):
            break
    raise _insufficient(line)


def commit(
    actor: Actor, *, reservation_id: int, amount: Decimal | None = None, now: dt.datetime
) -> ReservationState:
    """Draw what was reserved, or a smaller `amount`: the rest goes back. A promise: a frozen line keeps it too.

    Committing again what is committed gives the same answer. Raises Reservation.DoesNotExist, Conflict
    `reservation_expired` or `reservation_final`, DomainError for more than was reserved.
    """
    return _close(actor, reservation_id, ReservationStatus.COMMITTED, EntryKind.COMMIT, amount, now)


def release(actor: Actor, *, reservation_id: int, now: dt.datetime) -> ReservationState:
    """Give the room back. Releasing again gives the same answer; raises as `commit` does."""
    return _close(actor, reservation_id, ReservationStatus.RELEASED, EntryKind.RELEASE, None, now)


def repay(
    actor: Actor,
    *,
    line_id: int,
    amount: Decimal,
    currency: str,
    reference: str,
    product: str = "",
    now: dt.datetime,
) -> CreditLine:
    """Take back what was drawn: on a frozen or expired line too. More than is drawn: Conflict.

    `product` (a code) with a sub-limit: what was drawn within that. Without, the sub-limits are freed as `_portions`
    says, each with its own row of the ledger.

    Raises CreditLine.DoesNotExist, Conflict `repayment_exceeds_utilised`, DomainError for another currency.
    """
    require(actor, CONTROL)
    _payable(amount, currency)
    values = {**_values(actor, now), "line": line_id, "currency": currency, "reference": reference}
    with transaction.atomic():
        for product_id, portion in _portions(line_id, _product(product), amount, reference):
            given = {**values, "amount": to_minor(portion), "product": product_id}
            if _guarded(_REPAY, given, product, _too_much_repaid) is None:
                _same_currency(_read(line_id), currency)
                raise _too_much_repaid(line_id, product_id)
    return _read(line_id)


def _portions(
    line_id: int, product_id: int | None, amount: Decimal, reference: str
) -> list[tuple[int | None, Decimal]]:
    """(product, amount) of a repayment, so that what is drawn within the sub-limits never exceeds what is drawn.

    A product with a sub-limit takes all. Otherwise, while something is drawn in each: the products that were drawn under
    this very reference, what was drawn outside every sub-limit, then the sub-limits from the oldest on.
    """
    if not SubLimit.objects.filter(line_id=line_id).exists():
        return [(product_id, amount)]
    line = CreditLine.objects.select_for_update(of=("self",)).get(pk=line_id)
    drawn = {s.product_id: Decimal(s.utilised) for s in SubLimit.objects.filter(line=line).order_by("id")}
    if product_id in drawn or amount > line.utilised:
        return [(product_id, amount)]
    room: dict[int | None, Decimal] = {product_id: Decimal(line.utilised) - sum(drawn.values())}
    room.update(drawn.items())
    committed = Reservation.objects.filter(
        line=line, reference=reference, status=ReservationStatus.COMMITTED, product__in=drawn
    )
    first = committed.order_by("id").values_list("product_id", flat=True)
    portions: list[tuple[int | None, Decimal]] = []
    for key in dict.fromkeys([*first, *room]):
        portion = min(amount, room[key])
        if portion > 0:
            portions.append((key, portion))
            amount -= portion
    return portions


def expire_due(line_id: int, *, now: dt.datetime) -> int:
    """Give back the room of a line's reservations that have run out; returns how many."""
    values: dict[str, Any] = {"bank": require_bank(), "line": line_id, "now": now, "by": "expiry"}
    with connection.cursor() as cursor:
        cursor.execute(_EXPIRE, values)
        row = cursor.fetchone()
    return int(row[0]) if row else 0


def expire_all_due(*, now: dt.datetime) -> int:
    """The same for every line of the active bank, in the order of their ids; returns how many reservations."""
    due = Reservation.objects.filter(status=ReservationStatus.RESERVED, expires_at__lte=now)
    lines = due.order_by("line_id").values_list("line_id", flat=True).distinct()
    return sum(expire_due(line_id, now=now) for line_id in list(lines))


def _close(
    actor: Actor,
    reservation_id: int,
    status: ReservationStatus,
    kind: EntryKind,
    amount: Decimal | None,
    now: dt.datetime,
) -> ReservationState:
    require(actor, CONTROL)
    if amount is not None:
        _payable(amount, _currency_of(reservation_id))
    minor = None if amount is None else to_minor(amount)
    values = {**_values(actor, now), "reservation": reservation_id, "status": str(status), "kind": str(kind),
              "amount": minor}  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_CLOSE, values)
        row = cursor.fetchone()
    if row is not None:
        return ReservationState(
            row[0], row[1], row[7], from_minor(row[2]), from_minor(row[3]), status, row[4], row[5],
            from_minor(row[6]),
        )  # fmt: skip
    found = Reservation.objects.select_related("line").get(pk=reservation_id)
    if found.status == status and amount in (None, found.committed):
        return ReservationState(
            found.pk, found.line_id, found.line.currency, found.amount, found.committed, found.status, found.expires_at,
            found.reference, found.line.available,
        )  # fmt: skip
    if found.status == ReservationStatus.EXPIRED or (
        found.status == ReservationStatus.RESERVED and found.expires_at <= now
    ):
        raise Conflict(_("The reservation has run out."), code="reservation_expired")
    if found.status == ReservationStatus.RESERVED:
        message = _("That is more than was reserved.")
        raise DomainError(message, code="exceeds_reservation", fields={"amount": message})
    raise Conflict(_("The reservation is final: %s.") % found.get_status_display(), code="reservation_final")


def _payable(amount: Decimal, currency: str) -> None:
    """Raise DomainError for an amount that nobody could pay in this currency."""
    message = ""
    if amount <= 0:
        message = _("The amount must be above zero.")
    elif amount != round_to(amount, currency):
        message = _("%s has no such fractions.") % currency
    if message:
        raise DomainError(message, code="amount", fields={"amount": message})


def _currency_of(reservation_id: int) -> str:
    return Reservation.objects.values_list("line__currency", flat=True).get(pk=reservation_id)


def _values(actor: Actor, now: dt.datetime) -> dict[str, Any]:
    return {"bank": require_bank(), "now": now, "by": actor.label[:120]}


def _guarded(sql: str, values: Mapping[str, Any], product: str, refusal: Any) -> tuple[Any, ...] | None:
    """One act; a sub-limit that does not hold it breaks a constraint, and the act is undone as a whole."""
    if not product:
        return _one(sql, values)
    try:
        with transaction.atomic():
            return _one(sql, values)
    except IntegrityError as error:
        if "sublimit_" not in str(error):
            raise
        raise refusal(values["line"], values["product"]) from error


def _one(sql: str, values: Mapping[str, Any]) -> tuple[Any, ...] | None:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.fetchone()


def _read(line_id: int) -> CreditLine:
    return CreditLine.objects.select_related("customer", "product").get(pk=line_id)


def _line(line_id: int, currency: str, day: dt.date) -> CreditLine:
    """The line, when it may be drawn on in this currency today."""
    line = _read(line_id)
    _same_currency(line, currency)
    status = line.status_on(day)
    if status != LineStatus.ACTIVE:
        raise Conflict(_("The line is not available: %s.") % status.label, code="line_not_available")
    return line


def _same_currency(line: CreditLine, currency: str) -> None:
    if line.currency != currency:
        message = _("The line is in %s.") % line.currency
        raise DomainError(message, code="currency_mismatch", fields={"currency": message})


def _product(code: str) -> int | None:
    if not code:
        return None
    found = Product.objects.filter(code=code).values_list("pk", flat=True).first()
    if found is None:
        message = _("There is no such product.")
        raise DomainError(message, code="unknown_product", fields={"product": message})
    return int(found)


def _sub_room(line_id: int, product_id: int | None, amount: Decimal) -> bool:
    if product_id is None:
        return True
    sub = SubLimit.objects.filter(line_id=line_id, product_id=product_id).first()
    return sub is None or sub.available >= amount


def _reservation_minutes(day: dt.date) -> int:
    """The policy's minutes, kept for some seconds in each process: it is asked with every reservation."""
    bank_id, clock = require_bank(), time.monotonic()
    kept = _minutes.get(bank_id)
    if kept is None or clock - kept[0] > POLICY_SECONDS:
        kept = _minutes[bank_id] = (clock, int(control_policy(day).params["reservation_minutes"]))
    return kept[1]


def _insufficient(line: CreditLine) -> Conflict:
    return Conflict(
        _("The line has room for %s.") % money_full(line.available, line.currency), code="insufficient_limit"
    )


def _insufficient_sub(line_id: int, product_id: int) -> Conflict:
    line, sub = _read(line_id), SubLimit.objects.get(line_id=line_id, product_id=product_id)
    room = money_full(min(sub.available, line.available), line.currency)
    return Conflict(_("The product's sub-limit has room for %s.") % room, code="insufficient_limit")


def _too_much_repaid(line_id: int, product_id: int | None) -> Conflict:
    line = _read(line_id)
    sub = SubLimit.objects.filter(line_id=line_id, product_id=product_id).first() if product_id else None
    drawn = money_full((sub or line).utilised, line.currency)
    said = _("Only %s is drawn of the product.") if sub else _("Only %s is drawn.")
    return Conflict(said % drawn, code="repayment_exceeds_utilised")
