"""Protected values: shown to who gives a reason, after the record has taken it down (A10)."""

from __future__ import annotations

from django.utils.translation import gettext as _

from crm_site.accounts.banks import vault_of
from crm_site.audit.models import Action
from crm_site.audit.services import record
from crm_site.lib.errors import DomainError
from crm_site.lib.permissions import Actor, require
from customers.models import ContactPoint, Customer, Identifier

REASON_WIDTH = 4  # a reason is at least a word; a Chinese character is two wide (回访)


def reveal_identifier(actor: Actor, *, customer: Customer, kind: str, pk: int, reason: str) -> str:
    """One identifier ("identifier") or phone or e-mail ("contact") of a visible customer in full.

    The record is written first, in the same transaction: no entry, no value. Raises PermissionDenied,
    DomainError without a reason, DoesNotExist for a value of another customer or an unseen one.
    """
    require(actor, "customer.reveal")
    given = reason.strip()
    if len(given.encode("gb18030", "replace")) < REASON_WIDTH:
        raise DomainError(
            _("Say why you need to see it."), fields={"reason": _("Say why you need to see it.")}
        )
    if kind == "identifier":
        identifier = Identifier.objects.visible_to(actor).get(pk=pk, customer=customer)
        table, place, row, value = (
            "customers_identifier", "identifier.value", f"{customer.number}|{identifier.scheme}", identifier.value,
        )  # fmt: skip
    else:
        point = ContactPoint.objects.visible_to(actor).get(pk=pk, customer=customer)
        table, place, row, value = (
            "customers_contactpoint", "contactpoint.value", f"{customer.number}|{point.kind}|{point.position}",
            point.value,
        )  # fmt: skip
    record(actor, Action.REVEAL, table, key=pk, customer_id=customer.pk, reason=given)
    return vault_of(actor.bank_id).decrypt(value, place=place, row=row)
