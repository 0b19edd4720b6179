"""Loans with schedules, balances over the months and some arrears."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crm_site.composition.synthetic.plan import MONTHS, Plan

Ints = NDArray[np.int64]
PERSONAL, HOUSEHOLD, CORPORATE = 0, 1, 2
PURPOSES = ("购房", "家庭消费", "个体经营", "购买原材料", "固定资产投资", "农业生产", "联保经营")


@dataclass(frozen=True)
class Loans:
    """Columns of loans (positions), of their balances and of their instalments. Amounts in cents."""

    customer: Ints
    product: Ints
    amount: Ints
    outstanding: Ints
    granted: Ints
    maturity: Ints
    closed: Ints
    rate: NDArray[np.float64]
    purpose: list[str]
    overdue: Ints
    overdue_since: Ints
    balance_loan: Ints
    balance_date: Ints
    balance_outstanding: Ints
    balance_overdue: Ints
    balance_since: Ints
    due_loan: Ints
    due_date: Ints
    due_amount: Ints


# A loan is at most this for each customer of the bank: one debtor then stays about within a tenth of the capital that a
# book of about 40,000 a customer asks for (credit_book.CAPITAL_OF_LOANS). The least is what a very small bank may lend.
MOST_FOR_EACH, LEAST_MOST, MOST = 400, 200_000, 150_000_000


def _most(plan: Plan) -> int:
    return min(max(MOST_FOR_EACH * plan.customers, LEAST_MOST), MOST)


def make_loans(
    rng: np.random.Generator, plan: Plan, kind: Ints, wealth: NDArray[np.float64], since: Ints, birth: Ints
) -> Loans:
    """Loans of a chunk's customers. Terms run in whole months; instalments fall on a loan's own day."""
    n = len(kind)
    adult = (birth < plan.day - 22 * 365) & (birth > plan.day - 66 * 365) | (kind == CORPORATE)
    chance = np.array([0.075, 0.24, 0.24])[kind] * np.where(adult, 1.0, 0.0) * np.where(wealth > 800, 1, 0.5)
    taken = np.nonzero(rng.random(n) < chance)[0]
    twice = taken[(kind[taken] == CORPORATE) & (rng.random(len(taken)) < 0.3)]
    customer = np.sort(np.concatenate([taken, twice]))
    count, whose = len(customer), kind[customer]
    draw = rng.random(count)
    sort = np.where(
        whose == PERSONAL, np.where(draw < 0.5, 0, np.where(draw < 0.75, 1, 2)),
        np.where(whose == CORPORATE, np.where(draw < 0.75, 3, 4), np.where(draw < 0.8, 5, 6)),
    )  # fmt: skip
    centre = np.log(np.array([380_000, 60_000, 250_000, 900_000, 3_000_000, 50_000, 120_000]))[sort]
    width = np.array([0.55, 0.6, 0.7, 1.05, 1.0, 0.5, 0.5])[sort]
    amount = np.exp(rng.normal(centre, width)).clip(5_000, _most(plan)).round(-3)
    term = (
        np.array([240, 36, 24, 12, 60, 24, 12])[sort]
        + rng.integers(0, 7, count) * np.array([12, 6, 6, 0, 6, 2, 0])[sort]
    )
    age = np.minimum(
        (rng.random(count) * np.minimum(term, 100)).astype(np.int64), (plan.day - since[customer]) // 31
    )
    age = age.clip(0, term - 1)
    due_day = rng.integers(1, 28, count)
    base = plan.date.year * 12 + plan.date.month - 1
    granted = _date(base - age, due_day)
    late_start = granted > plan.day - 3
    granted = np.where(late_start, _date(base - age - 1, due_day), granted)
    age = np.where(late_start, age + 1, age)
    maturity = _date(base - age + term, due_day)
    rate = np.round(
        np.array([0.0345, 0.052, 0.048, 0.042, 0.045, 0.055, 0.058])[sort] + rng.normal(0, 0.003, count), 6
    )
    cents = np.rint(amount * 100).astype(np.int64)
    even = np.isin(
        sort, (0, 1, 2, 4)
    )  # equal principal; the others pay interest quarterly and the rest at the end
    principal = np.where(even, cents // term, 0)

    repaid = (rng.random(count) < 0.03) & (age > 4)
    behind = (
        (rng.random(count) < np.array([0.018, 0.045, 0.05, 0.04, 0.03, 0.055, 0.06])[sort])
        & ~repaid
        & (age >= 1)
    )
    behind_months = np.where(
        behind, np.minimum((MONTHS * rng.random(count) ** 2.2).astype(np.int64), age - 1), 0
    )
    first_late = _date(base - behind_months, due_day)
    behind &= first_late < plan.day
    monthly = principal + np.rint(cents * rate / 12).astype(np.int64)
    ends = np.array([plan.start, *plan.ends])  # the first column is what the history begins with
    final = len(ends) - 1
    month = np.broadcast_to(
        np.arange(final + 1) - final, (count, final + 1)
    ).copy()  # 0 = the month of the date
    month[_date(np.full(count, base), due_day) > plan.day, final] = -1  # nothing has been due in it so far
    paid_now = np.where(behind[:, None], np.minimum(month, -behind_months[:, None] - 1), month)
    paid = (paid_now + age[:, None]).clip(0) * (ends[None, :] >= granted[:, None])
    outstanding = (cents[:, None] - paid * principal[:, None]).clip(0)
    missed = np.where(behind[:, None], (month + behind_months[:, None] + 1).clip(0), 0)
    overdue = np.minimum(missed * np.maximum(monthly, 100)[:, None], outstanding)
    closing = np.maximum(rng.integers(2, MONTHS, count), np.minimum(final - age + 2, final))
    closing = np.where(repaid, closing, final + 1)
    over = np.arange(final + 1)[None, :] >= closing[:, None]
    outstanding, overdue = np.where(over, 0, outstanding), np.where(over, 0, overdue)
    alive = ends[None, :] >= granted[:, None]
    shown = np.where(alive, outstanding, -1)
    before = np.concatenate([np.full((count, 1), -1), shown[:, :-1]], axis=1)
    before_late = np.concatenate([np.zeros((count, 1), np.int64), overdue[:, :-1]], axis=1)
    show = alive & ((outstanding != before) | (overdue != before_late))
    row, column = np.nonzero(show)
    first_row = np.concatenate([[True], np.diff(row) > 0]) if len(row) else np.zeros(0, bool)
    date = np.where(first_row, np.maximum(granted[row], plan.start), ends[column])
    closed = np.where(repaid, ends[np.minimum(closing, final)], 0)
    since_column = np.where(overdue[row, column] > 0, first_late[row], 0)
    due = _schedule(plan, base, age, term, due_day, even, principal, cents, rate)
    return Loans(
        customer=customer, product=sort + 8, amount=cents, outstanding=outstanding[:, -1], granted=granted,
        maturity=maturity, closed=closed, rate=rate, purpose=[PURPOSES[s] for s in sort.tolist()],
        overdue=overdue[:, -1], overdue_since=np.where(overdue[:, -1] > 0, first_late, 0), balance_loan=row,
        balance_date=date, balance_outstanding=outstanding[row, column], balance_overdue=overdue[row, column],
        balance_since=since_column, due_loan=due[0], due_date=due[1], due_amount=due[2],
    )  # fmt: skip


def _date(months: Ints, day: Ints) -> Ints:
    """Days since 1970 of a day (1-28) in a month counted from the year 0."""
    first = (months - 1970 * 12).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    return first + day - 1


def _schedule(
    plan: Plan, base: int, age: Ints, term: Ints, day: Ints, even: NDArray[np.bool_], principal: Ints, cents: Ints,
    rate: NDArray[np.float64],
) -> tuple[Ints, Ints, Ints]:  # fmt: skip
    """Instalments around the date: principal and interest together, what is left with the last one."""
    back, ahead = plan.schedule_months
    step = np.arange(-back, ahead + 1)[None, :]
    number = step + age[:, None]  # the so-many-eth instalment
    last = number == term[:, None]
    here = (number >= 1) & (number <= term[:, None]) & (even[:, None] | (number % 3 == 0) | last)
    owed = (cents[:, None] - (number - 1) * principal[:, None]).clip(0)
    interest = np.rint(owed * rate[:, None] / 12 * np.where(even, 1, 3)[:, None]).astype(np.int64)
    amount = np.where(last, owed, principal[:, None]) + interest
    row, column = np.nonzero(here & (amount > 0))
    return row, _date(base + step[0][column], day[row]), amount[row, column]
