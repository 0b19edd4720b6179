"""Dates and sizes of a synthetic bank: everything that follows from customers, seed and the last business date."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from crm_site.composition.synthetic.codes import days
from crm_site.lib.dates import add_months, is_month_end, month_end, month_start

MONTHS = 13
PROSPECTS_PER_CUSTOMER = 0.04
CHUNK = 20_000


@dataclass(frozen=True)
class Plan:
    """`month_ends`: the 13 month-ends of the history, oldest first, as days since 1970; `date` is the last of them, or
    a day of the month after it (the running month).

    `moves`: balance moves within a month of a lively account. `entry_months`: months with booked entries,
    counted back from the date (about four million entries at most). `schedule_months`: instalments kept
    before and after the date.
    """

    customers: int
    seed: int
    date: dt.date
    month_ends: tuple[int, ...]
    start: int
    branches: int
    managers: int
    tellers: int
    moves: int
    entry_months: int
    schedule_months: tuple[int, int]
    contacts_per_customer: float

    @property
    def day(self) -> int:
        return days(self.date)

    @property
    def ends(self) -> tuple[int, ...]:
        """The month-ends, and the date when it lies in the running month."""
        return self.month_ends if self.day == self.month_ends[-1] else (*self.month_ends, self.day)

    @property
    def chunks(self) -> int:
        return -(-self.customers // CHUNK)

    @property
    def end_dates(self) -> list[dt.date]:
        return [dt.date(1970, 1, 1) + dt.timedelta(days=m) for m in self.ends]


def last_month_end(day: dt.date) -> dt.date:
    """The newest month-end that is not after the day."""
    return day if is_month_end(day) else month_start(day) - dt.timedelta(days=1)


def make_plan(*, customers: int, seed: int, date: dt.date, to_the_day: bool = False) -> Plan:
    """The plan of a bank whose last business date is the month-end at or before `date`, or with `to_the_day` that date.

    Raises ValueError for a number of customers outside 20 to 5,000,000.
    """
    if not 20 <= customers <= 5_000_000:
        raise ValueError("The number of customers must be from 20 to 5,000,000.")
    last = last_month_end(date)
    ends = tuple(days(month_end(add_months(month_start(last), i - MONTHS + 1))) for i in range(MONTHS))
    scale = customers / 5_000
    small = customers <= 20_000
    return Plan(
        customers=customers,
        seed=seed,
        date=date if to_the_day else last,
        month_ends=ends,
        start=ends[0] - 35,
        branches=min(80, max(3, round(12 * scale**0.36))),
        managers=max(6, round(24 * scale**0.75)),
        tellers=max(5, round(30 * scale**0.65)),
        moves=3 if small else 1,
        entry_months=MONTHS if small else 6 if customers <= 200_000 else 3,
        schedule_months=(12, 24) if small else (4, 8),
        contacts_per_customer=0.9 if small else 0.3,
    )
