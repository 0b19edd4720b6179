"""Balances over the months: paths with seasons, salaries and decline, and their running balance-days.

How visible a leaving customer is (docs/synthetic-bank.md): `leaves` is the month in which the balance falls
below a twentieth; three in four leavers decline for two to five months before, one in four goes without a
sign. One in five of the others has a dip that looks the same and recovers. None of this is stored.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crm_site.composition.synthetic.plan import MONTHS, Plan

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
PERSONAL, HOUSEHOLD, CORPORATE = 0, 1, 2
NEVER = 99
# Multipliers by calendar month, January first: savings before the spring festival, households after harvest,
# companies at quarter ends.
SEASONS = np.array(
    [
        [1.07, 1.09, 1.02, 1.00, 0.99, 0.99, 0.98, 0.98, 0.99, 1.00, 1.00, 1.02],
        [1.08, 1.06, 0.95, 0.92, 0.93, 0.97, 0.98, 0.98, 1.02, 1.09, 1.11, 1.09],
        [0.93, 0.97, 1.05, 0.98, 0.99, 1.06, 0.97, 0.98, 1.04, 0.97, 0.99, 1.08],
    ]
)


@dataclass(frozen=True)
class Fate:
    """Of each customer: the month it leaves (0-12 within the history, later ones too, NEVER), months of decline."""

    leaves: Ints
    decline: Ints
    factor: Floats  # (customers, 14): multiplier at the start and at the 13 month-ends; 15 with a running month's end
    salary_stops: Ints


def fates(rng: np.random.Generator, plan: Plan, kinds: Ints, steady: NDArray[np.bool_]) -> Fate:
    """Draw each customer's path of balances. `steady` ones (dormant, term only) neither leave nor dip."""
    n = len(kinds)
    leaving = (rng.random(n) < np.array([0.15, 0.11, 0.14])[kinds]) & ~steady
    leaves = np.where(leaving, rng.integers(2, MONTHS + 3, n), NEVER)
    decline = np.where(rng.random(n) < 0.25, 0, rng.integers(2, 6, n))
    columns = len(plan.ends) + 1
    month = np.arange(-1, columns - 1)[None, :]
    into = month - (leaves - decline)[:, None]  # 0 in the first month of decline
    sloping = (into >= 0) & (month < leaves[:, None])
    slope = 1 - (into + 1) / (decline + 1.3)[:, None]
    left = month >= leaves[:, None]
    path = np.where(left, rng.uniform(0.0, 0.04, n)[:, None], np.where(sloping, slope, 1.0))

    dips = (rng.random(n) < 0.2) & ~leaving & ~steady
    since = month - rng.integers(0, MONTHS, n)[:, None]
    depth, length = rng.uniform(0.2, 0.8, n), rng.integers(1, 4, n)
    path *= np.where(dips[:, None] & (since >= 0) & (since < length[:, None]), depth[:, None], 1.0)

    sigma = np.where(rng.random(n) < 0.12, 0.55, rng.uniform(0.04, 0.22, n)) * np.where(steady, 0.0, 1.0)
    noise, walk = rng.normal(size=(n, columns)), np.zeros((n, columns))
    for m in range(columns):
        walk[:, m] = noise[:, m] if m == 0 else 0.6 * walk[:, m - 1] + 0.8 * noise[:, m]
    trend = rng.normal(0.004, 0.018, n)[:, None] * np.arange(columns)[None, :]
    calendar = np.array([plan.end_dates[0].month - 2] + [d.month - 1 for d in plan.end_dates]) % 12
    season = np.where(steady[:, None], 1.0, SEASONS[kinds][:, calendar])
    factor = path * season * np.exp(np.where(steady[:, None], 0.0, trend) + sigma[:, None] * walk)
    stops = np.where(leaving, leaves - np.maximum(decline, 1) + 1, NEVER)
    return Fate(leaves, decline, factor, stops)


@dataclass(frozen=True)
class Accounts:
    """Deposit accounts of a chunk; one position per account. Dates in days since 1970, 0 = none.

    `style`: 0 lively (month-ends and moves within the month), 1 dormant (interest alone), 2 term (constant).
    """

    owner: Ints
    base: Floats  # amount in the account's currency where the factor is 1
    style: Ints
    opened: Ints
    closed: Ints
    salary: Floats
    salary_day: Ints
    overdraws: NDArray[np.bool_]


@dataclass(frozen=True)
class Ledger:
    """Balance changes, account by account in order of date: positions, dates, cents, running balance-days."""

    account: Ints
    date: Ints
    balance: Ints
    positive: Ints
    negative: Ints
    previous: Ints  # balance before the change
    is_salary: NDArray[np.bool_]


def make_ledger(rng: np.random.Generator, plan: Plan, accounts: Accounts, fate: Fate) -> Ledger:
    """The balance changes of accounts over the plan's 13 months and the days of a running one."""
    count, moves = len(accounts.owner), plan.moves
    ends = np.array(plan.ends)
    starts = np.concatenate([[plan.start], ends[:-1]])
    width = moves + 1
    columns = 1 + len(ends) * width
    factor = fate.factor[accounts.owner]

    date = np.empty((count, columns), np.int64)
    worth = np.empty((count, columns))
    keep = np.zeros((count, columns), bool)
    paid = np.zeros((count, columns), bool)
    date[:, 0], worth[:, 0], keep[:, 0] = plan.start, factor[:, 0], True
    lively = accounts.style == 0
    salaried = accounts.salary > 0
    usual = np.where(salaried, 1.0, 0.36 if moves > 1 else 0.27)
    extra = np.zeros((count, columns))
    for m in range(len(ends)):
        first = 1 + m * width
        is_running = m == MONTHS
        length = 30 if is_running else ends[m] - starts[m]
        band = 25 // moves
        inside = np.stack(
            [rng.integers(2 + k * band, 1 + (k + 1) * band, count) for k in range(moves)], axis=1
        )
        rhythm = accounts.salary_day[:, None] + np.arange(moves) * 6
        inside = np.where(salaried[:, None], rhythm, inside)
        base_day = ends[m] - 30 if m == 0 else starts[m]
        for k in range(moves):
            column = first + k
            date[:, column] = base_day + inside[:, k]
            part = inside[:, k] / length if m else inside[:, k] / 31
            blend = factor[:, m] * (1 - part) + factor[:, m + 1] * part
            worth[:, column] = blend * np.exp(rng.normal(0, 0.12, count))
            keep[:, column] = lively & (rng.random(count) < usual) & (date[:, column] < ends[m])
            on = salaried & (m < fate.salary_stops[accounts.owner])
            extra[:, column] = np.where(on, accounts.salary * (1 - 0.45 * k), 0.0).clip(min=0)
            if k == 0:
                paid[:, column] = on
        date[:, first + moves] = ends[m]
        worth[:, first + moves] = factor[:, m + 1]
        if is_running:
            done = (ends[m] - starts[m]) / length
            worth[:, first + moves] = factor[:, m] * (1 - done) + factor[:, m + 1] * done
            date[:, first : first + moves] = date[:, first : first + moves].clip(max=ends[m])
        interest = not is_running and (m + plan.end_dates[0].month) % 3 == 0
        keep[:, first + moves] = lively | ((accounts.style == 1) & interest)
    steady = accounts.style[:, None] > 0
    grown = 1 + 0.0008 * np.cumsum(keep, axis=1) * (accounts.style == 1)[:, None]
    amount = np.where(steady, accounts.base[:, None] * grown, accounts.base[:, None] * worth + extra)
    cents = np.rint(amount * 100).astype(np.int64).clip(min=0)
    if accounts.overdraws.any():
        dips = accounts.overdraws[:, None] & (rng.random((count, columns)) < 0.12)
        cents = np.where(
            dips, -np.rint(rng.uniform(500, 30_000, (count, columns)) * 100).astype(np.int64), cents
        )

    _open_and_close(accounts, date, cents, keep)
    return _run(date, cents, keep, paid)


def _open_and_close(accounts: Accounts, date: Ints, cents: Ints, keep: NDArray[np.bool_]) -> None:
    """Accounts opened within the history begin, and closed ones end at zero, on their very day (in place)."""
    columns = date.shape[1]
    young = accounts.opened > date[:, 0]
    begin = np.where(young, (date < accounts.opened[:, None]).sum(axis=1), 0).clip(max=columns - 1)
    rows = np.arange(len(begin))
    before = np.arange(columns)[None, :] < begin[:, None]
    keep &= ~before
    keep[rows, begin] = True
    at = rows[young]
    date[at, begin[young]] = accounts.opened[young]
    cents[before] = 0
    ending = accounts.closed > 0
    last = np.where(ending, (date < accounts.closed[:, None]).sum(axis=1), columns).clip(max=columns)
    after = np.arange(columns)[None, :] > last[:, None]
    keep &= ~after
    cents[after] = 0
    at = rows[ending & (last < columns)]
    date[at, last[at]], cents[at, last[at]], keep[at, last[at]] = accounts.closed[at], 0, True


def _run(date: Ints, cents: Ints, keep: NDArray[np.bool_], paid: NDArray[np.bool_]) -> Ledger:
    """Carry balances over the days without a change and sum balance-days: exact integers."""
    count, columns = date.shape
    positive, negative, previous = np.zeros_like(cents), np.zeros_like(cents), np.zeros_like(cents)
    held = np.where(keep[:, 0], cents[:, 0], 0)
    since = date[:, 0].copy()
    plus, minus = np.zeros(count, np.int64), np.zeros(count, np.int64)
    for c in range(columns):
        lasted = date[:, c] - since
        plus = plus + lasted * held.clip(min=0)
        minus = minus + lasted * (-held).clip(min=0)
        since = date[:, c]
        positive[:, c], negative[:, c], previous[:, c] = plus, minus, held
        if c:
            keep[:, c] &= cents[:, c] != held
        held = np.where(keep[:, c], cents[:, c], held)
    row, column = np.nonzero(keep)
    return Ledger(
        account=row,
        date=date[row, column],
        balance=cents[row, column],
        positive=positive[row, column],
        negative=negative[row, column],
        previous=previous[row, column],
        is_salary=paid[row, column],
    )


# Entry kinds, channels and counterparties, as positions that the loader turns into words.
ENTRY_KINDS = ("transfer_in", "transfer_out", "salary", "cash_in", "cash_out", "card", "utility", "sales", "purchase",
               "interest")  # fmt: skip
CHANNELS = ("mobile_bank", "counter", "atm", "pos", "online", "core")


@dataclass(frozen=True)
class Entries:
    account: Ints
    date: Ints
    amount: Ints
    kind: Ints
    channel: Ints
    party: Ints  # position in the list of counterparties of the kind
    number: Ints


def make_entries(
    rng: np.random.Generator, plan: Plan, accounts: Accounts, ledger: Ledger, kinds: Ints
) -> Entries:
    """Booked entries of the newest months: on each day they sum to the day's change of balance."""
    ends = plan.month_ends
    first = ends[-plan.entry_months - 1] if plan.entry_months < MONTHS else plan.start
    moved = (ledger.date > first) & (ledger.date > plan.start)
    at = np.nonzero(moved)[0]
    delta = ledger.balance[at] - ledger.previous[at]
    extra = (
        rng.choice(3, size=len(at), p=(0.6, 0.28, 0.12)) if plan.moves > 1 else np.zeros(len(at), np.int64)
    )
    extra = np.where(accounts.style[ledger.account[at]] == 0, extra, 0)
    side = (np.abs(delta) * rng.uniform(0.1, 0.7, len(at)) + rng.uniform(1_000, 40_000, len(at))).astype(
        np.int64
    )
    other = (np.abs(delta) * rng.uniform(0.05, 0.3, len(at)) + rng.uniform(500, 20_000, len(at))).astype(
        np.int64
    )
    one, two = extra >= 1, extra >= 2
    main = delta + np.where(one, side, 0) + np.where(two, other, 0)
    pieces = [
        (at, main, np.zeros(len(at), np.int64)),
        (at[one], -side[one], np.ones(one.sum(), np.int64)),
        (at[two], -other[two], np.full(two.sum(), 2)),
    ]
    row = np.concatenate([p[0] for p in pieces])
    amount = np.concatenate([p[1] for p in pieces])
    number = np.concatenate([p[2] for p in pieces])
    live = amount != 0
    row, amount, number = row[live], amount[live], number[live]
    account = ledger.account[row]
    company = kinds[accounts.owner[account]] == CORPORATE
    draw = rng.random(len(row))
    name = {n: i for i, n in enumerate(ENTRY_KINDS)}
    inwards = np.select(
        [
            ledger.is_salary[row] & (number == 0),
            accounts.style[account] == 1,
            company & (draw < 0.7),
            draw < 0.25,
        ],
        [name["salary"], name["interest"], name["sales"], name["cash_in"]],
        name["transfer_in"],
    )
    outwards = np.select(
        [company & (draw < 0.6), draw < 0.35, draw < 0.5, draw < 0.62],
        [name["purchase"], name["card"], name["utility"], name["cash_out"]],
        name["transfer_out"],
    )
    kind = np.where(amount > 0, inwards, outwards)
    usual = np.array([0, 0, 5, 1, 2, 3, 0, 4, 4, 5])[kind]
    channel = np.where((rng.random(len(row)) < 0.25) & (usual == 0), 1, usual)
    order = np.lexsort((number, account, ledger.date[row]))
    return Entries(
        account[order], ledger.date[row][order], amount[order], kind[order], channel[order],
        rng.integers(0, 1000, len(row))[order], number[order],
    )  # fmt: skip
