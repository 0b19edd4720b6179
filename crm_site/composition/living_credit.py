"""Ratings and approval cases for a synthetic bank that was made before there were any, or has just been made."""

from __future__ import annotations

import datetime as dt

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from crm_site.accounts.models import Bank
from crm_site.composition.synthetic.cases import make_cases
from crm_site.composition.synthetic.ratings import make_ratings
from crm_site.lib.errors import DomainError
from crm_site.lib.permissions import system_actor
from crm_site.lib.tenancy import act_as, bank
from customers.models import Customer


def make_living_credit(*, currency: str, date: dt.date, now: dt.datetime, seed: int) -> dict[str, int]:
    """Rate customers of the active bank and give it cases; returns how many of each. What is there stays as it is."""
    rated = make_ratings(currency=currency, date=date, now=now, seed=seed)
    return {"rating": rated, "case": make_cases(date=date, now=now, seed=seed)}


def top_up(of: Bank, *, now: dt.datetime, seed: int) -> dict[str, int]:
    """make_living_credit for a bank that make_bank has made, as of the day its book ends; all or nothing.

    Raises DomainError for any other bank: nobody's customers get made-up ratings.
    """
    with transaction.atomic(), bank(of.pk):
        if of.data_as_of is None or Customer.objects.exclude(source="synthetic").exists():
            raise DomainError(
                _("Bank %(code)s is not a synthetic one.") % {"code": of.code}, code="not_synthetic"
            )
        act_as(system_actor(of.pk, "make_ratings"), reason="synthetic bank")
        return make_living_credit(
            currency=of.currency, date=timezone.localdate(of.data_as_of), now=now, seed=seed
        )
