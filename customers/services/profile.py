"""What people may change of a customer: the CRM-owned fields, and prospects of their own (A1)."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from crm_site.accounts.banks import vault_of
from crm_site.audit.models import Action
from crm_site.audit.services import record
from crm_site.lib.crypto import mask
from crm_site.lib.errors import Conflict, DomainError
from crm_site.lib.permissions import OWN, Actor, require
from customers import tokens
from customers.identifiers import normalise, phone_e164
from customers.models import Address, ContactPoint, Customer, Identifier, SearchToken, Standing
from customers.models.parties import CRM_OWNED
from customers.services.merging import merge

PROSPECT_SOURCE = "crm"


def update_profile(
    actor: Actor, *, customer: Customer, base: Mapping[str, str], typed: Mapping[str, str], now: dt.datetime
) -> list[str]:
    """Save the CRM-owned fields that the actor changed; returns their names.

    `base`: the values the form was opened with. What only the other person changed stays theirs, what only the
    actor changed is saved; a field both changed differently raises EditConflict and saves nothing.
    """
    require(actor, "customer.write")
    with transaction.atomic():
        current = Customer.objects.visible_to(actor).select_for_update(of=("self",)).get(pk=customer.pk)
        changed = merge({name: getattr(current, name) for name in CRM_OWNED}, base, typed)
        if changed:
            for name in changed:
                setattr(current, name, typed[name])
            current.edited_at = now
            current.save(update_fields=[*changed, "edited_at"])
    return changed


def create_prospect(
    actor: Actor,
    *,
    name: str,
    kind: str,
    phone: str = "",
    scheme: str = "",
    identifier: str = "",
    address: str = "",
    occupation: str = "",
    employer: str = "",
    needs_note: str = "",
    submission: uuid.UUID,
) -> Customer:
    """A target customer that the CRM owns, placed with who found it; returns it.

    Sending the same form twice makes one prospect (its number comes from `submission`). Raises DomainError with
    the field's name for a wrong check digit or phone, Conflict when the identifier is known already.
    """
    require(actor, "customer.write")
    e164, value = _contact_of(phone), _identifier_of(scheme, identifier)
    vault = vault_of(actor.bank_id)
    number = f"P{submission.int % 10**14:014d}"
    known = Customer.objects.filter(number=number).first()
    if known:
        return known
    indexes = [vault.blind_index(scheme, value)] if value else []
    for index in indexes:
        refuse_known_identifier(actor, index, "identifier")
    if e164:
        indexes.append(vault.blind_index("phone", e164))
    responsible = actor.staff_id if actor.has(OWN) else None
    try:
        with transaction.atomic():
            customer = Customer.objects.create(
                number=number, kind=kind, is_prospect=True, name=name.strip(), name_sort=tokens.sort_key(name.strip()),
                won_by_id=responsible, home_branch_id=actor.unit_id, responsible_id=responsible,
                occupation=occupation, employer=employer, needs_note=needs_note, source=PROSPECT_SOURCE,
            )  # fmt: skip
            Standing.objects.create(
                customer=customer, kind=kind, home_branch_id=actor.unit_id, responsible_id=responsible
            )
            if value:
                Identifier.objects.create(
                    customer=customer, scheme=scheme, masked=mask(value), blind_index=indexes[0],
                    value=vault.encrypt(value, place="identifier.value", row=f"{number}|{scheme}"),
                )  # fmt: skip
            if e164:
                ContactPoint.objects.create(
                    customer=customer, kind="phone", masked=mask(e164, head=6), tail=e164[-4:], blind_index=indexes[-1],
                    value=vault.encrypt(e164, place="contactpoint.value", row=f"{number}|phone|1"),
                )  # fmt: skip
            if address.strip():
                place = "home" if kind == "personal" else "business"
                Address.objects.create(customer=customer, kind=place, line=address.strip())
            found = tokens.name_tokens(customer.name) | {f"#{number.lower()}"}
            found |= {f"x:{index.hex()}" for index in indexes} | ({f"t:{e164[-4:]}"} if e164 else set())
            SearchToken.objects.bulk_create(SearchToken(customer=customer, token=token) for token in found)
    except IntegrityError as error:
        raise Conflict(_("This form was sent twice at the same moment."), code="sent_twice") from error
    return customer


def refuse_known_identifier(actor: Actor, index: bytes, field: str) -> None:
    """A prospect's identifier (its blind index) that somebody is known by already: Conflict, and it is on the record."""
    match = SearchToken.objects.filter(token=f"x:{index.hex()}").first()
    if match is None:
        return
    record(actor, Action.LOCATE, "customers_customer", customer_id=match.customer_id, reason="new prospect")
    message = _("A customer with this identifier exists already: search for it to see who is responsible.")
    raise Conflict(message, code="identifier_known", fields={field: message})


def _contact_of(phone: str) -> str:
    if not phone.strip():
        return ""
    e164 = phone_e164(phone)
    if e164 is None:
        message = _("This is no phone number; for example 138 1234 6021 or +86 21 5778 0000.")
        raise DomainError(message, fields={"phone": message})
    return e164


def _identifier_of(scheme: str, identifier: str) -> str:
    if not identifier.strip():
        return ""
    if not scheme:
        message = _("Choose what kind of document this is.")
        raise DomainError(message, fields={"scheme": message})
    value = normalise(scheme, identifier)
    if value is None:
        message = _("The check digit does not fit: compare the number with the document.")
        raise DomainError(message, fields={"identifier": message})
    return value
