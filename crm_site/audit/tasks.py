"""The sealer: every few seconds, every bank."""

from __future__ import annotations

from celery import shared_task
from django.db import connection, transaction
from django.utils import timezone

from crm_site.accounts.models import Bank
from crm_site.audit.services import seal
from crm_site.audit.triggers import AHEAD


@shared_task(name="audit.seal_all")
def seal_all() -> None:
    """Seal what has become final in every bank, and have the next months' partitions ready. Safe to repeat."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(AHEAD)
    for bank_id in Bank.objects.filter(is_active=True).values_list("id", flat=True):
        seal(bank_id, timezone.now())
