"""Tasks that people make for customers."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence

from django.db import transaction
from django.utils.translation import gettext as _

from crm_site.lib.errors import DomainError
from crm_site.lib.permissions import Actor, require
from crm_site.work.services import create_task
from customers.models import Customer

MOST = 500


def create_customer_tasks(
    actor: Actor,
    *,
    customers: Sequence[int],
    title: str,
    due_date: dt.date,
    submission: uuid.UUID,
    today: dt.date,
    now: dt.datetime,
) -> int:
    """One task of the actor's for each of the given customers it may see; returns how many.

    Sending the same form twice makes them once. Raises DomainError for a date that has passed or no customer.
    """
    require(actor, "task.write")
    if due_date < today:
        raise DomainError(_("This date has passed."), fields={"due_date": _("This date has passed.")})
    seen = Customer.objects.visible_to(actor).filter(pk__in=list(customers)[:MOST]).values_list("pk", "name")
    targets = list(seen.order_by("pk"))
    if not targets:
        raise DomainError(_("Select at least one customer."))
    with transaction.atomic():
        for customer_id, name in targets:
            create_task(
                actor,
                reason="manual",
                params={"text": title, "customer": name},
                customer_id=customer_id,
                owner_id=actor.staff_id,
                unit_id=actor.unit_id,
                due_date=due_date,
                source_key=f"manual:{submission}:{customer_id}",
                now=now,
            )
    return len(targets)
