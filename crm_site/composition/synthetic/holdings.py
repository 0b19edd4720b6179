"""What the parties of a slice have: accounts with their cards and standing orders, wealth products, fees."""

from __future__ import annotations

import numpy as np

from crm_site.composition.synthetic import words
from crm_site.composition.synthetic.ledger import (
    CORPORATE,
    PERSONAL,
    Accounts,
    Fate,
    Ints,
    fates,
)
from crm_site.composition.synthetic.loans import Loans
from crm_site.composition.synthetic.parties import YEAR, Columns, People
from crm_site.composition.synthetic.plan import Plan

USD = 7.1
ACCOUNT_KINDS = ("current", "savings", "term", "notice")


def make_accounts(
    rng: np.random.Generator, plan: Plan, who: People, loans: Loans
) -> tuple[Accounts, Columns, Columns, Fate]:
    real, kind = who.real, who.kind[: who.real]
    wealth, since, dormant = who.wealth[:real], who.since[:real], who.dormant[:real]
    borrower = np.zeros(real, bool)
    borrower[loans.customer] = True
    without = (borrower & (rng.random(real) < 0.12)) | (rng.random(real) < 0.015)
    has_term = (wealth > 15_000) & (rng.random(real) < np.array([0.42, 0.3, 0.2])[kind]) & ~dormant & ~without
    share = np.where(has_term, rng.uniform(0.3, 0.85, real), 0.0)
    main = np.nonzero(~without)[0]
    second = np.nonzero(~without & (rng.random(real) < np.array([0.1, 0.05, 0.25])[kind]) & ~dormant)[0]
    terms = np.repeat(
        np.nonzero(has_term)[0], rng.choice((1, 2, 3), size=has_term.sum(), p=(0.7, 0.22, 0.08))
    )
    foreign = np.nonzero(
        ~without
        & (rng.random(real) < np.where(kind == CORPORATE, 0.04, np.where(wealth > 100_000, 0.04, 0.0005)))
    )[0]
    owner = np.concatenate([main, second, terms, foreign])
    sort = np.concatenate(
        [np.zeros(len(main)), np.ones(len(second)), np.full(len(terms), 2), np.full(len(foreign), 3)]
    ).astype(np.int64)
    order = np.lexsort((sort, owner))
    owner, sort = owner[order], sort[order]
    count = len(owner)
    terms_of = np.bincount(terms, minlength=real)
    base = np.select(
        [sort == 0, sort == 1, sort == 2],
        [
            wealth[owner] * (1 - share[owner]),
            wealth[owner] * rng.uniform(0.02, 0.3, count),
            np.round(wealth[owner] * share[owner] / np.maximum(terms_of[owner], 1), -2),
        ],
        wealth[owner] * rng.uniform(0.02, 0.25, count) / USD,
    ).clip(1, None)
    base = np.where(sort == 2, np.maximum(base, 1_000), base)
    months = rng.choice((3, 6, 12, 24, 36), size=count, p=(0.18, 0.22, 0.35, 0.13, 0.12))
    left = (rng.random(count) * months * 30.4).astype(np.int64) + 1
    soon = rng.random(count) < 0.04
    left = np.where(soon, rng.choice((1, 3, 7), size=count), left)
    maturity = plan.day + left
    opened = np.where(
        sort == 2,
        np.minimum(maturity - (months * 30.44).astype(np.int64), plan.day - 3),
        np.where(
            sort == 0,
            since[owner],
            since[owner] + (rng.random(count) * (plan.day - 5 - since[owner])).astype(np.int64),
        ),
    )
    opened = np.maximum(opened, since[owner])
    steady = np.zeros(who.size, bool)
    steady[:real] = dormant
    fate = fates(rng, plan, who.kind, steady | (who.since > plan.start - 60))
    leave = fate.leaves[owner]
    ends = np.array(plan.month_ends)
    going = (leave < len(ends) - 1) & (rng.random(real)[owner] < 0.4)
    closed = np.where(going, ends[np.minimum(leave + 1, len(ends) - 1)] - rng.integers(3, 20, real)[owner], 0)
    closed = np.where(closed > np.maximum(opened, plan.start) + 40, closed, 0)
    salaried = (
        (kind == PERSONAL) & (rng.random(real) < 0.45) & (who.birth[:real] > plan.day - 62 * YEAR) & ~dormant
    )
    wage = np.exp(rng.normal(8.45, 0.42, real)).round(-1)
    day = rng.choice((5, 8, 10, 12, 15), size=real, p=(0.15, 0.15, 0.35, 0.1, 0.25))
    overdraws = (kind == CORPORATE) & (rng.random(real) < 0.03)
    is_main = sort == 0
    accounts = Accounts(
        owner=owner,
        base=base,
        style=np.where(sort == 2, 2, np.where(dormant[owner], 1, 0)),
        opened=opened,
        closed=closed,
        salary=np.where(is_main & salaried[owner], wage[owner], 0.0),
        salary_day=day[owner],
        overdraws=is_main & overdraws[owner],
    )
    company = kind[owner] == CORPORATE
    product = np.select(
        [sort == 2, sort == 3], [np.where(company, 4, np.where(base >= 200_000, 2, 1)), np.full(count, 7)],
        np.where(company, 3, 0),
    )  # fmt: skip
    rate = np.select([sort == 2], [np.interp(months, (3, 36), (0.0085, 0.0195))], 0.0005)
    columns: Columns = {
        "owner": owner,
        "number": [
            f"{'8' if c else '62'}{who.numbers[o]}{s}{k:02d}"
            for o, s, k, c in zip(
                owner.tolist(), sort.tolist(), _counter(owner), company.tolist(), strict=True
            )
        ],
        "product": product,
        "unit": who.unit[owner],
        "kind": np.where(sort == 2, 2, np.where(company | (sort == 3), 0, 1)),
        "currency": ["USD" if s == 3 else "CNY" for s in sort.tolist()],
        "opened": opened,
        "closed": closed,
        "maturity": np.where(sort == 2, maturity, 0),
        "rate": np.round(rate, 6),
    }
    joint = np.nonzero((rng.random(count) < 0.015) & ~company & (owner + 1 < real))[0]
    partner = np.minimum(owner[joint] + 1, real - 1)
    good = (kind[partner] != CORPORATE) & (partner != owner[joint])
    joint, partner = joint[good], partner[good]
    holders: Columns = {
        "account": np.concatenate([np.arange(count), joint]),
        "customer": np.concatenate([owner, partner]),
        "role": ["owner"] * count + ["joint"] * len(joint),
    }
    return accounts, columns, holders, fate


def _counter(owner: Ints) -> list[int]:
    """1, 2, 3 ... within equal neighbours."""
    if not len(owner):
        return []
    begins = np.concatenate([[0], np.nonzero(np.diff(owner))[0] + 1])
    return (np.arange(len(owner)) - np.repeat(begins, np.diff(np.append(begins, len(owner)))) + 1).tolist()


def make_cards(rng: np.random.Generator, plan: Plan, who: People, accounts: Accounts, first: int) -> Columns:
    persons = who.kind[accounts.owner] != CORPORATE
    at = np.nonzero(persons & (accounts.style != 2) & (rng.random(len(persons)) < 0.6))[0]
    credit = rng.random(len(at)) < 0.09
    issued = np.maximum(accounts.opened[at], plan.day - rng.integers(20, 1_700, len(at)))
    return {
        "customer": accounts.owner[at],
        "account": at,
        "reference": [f"C{10_000_000 + first}{i:06d}" for i in range(len(at))],
        "number_tail": [f"{t:04d}" for t in rng.integers(0, 10_000, len(at)).tolist()],
        "product": np.where(credit, 16, 15),
        "issued": issued,
        "expires": issued + 1_826,
        "closed": accounts.closed[at],
    }


def make_orders(rng: np.random.Generator, who: People, accounts: Accounts, first: int) -> Columns:
    live = (accounts.style == 0) & (accounts.closed == 0) & (accounts.base > 1_500)
    at = np.nonzero(live & (rng.random(len(live)) < 0.11))[0]
    purpose = rng.integers(0, 4, len(at))
    return {
        "account": at,
        "reference": [f"S{10_000_000 + first}{i:06d}" for i in range(len(at))],
        "amount": (rng.lognormal(5.6, 0.9, len(at)).round() * 100).astype(np.int64),
        "to_bank": [words.OTHER_BANKS[i] for i in rng.integers(0, len(words.OTHER_BANKS), len(at)).tolist()],
        "to_account": [str(v) for v in rng.integers(10**15, 10**16, len(at)).tolist()],
        "purpose": [("房租", "水电费", "物业费", "赡养费")[p] for p in purpose.tolist()],
    }


def make_holdings(rng: np.random.Generator, plan: Plan, who: People, fate: Fate, first: int) -> Columns:
    """Wealth products keep their value from the day they were bought; funds and insurance move each month."""
    wealth = who.wealth[: who.real]
    chance = np.select([wealth > 500_000, wealth > 80_000, wealth > 15_000], [0.45, 0.3, 0.07], 0.008)
    chance = np.where(who.dormant[: who.real], 0, chance) * np.where(
        who.kind[: who.real] == CORPORATE, 0.4, 1
    )
    holder = np.nonzero(rng.random(who.real) < chance)[0]
    kind = rng.choice((17, 18, 19, 20, 21), size=len(holder), p=(0.3, 0.25, 0.2, 0.15, 0.1))
    worth = np.maximum(wealth[holder] * rng.uniform(0.1, 1.2, len(holder)), 1_000).round(-2)
    bought = rng.integers(-6, 12, len(holder))
    ends = np.array(plan.month_ends)
    moving = kind >= 19
    growth = np.exp(np.cumsum(rng.normal(0.003, 0.02, (len(holder), len(ends))), axis=1))
    month = np.arange(len(ends))[None, :]
    begins = np.maximum(bought, 0)[:, None]
    gone = month >= (fate.leaves[holder] - 1)[:, None]
    show = (
        (month == begins)
        | (moving[:, None] & (month > begins) & ~gone)
        | (month == (fate.leaves[holder] - 1)[:, None])
    )
    show &= month >= begins
    value = np.where(gone, 0.0, worth[:, None] * np.where(moving[:, None], growth, 1.0))
    row, column = np.nonzero(show)
    date = np.where((column == begins[row, 0]) & (bought[row] < 0), plan.start, ends[column])
    term = np.where(kind == 17, 90, np.where(kind == 18, 365, 0))
    matures = np.where(term > 0, plan.day + 1 + rng.integers(0, np.maximum(term, 1)), 0)
    return {
        "customer": holder[row],
        "reference": [f"H{10_000_000 + first}{i:06d}" for i in row.tolist()],
        "product": kind[row],
        "date": date,
        "value": np.rint(value[row, column] * 100).astype(np.int64),
        "maturity": matures[row],
    }


def make_fees(rng: np.random.Generator, plan: Plan, who: People, first: int) -> Columns:
    per = 0.5 if plan.customers <= 20_000 else 0.15
    lam = per * np.where(who.kind[: who.real] == CORPORATE, 4, 1) * np.where(who.dormant[: who.real], 0, 1)
    customer = np.repeat(np.arange(who.real), rng.poisson(lam))
    count = len(customer)
    return {
        "customer": customer,
        "reference": [f"F{10_000_000 + first}{i:06d}" for i in range(count)],
        "product": np.where(who.kind[customer] == CORPORATE, rng.choice((22, 23, 24), size=count), rng.choice((15, 17, 19), size=count)),
        "date": plan.day - rng.integers(0, 365, count),
        "amount": (rng.lognormal(3.2, 1.1, count).clip(0.5, 50_000) * 100).round().astype(np.int64),
    }  # fmt: skip
