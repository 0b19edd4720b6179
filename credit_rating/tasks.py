"""What beat wakes, in every bank: reservations that have run out give their room back, old samples' files go."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from credit_rating.services.control import expire_all_due
from credit_rating.services.samples import forget_expired
from crm_site.accounts.models import Bank
from crm_site.lib.tenancy import bank


@shared_task(name="credit.expire_reservations")
def expire_reservations() -> None:
    """Each bank in a transaction of its own. Safe to repeat; a bank that fails is found again in a minute."""
    for bank_id in Bank.objects.filter(is_active=True).values_list("id", flat=True):
        with bank(bank_id):
            expire_all_due(now=timezone.now())


@shared_task(name="credit.forget_samples")
def forget_samples() -> None:
    """Once an hour: files of development samples whose time is over. Safe to repeat."""
    for bank_id in Bank.objects.filter(is_active=True).values_list("id", flat=True):
        with bank(bank_id):
            forget_expired(timezone.now())
