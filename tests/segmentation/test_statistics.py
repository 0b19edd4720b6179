"""Statistics agree with the lists behind them, and with counting in Python."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from math import ceil
from typing import Any

import pytest
from django.db.models import Count

from crm_site.lib.money import money
from crm_site.lib.registry import RunContext
from crm_site.lib.tenancy import require_bank
from customers import nightly as customers_nightly
from customers.conditions import Matches
from customers.models import Fee, MonthEnd, Standing
from segmentation.models import Concentration, MigrationMonth, ProductUseMonth
from segmentation.statistics import statistics
from tests.conftest import House
from tests.customers import night_factories as make
from tests.segmentation.test_tiers import night

OCTOBER, NOVEMBER = dt.date(2026, 10, 31), dt.date(2026, 11, 30)
LONG_AGO = dt.date(2026, 9, 20)


def count(day: dt.date, newest: bool = True) -> int:
    context = RunContext(require_bank(), 1, 1, day, newest)
    return customers_nightly.summaries(context, {}).rows_changed + statistics(context, {}).rows_changed


@pytest.fixture
def book(inside: House) -> House:
    """Twenty customers, some of whom change tier in November."""
    for i in range(20):
        owner = make.customer(
            ["personal", "corporate"][i % 2],
            home_branch=[inside.north, inside.south, inside.north_sub, None][i % 4],
        )
        october, november = (i * i * 7_000_00) % 1_500_000_00, (i * 97_000_00) % 1_200_000_00
        make.account(owner, LONG_AGO, {LONG_AGO: october, dt.date(2026, 10, 31) + dt.timedelta(1): november})
        if i % 5 == 0:
            make.loan(owner, {LONG_AGO: (600_000_00, 0, None)})
            Fee.objects.create(customer=owner, reference=f"F{i}", date=NOVEMBER, amount=1, currency="CNY")
    make.customer(is_prospect=True, home_branch=inside.north)
    return inside


def test_migration_counts_those_who_moved(book: House) -> None:
    night(OCTOBER)
    count(OCTOBER)
    night(NOVEMBER)
    count(NOVEMBER)
    before = dict(MonthEnd.objects.filter(month_end=OCTOBER).values_list("customer_id", "value_tier"))
    expected: dict[tuple[Any, ...], list[Any]] = {}
    for row in Standing.objects.exclude(customer__is_prospect=True):
        cell = expected.setdefault(
            (row.home_branch_id, row.kind, before[row.customer_id], row.value_tier), [0, Decimal(0)]
        )
        cell[0] += 1
        cell[1] += row.deposits_adb
    found = {
        (m.home_branch_id, m.kind, m.from_rank, m.to_rank): [m.customers, m.deposits_adb]
        for m in MigrationMonth.objects.filter(as_of=NOVEMBER, before=OCTOBER, scheme="value")
    }
    assert found == expected
    assert any(cell[2] != cell[3] for cell in found)
    assert not MigrationMonth.objects.filter(as_of=OCTOBER).exists()


def test_a_month_end_filled_in_later_gives_the_months_beside_it_their_movements(book: House) -> None:
    night(NOVEMBER)
    count(NOVEMBER)
    assert not MigrationMonth.objects.exists()
    night(OCTOBER, newest=False)
    count(OCTOBER, newest=False)
    late = MigrationMonth.objects.filter(as_of=NOVEMBER, before=OCTOBER)
    assert sum(row.customers for row in late) == 40  # twenty customers in each of two schemes


def test_the_same_date_again_changes_nothing(book: House) -> None:
    night(OCTOBER)
    assert count(OCTOBER) > 0
    assert count(OCTOBER) == 0
    night(NOVEMBER)
    count(NOVEMBER)
    assert count(NOVEMBER) == 0
    assert count(OCTOBER, newest=False) == 0


def test_only_month_ends_and_the_newest_date_are_kept(book: House) -> None:
    for day in (OCTOBER, dt.date(2026, 11, 5), dt.date(2026, 11, 6)):
        night(day)
        count(day)
    days = sorted(ProductUseMonth.objects.values_list("as_of", flat=True).distinct())
    assert days == [OCTOBER, dt.date(2026, 11, 6)]


def test_the_lorenz_curve_is_exact(book: House) -> None:
    night(NOVEMBER)
    count(NOVEMBER)
    for curve in Concentration.objects.filter(as_of=NOVEMBER):
        rows = Standing.objects.filter(customer__is_prospect=False)
        if curve.home_branch_id:
            unit = curve.home_branch
            rows = rows.filter(home_branch__lft__gte=unit.lft, home_branch__lft__lte=unit.rgt)
        if curve.kind:
            rows = rows.filter(kind=curve.kind)
        every = [getattr(row, curve.measure) for row in rows]
        amounts = sorted((a for a in every if a > 0), reverse=True)
        assert (curve.customers, curve.total, curve.book) == (len(amounts), sum(amounts), len(every))
        for at, share in curve.points[1:]:
            top = sum(amounts[: ceil(len(amounts) * at / 100)])
            assert abs(Decimal(str(share)) - top / sum(amounts)) < Decimal("0.000001")
        assert curve.points[0] == [0, 0]
        assert curve.points[-1] == [100, 1]
        if curve.home_branch_id is None and not curve.kind:
            top = {"fact": curve.measure, "op": ">=", "value": str(curve.top20_from)}
            listed = Standing.objects.filter(Matches(top, as_of=NOVEMBER))
            assert curve.top20_customers == listed.count() >= ceil(len(amounts) * 0.2)
            assert curve.top20_total == sum(getattr(row, curve.measure) for row in listed)


def test_each_kind_of_customer_has_its_curve(book: House) -> None:
    """It is what a line department sees of the bank."""
    night(NOVEMBER)
    count(NOVEMBER)
    rows = Standing.objects.filter(customer__is_prospect=False, deposits_adb__gt=money("0"))
    held = dict(rows.values_list("kind").annotate(n=Count("id")))
    curves = Concentration.objects.filter(as_of=NOVEMBER, measure="deposits_adb", home_branch=None).exclude(
        kind=""
    )
    assert len(held) > 1
    assert {curve.kind: curve.customers for curve in curves} == held


def test_product_use_adds_up_to_the_book(book: House) -> None:
    night(NOVEMBER)
    count(NOVEMBER)
    rows = ProductUseMonth.objects.filter(as_of=NOVEMBER)
    assert sum(r.customers for r in rows) == 20
    for bit, condition in (
        (1, {"fact": "deposits_adb", "op": ">", "value": "0"}),
        (2, {"fact": "loans", "op": ">", "value": "0"}),
        (4, {"fact": "pays_fees", "op": "=", "value": True}),
    ):
        listed = Standing.objects.filter(Matches(condition, as_of=NOVEMBER)).count()
        assert sum(r.customers for r in rows if r.use & bit) == listed > 0
