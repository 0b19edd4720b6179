"""Tiers: boundaries, history of changes alone, policies in force, and the order in which dates are run."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from django.db import connection, transaction
from hypothesis import given
from hypothesis import strategies as st

from crm_site.accounts.versions import VersionStatus
from crm_site.lib.registry import RunContext
from crm_site.lib.tenancy import require_bank
from customers import nightly as customers_nightly
from customers.models import Customer, MonthEnd, Standing
from segmentation import nightly
from segmentation.engine.policies import FIRST_DAY, at_least, value_tiers
from segmentation.models import Scheme, TierDay, TierHistory, TierPolicy
from segmentation.services import ensure_default_policies, set_default_value_policy
from tests.conftest import NOW, House
from tests.customers import night_factories as make
from tests.properties import rule

DAY = dt.date(2026, 11, 16)
D = dt.timedelta(days=1)
VALUE_OF = {3: "high", 2: "mid", 1: "general"}


def night(day: dt.date, newest: bool = True, run: int = 1) -> int:
    """Balances and tiers of a date; returns how many tiers changed."""
    context = RunContext(require_bank(), run, 1, day, newest)
    for part in list(customers_nightly.plan_balances(context)):
        customers_nightly.balances(context, part)
    customers_nightly.finish_balances(context)
    changed = sum(nightly.tiers(context, part).rows_changed for part in list(nightly.plan_tiers(context)))
    nightly.finish_tiers(context)
    return changed


def owner_of(balances: Mapping[dt.date, str], loans: str = "0", kind: str = "personal") -> Customer:
    owner = make.customer(kind)
    changes = {day: int(Decimal(amount) * 100) for day, amount in balances.items()}
    make.account(owner, min(changes), changes)
    if Decimal(loans):
        make.loan(owner, {DAY - 400 * D: (int(Decimal(loans) * 100), 0, None)})
    return owner


def history(customer: Customer, scheme: str = "value") -> list[tuple[int, dt.date, dt.date | None]]:
    rows = TierHistory.objects.filter(customer=customer, scheme=scheme).order_by("from_date")
    return list(rows.values_list("rank", "from_date", "to_date"))


LONG_AGO = DAY - 120 * D


BOUNDARIES = [
    ("999999.99", "0", 2), ("1000000.00", "0", 3), ("1000000.01", "0", 3),
    ("99999.99", "0", 1), ("100000", "0", 2), ("100000.01", "0", 2),
    ("0", "1999999.99", 2), ("0", "2000000", 3), ("0", "2000000.01", 3),
    ("0", "499999.99", 1), ("0", "500000", 2), ("99999.99", "500000.01", 2), ("0", "0", 1),
]  # fmt: skip
LEVELS = [
    ("10000000", 7), ("9999999.99", 6), ("5000000", 6), ("4999999.99", 5), ("3000000", 5), ("2999999.99", 4),
    ("1000000", 4), ("999999.99", 3), ("500000", 3), ("499999.99", 2), ("200000", 2), ("199999.99", 1), ("0", 1),
]  # fmt: skip


def test_a_boundary_belongs_to_the_upper_tier(inside: House) -> None:
    by_value = [(owner_of({LONG_AGO: deposits}, loans), tier) for deposits, loans, tier in BOUNDARIES]
    by_assets = [(owner_of({LONG_AGO: assets}), level) for assets, level in LEVELS]
    night(DAY)
    for owner, tier in by_value:
        assert Standing.objects.get(customer=owner).value_tier == tier
    for owner, level in by_assets:
        assert Standing.objects.get(customer=owner).wealth_level == level


def test_prospects_have_no_tier(inside: House) -> None:
    prospect = make.customer(is_prospect=True)
    night(DAY)
    night(DAY + D)
    row = Standing.objects.get(customer=prospect)
    assert (row.value_tier, row.wealth_level, history(prospect)) == (0, 0, [])


def test_history_has_a_row_for_a_change_only(inside: House) -> None:
    rich = {LONG_AGO: "2000000", DAY + 2 * D: "0"}
    owner, steady = owner_of(rich), owner_of({LONG_AGO: "150000"})
    changed = 0
    for n in (*range(4), *range(15, 19), *range(28, 33)):
        changed += night(DAY + n * D, run=n + 1)
    assert changed == TierHistory.objects.count()
    # ADB falls below 1,000,000 once 15 of 30 days are at zero, below 100,000 after 28.
    fall, bottom = DAY + 17 * D, DAY + 30 * D
    assert history(owner) == [(3, DAY, fall), (2, fall, bottom), (1, bottom, None)]
    assert history(steady) == [(2, DAY, None)]
    row = TierHistory.objects.get(customer=owner, scheme="value", from_date=fall)
    assert row.deposits_adb == round(Decimal(2_000_000) * 14 / 30, 2)
    assert row.policy.version == 1
    assert row.run_id == 18
    standing = Standing.objects.get(customer=owner)
    assert (standing.value_tier, standing.value_since) == (1, bottom)


def test_the_same_night_again_changes_nothing(inside: House) -> None:
    owner_of({LONG_AGO: "2000000"})
    assert night(DAY) == 2
    before = list(TierHistory.objects.order_by("id").values()), list(Standing.objects.values())
    assert night(DAY, run=9) == 0
    assert (list(TierHistory.objects.order_by("id").values()), list(Standing.objects.values())) == before


def test_a_corrected_balance_corrects_the_night_that_is_run_again(inside: House) -> None:
    owner = owner_of({LONG_AGO: "150000"})
    night(DAY)
    night(DAY + D)
    account = owner.accounts.get()
    make.set_balances(account, {DAY - 100 * D: 500_000_000})
    night(DAY + D)
    assert history(owner) == [(2, DAY, DAY + D), (3, DAY + D, None)]
    assert Standing.objects.get(customer=owner).value_since == DAY + D


def test_a_past_date_never_touches_the_standing(inside: House) -> None:
    owner = owner_of({LONG_AGO: "2000000", DAY - 40 * D: "150000"})
    night(DAY)
    before = Standing.objects.filter(customer=owner).values().get()
    past = dt.date(2026, 9, 30)
    night(past, newest=False)
    assert Standing.objects.filter(customer=owner).values().get() == before
    assert history(owner) == [(3, past, DAY), (2, DAY, None)]
    assert MonthEnd.objects.get(customer=owner, month_end=past).value_tier == 3
    night(dt.date(2026, 8, 31), newest=False)
    night(DAY - D, newest=False)
    assert history(owner) == [(3, dt.date(2026, 8, 31), DAY - D), (2, DAY - D, None)]
    assert Standing.objects.filter(customer=owner).values().get() == before
    # The next newest night sets the since-date right.
    night(DAY + D)
    assert Standing.objects.get(customer=owner).value_since == DAY - D


# -- policies -------------------------------------------------------------------------------------------------------


def publish(
    tiers: Any, valid_from: dt.date, *, kind: str = "", scheme: str = "value", version: int = 2
) -> None:
    TierPolicy.objects.create(
        scheme=Scheme.objects.get(code=scheme), kind=kind, version=version, tiers=tiers, valid_from=valid_from,
        status=VersionStatus.PUBLISHED, founding=True, drafted_at=NOW,
    )  # fmt: skip


def test_the_policy_of_the_date_decides_and_is_remembered(inside: House) -> None:
    ensure_default_policies()
    owner = owner_of({LONG_AGO: "400000"})
    publish(value_tiers(high_deposits=400_000), DAY + D)
    night(DAY)
    night(DAY + D)
    rows = TierHistory.objects.filter(customer=owner, scheme="value").order_by("from_date")
    assert [(r.rank, r.policy.version) for r in rows] == [(2, 1), (3, 2)]
    night(DAY - 3 * D, newest=False)
    first = TierHistory.objects.filter(customer=owner, scheme="value").order_by("from_date").first()
    assert (first.rank, first.policy.version, first.from_date) == (2, 1, DAY - 3 * D)


def test_a_kind_may_have_a_policy_of_its_own(inside: House) -> None:
    ensure_default_policies()
    publish(value_tiers(high_deposits=50_000, mid_deposits=10_000), DAY, kind="household")
    publish(
        [
            {"rank": 3, "code": "high", "condition": {"all": [at_least("deposits_adb", 1), {"fact": "industry", "op": "starts_with", "value": "C"}]}},
            {"rank": 2, "code": "mid", "condition": at_least("deposits_balance", 1)},
            {"rank": 1, "code": "general", "condition": None},
        ],
        DAY, kind="corporate", version=3,
    )  # fmt: skip
    people = {
        kind: owner_of({LONG_AGO: "60000"}, kind=kind) for kind in ("personal", "household", "corporate")
    }
    maker = owner_of({LONG_AGO: "60000"}, kind="corporate")
    Customer.objects.filter(pk=maker.pk).update(industry="C13")
    for day in (DAY, DAY + D):
        night(day)
        tiers = {kind: Standing.objects.get(customer=c).value_tier for kind, c in people.items()}
        assert tiers == {"personal": 1, "household": 3, "corporate": 2}
        assert Standing.objects.get(customer=maker).value_tier == 3


def test_a_bank_may_run_a_scheme_of_its_own(inside: House) -> None:
    ensure_default_policies()
    scheme = Scheme.objects.create(code="savers", name="Savers")
    tiers = [
        {"rank": 2, "code": "saver", "condition": at_least("deposits_balance", 50_000)},
        {"rank": 1, "code": "other", "condition": None},
    ]
    publish(tiers, FIRST_DAY, scheme=scheme.code)
    owner = owner_of({LONG_AGO: "60000", DAY + 2 * D: "10"})
    for n in range(4):
        night(DAY + n * D)
    assert history(owner, "savers") == [(2, DAY, DAY + 2 * D), (1, DAY + 2 * D, None)]
    assert history(owner) == [(1, DAY, None)]


def test_a_sample_brings_its_own_thresholds_once(inside: House) -> None:
    own = {"high_deposits": Decimal(60_000), "high_loans": Decimal(200_000)}
    own |= {"mid_deposits": Decimal(30_000), "mid_loans": Decimal(50_000)}
    assert set_default_value_policy(**own)
    assert not set_default_value_policy(**own)
    owner = owner_of({LONG_AGO: "60000"})
    night(DAY)
    assert Standing.objects.get(customer=owner).value_tier == 3
    assert not set_default_value_policy(**{**own, "high_deposits": Decimal(70_000)})


# -- any order ------------------------------------------------------------------------------------------------------


def oracle(observed: Iterable[tuple[dt.date, int]]) -> list[tuple[int, dt.date, dt.date | None]]:
    """Neighbouring dates of one rank are one row."""
    rows: list[list[Any]] = []
    for day, rank in sorted(observed):
        if not rows or rows[-1][0] != rank:
            if rows:
                rows[-1][2] = day
            rows.append([rank, day, None])
    return [tuple(row) for row in rows]


DATES = [DAY - n * 9 * D for n in range(5)]
AMOUNTS = st.sampled_from(["0", "100000", "99999.99", "1000000", "5000000", "300000"])


@rule("tiers", few=12, many=200)
@given(
    order=st.permutations(DATES).flatmap(lambda p: st.integers(2, 5).map(lambda n: p[:n])),
    books=st.lists(
        st.dictionaries(st.integers(-20, 80).map(lambda n: DAY - n * D), AMOUNTS, min_size=1, max_size=6),
        min_size=2, max_size=4,
    ),
    again=st.integers(0, 4),
)  # fmt: skip
def test_history_does_not_depend_on_the_order_of_dates(
    inside: House, order: list[dt.date], books: list[dict[dt.date, str]], again: int
) -> None:
    make.months(LONG_AGO, DAY + 30 * D)

    def run(dates: list[dt.date]) -> list[tuple[Any, ...]]:
        with transaction.atomic():
            owners = [owner_of({LONG_AGO: "0", **book}) for book in books]
            newest = None
            for day in dates:
                night(day, newest=newest is None or day >= newest)
                newest = max(day, newest or day)
            rows = []
            for i, owner in enumerate(owners):
                mine = TierHistory.objects.filter(customer=owner).order_by("scheme", "from_date")
                rows += [
                    (i, r.scheme, r.rank, r.from_date, r.to_date, r.deposits_adb, r.aum, r.policy.version)
                    for r in mine
                ]
                assert history(owner) == oracle((day, expected(books[i], day)) for day in set(dates))
                standing = Standing.objects.get(customer=owner)
                assert standing.value_tier == expected(books[i], newest)
            assert TierDay.objects.count() == len(set(dates))
            transaction.set_rollback(True)
        return rows

    shuffled = run([*order, order[again % len(order)]])
    assert shuffled == run(sorted(order))


def expected(book: Mapping[dt.date, str], day: dt.date) -> int:
    """The tier by counting end-of-day balances one by one."""
    total = Decimal(0)
    for n in range(30):
        known = [d for d in book if d <= day - n * D]
        total += Decimal(book[max(known)]) if known else 0
    adb = (total / 30).quantize(Decimal("0.01"), ROUND_HALF_UP)  # as the figure that policies compare
    return 3 if adb >= 1_000_000 else 2 if adb >= 100_000 else 1


def test_a_change_of_tier_writes_no_index(inside: House) -> None:
    """Rows of Standing are rewritten in place only while no index names their tier, be it in its condition."""
    with connection.cursor() as cursor:
        cursor.execute("select indexdef from pg_indexes where tablename = 'customers_standing'")
        assert not [sql for (sql,) in cursor.fetchall() if "value_tier" in sql or "wealth_level" in sql]
