"""Steps of the night: feeds, balances (with month-ends), arrears, summaries. Each is safe to repeat.

feeds      reads batches                      writes BusinessDay
balances   reads balances, loans, holdings    writes Standing (newest date), MonthEnd (month-ends)
arrears    reads LoanBalance                  writes Loan as of the date (newest date)
summaries  reads Standing or MonthEnd         writes PortfolioMonth
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any

from django.db import connection
from django.utils.translation import gettext_lazy as _

from crm_site.lib.dates import add_months, is_month_end, month_start
from crm_site.lib.registry import Counts, RunContext, Step, add_step
from customers.facts import CHURN_ALARM_BP
from customers.figures import check_rates, figures_sql
from customers.models import BusinessDay, MonthEnd, PortfolioMonth
from customers.models.standing import TREND_MONTHS

CHUNK = 100_000
KEEP_MONTHS = 25


def customer_ranges(bank_id: int, size: int = CHUNK) -> Iterator[dict[str, int]]:
    """Ranges {"lo", "hi"} of customer ids with about `size` customers and prospects of the bank, `rows`, in each."""
    hi, count = 0, size
    while count == size:  # along the index a range at a time: nearly every step of the night begins with this
        lo, hi, count = _row(
            "SELECT min(id), max(id), count(*) FROM (SELECT id FROM customers_customer WHERE bank_id = %s AND id > %s"
            " ORDER BY id LIMIT %s) part",
            [bank_id, hi, size],
        )
        if count:
            yield {"lo": lo, "hi": hi, "rows": count}


def _row(sql: str, params: Any = None) -> tuple[Any, ...]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchone() or ()


# -- feeds --------------------------------------------------------------------------------------------------------


def feeds(context: RunContext, chunk: Mapping[str, Any]) -> Counts:
    """Which feeds are late: those that came for the business day before, or were late then, and not since.

    A late feed does not stop the night: figures carry their last balance forward, and pages say so.
    """
    day = _business_day(context)
    before = (
        BusinessDay.objects.filter(business_date__lt=context.business_date).order_by("-business_date").first()
    )
    newest = _newest_deliveries(context)
    late = []
    if before is not None:
        known = {feed["feed"] for feed in before.late_feeds}
        known |= {feed for feed, last in newest.items() if last >= before.business_date}
        late = [
            {"feed": feed, "last": newest[feed].isoformat() if feed in newest else None}
            for feed in sorted(known)
            if feed not in newest or newest[feed] < context.business_date
        ]
    changed = day.late_feeds != late
    if changed:
        day.late_feeds, day.run_id = late, context.run_id
        day.save(update_fields=["late_feeds", "run_id"])
    return Counts(rows_in=len(newest), rows_changed=int(changed))


def _newest_deliveries(context: RunContext) -> dict[str, dt.date]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT feed, max(coalesce(business_date, received_at::date)) FROM customers_batch"
            " WHERE bank_id = %s AND status = 'done' AND NOT is_dry_run GROUP BY feed",
            [context.bank_id],
        )
        return dict(cursor.fetchall())


def _business_day(context: RunContext) -> BusinessDay:
    day, _made = BusinessDay.objects.get_or_create(
        business_date=context.business_date, defaults={"run_id": context.run_id}
    )
    return day


# -- balances and month-ends --------------------------------------------------------------------------------------


def plan_balances(context: RunContext) -> Iterator[Mapping[str, Any]]:
    """Check the exchange rates, make the month-end's partition, and cut the book into ranges."""
    check_rates(context.bank_id, context.business_date)
    first = not BusinessDay.objects.exclude(business_date=context.business_date).exists()
    pending = BusinessDay.objects.filter(rebuild_pending=True).exists()
    _business_day(context)
    if is_month_end(context.business_date):
        _row("SELECT banyan_ensure_month('customers_monthend', %s)", [context.business_date])
    for part in customer_ranges(context.bank_id):
        yield {**part, "rebuild": first or pending}


_ACTIVITY = """
activity AS MATERIALIZED (
    SELECT a.owner_id, count(*)::int AS transactions,
        round(sum(greatest(t.amount, 0) * coalesce(r.rate, 'NaN')))::bigint AS inflow,
        round(sum(greatest(-t.amount, 0) * coalesce(r.rate, 'NaN')))::bigint AS outflow
    FROM customers_account a
    JOIN customers_transaction t ON t.bank_id = {bank} AND t.account_id = a.id
        AND t.booked_date BETWEEN {month_start} AND {day}
    LEFT JOIN (
        SELECT currency, 1::numeric AS rate FROM accounts_bank WHERE id = {bank}
        UNION ALL
        (SELECT DISTINCT ON (x.currency) x.currency, x.rate FROM customers_fxrate x
         WHERE x.bank_id = {bank} AND x.rate_date <= {day}
           AND x.currency <> (SELECT currency FROM accounts_bank WHERE id = {bank})
         ORDER BY x.currency, x.rate_date DESC)
    ) r ON r.currency = a.currency
    WHERE a.bank_id = {bank} AND a.owner_id BETWEEN {lo} AND {hi}
    GROUP BY a.owner_id
)"""

# What the record has of the day is corrected where it differs, what it has not is added. Plain rows: ON CONFLICT, which
# looks each one up and marks it first, costs half as much again.
_MONTH_END = """
month_figures AS MATERIALIZED (
    SELECT f.customer_id, f.home_branch_id, f.deposits_adb, f.deposits_balance, f.loans, f.aum, f.open_accounts,
        coalesce(t.transactions, 0) AS transactions, coalesce(t.inflow, 0) AS inflow, coalesce(t.outflow, 0) AS outflow,
        f.overdue_amount, f.days_past_due
    FROM figures f LEFT JOIN activity t ON t.owner_id = f.customer_id
), corrected AS (
    UPDATE customers_monthend m SET {sets}, run_id = {run}
    FROM month_figures f
    WHERE m.bank_id = {bank} AND m.month_end = {day} AND m.customer_id BETWEEN {lo} AND {hi}
      AND m.customer_id = f.customer_id AND ({recorded}) IS DISTINCT FROM ({counted})
    RETURNING 1
), added AS (
    INSERT INTO customers_monthend (bank_id, month_end, customer_id, home_branch_id, {columns}, value_tier,
        wealth_level, run_id)
    SELECT {bank}, {day}, f.customer_id, f.home_branch_id, {counted}, {tiers}, {run}
    FROM month_figures f
    LEFT JOIN customers_standing s ON s.bank_id = {bank} AND s.customer_id BETWEEN {lo} AND {hi}
        AND s.customer_id = f.customer_id
    WHERE NOT EXISTS (SELECT 1 FROM customers_monthend m WHERE m.bank_id = {bank} AND m.month_end = {day}
        AND m.customer_id BETWEEN {lo} AND {hi} AND m.customer_id = f.customer_id)
    RETURNING 1
), month_end AS (SELECT * FROM corrected UNION ALL SELECT * FROM added)"""
_RECORDED = (
    "deposits_adb", "deposits_balance", "loans", "aum", "open_accounts", "transactions", "inflow", "outflow",
    "overdue_amount", "days_past_due",
)  # fmt: skip

# The trend's month-ends before the date: what the row has, without this very month-end when it is run again; or
# the record itself, when months before were filled in or corrected.
_TREND_ROLLED = """
trend AS MATERIALIZED (
    SELECT s.customer_id, CASE WHEN m.customer_id IS NULL THEN s.deposits_13
        ELSE s.deposits_13[:cardinality(s.deposits_13) - 1] END AS months
    FROM customers_standing s
    LEFT JOIN customers_monthend m ON m.bank_id = {bank} AND m.month_end = {day}
        AND m.customer_id BETWEEN {lo} AND {hi} AND m.customer_id = s.customer_id
    WHERE s.bank_id = {bank} AND s.customer_id BETWEEN {lo} AND {hi}
)"""
_TREND_REBUILT = """
trend AS MATERIALIZED (
    SELECT m.customer_id, array_agg(m.deposits_adb ORDER BY m.month_end) AS months FROM customers_monthend m
    WHERE m.bank_id = {bank} AND m.month_end > {trend_start} AND m.month_end < {day}
        AND m.customer_id BETWEEN {lo} AND {hi}
    GROUP BY m.customer_id
)"""

_STANDING = """
standing AS (
    UPDATE customers_standing s SET as_of = {day}, run_id = {run}, deposits_adb = n.deposits_adb,
        deposits_balance = n.deposits_balance, loans = n.loans, aum = n.aum, overdue_amount = n.overdue_amount,
        days_past_due = n.days_past_due, adb_previous = {previous}, deposits_13 = {months}
    FROM figures n {trend}
    WHERE s.bank_id = {bank} AND s.customer_id BETWEEN {lo} AND {hi} AND s.customer_id = n.customer_id
      AND (s.as_of IS NULL
        OR (s.deposits_adb, s.deposits_balance, s.loans, s.aum, s.overdue_amount, s.days_past_due, s.adb_previous,
            s.deposits_13)
        IS DISTINCT FROM (n.deposits_adb, n.deposits_balance, n.loans, n.aum, n.overdue_amount, n.days_past_due,
            {previous}, {months}))
    RETURNING 1
)"""


def balances(context: RunContext, chunk: Mapping[str, Any]) -> Counts:
    """One statement: the figures of the range, into Standing (newest date) and MonthEnd (month-ends)."""
    day = context.business_date
    at_month_end = is_month_end(day)
    parts = [f"figures AS MATERIALIZED ({figures_sql(context.bank_id, day, chunk['lo'], chunk['hi'])})"]
    written = []
    if at_month_end:
        parts += [_ACTIVITY, _MONTH_END]
        written.append("month_end")
    turns = at_month_end or chunk["rebuild"]  # between month-ends the trend stays as the row has it
    if context.is_newest:
        if turns:
            parts.append(_TREND_REBUILT if chunk["rebuild"] else _TREND_ROLLED)
        parts.append(_STANDING)
        written.append("standing")
    counts = "".join(f", (SELECT count(*) FROM {name})" for name in written)
    sql = "WITH " + ",".join(parts) + f" SELECT (SELECT count(*) FROM figures){counts}"
    kept = "coalesce(t.months, '{}')" if turns else "s.deposits_13"
    rolled = f"({kept} || n.deposits_adb)"
    longest = f"{rolled}[greatest(cardinality({rolled}) - {TREND_MONTHS - 1}, 1):]"
    names = {
        "bank": context.bank_id,
        "run": context.run_id,
        "day": f"DATE '{day.isoformat()}'",
        "month_start": f"DATE '{month_start(day).isoformat()}'",
        "trend_start": f"DATE '{add_months(day, -TREND_MONTHS).isoformat()}'",
        "lo": chunk["lo"],
        "hi": chunk["hi"],
        "columns": ", ".join(_RECORDED),
        "sets": ", ".join(f"{name} = f.{name}" for name in _RECORDED),
        "recorded": ", ".join(f"m.{name}" for name in _RECORDED),
        "counted": ", ".join(f"f.{name}" for name in _RECORDED),
        "tiers": "coalesce(s.value_tier, 0), coalesce(s.wealth_level, 0)" if context.is_newest else "0, 0",
        "months": longest if at_month_end else kept,
        "previous": f"coalesce(({kept})[cardinality({kept})], 0)",
        "trend": "LEFT JOIN trend t ON t.customer_id = n.customer_id" if turns else "",
    }
    rows_in, *changed = _row(_fill(sql, names))
    if at_month_end and not context.is_newest and changed[0]:
        BusinessDay.objects.filter(business_date=day).update(rebuild_pending=True)
    return Counts(rows_in, sum(changed))


def _fill(sql: str, names: Mapping[str, Any]) -> str:
    """Put numbers, dates and fragments of our own in place of {name}; '{}' of SQL arrays stays."""
    for name, value in names.items():
        sql = sql.replace("{" + name + "}", str(value))
    return sql


def finish_balances(context: RunContext) -> Counts:
    """The trend is built; month-ends beyond the keeping are dropped."""
    if not context.is_newest:
        return Counts()
    BusinessDay.objects.filter(rebuild_pending=True).update(rebuild_pending=False)
    oldest = add_months(month_start(context.business_date), -KEEP_MONTHS)
    dropped, _by = MonthEnd.objects.filter(month_end__lt=oldest).delete()
    return Counts(rows_changed=dropped)


# -- arrears ------------------------------------------------------------------------------------------------------


def plan_ranges(context: RunContext) -> Iterator[Mapping[str, Any]]:
    """The whole book in ranges of customers."""
    yield from customer_ranges(context.bank_id)


_ARREARS = """
WITH now AS (
    SELECT l.id, b.outstanding, b.overdue_amount,
        CASE WHEN b.overdue_amount > 0 THEN greatest(%(day)s - b.overdue_since, 0) ELSE 0 END AS days_past_due
    FROM customers_loan l
    JOIN LATERAL (
        SELECT b.outstanding, b.overdue_amount, b.overdue_since FROM customers_loanbalance b
        WHERE b.bank_id = %(bank)s AND b.loan_id = l.id AND b.date <= %(day)s
        ORDER BY b.date DESC LIMIT 1) b ON true
    WHERE l.bank_id = %(bank)s AND l.customer_id BETWEEN %(lo)s AND %(hi)s
), changed AS (
    UPDATE customers_loan l SET outstanding = n.outstanding, overdue_amount = n.overdue_amount,
        days_past_due = coalesce(n.days_past_due, 0), as_of = %(day)s
    FROM now n WHERE l.bank_id = %(bank)s AND l.id = n.id
      AND (l.as_of IS NULL OR (l.outstanding, l.overdue_amount, l.days_past_due)
           IS DISTINCT FROM (n.outstanding, n.overdue_amount, coalesce(n.days_past_due, 0)))
    RETURNING 1
)
SELECT (SELECT count(*) FROM now), (SELECT count(*) FROM changed)
"""


def arrears(context: RunContext, chunk: Mapping[str, Any]) -> Counts:
    """Bring each loan's outstanding amount, overdue amount and days past due to the newest business date."""
    if not context.is_newest:
        return Counts()
    values = {"bank": context.bank_id, "day": context.business_date, "lo": chunk["lo"], "hi": chunk["hi"]}
    return Counts(*_row(_ARREARS, values))


# -- summaries ----------------------------------------------------------------------------------------------------

_MEASURES = """
    count(*)::int AS customers, count(*) FILTER (WHERE f.deposits_adb > 0)::int AS depositors,
    count(*) FILTER (WHERE f.loans > 0)::int AS borrowers, sum(f.deposits_adb)::bigint AS deposits_adb,
    sum(f.deposits_balance)::bigint AS deposits_balance, sum(f.loans)::bigint AS loans, sum(f.aum)::bigint AS aum,
    sum(f.overdue_amount)::bigint AS overdue_amount"""
_FROM_STANDING = f"""
    SELECT f.home_branch_id, f.kind, f.value_tier, f.wealth_level, {_MEASURES},
        count(*) FILTER (WHERE f.churn_bp >= {CHURN_ALARM_BP})::int AS churn_high,
        coalesce(sum(f.deposits_adb) FILTER (WHERE f.churn_bp >= {CHURN_ALARM_BP}), 0)::bigint AS churn_high_deposits,
        count(*) FILTER (WHERE f.responsible_id IS NULL)::int AS without_manager
    FROM customers_standing f JOIN customers_customer c ON c.bank_id = %(bank)s AND c.id = f.customer_id
    WHERE f.bank_id = %(bank)s AND NOT c.is_prospect GROUP BY 1, 2, 3, 4"""
_FROM_MONTH_END = f"""
    SELECT f.home_branch_id, c.kind, f.value_tier, f.wealth_level, {_MEASURES},
        NULL::int AS churn_high, NULL::bigint AS churn_high_deposits, NULL::int AS without_manager
    FROM customers_monthend f JOIN customers_customer c ON c.bank_id = %(bank)s AND c.id = f.customer_id
    WHERE f.bank_id = %(bank)s AND f.month_end = %(day)s GROUP BY 1, 2, 3, 4"""
_COUNTED = (
    "customers", "depositors", "borrowers", "deposits_adb", "deposits_balance", "loans", "aum", "overdue_amount",
)  # fmt: skip
_NEWEST_ONLY = ("churn_high", "churn_high_deposits", "without_manager")


def _summarise_sql(source: str, columns: tuple[str, ...]) -> str:
    """Replace the day's cells by what `source` counts; a cell that is as it was is left alone."""
    names = ", ".join((*_COUNTED, *_NEWEST_ONLY))
    sets = ", ".join(f"{name} = excluded.{name}" for name in columns)
    old, new = (
        ", ".join(f"{t}.{name}" for name in columns) for t in ("customers_portfoliomonth", "excluded")
    )
    return f"""
WITH cells AS MATERIALIZED ({source}),
gone AS (
    DELETE FROM customers_portfoliomonth p WHERE p.bank_id = %(bank)s AND p.as_of = %(day)s AND NOT EXISTS (
        SELECT 1 FROM cells n WHERE n.home_branch_id IS NOT DISTINCT FROM p.home_branch_id AND n.kind = p.kind
            AND n.value_tier = p.value_tier AND n.wealth_level = p.wealth_level) RETURNING 1
), written AS (
    INSERT INTO customers_portfoliomonth (bank_id, as_of, is_month_end, run_id, home_branch_id, kind, value_tier,
        wealth_level, {names})
    SELECT %(bank)s, %(day)s, %(month_end)s, %(run)s, home_branch_id, kind, value_tier, wealth_level, {names} FROM cells
    ON CONFLICT (bank_id, as_of, home_branch_id, kind, value_tier, wealth_level)
    DO UPDATE SET {sets}, run_id = excluded.run_id WHERE ({old}) IS DISTINCT FROM ({new}) RETURNING 1
)
SELECT (SELECT coalesce(sum(customers), 0) FROM cells), (SELECT count(*) FROM gone) + (SELECT count(*) FROM written)"""


def summaries(context: RunContext, chunk: Mapping[str, Any]) -> Counts:
    """Count the book by branch x kind x tier x level for the date: from Standing for the newest, else from the
    month-end record. A past date that is no month-end has no summary. Daily summaries before the newest go."""
    at_month_end = is_month_end(context.business_date)
    values = {
        "bank": context.bank_id,
        "day": context.business_date,
        "run": context.run_id,
        "month_end": at_month_end,
    }
    if not context.is_newest:
        if not at_month_end:
            return Counts()
        return Counts(*map(int, _row(_summarise_sql(_FROM_MONTH_END, _COUNTED), values)))
    if at_month_end:
        _row(_SETTLE, values)
    rows_in, changed = _row(_summarise_sql(_FROM_STANDING, (*_COUNTED, *_NEWEST_ONLY)), values)
    dropped, _by = PortfolioMonth.objects.filter(as_of__lt=context.business_date, is_month_end=False).delete()
    return Counts(int(rows_in), int(changed) + dropped)


# Placement comes after the balances: the month-end's record takes the branch that the night has settled on.
_SETTLE = """
WITH settled AS (
    UPDATE customers_monthend m SET home_branch_id = s.home_branch_id, value_tier = s.value_tier,
        wealth_level = s.wealth_level
    FROM customers_standing s
    WHERE m.bank_id = %(bank)s AND m.month_end = %(day)s AND s.bank_id = %(bank)s AND s.customer_id = m.customer_id
      AND (m.home_branch_id, m.value_tier, m.wealth_level)
          IS DISTINCT FROM (s.home_branch_id, s.value_tier, s.wealth_level)
    RETURNING 1
) SELECT count(*) FROM settled"""


def register() -> None:
    """Hang the steps on the night (crm_site/pipeline.py has the whole order)."""
    add_step(Step("feeds", _("Feeds"), feeds))
    add_step(
        Step(
            "balances", _("Balances and month-ends"), balances, after=("feeds",),
            plan=plan_balances, finish=finish_balances,
        )
    )  # fmt: skip
    add_step(Step("arrears", _("Arrears"), arrears, after=("balances",), plan=plan_ranges))
    add_step(Step("summaries", _("Dashboard summaries"), summaries, after=("worklists",)))
