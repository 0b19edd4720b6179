"""Contacts with the customer: recording one, keeping its promise as a task, correcting one's own words (D7)."""

from __future__ import annotations

import datetime as dt
import uuid

from django.core.exceptions import PermissionDenied
from django.db import connection, transaction
from django.utils.timezone import localdate
from django.utils.translation import gettext as _

from crm_site.lib.errors import Conflict, DomainError
from crm_site.lib.permissions import Actor, require
from crm_site.work.services import create_task
from customers.models import Channel, Customer, Interaction
from customers.models.interactions import Result, promise_key

OWN_SOURCE = "crm"
CORRECTION_DAYS = 7  # how long an author may correct a contact; the record keeps both wordings


def record_interaction(
    actor: Actor,
    *,
    customer: Customer,
    channel: str,
    result: str = "",
    note: str = "",
    promise: str = "",
    promise_date: dt.date | None = None,
    submission: uuid.UUID,
    now: dt.datetime,
    at: dt.datetime | None = None,
) -> Interaction:
    """Record a contact, make its promise a task of the author, and move the customer's last-contact date on.

    `at`: when it happened (default now; not in the future). `submission`: a number the form was given when it
    was opened: sending the same form twice records one contact. Raises DomainError with the field's name.
    """
    require(actor, "interaction.write")
    if channel not in Channel.values:
        raise DomainError(_("Choose how you were in contact."), fields={"channel": _("Choose one.")})
    if result and result not in Result.values:
        raise DomainError(_("Choose a result."), fields={"result": _("Choose one.")})
    if not (result or note.strip()):
        raise DomainError(_("Say what came of it."), fields={"result": _("Choose a result or write a note.")})
    happened = at or now
    if happened > now:
        raise DomainError(_("A contact cannot lie in the future."), fields={"at": _("In the future.")})
    if bool(promise.strip()) != bool(promise_date):
        field = "promise_date" if promise.strip() else "promise"
        raise DomainError(
            _("A promise needs words and a date."), fields={field: _("A promise needs words and a date.")}
        )
    if promise_date and promise_date < localdate(now):
        raise DomainError(_("The promised date has passed."), fields={"promise_date": _("Has passed.")})
    with transaction.atomic():
        interaction, created = Interaction.objects.get_or_create(
            source=OWN_SOURCE,
            reference=submission.hex,
            defaults={
                "customer": customer,
                "channel": channel,
                "at": happened,
                "author_id": actor.staff_id,
                "author_name": actor.label.split(" ", 1)[-1],
                "result": result,
                "note": note.strip(),
                "promise": promise.strip(),
                "promise_date": promise_date,
            },
        )
        if interaction.customer_id != customer.pk:
            raise Conflict(_("This form was sent for another customer."), code="submission_reused")
        if not created:
            return interaction
        _touch(actor.bank_id, customer.pk, localdate(happened))
        if promise_date:
            create_task(
                actor,
                reason="promise",
                params={"promise": promise.strip(), "customer": customer.name},
                customer_id=customer.pk,
                owner_id=actor.staff_id,
                unit_id=actor.unit_id,
                due_date=promise_date,
                source_key=promise_key(interaction.pk),
                now=now,
            )
    return interaction


def _touch(bank_id: int, customer_id: int, day: dt.date) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "update customers_standing set last_contact_date = %s where bank_id = %s and customer_id = %s"
            " and (last_contact_date is null or last_contact_date < %s)",
            [day, bank_id, customer_id, day],
        )


def may_correct(actor: Actor, interaction: Interaction, now: dt.datetime) -> bool:
    """Whether the actor may still correct the contact: its author, within a week, if it was recorded here."""
    return (
        interaction.source == OWN_SOURCE
        and interaction.author_id is not None
        and interaction.author_id == actor.staff_id
        and now - interaction.at <= dt.timedelta(days=CORRECTION_DAYS)
    )


def correct_interaction(
    actor: Actor, *, interaction: Interaction, result: str, note: str, now: dt.datetime
) -> Interaction:
    """Correct result and note of one's own contact. Channel, time and promise stay; nobody deletes a contact.

    Raises PermissionDenied for another author, an imported contact, or after a week.
    """
    require(actor, "interaction.write")
    with transaction.atomic():
        locked = Interaction.objects.select_for_update().get(pk=interaction.pk)
        if not may_correct(actor, locked, now):
            raise PermissionDenied("interaction.correct")
        if result and result not in Result.values:
            raise DomainError(_("Choose a result."), fields={"result": _("Choose one.")})
        if not (result or note.strip()):
            raise DomainError(
                _("Say what came of it."), fields={"note": _("Choose a result or write a note.")}
            )
        locked.result, locked.note = result, note.strip()
        locked.save(update_fields=["result", "note"])
    return locked
