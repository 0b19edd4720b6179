"""Business dates: months, quarters and windows. Nothing here knows today."""

from __future__ import annotations

import calendar
import datetime as dt

from django.utils import timezone


def end_of(day: dt.date) -> dt.datetime:
    """The first moment after a day at the bank's place (the active time zone)."""
    return timezone.make_aware(dt.datetime.combine(day + dt.timedelta(days=1), dt.time.min))


def month_end(day: dt.date) -> dt.date:
    """Last day of the date's month."""
    return day.replace(day=calendar.monthrange(day.year, day.month)[1])


def month_start(day: dt.date) -> dt.date:
    return day.replace(day=1)


def is_month_end(day: dt.date) -> bool:
    return day == month_end(day)


def add_months(day: dt.date, months: int) -> dt.date:
    """The same day so many months on, or the month's last day where it has no such day."""
    index = day.year * 12 + day.month - 1 + months
    year, month = divmod(index, 12)
    return dt.date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def month_ends(first: dt.date, last: dt.date) -> list[dt.date]:
    """Every month-end m with first <= m <= last."""
    ends, day = [], month_end(first)
    while day <= last:
        ends.append(day)
        day = month_end(add_months(day, 1))
    return ends


def quarter_end(day: dt.date) -> dt.date:
    """Last day of the date's calendar quarter."""
    return month_end(dt.date(day.year, (day.month - 1) // 3 * 3 + 3, 1))
