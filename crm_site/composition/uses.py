"""What keeps an organisation unit from being closed, said by the rooms that keep it there."""

from __future__ import annotations

from django.utils.translation import gettext as _

from customers.models import Customer


def customers_of(unit_id: int) -> str:
    """A branch with customers stays open: their responsible people and queue hang on it."""
    return _("customers") if Customer.objects.filter(home_branch=unit_id).exists() else ""
