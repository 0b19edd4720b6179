"""Messages that must leave exactly when their business transaction commits: written there, relayed afterwards.

At least once: a handler that dies after its effect and before the tick-off is called again, so it must be safe to
repeat. Handlers register with `crm_site.lib.registry.add_topic`.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from crm_site.jobs.models import Outbox
from crm_site.lib.registry import handlers
from crm_site.lib.tenancy import bank, require_bank

log = logging.getLogger("banyan.outbox")
BACKOFF_SECONDS = (2, 10, 60, 600, 3600)


def put(topic: str, payload: Mapping[str, Any], *, now: dt.datetime | None = None) -> None:
    """Write a message of the active bank. `payload`: ids and codes only, nothing of a customer."""
    at = now or timezone.now()
    Outbox.objects.create(
        bank_id=require_bank(), topic=topic, payload=dict(payload), created_at=at, due_at=timezone.now()
    )


def relay(limit: int = 200) -> int:
    """Hand over due messages, oldest first, each in its own transaction; returns how many succeeded.

    A failing one is tried again later and never in the way of the others. Call outside every bank.
    """
    relayed = 0
    for _unused in range(limit):
        with transaction.atomic():
            message = (
                Outbox.objects.select_for_update(skip_locked=True)
                .filter(relayed_at__isnull=True, due_at__lte=Now())
                .order_by("due_at", "id")
                .first()
            )
            if message is None:
                break
            relayed += _deliver(message)
    return relayed


def _deliver(message: Outbox) -> bool:
    try:
        with bank(message.bank_id):
            for handle in handlers(message.topic):
                handle(message.bank_id, message.payload)
    except Exception as error:  # whatever a handler raises: its effect is rolled back, the message waits
        delay = BACKOFF_SECONDS[min(message.tries, len(BACKOFF_SECONDS) - 1)]
        Outbox.objects.filter(pk=message.pk).update(
            tries=F("tries") + 1,
            due_at=Now() + dt.timedelta(seconds=delay),
            error=type(error).__name__[:120],
        )
        log.warning(
            "message not relayed",
            extra={"fields": {"outbox_id": message.pk, "topic": message.topic, "type": type(error).__name__}},
        )
        return False
    Outbox.objects.filter(pk=message.pk).update(relayed_at=Now(), tries=F("tries") + 1, error="")
    return True
