"""The bank's capital and its register of related parties and insiders (C5)."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from credit_rating.models import BankCapital, RelatedParty
from crm_site.lib.errors import Conflict, DomainError
from crm_site.lib.permissions import Actor, require
from customers.models import Customer

MANAGE = "credit_register.manage"


class RegisterFault(DomainError):
    """An entry that cannot be made like this."""


def report_capital(
    actor: Actor, *, as_of: dt.date, net_capital: Decimal, tier1_net_capital: Decimal, source: str, today: dt.date,
    now: dt.datetime,
) -> BankCapital:  # fmt: skip
    """Enter the capital of a reporting date, or correct it: the record keeps both."""
    require(actor, MANAGE)
    faults: dict[str, str] = {}
    if as_of > today:
        faults["as_of"] = _("It must not lie in the future.")
    if net_capital <= 0:
        faults["net_capital"] = _("It must be above 0.")
    if not 0 < tier1_net_capital <= net_capital:
        faults["tier1_net_capital"] = _("It must be above 0 and not above the net capital.")
    if faults:
        raise RegisterFault(next(iter(faults.values())), code="capital", fields=faults)
    entry, _made = BankCapital.objects.update_or_create(
        as_of=as_of,
        defaults={
            "net_capital": net_capital, "tier1_net_capital": tier1_net_capital, "source": source,
            "entered_by_id": actor.staff_id, "entered_at": now,
        },
    )  # fmt: skip
    return entry


def enter_related_party(
    actor: Actor, *, customer_number: str, kind: str, basis: str, from_date: dt.date, to_date: dt.date | None,
    now: dt.datetime,
) -> RelatedParty:  # fmt: skip
    """Put a customer on the register of related parties and insiders, from a date on."""
    require(actor, MANAGE)
    customer = Customer.objects.visible_to(actor).filter(number=customer_number.strip()).first()
    if customer is None:
        message = _("No customer has this number.")
        raise RegisterFault(message, code="customer", fields={"customer_number": message})
    if to_date is not None and to_date < from_date:
        message = _("It must not end before it begins.")
        raise RegisterFault(message, code="to_date", fields={"to_date": message})
    try:
        with transaction.atomic():
            return RelatedParty.objects.create(
                customer=customer, kind=kind, basis=basis, from_date=from_date, to_date=to_date,
                entered_by_id=actor.staff_id, entered_at=now,
            )  # fmt: skip
    except IntegrityError:
        message = _("This entry is on the register already.")
        raise Conflict(message, code="related_known", fields={"from_date": message}) from None


def end_related_party(actor: Actor, *, entry: RelatedParty, to_date: dt.date) -> RelatedParty:
    """Say until when an entry holds; it stays on the register."""
    require(actor, MANAGE)
    with transaction.atomic():
        found = RelatedParty.objects.visible_to(actor).select_for_update(of=("self",)).get(pk=entry.pk)
        if found.to_date is not None:
            raise Conflict(_("Somebody has ended this entry already."), code="related_ended")
        if to_date < found.from_date:
            message = _("It must not end before it begins.")
            raise RegisterFault(message, code="to_date", fields={"to_date": message})
        found.to_date = to_date
        found.save(update_fields=["to_date"])
    return found
