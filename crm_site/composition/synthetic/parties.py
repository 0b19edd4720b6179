"""The parties of a slice: who they are, where they live and bank, whom they know, what was said with them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crm_site.composition.synthetic import words
from crm_site.composition.synthetic.codes import REGIONS, credit_code, entity_identifier, resident_ids
from crm_site.composition.synthetic.ledger import (
    CORPORATE,
    HOUSEHOLD,
    PERSONAL,
    Accounts,
    Fate,
    Ints,
)
from crm_site.composition.synthetic.loans import Loans
from crm_site.composition.synthetic.organisation import Organisation
from crm_site.composition.synthetic.people import Names
from crm_site.composition.synthetic.plan import Plan

KINDS = ("personal", "household", "corporate")
YEAR = 365.25
Columns = dict[str, Any]


@dataclass
class People:
    """What the parts of a chunk share about its parties (customers first, prospects last)."""

    size: int
    real: int
    kind: Ints
    birth: Ints
    names: list[str]
    numbers: list[str]
    unit: Ints
    since: Ints
    wealth: NDArray[np.float64]
    dormant: NDArray[np.bool_]
    staff: Ints = field(default_factory=lambda: np.zeros(0, np.int64))


def _pick(rng: np.random.Generator, values: tuple[str, ...], count: int) -> list[str]:
    return [values[i] for i in rng.integers(0, len(values), count).tolist()]


def _sparse(rng: np.random.Generator, texts: list[str], share: float) -> list[str]:
    return [
        t if keep else "" for t, keep in zip(texts, (rng.random(len(texts)) < share).tolist(), strict=True)
    ]


def make_parties(
    rng: np.random.Generator, plan: Plan, org: Organisation, first: int, real: int, prospects: int
) -> tuple[People, Columns]:
    size = real + prospects
    is_real = np.arange(size) < real
    kind = rng.choice(3, size=size, p=(0.78, 0.14, 0.08))
    kind = np.where(~is_real & (rng.random(size) < 0.35), CORPORATE, kind)
    company = kind == CORPORATE
    age = np.select(
        [kind == HOUSEHOLD], [rng.triangular(24, 52, 80, size)], np.clip(rng.normal(44, 15, size), 16, 93)
    )
    birth = (plan.day - age * YEAR - rng.integers(0, 365, size)).astype(np.int64)
    years = (birth / YEAR).astype(np.int64) + 1970
    male = rng.random(size) < np.where(kind == HOUSEHOLD, 0.78, 0.5)
    weights = np.array([w for _c, _n, w in words.INDUSTRIES], dtype=float)
    trade = rng.choice(len(weights), size=size, p=weights / weights.sum())
    called = Names(rng)
    people = called.people(np.where(male, "M", "F"), years, _families(rng, called, kind))
    companies = called.companies(trade)
    names = [c if is_c else p for p, c, is_c in zip(people, companies, company.tolist(), strict=True)]
    log = np.array([np.log(4_000), np.log(3_500), np.log(60_000)])[kind]
    spread = np.array([1.72, 1.45, 2.0])[kind]
    wealth = np.exp(log + spread * rng.normal(size=size))
    tail = rng.random(size) < np.array([0.022, 0.008, 0.0])[kind]
    wealth = np.where(tail, 300_000 * (1 + rng.pareto(1.15, size)), wealth).clip(5, 400_000_000)
    tenure = rng.gamma(2.0, 3.2, size) * YEAR
    since = (plan.day - np.minimum(tenure, np.maximum((age - 15) * YEAR, 40)) - 8).astype(np.int64)
    dormant = (
        (rng.random(size) < np.array([0.13, 0.1, 0.06])[kind]) & (wealth < 60_000) & (since < plan.start)
    )
    unit = rng.choice(len(org.units), size=size, p=org.weights)
    number = [f"{10_000_000 + first + i}" if i < real else f"T{1_000_000 + first + i}" for i in range(size)]
    who = People(size, real, kind, birth, names, number, unit, since, wealth, dormant)
    founded = (since - rng.gamma(2.0, 2.5, size) * YEAR).astype(np.int64)
    employees = np.exp(
        np.clip(np.log(np.maximum(wealth, 1_000)) * 0.42 - 2.2 + rng.normal(0, 0.7, size), 0.7, 8)
    )
    scale = np.select([employees >= 400, employees >= 80, employees >= 15], [0, 1, 2], 3)
    known = rng.random(size)
    columns: Columns = {
        "number": number,
        "kind": [KINDS[k] for k in kind.tolist()],
        "is_prospect": (~is_real).tolist(),
        "name": names,
        "status": ["dormant" if d else "active" for d in (dormant & is_real).tolist()],
        "birth_date": np.where(company | (known < 0.02), 0, birth),
        "founded_date": np.where(company & (known > 0.03), founded, 0),
        "gender": ["" if c else "M" if m else "F" for c, m in zip(company.tolist(), male.tolist(), strict=True)],
        "industry": [
            words.INDUSTRIES[t][0] if c and k > 0.02 else "A0111" if h and k > 0.4 else ""
            for t, c, h, k in zip(
                trade.tolist(), company.tolist(), (kind == HOUSEHOLD).tolist(), known.tolist(), strict=True
            )
        ],
        "size": [
            ("large", "medium", "small", "micro")[s] if c else ""
            for s, c in zip(scale.tolist(), company.tolist(), strict=True)
        ],
        "employees": np.where(company, employees, 0).astype(np.int64),
        "customer_since": np.where(is_real, since, 0),
        "opening_branch": np.where(is_real, np.where(rng.random(size) < 0.9, unit, rng.permutation(unit)), -1),
        "home_branch": np.where(rng.random(size) < 0.995, unit, -1),
        "is_related_party": (rng.random(size) < 0.003) & is_real,
        "is_excluded": rng.random(size) < 0.002,
        "occupation": [
            "" if c or k < 0.25 else o if not h else f
            for c, k, h, o, f in zip(
                company.tolist(), known.tolist(), (kind == HOUSEHOLD).tolist(),
                _pick(rng, words.OCCUPATIONS, size), _pick(rng, words.FARM_OCCUPATIONS, size), strict=True,
            )
        ],
        "family_note": _sparse(rng, _pick(rng, words.FAMILIES, size), 0.12),
        "preference_note": _sparse(rng, _pick(rng, words.PREFERENCES, size), 0.1),
        "needs_note": _sparse(rng, _pick(rng, words.NEEDS, size), 0.08),
    }  # fmt: skip
    own = np.random.default_rng(size)  # of its own: what is drawn after it stays as it was
    columns["experience_note"] = _sparse(own, _pick(own, words.EXPERIENCES, size), 0.1)
    columns["family_note"] = [
        "" if c else t for t, c in zip(columns["family_note"], company.tolist(), strict=True)
    ]
    return who, columns


def _families(rng: np.random.Generator, names: Names, kind: Ints) -> Ints:
    """Neighbouring persons (an even position and the next) share a family name now and then: parents, children."""
    size = len(kind)
    family = np.full(size, -1)
    heads = np.arange(0, size - 1, 2)
    heads = heads[
        (rng.random(len(heads)) < 0.09) & (kind[heads] != CORPORATE) & (kind[heads + 1] != CORPORATE)
    ]
    chosen = rng.choice(len(names.surnames), size=len(heads), p=names.shares)
    family[heads] = chosen
    family[heads + 1] = chosen
    return family


def place(
    rng: np.random.Generator, org: Organisation, who: People, customers: Columns, loans: Loans,
    accounts: Accounts, fate: Fate,
) -> None:  # fmt: skip
    """Who is responsible, and who won whom. Some wait in their branch's queue, some have no home branch yet."""
    size = who.size
    deposits = np.zeros(size)
    np.add.at(deposits, accounts.owner, accounts.base * fate.factor[accounts.owner, -1])
    borrowed = np.zeros(size)
    np.add.at(borrowed, loans.customer, loans.amount / 100)
    managed = (who.kind == CORPORATE) | (borrowed > 0) | (deposits >= 80_000) | (rng.random(size) < 0.04)
    waiting = rng.random(size) < np.where(managed, 0.05, 0.12)
    nowhere = np.asarray(customers["home_branch"]) < 0
    real = np.arange(size) < who.real
    rm, teller = _one_of(rng, org.managers, who.unit), _one_of(rng, org.tellers, who.unit)
    chosen = np.where(managed, rm, teller)
    prospect = np.where(rng.random(size) < 0.6, rm, -1)
    who.staff = np.where(nowhere | (waiting & real), -1, np.where(real, chosen, prospect))
    customers["responsible"] = who.staff
    customers["won_by"] = np.where(real & managed & (rng.random(size) < 0.12), rm, -1)
    closed = np.ones(size, bool)
    closed[accounts.owner[accounts.closed == 0]] = False
    had = np.zeros(size, bool)
    had[accounts.owner] = True
    gone = closed & had & (borrowed == 0)
    customers["status"] = [
        "closed" if g else s for g, s in zip(gone.tolist(), customers["status"], strict=True)
    ]


def _one_of(rng: np.random.Generator, staff_of: list[list[int]], unit: Ints) -> Ints:
    """For each customer one of its unit's staff (every unit but the head office has some)."""
    counts = np.array([max(len(s), 1) for s in staff_of])
    table = np.full((len(staff_of), counts.max()), -1)
    for u, staff in enumerate(staff_of):
        table[u, : len(staff)] = staff
    return table[unit, (rng.random(len(unit)) * counts[unit]).astype(np.int64)]


def make_identifiers(rng: np.random.Generator, who: People, first: int) -> Columns:
    size, real = who.size, np.arange(who.size) < who.real
    company = who.kind == CORPORATE
    has = rng.random(size) < np.where(real, 0.985, np.where(company, 0.7, 0.1))
    people = np.nonzero(has & ~company)[0]
    regions = REGIONS[rng.integers(0, len(REGIONS), size)]
    births = who.birth[people].astype("datetime64[D]")
    ids = resident_ids(regions[people], births, rng.integers(0, 1000, len(people)))
    firms = np.nonzero(has & company)[0]
    codes = [credit_code(int(regions[i]), 10_000_000 + first * 2 + i) for i in firms.tolist()]
    listed = firms[rng.random(len(firms)) < 0.03]
    return {
        "customer": np.concatenate([people, firms, listed]),
        "scheme": ["resident_id"] * len(people) + ["uscc"] * len(firms) + ["lei"] * len(listed),
        "value": ids + codes + [entity_identifier(first + i) for i in listed.tolist()],
    }


def make_phones(rng: np.random.Generator, who: People) -> Columns:
    has = np.nonzero(rng.random(who.size) < 0.96)[0]
    second = has[rng.random(len(has)) < 0.05]
    customer = np.concatenate([has, second])
    prefix = np.array(
        [134, 135, 136, 137, 138, 139, 150, 151, 152, 158, 159, 182, 183, 187, 188, 189, 130, 131, 132, 186]
    )
    value = prefix[rng.integers(0, len(prefix), len(customer))] * 10**8 + rng.integers(
        0, 10**8, len(customer)
    )
    return {
        "customer": customer,
        "position": np.concatenate([np.ones(len(has), np.int64), np.full(len(second), 2)]),
        "value": [f"+86{v}" for v in value.tolist()],
    }


def make_addresses(rng: np.random.Generator, org: Organisation, who: People) -> Columns:
    has = np.nonzero(rng.random(who.size) < 0.93)[0]
    street, house = rng.integers(0, 20, len(has)).tolist(), rng.integers(1, 400, len(has)).tolist()
    village = rng.integers(0, len(words.VILLAGES), len(has)).tolist()
    kind = who.kind[has].tolist()
    return {
        "customer": has,
        "kind": ["registered" if k == CORPORATE else "home" for k in kind],
        "region": [org.units[u].region for u in who.unit[has].tolist()],
        "line": [
            f"{words.VILLAGES[v]}村{h % 30 + 1}组{h}号" if k == HOUSEHOLD else f"{words.STREETS[s]}{h}号"
            for k, s, v, h in zip(kind, street, village, house, strict=True)
        ],
    }


def make_relations(rng: np.random.Generator, who: People, customers: Columns) -> Columns:
    rows: list[tuple[int, int, str, float | None, str]] = []
    kind = who.kind
    heads = np.arange(0, who.real - 1, 2)
    same = [who.names[h][:1] == who.names[h + 1][:1] for h in heads.tolist()]
    pairs = heads[np.array(same, bool) & (kind[heads] != CORPORATE) & (kind[heads + 1] != CORPORATE)]
    for h in pairs.tolist():
        gap = (who.birth[h + 1] - who.birth[h]) / YEAR
        note = "父母" if gap > 17 else "子女" if gap < -17 else "兄弟姐妹" if h % 3 else "夫妻"
        rows.append((h, h + 1, "family", None, note))
    firms = np.nonzero(kind[: who.real] == CORPORATE)[0]
    people = np.nonzero(kind[: who.real] == PERSONAL)[0]
    if len(firms) > 3 and len(people) > 3:
        rows += _corporate_relations(rng, firms, people)
    unique = {(a, b, k): (a, b, k, s, n) for a, b, k, s, n in rows if a != b}
    columns: list[Any] = [list(c) for c in zip(*unique.values(), strict=True)] or [[] for _ in range(5)]
    return {
        "customer": np.array(columns[0], np.int64),
        "other": np.array(columns[1], np.int64),
        "kind": list(columns[2]),
        "share": list(columns[3]),
        "note": list(columns[4]),
    }


def _corporate_relations(
    rng: np.random.Generator, firms: Ints, people: Ints
) -> list[tuple[int, int, str, float | None, str]]:
    """Legal representatives, shareholders, beneficial owners, groups by parent or common control, supply chains."""
    rows: list[tuple[int, int, str, float | None, str]] = []
    for firm in firms[rng.random(len(firms)) < 0.55].tolist():
        owners = rng.choice(people, size=2, replace=False).tolist()
        share = round(float(rng.uniform(0.34, 0.9)), 2)
        rows.append((owners[0], firm, "legal_representative", None, ""))
        rows.append((owners[0], firm, "shareholder", share, ""))
        if share >= 0.5:
            rows.append((owners[0], firm, "beneficial_owner", share, ""))
        if rng.random() < 0.6:
            rows.append((owners[1], firm, "shareholder", round((1 - share) * 0.8, 2), ""))
    shuffled = rng.permutation(firms)
    position = 0
    while position + 6 < len(shuffled) * 0.18:
        members = shuffled[position : position + int(rng.integers(3, 7))].tolist()
        position += len(members)
        parent, subs = members[0], members[1:]
        for sub in subs:
            share = round(float(rng.uniform(0.51, 1.0)), 2)
            rows.append((parent, sub, "parent_company", share, "集团客户"))
        if len(subs) > 1:
            rows.append((subs[0], subs[1], "common_control", None, "同一实际控制人"))
    for anchor in shuffled[-max(len(shuffled) // 25, 1) :].tolist():
        rows += [(s, anchor, "supplier", None, "供应链上游") for s in rng.choice(firms, size=4).tolist()]
    rows += [
        (a, b, "guarantor", None, "")
        for a, b in zip(
            rng.choice(firms, len(firms) // 12).tolist(),
            rng.choice(firms, len(firms) // 12).tolist(),
            strict=True,
        )
    ]
    return rows


def make_contacts(rng: np.random.Generator, plan: Plan, who: People, fate: Fate, first: int) -> Columns:
    """Contacts of the last year, more with those who have a manager; authors are the responsible persons."""
    lam = plan.contacts_per_customer * np.where(who.staff >= 0, np.where(who.wealth > 50_000, 2.2, 1.0), 0.25)
    customer = np.repeat(np.arange(who.size), rng.poisson(lam))
    count = len(customer)
    weights = np.array([w for *_rest, w in words.CONTACTS], dtype=float)
    what = rng.choice(len(weights), size=count, p=weights / weights.sum())
    day = plan.day - (365 * rng.random(count) ** 1.4).astype(np.int64)
    promised = np.array([bool(c[3]) for c in words.CONTACTS])[what]
    return {
        "customer": customer,
        "what": what,
        "reference": [f"K{10_000_000 + first}{i:06d}" for i in range(count)],
        "minute": day * 1440 + rng.integers(9 * 60, 17 * 60, count) - 8 * 60,
        "staff": who.staff[customer],
        "promise_date": np.where(promised, day + rng.integers(2, 20, count), 0),
    }
