"""When people work: what is read at other hours is shown apart."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.db.models import Q, QuerySet
from django.db.models.functions import ExtractHour, ExtractIsoWeekDay

OPENS, CLOSES = 7, 20  # o'clock in the bank's time zone, Monday to Friday
OUTSIDE = Q(hour__lt=OPENS) | Q(hour__gte=CLOSES) | Q(weekday__gte=6)


def with_hours(entries: QuerySet[Any], zone: dt.tzinfo) -> QuerySet[Any]:
    """Entries with the hour and the weekday (1: Monday) at which they were made, for `OUTSIDE`."""
    return entries.annotate(hour=ExtractHour("at", tzinfo=zone), weekday=ExtractIsoWeekDay("at", tzinfo=zone))
