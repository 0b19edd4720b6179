"""A case is made, changed, submitted and withdrawn by its maker."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, connection, transaction
from django.db.models import Max
from django.utils.translation import gettext as _

from credit_rating.models import (
    CaseKind,
    CaseStatus,
    CreditCase,
    CreditLine,
)
from credit_rating.policies import Body
from credit_rating.selectors import cases as selectors
from credit_rating.selectors.lines import SUB_LIMIT_FAMILIES, sub_limits
from credit_rating.services.cases.flow import bind, end, enter
from credit_rating.services.cases.rules import PREPARE, CaseFault, locked
from crm_site.lib.errors import Conflict
from crm_site.lib.permissions import Actor, require_person
from crm_site.lib.tenancy import require_bank
from customers.models import Customer, Product

EDITABLE = (CaseStatus.DRAFT, CaseStatus.RETURNED)


@dataclass(frozen=True, slots=True)
class Terms:
    """What is asked for; `rate_bp` in basis points; `sub_limits` as CreditCase keeps them."""

    kind: str
    product: Product
    currency: str
    amount: Decimal
    term_months: int
    purpose: str
    rate_bp: int | None = None
    line: CreditLine | None = None
    calculation_id: int | None = None
    sub_limits: Mapping[str, str] = field(default_factory=dict)


def create_case(actor: Actor, *, customer: Customer, terms: Terms, now: dt.datetime) -> CreditCase:
    """A draft. Raises CaseFault with the field's name, Conflict while the customer has a case for the product."""
    staff_id = require_person(actor, PREPARE)
    check_terms(customer, terms)
    try:
        with transaction.atomic():
            seen = Customer.objects.visible_to(actor).get(pk=customer.pk)
            case = draft(seen, terms, staff_id, next_serial(now.year), now)
            case.save(force_insert=True)
            return case
    except IntegrityError as error:
        raise Conflict(_("This customer has a case for this product already."), code="case_open") from error


def draft(
    customer: Customer, terms: Terms, staff_id: int, serial: int, now: dt.datetime, investigation: str = ""
) -> CreditCase:
    """The draft of a case, not saved."""
    return CreditCase(
        year=now.year, serial=serial, customer=customer, prepared_by_id=staff_id, prepared_at=now,
        investigation=investigation, **_columns(terms),
    )  # fmt: skip


def edit_case(
    actor: Actor, *, case_id: int, terms: Terms, investigation: str, now: dt.datetime
) -> CreditCase:
    """Its maker changes a draft or a returned case."""
    with transaction.atomic():
        case = _own(actor, case_id)
        check_terms(case.customer, terms)
        for name, value in _columns(terms).items():
            setattr(case, name, value)
        case.investigation = investigation.strip()
        case.save(update_fields=[*_columns(terms), "investigation"])
    return case


def _columns(terms: Terms) -> dict[str, Any]:
    return {name: getattr(terms, name) for name in Terms.__slots__}


def check_terms(customer: Customer, terms: Terms) -> None:
    """Raise CaseFault with the names of the fields for terms that cannot be asked for."""
    faults = {}
    line = terms.line
    if line is None and not terms.product.is_for(customer.kind):
        faults["product"] = _("This product is not for these customers.")
    if terms.amount <= 0:
        faults["amount"] = _("The amount must be above zero.")
    if not 0 < terms.term_months <= 360:
        faults["term_months"] = _("Between 1 and 360 months.")
    if not terms.purpose.strip():
        faults["purpose"] = _("Say what for.")
    if line is None and terms.kind in (CaseKind.INCREASE, CaseKind.DECREASE, CaseKind.REVIEW):
        faults["line"] = _("Choose the line.")
    if line is not None:
        faults |= _line_faults(customer, terms, line)
    if fault := _sub_limit_fault(customer, terms):
        faults["sub_limits"] = fault
    if faults:
        raise CaseFault(next(iter(faults.values())), code="terms", fields=faults)


def _line_faults(customer: Customer, terms: Terms, line: CreditLine) -> dict[str, str]:
    if (line.customer_id, line.product_id, line.currency) != (customer.pk, terms.product.pk, terms.currency):
        return {"line": _("The line is of another customer, product or currency.")}
    if terms.kind == CaseKind.NEW:
        return {"line": _("A new line changes none.")}
    if terms.kind == CaseKind.INCREASE and terms.amount <= line.limit:
        return {"amount": _("It must be above the line's limit.")}
    if terms.kind == CaseKind.DECREASE and terms.amount >= line.limit:
        return {"amount": _("It must be below the line's limit.")}
    return {}


def _sub_limit_fault(customer: Customer, terms: Terms) -> str:
    """Why the sub-limits cannot be asked for; "" when they can."""
    if not terms.sub_limits:
        return ""
    fitting = Product.objects.for_customers(customer.kind).filter(family__in=SUB_LIMIT_FAMILIES)
    held = sub_limits(terms.line) if terms.line else []
    there = {one.product.code for one in held}
    known = {*fitting.values_list("code", flat=True), *there}
    for code, written in terms.sub_limits.items():
        amount = Decimal(written)
        if code not in known:
            return _("This product is not for these customers.")
        if amount == 0 and code not in there:
            return _("There is no sub-limit to take away.")
        if not 0 <= amount <= terms.amount:
            return _("A sub-limit lies between zero and the limit.")
    return ""


def submit_case(actor: Actor, *, case_id: int, now: dt.datetime, today: dt.date) -> CreditCase:
    """The manager's investigation is done: a new round begins, with the rating in force, at the route's first stage.

    Raises CaseFault for a customer on the exclusion list."""
    with transaction.atomic():
        case = _own(actor, case_id)
        if case.customer.is_excluded:
            raise CaseFault(
                _("The customer is on the exclusion list: no case may be submitted."), code="excluded"
            )
        if not case.investigation.strip():
            message = _("Write what the investigation found.")
            raise CaseFault(message, code="investigation", fields={"investigation": message})
        if begin_round(case, selectors.authority_policy(today)[1], now, today) < today:
            raise Conflict(_("The case has expired."), code="case_ended")
        bind(case, today, now)
        enter(case, CaseStatus(case.route[0]), now, today)
    return case


def begin_round(case: CreditCase, policy: Body, now: dt.datetime, today: dt.date) -> dt.date:
    """Set that a case is submitted (once more), and on the first time until when it is to be decided, which is returned."""
    case.round += 1
    case.submitted_at = now
    if case.expires_on is None:
        case.expires_on = today + dt.timedelta(days=int(policy.params["case_days"]))
    return case.expires_on


def withdraw_case(actor: Actor, *, case_id: int, now: dt.datetime, today: dt.date) -> CreditCase:
    """Its maker takes it back, at any time before its end."""
    staff_id = require_person(actor, PREPARE)
    with transaction.atomic():
        case = locked(actor, case_id)
        if case.prepared_by_id != staff_id:
            raise PermissionDenied(PREPARE)
        if not case.is_waiting and case.status not in EDITABLE:
            raise Conflict(_("The case has ended."), code="case_ended")
        end(case, CaseStatus.WITHDRAWN, now, today)
    return case


def _own(actor: Actor, case_id: int) -> CreditCase:
    """A case that the actor makes and may still change."""
    staff_id = require_person(actor, PREPARE)
    case = locked(actor, case_id)
    if case.prepared_by_id != staff_id:
        raise PermissionDenied(PREPARE)
    if case.status not in EDITABLE:
        raise Conflict(_("The case is under way; withdraw it to change it."), code="case_status")
    return case


def next_serial(year: int) -> int:
    """The bank's next number of the year; two makers wait for each other."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select pg_advisory_xact_lock(hashtextextended('credit case number', %s))", [require_bank()]
        )
    return int(CreditCase.objects.filter(year=year).aggregate(newest=Max("serial"))["newest"] or 0) + 1
