"""The people at a chunk's companies: who signs, who keeps the books, who buys, and who came or left of late."""

from __future__ import annotations

import uuid
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crm_site.composition.synthetic.people import Names
from crm_site.composition.synthetic.plan import Plan

SMALL_BANK = 20_000
OTHERS = (
    ("出纳", "{user,gatekeeper}"), ("采购经理", "{buyer}"), ("财务主管", "{influencer,user}"),
    ("副总经理", "{approver,influencer}"), ("办公室主任", "{gatekeeper}"),
)  # fmt: skip
# Of a hundred companies with people: a finance director has left and has a successor, has none; the general manager is new.
FOLLOWED, MISSED, NEW_MANAGER = 4, 8, 14
_YEAR = 365


def make_contact_people(
    plan: Plan, index: int, customers: dict[str, Any], relations: dict[str, Any]
) -> dict[str, Any]:
    """Columns of the people at the companies of chunk `index` that have a legal representative among its persons; of a
    large bank at one in four of them. Dates are days since 1970, 0 for none; `party`: position in the chunk, -1 for none.
    """
    rng = np.random.default_rng([plan.seed, 5000 + index])
    signs = {
        firm: person
        for person, firm, kind in zip(
            relations["customer"].tolist(), relations["other"].tolist(), relations["kind"], strict=True
        )
        if kind == "legal_representative" and (plan.customers <= SMALL_BANK or firm % 4 == 0)
    }
    firms = list(signs)
    drawn = iter(_names(rng, 4 * len(firms)))
    founded = np.asarray(customers["founded_date"])
    rows: list[tuple[Any, ...]] = []
    for firm, person in signs.items():
        chance, since = rng.random(5), _since(rng, plan, int(founded[firm]))
        signer = "{decider,approver}" if chance[0] < 0.7 else "{approver}"
        rows.append(
            (firm, customers["name"][person], "legal_representative", "", signer, person, since[0], 0)
        )
        turn = int(rng.integers(100))
        if chance[1] < 0.75:
            rows += _finance(rng, plan, firm, drawn, since[1], turn)
        if chance[2] < 0.35:
            begun = plan.day - int(rng.integers(2, 28)) if MISSED <= turn < NEW_MANAGER else since[2]
            rows.append((firm, next(drawn), "general_manager", "", "{decider}", -1, begun, 0))
        if chance[3] < 0.6:
            title, roles = OTHERS[int(rng.integers(len(OTHERS)))]
            rows.append((firm, next(drawn), "other", title, roles, -1, since[3] if chance[4] < 0.8 else 0, 0))
    columns = list(zip(*rows, strict=True)) or [()] * 8
    names = ("customer", "name", "post", "title", "roles", "party", "from_date", "left_date")
    found: dict[str, Any] = {
        name: np.array(values, np.int64)
        if name in ("customer", "party", "from_date", "left_date")
        else list(values)
        for name, values in zip(names, columns, strict=True)
    }
    numbers = rng.integers(10**8, 10**9, len(rows)).tolist()
    has_phone = (rng.random(len(rows)) < 0.8).tolist()
    found["phone"] = [
        f"+86139{n % 10**8:08d}" if has else "" for n, has in zip(numbers, has_phone, strict=True)
    ]
    found["submission"] = [uuid.UUID(bytes=rng.bytes(16), version=4).hex for _row in rows]
    return found


def _finance(
    rng: np.random.Generator, plan: Plan, firm: int, drawn: Any, since: int, turn: int
) -> list[tuple[Any, ...]]:
    """The finance director; with some turns one who has left, with a successor or without."""
    if turn >= MISSED:
        return [(firm, next(drawn), "finance_director", "", "{approver,influencer}", -1, since, 0)]
    left = plan.day - int(rng.integers(2, 29))
    begun = min(since, left - 1) if since else 0
    rows = [(firm, next(drawn), "finance_director", "", "{approver,influencer}", -1, begun, left)]
    if turn < FOLLOWED:
        rows.append((firm, next(drawn), "finance_director", "", "{influencer}", -1, left + 1, 0))
    return rows


def _since(rng: np.random.Generator, plan: Plan, founded: int) -> list[int]:
    """Since when four people are in their posts: not before the company was founded, and not of late."""
    latest = plan.day - 60
    earliest = min(max(founded, latest - 12 * _YEAR), latest - 1)
    return [int(day) for day in rng.integers(earliest, latest, 4)]


def _names(rng: np.random.Generator, count: int) -> list[str]:
    births: NDArray[np.int64] = rng.integers(1965, 1998, count)
    return Names(rng).people(np.where(rng.random(count) < 0.6, "M", "F"), births)
