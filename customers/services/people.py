"""The people at a corporate customer: who came, who has left, what is known of them (A5)."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence

from django.db import IntegrityError, transaction
from django.utils.timezone import localdate
from django.utils.translation import gettext as _

from crm_site.accounts.banks import vault_of
from crm_site.lib.crypto import mask
from crm_site.lib.errors import Conflict, DomainError
from crm_site.lib.permissions import Actor, require
from customers.identifiers import PERSON_PHONE, person_phone_row, phone_e164
from customers.models import BuyingRole, ContactPerson, Customer, CustomerKind, LeftReason, Post
from customers.services.merging import merge


def add_person(
    actor: Actor,
    *,
    customer: Customer,
    name: str,
    post: str,
    title: str = "",
    roles: Sequence[str] = (),
    phone: str = "",
    party: str = "",
    from_date: dt.date | None = None,
    note: str = "",
    submission: uuid.UUID,
    now: dt.datetime,
) -> ContactPerson:
    """Somebody in a post at a company. `party`: the number of the customer of the bank who it is; `from_date`: in the
    post since, None where it is not known.

    Sending the same form twice makes one person. Raises DomainError with the field's name, Conflict for a second legal
    representative.
    """
    require(actor, "customer.write")
    if customer.kind != CustomerKind.CORPORATE:
        raise DomainError(_("Only a company has contact persons; a person is a customer in their own right."))
    if not name.strip():
        _refuse("name", _("Say who it is."))
    _check(post, title, roles, from_date, localdate(now))
    known = ContactPerson.objects.filter(submission=submission).first()
    if known:
        return known
    row = ContactPerson(
        customer=customer, name=name.strip(), post=post, title=title.strip(), roles=_in_order(roles),
        from_date=from_date, party=_party(actor, party), note=note.strip(), submission=submission,
    )  # fmt: skip
    _put_phone(actor, row, customer.number, _e164(phone))
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError as error:
        if "contactperson_once" in str(error):
            raise Conflict(_("This form was sent twice at the same moment."), code="sent_twice") from error
        if "legal_representative" not in str(error):
            raise
        there = ContactPerson.objects.get(customer=customer, post=post, left_date=None)
        message = (
            _("%s is on record as the legal representative: say first that they have left.") % there.name
        )
        raise Conflict(message, code="second_legal_representative", fields={"post": message}) from error
    return row


def stored_words(person: ContactPerson) -> dict[str, str]:
    """What may be changed of a person as a form holds it: the base of an edit."""
    return {
        "title": person.title,
        "roles": ",".join(person.roles),
        "phone": person.phone_masked,
        "party": person.party.number if person.party else "",
        "from_date": person.from_date.isoformat() if person.from_date else "",
        "note": person.note,
    }


def change_person(
    actor: Actor,
    *,
    person: ContactPerson,
    base: Mapping[str, str],
    typed: Mapping[str, str],
    now: dt.datetime,
) -> list[str]:
    """Save what is now known of a person who is there; returns the names of the changed fields. Name and post stay.

    `base`: `stored_words` when the form was opened; `typed`: the same names (roles with commas between, dates as
    2026-11-19); an empty phone leaves the stored one. Raises EditConflict for what two people changed at once.
    """
    require(actor, "customer.write")
    e164 = _e164(typed.get("phone", ""))
    with transaction.atomic():
        current = _locked(actor, person)
        if current.left_date:
            raise Conflict(_("%s has left meanwhile.") % current.name, code="has_left")
        given = {**typed, "phone": mask(e164, head=6) if e164 else base.get("phone", "")}
        changed = merge(stored_words(current), base, given)
        if e164 and "phone" not in changed:
            changed.append("phone")
        for name in {"title", "note"} & set(changed):
            setattr(current, name, typed[name].strip())
        if "roles" in changed:
            current.roles = _in_order(typed["roles"].split(",") if typed["roles"] else [])
        if "from_date" in changed:
            current.from_date = dt.date.fromisoformat(typed["from_date"]) if typed["from_date"] else None
        if "party" in changed:
            current.party = _party(actor, typed["party"])
        if "phone" in changed:
            _put_phone(actor, current, current.customer.number, e164)
        _check(current.post, current.title, current.roles, current.from_date, localdate(now))
        if changed:
            current.save()
    return changed


def person_left(
    actor: Actor, *, person: ContactPerson, left_date: dt.date, reason: str, now: dt.datetime
) -> ContactPerson:
    """The end of somebody's time in a post. Sending the same twice ends it once; raises Conflict when another end is on
    record, DomainError with the field's name for a day in the future or before it began."""
    require(actor, "customer.write")
    if reason not in LeftReason.values:
        _refuse("reason", _("Choose one."))
    if left_date > localdate(now):
        _refuse("left_date", _("Nobody can have left in the future."))
    with transaction.atomic():
        current = _locked(actor, person)
        if current.left_date:
            if (current.left_date, current.left_reason) == (left_date, reason):
                return current
            raise Conflict(_("Somebody has recorded meanwhile that %s left.") % current.name, code="has_left")
        if current.from_date and left_date < current.from_date:
            _refuse("left_date", _("That is before the post was taken up."))
        current.left_date, current.left_reason = left_date, reason
        current.save(update_fields=["left_date", "left_reason"])
    return current


def _locked(actor: Actor, person: ContactPerson) -> ContactPerson:
    found = ContactPerson.objects.visible_to(actor).select_related("customer", "party")
    row: ContactPerson = found.select_for_update(of=("self",)).get(pk=person.pk)
    return row


def _refuse(field: str, message: str) -> None:
    raise DomainError(message, fields={field: message})


def _check(post: str, title: str, roles: Sequence[str], since: dt.date | None, today: dt.date) -> None:
    if post not in Post.values:
        _refuse("post", _("Choose one."))
    if post == Post.OTHER and not title.strip():
        _refuse("title", _("Say what the company calls this post."))
    if not set(roles) <= set(BuyingRole.values):
        _refuse("roles", _("Choose from the list."))
    if since and since > today:
        _refuse("from_date", _("Record people when they have taken up the post."))


def _in_order(roles: Sequence[str]) -> list[str]:
    return [role for role in BuyingRole.values if role in roles]


def _e164(phone: str) -> str:
    if not phone.strip():
        return ""
    e164 = phone_e164(phone)
    if e164 is None:
        _refuse("phone", _("This is no phone number; for example 138 1234 6021 or +86 21 5778 0000."))
    return e164 or ""


def _put_phone(actor: Actor, row: ContactPerson, number: str, e164: str) -> None:
    if e164:
        bound = person_phone_row(number, row.submission.hex)
        row.phone = vault_of(actor.bank_id).encrypt(e164, place=PERSON_PHONE, row=bound)
        row.phone_masked = mask(e164, head=6)


def _party(actor: Actor, number: str) -> Customer | None:
    """The person's own customer row: one that the actor sees, and no company."""
    if not number.strip():
        return None
    seen = Customer.objects.visible_to(actor).exclude(kind=CustomerKind.CORPORATE)
    found: Customer | None = seen.filter(number=number.strip()).first()
    if found is None:
        _refuse("party", _("None of your customers has this number and is a person."))
    return found
