"""The life of a credit line (C7): opened by an approval, frozen, lowered, reviewed, closed; each with its event.

Raising and extending are decisions of credit and go through a new approval: `change_line` is for that alone. While
conditions of that approval are open the line stands as it is, and `effect_change` is to it what `activate_line` is to a
new line. A change of terms takes the line's row first, as every reservation does, so that the two never cross.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django.db import connection, transaction
from django.db.models import Max
from django.utils.timezone import localdate
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from credit_rating.models import (
    CreditCase,
    CreditLine,
    Guarantee,
    GuaranteeStatus,
    LineEvent,
    LineEventKind,
    LineStatus,
    SubLimit,
)
from credit_rating.models.lines import LIVING
from credit_rating.selectors.cases import guarantees_out_of_force, named_to, open_conditions
from credit_rating.selectors.lines import control_policy
from credit_rating.services.control import expire_due
from credit_rating.services.sub_limits import decided_sub_limits, set_sub_limits
from crm_site.lib.dates import add_months
from crm_site.lib.errors import Conflict, DomainError
from crm_site.lib.formats import money_full
from crm_site.lib.permissions import Actor, require
from crm_site.lib.tenancy import require_bank
from customers.models import Customer, Product

MANAGE = "line.manage"
DECIDE = "credit.decide"
_TERMS = (
    *("limit", "status", "expires_on", "review_on", "terms_case_id"),
    *("waiting_case_id", "waiting_limit", "waiting_until"),
)


def open_line(
    actor: Actor,
    *,
    customer: Customer,
    product: Product,
    currency: str,
    limit: Decimal,
    starts_on: dt.date,
    expires_on: dt.date,
    now: dt.datetime,
    case_id: int | None = None,
    conditions_open: bool = False,
    sub_limits: Mapping[Product, Decimal] | None = None,
    reason: str = "",
) -> CreditLine:
    """Open a line as an approval has decided it. The caller has checked that the decision is final and is this one.

    `conditions_open`: it waits, pending, for its conditions and guarantees. `sub_limits`: by product, none above the line.
    Raises DomainError with the field's name.
    """
    opening = Opening(
        customer, product, currency, limit, expires_on, case_id, conditions_open, sub_limits or {}, reason
    )
    return open_lines(actor, openings=[opening], starts_on=starts_on, now=now)[0]


@dataclass(frozen=True, slots=True)
class Opening:
    """A line to be opened, as `open_line` takes it."""

    customer: Customer
    product: Product
    currency: str
    limit: Decimal
    expires_on: dt.date
    case_id: int | None = None
    conditions_open: bool = False
    sub_limits: Mapping[Product, Decimal] = field(default_factory=dict)
    reason: str = ""


def open_lines(
    actor: Actor, *, openings: Sequence[Opening], starts_on: dt.date, now: dt.datetime
) -> list[CreditLine]:
    """Open lines as approvals have decided them, in this order: `open_line` for each, written together."""
    require(actor, DECIDE)
    for one in openings:
        _check_terms(one.limit, starts_on, one.expires_on, one.sub_limits)
    review_on = add_months(starts_on, int(control_policy(starts_on).params["review_months"]))
    with transaction.atomic():
        serial = _next_serial(starts_on.year)
        lines = [
            CreditLine(
                year=starts_on.year, serial=serial + place, customer=one.customer, product=one.product,
                currency=one.currency, limit=one.limit, reserved=Decimal(0), utilised=Decimal(0), starts_on=starts_on,
                expires_on=one.expires_on, review_on=review_on if review_on < one.expires_on else None,
                case_id=one.case_id, terms_case_id=one.case_id,
                status=LineStatus.PENDING if one.conditions_open else LineStatus.ACTIVE, opened_at=now, changed_at=now,
            )
            for place, one in enumerate(openings)
        ]  # fmt: skip
        CreditLine.objects.bulk_create(lines)
        pairs = list(zip(lines, openings, strict=True))
        SubLimit.objects.bulk_create(
            SubLimit(line=line, product=p, limit=amount, reserved=Decimal(0), utilised=Decimal(0))
            for line, one in pairs
            for p, amount in one.sub_limits.items()
        )
        LineEvent.objects.bulk_create(
            _new_event(actor.staff_id, line, LineEventKind.OPENED, one.reason, now, one.case_id)
            for line, one in pairs
        )
    return lines


def change_line(
    actor: Actor,
    *,
    line_id: int,
    limit: Decimal,
    expires_on: dt.date,
    case_id: int,
    now: dt.datetime,
    conditions_open: bool = False,
    sub_limits: Mapping[Product, Decimal] | None = None,
    reason: str = "",
) -> CreditLine:
    """Raise, lower or extend a line as a new approval has decided; an expired line that is extended is active again.

    The approval has looked at the customer anew: the next review is due the policy's months from now.
    `conditions_open`: what lowers the line is done at once, what raises or extends it waits (`effect_change`). A change
    that still waits from an earlier approval lapses: this one was decided after it. `sub_limits`: those that it changes,
    0 takes one away; they wait with it.

    Raises DomainError for a limit below what is used or an end before today's, Conflict for a closed line.
    """
    require(actor, DECIDE)
    with transaction.atomic():
        line = _locked(line_id)
        if line.status == LineStatus.CLOSED:
            raise _not_now(line)
        asked = sub_limits or {}
        _check_terms(limit, line.starts_on, expires_on, {p: amount for p, amount in asked.items() if amount})
        _check_used(line, limit)
        _lapse(actor, line, reason, now)
        if conditions_open and (limit > line.limit or expires_on > line.expires_on or asked):
            _wait(actor, line, limit, expires_on, case_id, reason, now)
        else:
            _put_into_effect(actor, line, limit, expires_on, case_id, reason, now, asked)
        _save(line, now)
    return line


def effect_change(actor: Actor, *, line_id: int, reason: str, now: dt.datetime) -> CreditLine:
    """The conditions of an approved change are met: the line is raised or extended as was decided.

    Raises Conflict `no_change` when none waits (somebody was first, or it has lapsed), `conditions_open` and
    `guarantees_open`.
    """
    require(actor, MANAGE)
    _needs_reason(reason)
    with transaction.atomic():
        line = _locked(line_id)
        case_id, limit, until = line.waiting_case_id, line.waiting_limit, line.waiting_until
        if case_id is None or limit is None or until is None or until < localdate(now):
            raise Conflict(_("No approved change of this line waits now."), code="no_change")
        _check_conditions(case_id)
        _guarantees_in_force(actor, case_id, localdate(now))
        expire_due(line_id, now=now)
        line.refresh_from_db()
        _check_used(line, limit)
        line.waiting_case_id = line.waiting_limit = line.waiting_until = None
        asked = decided_sub_limits(CreditCase.objects.get(pk=case_id).sub_limits)
        _put_into_effect(actor, line, limit, until, case_id, reason, now, asked)
        _save(line, now)
    return line


def _put_into_effect(
    actor: Actor,
    line: CreditLine,
    limit: Decimal,
    expires_on: dt.date,
    case_id: int,
    reason: str,
    now: dt.datetime,
    sub_limits: Mapping[Product, Decimal],
) -> None:
    line.terms_case_id = case_id
    if expires_on > line.expires_on:
        line.status = LineStatus.ACTIVE if line.status == LineStatus.EXPIRED else line.status
        line.expires_on = expires_on
        _event(actor, line, LineEventKind.EXTENDED, reason, now, case_id)
    if limit != line.limit:
        _set_limit(line, limit)
        _event(actor, line, LineEventKind.LIMIT_CHANGED, reason, now, case_id)
    if sub_limits:
        set_sub_limits(line, sub_limits)
        _event(actor, line, LineEventKind.SUBS_CHANGED, reason, now, case_id)
    today = localdate(now)
    following = add_months(today, int(control_policy(today).params["review_months"]))
    line.review_on = following if following < line.expires_on else None


def _wait(
    actor: Actor,
    line: CreditLine,
    limit: Decimal,
    expires_on: dt.date,
    case_id: int,
    reason: str,
    now: dt.datetime,
) -> None:
    if limit < line.limit:
        _set_limit(line, limit)
        _event(actor, line, LineEventKind.LIMIT_CHANGED, reason, now, case_id)
    line.waiting_case_id, line.waiting_limit, line.waiting_until = case_id, limit, expires_on
    _event(actor, line, LineEventKind.CHANGE_WAITS, reason, now, case_id)


def _lapse(actor: Actor | None, line: CreditLine, reason: str, now: dt.datetime) -> None:
    """End a change that waits, if there is one."""
    if line.waiting_case_id is None:
        return
    kind, staff_id = LineEventKind.CHANGE_LAPSED, actor.staff_id if actor else None
    _new_event(staff_id, line, kind, reason, now, line.waiting_case_id).save(force_insert=True)
    line.waiting_case_id = line.waiting_limit = line.waiting_until = None


def activate_line(actor: Actor, *, line_id: int, reason: str, now: dt.datetime) -> CreditLine:
    """The conditions of a pending line are met and its guarantees in force: it may be drawn on."""
    moves = {LineStatus.PENDING: LineStatus.ACTIVE}

    def is_ready(line: CreditLine) -> None:
        if line.case_id:
            _check_conditions(line.case_id)
            _guarantees_in_force(actor, line.case_id, localdate(now))

    return _move(actor, line_id, LineEventKind.ACTIVATED, moves, reason, now, is_ready)


def freeze_line(actor: Actor, *, line_id: int, reason: str, now: dt.datetime) -> CreditLine:
    """No new reservation from now on; what is reserved keeps its promise, and repayments are taken."""
    return _move(actor, line_id, LineEventKind.FROZEN, {LineStatus.ACTIVE: LineStatus.FROZEN}, reason, now)


def unfreeze_line(actor: Actor, *, line_id: int, reason: str, now: dt.datetime) -> CreditLine:
    """Give a frozen line back to its use."""
    return _move(actor, line_id, LineEventKind.UNFROZEN, {LineStatus.FROZEN: LineStatus.ACTIVE}, reason, now)


def close_line(actor: Actor, *, line_id: int, reason: str, now: dt.datetime) -> CreditLine:
    """End a line for good. Only when nothing is drawn or reserved; until then it can be frozen."""
    moves = dict.fromkeys((*LIVING, LineStatus.EXPIRED), LineStatus.CLOSED)

    def empty(line: CreditLine) -> None:
        if line.used:
            raise Conflict(
                _("%s of it are in use. Freeze it now, and close it when all is repaid.")
                % money_full(line.used, line.currency),
                code="line_in_use",
            )
        _lapse(actor, line, reason, now)

    return _move(actor, line_id, LineEventKind.CLOSED, moves, reason, now, empty)


def lower_limit(actor: Actor, *, line_id: int, limit: Decimal, reason: str, now: dt.datetime) -> CreditLine:
    """Cut the limit, never below what is used; sub-limits above it are cut with it. More needs an approval."""
    require(actor, MANAGE)
    _needs_reason(reason)
    with transaction.atomic():
        line = _locked(line_id)
        expire_due(line_id, now=now)
        line.refresh_from_db()
        _living(line)
        if not 0 < limit < line.limit:
            message = _("It must be below %s; more needs a new approval.") % money_full(
                line.limit, line.currency
            )
            raise DomainError(message, code="limit", fields={"limit": message})
        _check_used(line, limit)
        _set_limit(line, limit)
        _save(line, now)
        _event(actor, line, LineEventKind.LIMIT_CHANGED, reason, now)
    return line


def record_review(actor: Actor, *, line_id: int, reason: str, now: dt.datetime, today: dt.date) -> CreditLine:
    """The annual review is done; the next one is due the policy's months from today, when the line lives so long."""
    require(actor, MANAGE)
    _needs_reason(reason)
    with transaction.atomic():
        line = _locked(line_id)
        _living(line)
        following = add_months(today, int(control_policy(today).params["review_months"]))
        line.review_on = following if following < line.expires_on else None
        _save(line, now)
        _event(actor, line, LineEventKind.REVIEWED, reason, now)
    return line


def expire_lines(line_ids: Iterable[int], *, now: dt.datetime) -> int:
    """The night's act: lines past their last day, as the caller found them. Safe to repeat."""
    found = CreditLine.objects.filter(pk__in=list(line_ids), status__in=LIVING)
    with transaction.atomic():
        lines = list(found.select_for_update(of=("self",)).order_by("pk"))
        for line in lines:
            line.status, line.changed_at = LineStatus.EXPIRED, now
        CreditLine.objects.filter(pk__in=[line.pk for line in lines]).update(
            status=LineStatus.EXPIRED, changed_at=now
        )
        LineEvent.objects.bulk_create(
            _new_event(None, line, LineEventKind.EXPIRED, "", now) for line in lines
        )
    return len(lines)


def lapse_changes(line_ids: Iterable[int], *, now: dt.datetime) -> int:
    """The night's act: approved changes whose own last day has passed before their conditions were met. Repeatable."""
    found = CreditLine.objects.filter(pk__in=list(line_ids), waiting_case_id__isnull=False)
    with transaction.atomic():
        lines = list(found.select_for_update(of=("self",)).order_by("pk"))
        for line in lines:
            _lapse(None, line, "", now)
            _save(line, now)
    return len(lines)


def _move(
    actor: Actor,
    line_id: int,
    kind: LineEventKind,
    moves: Mapping[LineStatus, LineStatus],
    reason: str,
    now: dt.datetime,
    check: Any = None,
) -> CreditLine:
    require(actor, MANAGE)
    _needs_reason(reason)
    with transaction.atomic():
        line = _locked(line_id)
        if line.status not in moves:
            raise _not_now(line)
        if check is not None:
            expire_due(line_id, now=now)
            line.refresh_from_db()
            check(line)
        line.status = moves[LineStatus(line.status)]
        _save(line, now)
        _event(actor, line, kind, reason, now)
    return line


def _check_conditions(case_id: int) -> None:
    if count := open_conditions(case_id):
        raise Conflict(
            ngettext(
                "%(count)s condition of the approval is open.",
                "%(count)s conditions of the approval are open.",
                count,
            )
            % {"count": count},
            code="conditions_open",
        )


def _guarantees_in_force(actor: Actor, case_id: int, day: dt.date) -> None:
    if open_ones := guarantees_out_of_force(case_id, day):
        named = _(", ").join(f"{named_to(actor, g)} ({_state(g, day)})" for g in open_ones)
        raise Conflict(
            _("The approval rests on guarantees that are not in force: %s.") % named,
            code="guarantees_open",
        )


def _state(g: Guarantee, day: dt.date) -> str:
    if g.status == GuaranteeStatus.ACTIVE:
        return _("not begun") if g.from_date > day else _("ended")
    return str(g.get_status_display())


def _locked(line_id: int) -> CreditLine:
    """The line, its row taken. Raises CreditLine.DoesNotExist."""
    return CreditLine.objects.select_for_update(of=("self",)).get(pk=line_id)


def _save(line: CreditLine, now: dt.datetime) -> None:
    """Terms alone: the counters are the ledger's."""
    line.changed_at = now
    line.save(update_fields=[*_TERMS, "changed_at"])


def _set_limit(line: CreditLine, limit: Decimal) -> None:
    line.limit = limit
    for sub in SubLimit.objects.select_for_update(of=("self",)).filter(line=line).order_by("pk"):
        if sub.limit > limit:
            sub.limit = limit
            sub.save(update_fields=["limit"])


def _next_serial(year: int) -> int:
    """The bank's next number of the year; two openings wait for each other."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select pg_advisory_xact_lock(hashtextextended('credit line number', %s))", [require_bank()]
        )
    return int(CreditLine.objects.filter(year=year).aggregate(newest=Max("serial"))["newest"] or 0) + 1


def _event(
    actor: Actor,
    line: CreditLine,
    kind: LineEventKind,
    reason: str,
    now: dt.datetime,
    case_id: int | None = None,
) -> None:
    _new_event(actor.staff_id, line, kind, reason, now, case_id).save(force_insert=True)


def _new_event(
    staff_id: int | None,
    line: CreditLine,
    kind: LineEventKind,
    reason: str,
    now: dt.datetime,
    case_id: int | None = None,
) -> LineEvent:
    return LineEvent(
        line=line, kind=kind, at=now, by_id=staff_id, reason=reason.strip()[:400], case_id=case_id,
        limit=line.limit, reserved=line.reserved, utilised=line.utilised, expires_on=line.expires_on,
    )  # fmt: skip


def _needs_reason(reason: str) -> None:
    if not reason.strip():
        message = _("Say why.")
        raise DomainError(message, code="reason", fields={"reason": message})


def _living(line: CreditLine) -> None:
    if line.status not in LIVING:
        raise _not_now(line)


def _not_now(line: CreditLine) -> Conflict:
    return Conflict(
        _("The line is %s now; this cannot be done to it.") % line.get_status_display(), code="line_status"
    )


def _check_used(line: CreditLine, limit: Decimal) -> None:
    if limit < line.used:
        message = _("%s of it are in use; the limit cannot be below that.") % money_full(
            line.used, line.currency
        )
        raise DomainError(message, code="limit_below_use", fields={"limit": message})


def _check_terms(
    limit: Decimal, starts_on: dt.date, expires_on: dt.date, sub_limits: Mapping[Product, Decimal]
) -> None:
    faults = {}
    if limit <= 0:
        faults["limit"] = _("The amount must be above zero.")
    if expires_on < starts_on:
        faults["expires_on"] = _("It must not end before it begins.")
    if any(not 0 < amount <= limit for amount in sub_limits.values()):
        faults["sub_limits"] = _("A sub-limit lies between zero and the limit.")
    if faults:
        raise DomainError(next(iter(faults.values())), code="terms", fields=faults)
