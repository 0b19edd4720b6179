"""What the night computes, against a plain Python oracle over random histories, and the day's edge cases."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Any

import pytest
from django.db import transaction
from hypothesis import given
from hypothesis import strategies as st

from crm_site.lib.errors import DomainError
from crm_site.lib.money import from_minor
from crm_site.lib.registry import RunContext
from crm_site.lib.tenancy import require_bank
from customers import nightly
from customers.models import (
    AccountHolder,
    Batch,
    BusinessDay,
    Customer,
    Loan,
    MonthEnd,
    PortfolioMonth,
    Standing,
)
from tests.conftest import NOW, House
from tests.customers import night_factories as make
from tests.properties import rule

DAY = dt.date(2026, 11, 30)
D = dt.timedelta(days=1)
USD = "7.12345678"


def context(day: dt.date = DAY, newest: bool = True, run: int = 1) -> RunContext:
    return RunContext(require_bank(), run, 1, day, newest)


def night(day: dt.date = DAY, newest: bool = True) -> int:
    """Balances, arrears and summaries of a date; returns how many rows changed."""
    run = context(day, newest)
    changed = 0
    for part in list(nightly.plan_balances(run)):
        changed += nightly.balances(run, part).rows_changed
    nightly.finish_balances(run)
    for part in nightly.plan_ranges(run):
        changed += nightly.arrears(run, part).rows_changed
    return changed + nightly.summaries(run, {}).rows_changed


# -- the oracle: end-of-day balances, day by day --------------------------------------------------------------------


def balance_on(changes: Mapping[dt.date, int], day: dt.date) -> int:
    known = [d for d in changes if d <= day]
    return changes[max(known)] if known else 0


def cents(amount: Fraction) -> Decimal:
    """Half-up to whole minor units, then as an amount."""
    exact = Decimal(amount.numerator) / Decimal(amount.denominator)
    doubled = amount * 2 + 1
    whole = doubled.numerator // (doubled.denominator * 2)
    assert amount < 0 or abs(exact - whole) <= Decimal("0.5")
    return from_minor(Decimal(whole).quantize(Decimal(1), ROUND_HALF_UP))


def expect(spec: Mapping[str, Any], day: dt.date) -> dict[str, Any]:
    rates = {"CNY": Fraction(1), "USD": Fraction(USD)}
    adb = balance = overdraft = outstanding = overdue = wealth = Fraction(0)
    days_past_due = 0
    for account in spec["accounts"]:
        if account["opened"] > day or (account["closed"] and account["closed"] <= day):
            continue
        rate = rates[account["currency"]]
        window = [day - i * D for i in range(30) if day - i * D >= account["opened"]]
        adb += Fraction(sum(max(balance_on(account["changes"], d), 0) for d in window), len(window)) * rate
        ended = balance_on(account["changes"], day)
        balance += max(ended, 0) * rate
        overdraft += max(-ended, 0) * rate
    for loan in spec["loans"]:
        known = [d for d in loan["rows"] if d <= day]
        if not known:
            continue
        out, over, since = loan["rows"][max(known)]
        rate = rates[loan["currency"]]
        outstanding += out * rate
        overdue += over * rate
        if over:
            days_past_due = max(days_past_due, (day - since).days)
    for holding in spec["holdings"]:
        wealth += balance_on(holding["rows"], day) * rates[holding["currency"]]
    return {
        "deposits_adb": cents(adb),
        "deposits_balance": cents(balance),
        "loans": cents(outstanding + overdraft),
        "aum": cents(balance + wealth),
        "overdue_amount": cents(overdue),
        "days_past_due": days_past_due,
    }


AMOUNT = st.integers(-5_000_00, 3_000_000_00)
CURRENCY = st.sampled_from(["CNY", "CNY", "USD"])


@st.composite
def accounts(draw: st.DrawFn) -> dict[str, Any]:
    opened = DAY - draw(st.integers(-5, 80)) * D
    offsets = draw(st.lists(st.integers(0, 90), max_size=6, unique=True))
    closed = draw(st.none() | st.integers(-40, 5).map(lambda n: DAY + n * D))
    if closed and closed < opened:
        closed = None
    return {
        "opened": opened,
        "closed": closed,
        "currency": draw(CURRENCY),
        "changes": {opened + n * D: draw(AMOUNT) for n in offsets},
    }


@st.composite
def loans(draw: st.DrawFn) -> dict[str, Any]:
    rows = {}
    for n in draw(st.lists(st.integers(-10, 100), min_size=1, max_size=4, unique=True)):
        day = DAY - n * D
        over = draw(st.sampled_from([0, 0, 12_345]))
        since = day - draw(st.integers(0, 200)) * D if over else None
        rows[day] = (draw(st.integers(0, 9_000_000_01)), over, since)
    return {"rows": rows, "currency": draw(CURRENCY)}


HOLDINGS = st.fixed_dictionaries(
    {
        "rows": st.dictionaries(
            st.integers(-5, 60).map(lambda n: DAY - n * D),
            st.integers(0, 5_000_000_33),
            min_size=1,
            max_size=3,
        ),
        "currency": CURRENCY,
    }
)
PEOPLE = st.fixed_dictionaries(
    {
        "accounts": st.lists(accounts(), max_size=3),
        "loans": st.lists(loans(), max_size=2),
        "holdings": st.lists(HOLDINGS, max_size=2),
    }
)


def settle(spec: Mapping[str, Any]) -> Customer:
    owner = make.customer()
    for account in spec["accounts"]:
        made = make.account(
            owner,
            account["opened"],
            account["changes"],
            currency=account["currency"],
            closed_date=account["closed"],
        )
        AccountHolder.objects.create(account=made, customer=make.customer(), role="joint")
    for loan in spec["loans"]:
        make.loan(owner, loan["rows"], currency=loan["currency"])
    for holding in spec["holdings"]:
        make.holding(owner, holding["rows"], holding["currency"])
    return owner


@rule("balances and averages", few=40, many=600)
@given(book=st.lists(PEOPLE, min_size=1, max_size=4), back=st.integers(0, 45))
def test_figures_agree_with_counting_day_by_day(inside: House, book: list[Any], back: int) -> None:
    make.months(DAY - 200 * D, DAY + 60 * D)
    with transaction.atomic():
        make.rate("USD", DAY - 400 * D, USD)
        make.rate("USD", DAY + 10 * D, "9")
        people = [(settle(spec), spec) for spec in book]
        for day in (DAY, DAY - back * D):
            night(day)
            for customer, spec in people:
                row = Standing.objects.get(customer=customer)
                figures = {name: getattr(row, name) for name in expect(spec, day)}
                assert figures == expect(spec, day)
            joint = Standing.objects.exclude(customer__in=[c for c, _spec in people])
            assert not any((s.deposits_adb, s.aum, s.loans) != (0, 0, 0) for s in joint)
        assert night(DAY - back * D) == 0
        transaction.set_rollback(True)


def test_a_past_month_end_is_recorded_and_the_standing_stays(inside: House) -> None:
    owner = make.customer()
    account = make.account(
        owner, dt.date(2026, 9, 1), {dt.date(2026, 9, 1): 3_000_00, dt.date(2026, 11, 1): 900_00}
    )
    make.entry(account, dt.date(2026, 10, 5), 700_00)
    make.entry(account, dt.date(2026, 10, 31), -200_00)
    make.entry(account, dt.date(2026, 11, 1), -1_00)
    night()
    before = Standing.objects.filter(customer=owner).values().get()
    assert before["deposits_13"] == [900_00]
    night(dt.date(2026, 10, 31), newest=False)
    assert Standing.objects.filter(customer=owner).values().get() == before
    row = MonthEnd.objects.get(customer=owner, month_end=dt.date(2026, 10, 31))
    assert (row.deposits_adb, row.deposits_balance, row.open_accounts) == (3000, 3000, 1)
    assert (row.transactions, row.inflow, row.outflow) == (2, 700, 200)
    assert PortfolioMonth.objects.get(as_of=dt.date(2026, 10, 31)).churn_high is None
    assert night(dt.date(2026, 10, 31), newest=False) == 0
    # The next newest night builds the trend from the record again.
    night(DAY + D)
    after = Standing.objects.get(customer=owner)
    assert after.deposits_13 == [3_000_00, 900_00]
    assert after.adb_previous == 900


def test_the_trend_rolls_once_a_month_and_keeps_thirteen(inside: House) -> None:
    owner = make.customer()
    make.account(
        owner, dt.date(2025, 1, 1), {dt.date(2025, 1, 1) + 30 * n * D: (n + 1) * 100 for n in range(30)}
    )
    ends = [dt.date(2026, m, 1) - D for m in range(1, 13)] + [
        dt.date(2027, 1, 1) - D,
        dt.date(2027, 2, 1) - D,
    ]
    seen = []
    for end in ends:
        night(end)
        row = Standing.objects.get(customer=owner)
        assert row.adb_previous == (seen[-1] if seen else 0)
        seen.append(row.deposits_adb)
        assert [from_minor(v) for v in row.deposits_13] == seen[-13:]
        assert night(end) == 0
        night(end + D)
        row = Standing.objects.get(customer=owner)
        assert ([from_minor(v) for v in row.deposits_13], row.adb_previous) == (seen[-13:], seen[-1])


def test_month_ends_are_kept_for_25_months(inside: House) -> None:
    make.customer()
    night(dt.date(2024, 9, 30))
    night(dt.date(2024, 10, 31))
    night(dt.date(2026, 11, 30))
    assert sorted(MonthEnd.objects.values_list("month_end", flat=True)) == [dt.date(2024, 10, 31), DAY]


def test_half_a_cent_is_rounded_up_once_at_the_end(inside: House) -> None:
    owner = make.customer()
    for _unused in range(2):  # each averages 0.5 of a cent over two days: together exactly one
        make.account(owner, DAY - D, {DAY: 1})
    alone = make.customer()
    make.account(alone, DAY - D, {DAY: 1})
    night()
    assert Standing.objects.get(customer=owner).deposits_adb == Decimal("0.01")
    assert Standing.objects.get(customer=alone).deposits_adb == Decimal("0.01")


def test_wherever_the_last_change_before_the_window_lies(inside: House) -> None:
    """In the window, in the months read with it, long before them, or nowhere: the average is that of the days."""
    cases = {
        "long dormant": (400, {400: 900_00}),
        "dormant, then moved": (400, {400: 900_00, 10: 300_00}),
        "moved lately": (400, {400: 900_00, 45: 600_00}),
        "moved lately and now": (400, {400: 900_00, 45: 600_00, 1: 0}),
        "on the window's first day": (400, {400: 900_00, 29: 600_00}),
        "opened within it": (10, {10: 600_00, 3: 0}),
        "opened on the day": (0, {0: 500_00}),
        "never told": (5, {}),
    }
    owners = {}
    for name, (opened, changes) in cases.items():
        owners[name] = make.customer()
        make.account(owners[name], DAY - opened * D, {DAY - n * D: amount for n, amount in changes.items()})
    night()
    for name, (opened, changes) in cases.items():
        ago = range(min(opened, 29) + 1)
        ends = [next((changes[n] for n in sorted(changes) if n >= back), 0) for back in ago]
        figures = Standing.objects.get(customer=owners[name])
        assert figures.deposits_adb == cents(Fraction(sum(ends), len(ends))), name
        assert figures.deposits_balance == from_minor(ends[0]), name


def test_prospects_have_no_figures_and_no_summary(inside: House) -> None:
    make.customer(is_prospect=True)
    make.customer()
    night()
    assert MonthEnd.objects.count() == 1
    assert sum(PortfolioMonth.objects.values_list("customers", flat=True)) == 1


def test_a_missing_rate_stops_the_night_and_names_the_currency(inside: House) -> None:
    make.rate("EUR", DAY + D, "7.8")
    make.account(make.customer(), DAY, {DAY: 1}, currency="EUR")
    make.holding(make.customer(), {DAY: 1}, "HKD")
    with pytest.raises(DomainError, match="EUR, HKD"):
        night()
    night(DAY - D)  # on the day before, nobody had any of it


@rule("arrears", few=20, many=600)
@given(
    book=st.lists(loans(), min_size=1, max_size=5),
    days=st.lists(st.integers(-15, 110), min_size=1, max_size=4),
)
def test_arrears_agree_with_the_history_of_each_loan(inside: House, book: list[Any], days: list[int]) -> None:
    """Whatever the order of dates: the newest date so far decides, a past date changes nothing."""
    with transaction.atomic():
        make.rate("USD", DAY - 400 * D, USD)
        made = [
            (make.loan(make.customer(), spec["rows"], currency=spec["currency"]).pk, spec) for spec in book
        ]
        newest = None
        for day in (DAY - n * D for n in days):
            run = context(day, newest is None or day >= newest)
            newest = max(day, newest or day)
            for _again in range(2):
                for part in nightly.plan_ranges(run):
                    nightly.arrears(run, part)
            for pk, spec in made:
                known = [d for d in spec["rows"] if d <= newest]
                if known:
                    out, over, since = spec["rows"][max(known)]
                    late = max((newest - since).days, 0) if over else 0
                    found = Loan.objects.get(pk=pk)
                    assert (found.outstanding, found.overdue_amount) == (from_minor(out), from_minor(over))
                    assert found.days_past_due == late
        transaction.set_rollback(True)


def test_arrears_bring_loans_to_the_date(inside: House) -> None:
    owner = make.customer()
    loan = make.loan(
        owner,
        {DAY - 90 * D: (500_00, 0, None), DAY - 5 * D: (500_00, 20_00, DAY - 12 * D), DAY + D: (0, 0, None)},
    )
    night()
    row = Loan.objects.get(pk=loan.pk)
    assert (row.outstanding, row.overdue_amount, row.days_past_due, row.as_of) == (500, 20, 12, DAY)
    night(DAY - 30 * D, newest=False)
    assert Loan.objects.get(pk=loan.pk).days_past_due == 12
    night(DAY + D)
    assert Loan.objects.get(pk=loan.pk).days_past_due == 0


def test_summaries_add_up_to_the_lists(inside: House) -> None:
    for i in range(12):
        unit = [inside.north, inside.south, None][i % 3]
        owner = make.customer(
            ["personal", "corporate"][i % 2], home_branch=unit, standing={"churn_bp": 2000 + 200 * i}
        )
        make.account(owner, DAY - 40 * D, {DAY - 40 * D: i * 100_00})
    night()
    cells = PortfolioMonth.objects.filter(as_of=DAY)
    for unit in (inside.north, inside.south, None):
        rows = Standing.objects.filter(home_branch=unit)
        mine = list(cells.filter(home_branch=unit))
        assert sum(c.customers for c in mine) == rows.count()
        assert sum(c.deposits_adb for c in mine) == sum(r.deposits_adb for r in rows)
        assert sum(c.churn_high for c in mine) == sum(r.churn_bp >= 3000 for r in rows)
    night(DAY + D)
    night(DAY + 2 * D)
    assert sorted(PortfolioMonth.objects.values_list("as_of", flat=True).distinct()) == [DAY, DAY + 2 * D]


def test_late_feeds_are_named_until_they_come(inside: House) -> None:
    def deliver(feed: str, day: dt.date) -> None:
        Batch.objects.create(
            feed=feed, status="done", source="api", content_format="csv", business_date=day, received_at=NOW
        )

    def late(day: dt.date) -> list[str]:
        nightly.feeds(context(day), {})
        return [f["feed"] for f in BusinessDay.objects.get(business_date=day).late_feeds]

    deliver("balances", DAY)
    deliver("products", DAY - 20 * D)
    assert late(DAY - D) == []
    assert late(DAY) == []
    assert late(DAY + D) == ["balances"]
    assert late(DAY + 2 * D) == ["balances"]
    deliver("balances", DAY + 2 * D)
    assert late(DAY + 2 * D) == []
    assert late(DAY + 3 * D) == ["balances"]
