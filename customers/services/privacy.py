"""Protected values: shown to who gives a reason, after the record has taken it down (A10)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from crm_site.accounts.banks import vault_of
from crm_site.audit.models import Action
from crm_site.audit.services import record
from crm_site.lib.errors import DomainError
from crm_site.lib.permissions import Actor, require
from customers.identifiers import PERSON_PHONE
from customers.models import ContactPerson, ContactPoint, Customer, Identifier

REASON_WIDTH = 4  # a reason is at least a word; a Chinese character is two wide (回访)


@dataclass(frozen=True, slots=True)
class Protected:
    """A kind of protected value: the field that holds it, the place and the row that its ciphertext is bound to, and what
    a reader is shown instead: what it is, and the value masked."""

    model: type[Any]
    field: str
    place: str
    row: Callable[[Any], str]
    label: Callable[[Any], str]
    masked: str = "masked"

    def shown(self, row: Any) -> dict[str, str]:
        return {"label": self.label(row), "masked": getattr(row, self.masked)}


PROTECTED: Mapping[str, Protected] = {
    "identifier": Protected(
        Identifier, "value", "identifier.value", lambda row: f"{row.customer.number}|{row.scheme}",
        lambda row: str(row.get_scheme_display()),
    ),
    "contact": Protected(
        ContactPoint, "value", "contactpoint.value",
        lambda row: f"{row.customer.number}|{row.kind}|{row.position}", lambda row: str(row.get_kind_display()),
    ),
    "person": Protected(
        ContactPerson, "phone", PERSON_PHONE, lambda row: str(row.phone_row), lambda row: str(row.name), "phone_masked"
    ),
}  # fmt: skip


def protected_row(actor: Actor, *, customer: Customer, kind: str, pk: int) -> Any | None:
    """The row of a protected value of a visible customer; None where there is none of the kind, or it holds no value."""
    if kind not in PROTECTED:
        return None
    given = PROTECTED[kind]
    seen = given.model.objects.visible_to(actor).exclude(**{given.field: None})
    return seen.filter(customer=customer, pk=pk).select_related("customer").first()


def reveal_identifier(actor: Actor, *, customer: Customer, kind: str, pk: int, reason: str) -> str:
    """One protected value of a visible customer in full: an identifier ("identifier"), a phone or e-mail ("contact"), the
    phone of a contact person ("person").

    The record is written first, in the same transaction: no entry, no value. Raises PermissionDenied,
    DomainError without a reason, DoesNotExist for a value of another customer or an unseen one.
    """
    require(actor, "customer.reveal")
    given = reason.strip()
    if len(given.encode("gb18030", "replace")) < REASON_WIDTH:
        raise DomainError(
            _("Say why you need to see it."), fields={"reason": _("Say why you need to see it.")}
        )
    found = protected_row(actor, customer=customer, kind=kind, pk=pk)
    if found is None:
        raise PROTECTED[kind].model.DoesNotExist
    what = PROTECTED[kind]
    record(actor, Action.REVEAL, what.model._meta.db_table, key=pk, customer_id=customer.pk, reason=given)
    value = getattr(found, what.field)
    return vault_of(actor.bank_id).decrypt(value, place=what.place, row=what.row(found))
