"""What beat wakes: reservations that have run out give their room back, in every bank."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from credit_rating.services.control import expire_all_due
from crm_site.accounts.models import Bank
from crm_site.lib.tenancy import bank


@shared_task(name="credit.expire_reservations")
def expire_reservations() -> None:
    """Each bank in a transaction of its own. Safe to repeat; a bank that fails is found again in a minute."""
    for bank_id in Bank.objects.filter(is_active=True).values_list("id", flat=True):
        with bank(bank_id):
            expire_all_due(now=timezone.now())
