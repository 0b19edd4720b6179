"""The night's steps against hand-written SQL into narrow tables, and the whole run against the sum of those limits."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator
from typing import Any

from django.db.models import Max
from django.utils import timezone

from crm_site.accounts.models import Bank
from crm_site.composition.demo import BACKFILL, train_churn
from crm_site.jobs.models import Run
from crm_site.jobs.services import NIGHTLY
from crm_site.lib import tenancy
from crm_site.lib.dates import add_months, month_end, month_start
from tests.bench import limits, limits_credit
from tests.bench.rows import Row, work_row
from tests.rig import Rig, Spent, Work

NAMES = ("tiers_full", "tiers_delta", "churn_score", "nightly_full", "nightly_delta")
SHARE = 50  # one in so many changes: 2%


def night(rig: Rig, code: str, day: dt.date, *more: str) -> tuple[dict[str, Any], Work]:
    """A night in the foreground with one worker: what it says of itself, and its work."""
    with Work() as work:
        told = rig.json("nightly", "--bank", code, "--date", day.isoformat(), *more)
    return told, work


def spent(rig: Rig, told: dict[str, Any], work: Work) -> Spent:
    """A night's seconds by its own clock, and its processors' without what it takes to start the command."""
    with Work() as start:
        rig.manage("nightly", "--help")
    return Spent(float(told["seconds"]), work.spent.cpu - start.spent.cpu)


# The tier step for the one statement that a person would write by hand into narrow tables of their own. Ranks are
# thresholds of deposits and of AUM as in the bank's default policies.
VALUE_RANK = "CASE WHEN s.deposits_adb >= 50000000 THEN 3 WHEN s.deposits_adb >= 5000000 THEN 2 ELSE 1 END"
WEALTH_RANK = (
    "CASE WHEN s.aum >= 1000000000 THEN 7 WHEN s.aum >= 600000000 THEN 6 WHEN s.aum >= 300000000 THEN 5"
    " WHEN s.aum >= 100000000 THEN 4 WHEN s.aum >= 30000000 THEN 3 WHEN s.aum >= 5000000 THEN 2 ELSE 1 END"
)
NARROW = f"""
DROP TABLE IF EXISTS bench_tier, bench_tier_history;
CREATE TABLE bench_tier (bank_id bigint, customer_id bigint, value_tier smallint, value_since date,
    wealth_level smallint, wealth_since date, PRIMARY KEY (bank_id, customer_id)) WITH (fillfactor = 70);
CREATE TABLE bench_tier_history (bank_id bigint, id bigint GENERATED ALWAYS AS IDENTITY, customer_id bigint, scheme text,
    rank smallint, from_date date, to_date date, deposits_adb bigint, deposits_balance bigint, loans bigint, aum bigint,
    policy_id bigint, run_id bigint, PRIMARY KEY (bank_id, id));
CREATE INDEX ON bench_tier_history (bank_id, customer_id, scheme) WHERE to_date IS NULL;
INSERT INTO bench_tier SELECT s.bank_id, s.customer_id, {VALUE_RANK}, '2026-01-01', {WEALTH_RANK}, '2026-01-01'
    FROM customers_standing s JOIN customers_customer c ON c.bank_id = s.bank_id AND c.id = s.customer_id
    WHERE s.bank_id = {{bank}} AND NOT c.is_prospect;
INSERT INTO bench_tier_history (bank_id, customer_id, scheme, rank, from_date)
    SELECT bank_id, customer_id, 'value', value_tier, value_since FROM bench_tier
    UNION ALL SELECT bank_id, customer_id, 'wealth', wealth_level, wealth_since FROM bench_tier;
ANALYZE bench_tier, bench_tier_history;
"""
DISTURB_NARROW = """
UPDATE bench_tier SET value_tier = value_tier % 3 + 1, wealth_level = wealth_level % 7 + 1
WHERE bank_id = {bank} AND customer_id % {every} = 0;
"""
DISTURB = """
UPDATE customers_standing SET value_tier = value_tier % 3 + 1, wealth_level = wealth_level % 7 + 1
WHERE bank_id = {bank} AND customer_id % {every} = 0 AND value_tier > 0;
UPDATE segmentation_tierhistory SET rank = CASE scheme WHEN 'value' THEN rank % 3 ELSE rank % 7 END + 1
WHERE bank_id = {bank} AND customer_id % {every} = 0 AND to_date IS NULL;
"""
ONE_STATEMENT = f"""
WITH ranked AS (
    SELECT s.customer_id, s.deposits_adb, s.deposits_balance, s.loans, s.aum, t.value_tier, t.wealth_level,
        {VALUE_RANK} AS v, {WEALTH_RANK} AS w
    FROM customers_standing s JOIN bench_tier t ON t.bank_id = s.bank_id AND t.customer_id = s.customer_id
    WHERE s.bank_id = {{bank}}
), changed AS MATERIALIZED (SELECT * FROM ranked WHERE v <> value_tier OR w <> wealth_level
), moved AS (
    UPDATE bench_tier t SET value_tier = n.v, wealth_level = n.w,
        value_since = CASE WHEN n.v <> n.value_tier THEN DATE '{{day}}' ELSE t.value_since END,
        wealth_since = CASE WHEN n.w <> n.wealth_level THEN DATE '{{day}}' ELSE t.wealth_since END
    FROM changed n WHERE t.bank_id = {{bank}} AND t.customer_id = n.customer_id
), moves AS MATERIALIZED (
    SELECT customer_id, 'value' AS scheme, v AS rank, deposits_adb, deposits_balance, loans, aum FROM changed
    WHERE v <> value_tier UNION ALL
    SELECT customer_id, 'wealth', w, deposits_adb, deposits_balance, loans, aum FROM changed WHERE w <> wealth_level
), closed AS (
    UPDATE bench_tier_history h SET to_date = DATE '{{day}}' FROM moves m
    WHERE h.bank_id = {{bank}} AND h.customer_id = m.customer_id AND h.scheme = m.scheme AND h.to_date IS NULL
)
INSERT INTO bench_tier_history (bank_id, customer_id, scheme, rank, from_date, deposits_adb, deposits_balance, loans, aum,
    policy_id, run_id)
SELECT {{bank}}, customer_id, scheme, rank, DATE '{{day}}', deposits_adb, deposits_balance, loans, aum, 1, 1 FROM moves
"""


TABLES = "customers_standing, segmentation_tierhistory, bench_tier, bench_tier_history"


def run(rig: Rig, code: str, customers: int, wanted: set[str], day: dt.date) -> Iterator[Row]:
    """`day`: the month-end that the made bank's history ends with. A month after the night before it everybody's
    figures have moved, and every tier is disturbed: all changed. The day after, 2% of the balances and tiers have."""
    history(rig, code, day)
    bank = Bank.objects.get(code=code).pk
    with rig.admin() as admin:
        if "nightly_full" in wanted:
            if _newest(bank) >= day:
                # A kept bank, which has had this night: the next month-end, everybody moved.
                day = month_end(_newest(bank) + dt.timedelta(days=1))
                _move_balances(admin, bank, day, every=1)
            yield _whole(rig, admin, "nightly_full", code, bank, customers, day, every=1)
        elif _newest(bank) < day:
            night(rig, code, day)
        # Before the tiers' rows, which would leave it everybody's tasks to turn round.
        if "nightly_delta" in wanted:
            then = max(day, _newest(bank)) + dt.timedelta(days=1)
            _move_balances(admin, bank, then, every=SHARE)
            yield _whole(rig, admin, "nightly_delta", code, bank, customers, then, every=SHARE)
        # Steps alone, each on a new day: one before the newest would go the longer way of nights that are made up for.
        day = max(day, _newest(bank)) + dt.timedelta(days=1)
        for name, every, offset in (("tiers_full", 1, 0), ("tiers_delta", SHARE, 1)):
            if name in wanted:
                yield _tiers(rig, admin, name, code, bank, customers, day + dt.timedelta(days=offset), every)
        if "churn_score" in wanted:
            yield _churn(rig, admin, code, bank, customers, day + dt.timedelta(days=1))


def _newest(bank: int) -> dt.date:
    """The newest date that a night, or a step of one, has been asked for."""
    with tenancy.bank(bank):
        found = Run.objects.filter(pipeline=NIGHTLY).aggregate(newest=Max("business_date"))["newest"]
    return found or dt.date.min


def history(rig: Rig, code: str, day: dt.date) -> None:
    """Month-ends of a year before the day, and a champion that was trained on them: what a night of any bank finds.

    Nothing here is measured: all processors work, and statistics of the past, which no measured page shows, are left out.
    """
    if Bank.objects.get(code=code).business_date is not None:
        return
    last = month_start(day) - dt.timedelta(days=1)
    first, before = (month_start(add_months(last, -n)) for n in (11, 0))
    span = ("--from", first.isoformat(), "--to", (before - dt.timedelta(days=1)).isoformat(), "--month-ends")
    workers = ("--workers", str(os.cpu_count() or 1))
    steps = ",".join(step for step in BACKFILL if step != "statistics")
    rig.json("nightly", "--bank", code, *span, "--steps", steps, *workers)
    night(rig, code, last, *workers)
    train_churn(Bank.objects.get(code=code), now=timezone.now())


def _disturb(admin: Any, bank: int, every: int) -> None:
    """The narrow tier tables as ours, then in both every n-th customer in another tier than it should be."""
    admin.execute(NARROW.format(bank=bank))
    for sql in (DISTURB_NARROW, DISTURB):
        admin.execute(sql.format(bank=bank, every=every))
    admin.execute(f"VACUUM ANALYZE {TABLES}")


def _tiers(
    rig: Rig, admin: Any, name: str, code: str, bank: int, customers: int, day: dt.date, every: int
) -> Row:
    _disturb(admin, bank, every)
    limit = limits.timed(admin, ONE_STATEMENT.format(bank=bank, day=day))
    told, work = night(rig, code, day, "--steps", "tiers")
    note = f"{told['steps'][0]['rows_changed']:,} tiers changed"
    return work_row(name, customers, spent(rig, told, work), limit, aim=1.3, peak_mib=work.mib, note=note)


def _churn(rig: Rig, admin: Any, code: str, bank: int, customers: int, day: dt.date) -> Row:
    limits.begin(admin, bank)
    parts = limits.churn(admin, bank, day)
    told, work = night(rig, code, day, "--steps", "churn")
    kept = ", ".join(f"{part} {taken.seconds:.2f}" for part, taken in parts.items())
    note = f"{told['steps'][0]['rows_changed']:,} scores; limit: {kept}"
    limit = sum(parts.values(), Spent())
    return work_row(
        "churn_score", customers, spent(rig, told, work), limit, aim=1.5, peak_mib=work.mib, note=note
    )


def _whole(
    rig: Rig, admin: Any, name: str, code: str, bank: int, customers: int, day: dt.date, every: int
) -> Row:
    """A whole night, then each step's limit on the same day from the same beginning."""
    _disturb(admin, bank, every)
    limits.begin(admin, bank)
    limits_credit.begin(admin, bank)
    admin.execute("VACUUM ANALYZE")
    told, work = night(rig, code, day)
    parts = {"tiers": limits.timed(admin, ONE_STATEMENT.format(bank=bank, day=day))}
    parts |= limits.of_night(admin, bank, day) | limits_credit.of_night(admin, bank, day)
    steps = ", ".join(
        f"{s['step']} {s['seconds']:.2f} / {parts.get(s['step'], Spent()).seconds:.2f}" for s in told["steps"]
    )
    limit = sum(parts.values(), Spent())
    note = f"ours / limit: {steps}"
    return work_row(name, customers, spent(rig, told, work), limit, aim=2.0, peak_mib=work.mib, note=note)


def _move_balances(admin: Any, bank: int, day: dt.date, every: int) -> None:
    """One account in `every` has another balance on the day, with its balance-days carried on."""
    admin.execute("SELECT banyan_ensure_month('customers_balancechange', %s)", [day])
    admin.execute(
        """INSERT INTO customers_balancechange (bank_id, account_id, date, balance, positive_days, negative_days)
           SELECT b.bank_id, b.account_id, %(day)s, b.balance + 100000,
               b.positive_days + (%(day)s - b.date) * greatest(b.balance, 0),
               b.negative_days + (%(day)s - b.date) * greatest(-b.balance, 0)
           FROM customers_account a JOIN LATERAL (
               SELECT * FROM customers_balancechange b WHERE b.bank_id = a.bank_id AND b.account_id = a.id
               ORDER BY b.date DESC LIMIT 1) b ON true
           WHERE a.bank_id = %(bank)s AND a.id %% %(every)s = 0 AND a.closed_date IS NULL AND b.date < %(day)s""",
        {"bank": bank, "day": day, "every": every},
    )
