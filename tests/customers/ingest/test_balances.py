"""End-of-day balances in any order and any number of times: an oracle in plain Python."""

from __future__ import annotations

import datetime as dt
import random
from decimal import Decimal

import pytest

from customers.models import BalanceChange
from tests.customers.ingest.conftest import Deliver

pytestmark = pytest.mark.django_db
FIRST = dt.date(2026, 1, 28)
Told = tuple[str, int, int, int]  # account, day, balance in cents, hour it was told


def expected(told: list[Told]) -> list[tuple[str, dt.date, int, int, int]]:
    """Changes with balance-days of everything that was told, the newest word per account and day."""
    newest: dict[tuple[str, int], tuple[int, int]] = {}
    for account, day, balance, hour in told:
        if hour >= newest.get((account, day), (0, -1))[1]:
            newest[account, day] = (balance, hour)
    rows: list[tuple[str, dt.date, int, int, int]] = []
    for account in sorted({account for account, _day in newest}):
        previous: tuple[int, int] | None = None
        plus = minus = 0
        for day in sorted(d for a, d in newest if a == account):
            balance = newest[account, day][0]
            if previous is not None:
                plus += (day - previous[0]) * max(previous[1], 0)
                minus += (day - previous[0]) * max(-previous[1], 0)
            if previous is None or balance != previous[1]:
                rows.append((account, FIRST + dt.timedelta(days=day), balance, plus, minus))
            previous = (day, balance)
    return rows


def standing() -> list[tuple[str, dt.date, int, int, int]]:
    rows = BalanceChange.objects.order_by("account__number", "date").values_list(
        "account__number", "date", "balance", "positive_days", "negative_days"
    )
    return [(number, date, int(balance * 100), plus, minus) for number, date, balance, plus, minus in rows]


def as_csv(told: list[Told]) -> str:
    return "account,date,balance,source_as_of\n" + "".join(
        f"{account},{FIRST + dt.timedelta(days=day)},{Decimal(cents).scaleb(-2)},2026-05-01T{hour:02}:00:00Z\n"
        for account, day, cents, hour in told
    )


@pytest.mark.parametrize("seed", range(4))
def test_any_order_of_delivery_ends_the_same(inside, deliver: Deliver, seed: int) -> None:
    chance = random.Random(seed)
    deliver("customers", "number,name,kind\n1,One,personal\n")
    deliver(
        "accounts",
        "number,owner,currency,opened_date\n" + "".join(f"A{i},1,CNY,2026-01-01\n" for i in range(3)),
    )
    told: list[Told] = []
    for account in ("A0", "A1", "A2"):
        for day in range(12):
            if chance.random() < 0.7:
                told.append((account, day, chance.choice([0, 5000, 5000, -200, 700]), chance.randrange(4)))
                if chance.random() < 0.3:  # corrected: the later word counts, whichever comes first
                    told.append((account, day, chance.choice([0, 5000, 700]), 4 + chance.randrange(4)))
    deliveries = [[entry] for entry in told]
    chance.shuffle(deliveries)
    deliveries += chance.sample(deliveries, 5)  # some again
    while len(deliveries) > 7:  # several days and accounts in one file; a key once in each
        one = deliveries.pop()
        fits = [d for d in deliveries if not {e[:2] for e in d} & {e[:2] for e in one}]
        chance.choice(fits).extend(one)
    for delivery in deliveries:
        deliver("balances", as_csv(delivery))
    assert standing() == expected(told)
