"""Collecting a customer's information: a draft saved while it is typed, then a form for good (A2)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from django.db import transaction
from django.utils.timezone import localdate
from django.utils.translation import gettext as _

from credit_rating.collection import CollectionFault, Field, clean, completeness, fields_of, read_values
from credit_rating.models import CollectionStatus, InformationForm, Statement, credit_kind
from credit_rating.selectors.collection import submitted_of
from credit_rating.services.campaigns.progress import note_collected
from crm_site.lib.errors import Conflict
from crm_site.lib.permissions import Actor, require
from customers.models import Customer

PREPARE = "credit.prepare"


@dataclass(frozen=True, slots=True)
class Saved:
    """What a save did: the draft, codes that changed, `theirs`: what stands of fields that another changed meanwhile,
    `faults`: what is wrong with a field. Fields of the last two are not saved, all others are."""

    form: InformationForm
    changed: list[str]
    theirs: dict[str, str]
    faults: dict[str, str]

    @property
    def is_whole(self) -> bool:
        return not self.theirs and not self.faults


def save_draft(
    actor: Actor,
    *,
    customer: Customer,
    typed: Mapping[str, str],
    base: Mapping[str, str],
    source: str,
    now: dt.datetime,
    today: dt.date,
) -> Saved:
    """Save what was typed into the customer's draft, begun when there is none.

    `base`: what the form showed when it was opened, as kept. Only fields that differ from it are mine; one that the
    other changed meanwhile to something else is left as theirs and reported. The same save again changes nothing: a
    phone may repeat what it does not know to have arrived.
    """
    require(actor, PREPARE)
    mine, faults = _cleaned(fields_of(credit_kind(customer)), typed, base)
    with transaction.atomic():
        form = _draft(actor, customer, now)
        stand = {code: cell.get("value", "") for code, cell in form.values.items()}
        theirs = {
            code: stand.get(code, "")
            for code, value in mine.items()
            if stand.get(code, "") not in (base.get(code, ""), value)
        }
        changed = [c for c, value in mine.items() if c not in theirs and stand.get(c, "") != value]
        for code in changed:
            form.values[code] = {
                "value": mine[code],
                "as_of": today.isoformat(),
                "source": source,
                "by": actor.staff_id,
            }
        if changed:
            form.revision += 1
            form.saved_at = now
            form.completeness_pct = _pct(customer, form)
            form.save(update_fields=["values", "revision", "saved_at", "completeness_pct"])
    return Saved(form, changed, theirs, faults)


def _cleaned(
    fields: Mapping[str, Field], typed: Mapping[str, str], base: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, str]]:
    """(what differs from the base, what is wrong) by code."""
    mine: dict[str, str] = {}
    faults: dict[str, str] = {}
    for code, given in typed.items():
        if code not in fields:
            continue
        try:
            kept = clean(fields[code], given)
        except CollectionFault as fault:
            faults[code] = fault.message
            continue
        if kept != base.get(code, ""):
            mine[code] = kept
    return mine, faults


def _draft(actor: Actor, customer: Customer, now: dt.datetime) -> InformationForm:
    """The customer's draft, locked. A new one begins with what the last submitted form said."""
    # The customer's row is the lock: two who begin at once get one draft.
    Customer.objects.visible_to(actor).select_for_update(of=("self",)).get(pk=customer.pk)
    found = InformationForm.objects.select_for_update(of=("self",)).filter(
        customer=customer, status=CollectionStatus.DRAFT
    )
    draft = found.first()
    if draft is not None:
        return draft
    last = submitted_of(actor, customer)
    return InformationForm.objects.create(
        customer=customer, kind=credit_kind(customer), values=dict(last.values) if last else {}, started_at=now,
        started_by_id=actor.staff_id, saved_at=now, completeness_pct=last.completeness_pct if last else 0,
    )  # fmt: skip


def _pct(customer: Customer, form: InformationForm) -> int:
    years = Statement.objects.filter(customer=customer).count()
    return completeness(credit_kind(customer), read_values(form.values), years)[0]


def submit_form(actor: Actor, *, customer: Customer, now: dt.datetime) -> InformationForm:
    """Make the draft the form that ratings and calculations use. Raises Conflict when there is none to submit.

    What is missing does not stop it: the calculation names what it lacks.
    """
    require(actor, PREPARE)
    with transaction.atomic():
        found = InformationForm.objects.visible_to(actor).select_for_update(of=("self",))
        form = found.filter(customer=customer, status=CollectionStatus.DRAFT).first()
        if form is None:
            raise Conflict(_("There is no draft: somebody has submitted it already."), code="no_draft")
        form.status, form.submitted_by_id, form.submitted_at = CollectionStatus.SUBMITTED, actor.staff_id, now
        form.kind, form.completeness_pct = credit_kind(customer), _pct(customer, form)
        form.save(update_fields=["status", "submitted_by", "submitted_at", "kind", "completeness_pct"])
        note_collected(form, day=localdate(now))
    return form
