"""The last step of the night: migration, product use and concentration of the whole book, counted once (B3)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from django.db.models import Model
from django.utils.translation import gettext_lazy as _

from crm_site.lib.dates import add_months, is_month_end, month_end, month_start
from crm_site.lib.postgres.replaced import replace_day
from crm_site.lib.registry import Counts, RunContext, Step, add_step
from customers.models import CustomerKind, MonthEnd
from segmentation.models import Concentration, MigrationMonth, ProductUseMonth

STEPS = 20  # points of a curve: every 5 per cent of the customers that have any
MEASURES = ("deposits_adb", "loans", "aum")
KINDS = {
    kind: -n for n, kind in enumerate(CustomerKind.values, 1)
}  # customer kind -> its scope in the statement below

_NEWEST = """
SELECT s.customer_id, s.kind, s.home_branch_id, s.deposits_adb, s.loans, s.aum, s.value_tier, s.wealth_level
FROM customers_standing s JOIN customers_customer c ON c.bank_id = %(bank)s AND c.id = s.customer_id
WHERE s.bank_id = %(bank)s AND NOT c.is_prospect"""
_RECORDED = """
SELECT m.customer_id, c.kind, m.home_branch_id, m.deposits_adb, m.loans, m.aum, m.value_tier, m.wealth_level
FROM customers_monthend m JOIN customers_customer c ON c.bank_id = %(bank)s AND c.id = m.customer_id
WHERE m.bank_id = %(bank)s AND m.month_end = %(day)s"""

_MIGRATION = """
SELECT %(before)s::date AS before, b.home_branch_id, b.kind, v.scheme, v.from_rank, v.to_rank,
    count(*)::int AS customers, sum(b.deposits_adb)::bigint AS deposits_adb
FROM ({book}) b
LEFT JOIN customers_monthend a ON a.bank_id = %(bank)s AND a.month_end = %(before)s AND a.customer_id = b.customer_id
CROSS JOIN LATERAL (VALUES ('value', coalesce(a.value_tier, 0), b.value_tier),
                           ('wealth', coalesce(a.wealth_level, 0), b.wealth_level)) v (scheme, from_rank, to_rank)
GROUP BY 2, 3, 4, 5, 6"""

_USE = """
SELECT b.home_branch_id, b.kind, b.value_tier,
    ((b.deposits_adb > 0)::int + 2 * (b.loans > 0)::int + 4 * (f.customer_id IS NOT NULL)::int)::smallint AS use,
    count(*)::int AS customers, sum(b.deposits_adb)::bigint AS deposits_adb, sum(b.loans)::bigint AS loans
FROM ({book}) b
LEFT JOIN (SELECT DISTINCT customer_id FROM customers_fee WHERE bank_id = %(bank)s AND date <= %(day)s
           AND date > (%(day)s - interval '12 months')::date) f ON f.customer_id = b.customer_id
GROUP BY 1, 2, 3, 4"""

# Exact: each customer has its place in the order, and the running sum is read at the places that end 5, 10, ... %:
# place n ends the k-th step where 20 (n - 1) / owners < k <= 20 n / owners. Scope 0 is the whole bank, a negative
# one its customers of a kind; each unit counts with what lies below it. The top 20 per cent include ties. One pass over one sort, whatever units there are.
_CONCENTRATION = """
WITH book AS MATERIALIZED ({book}
), placed AS MATERIALIZED (
    SELECT t.id AS unit_id, b.customer_id, b.deposits_adb FROM book b
    JOIN accounts_orgunit u ON u.bank_id = %(bank)s AND u.id = b.home_branch_id
    JOIN accounts_orgunit t ON t.bank_id = %(bank)s AND u.lft BETWEEN t.lft AND t.rgt AND t.parent_id IS NOT NULL
), held AS (
    SELECT 0::bigint AS scope, m.measure, m.amount, b.customer_id
    FROM book b CROSS JOIN LATERAL (VALUES {measures}) m (measure, amount) WHERE m.amount > 0
    UNION ALL SELECT unit_id, 0, deposits_adb, customer_id FROM placed WHERE deposits_adb > 0
    UNION ALL SELECT k.scope, 0, b.deposits_adb, b.customer_id
    FROM book b JOIN (VALUES {kinds}) k (scope, kind) ON k.kind = b.kind WHERE b.deposits_adb > 0
), amounts AS MATERIALIZED (
    SELECT scope, measure, amount, row_number() OVER w AS place, sum(amount) OVER (w ROWS UNBOUNDED PRECEDING) AS running,
        count(*) OVER p AS owners, sum(amount) OVER p AS total
    FROM held
    WINDOW p AS (PARTITION BY measure, scope), w AS (PARTITION BY measure, scope ORDER BY amount DESC, customer_id)
), points AS (
    SELECT a.scope, a.measure, jsonb_agg(jsonb_build_array(k * 100 / {steps}, round(a.running / a.total, 6)) ORDER BY k)
            AS points,
        max(a.owners) AS owners, max(a.total) AS total, max(a.amount) FILTER (WHERE k = {steps} / 5) AS top20_from
    FROM amounts a CROSS JOIN LATERAL
        generate_series({steps} * (a.place - 1) / a.owners + 1, {steps} * a.place / a.owners) AS k
    WHERE {steps} * a.place / a.owners > {steps} * (a.place - 1) / a.owners
    GROUP BY a.scope, a.measure
), top AS (
    SELECT a.scope, a.measure, count(*) AS customers, sum(a.amount) AS total
    FROM amounts a JOIN points p ON p.scope = a.scope AND p.measure = a.measure AND a.amount >= p.top20_from
    GROUP BY a.scope, a.measure
), whole AS (
    SELECT 0::bigint AS scope, count(*) AS book FROM book UNION ALL SELECT unit_id, count(*) FROM placed GROUP BY unit_id
    UNION ALL SELECT k.scope, count(*) FROM book b JOIN (VALUES {kinds}) k (scope, kind) ON k.kind = b.kind GROUP BY k.scope
)
SELECT nullif(greatest(p.scope, 0), 0) AS home_branch_id, coalesce(k.kind, '')::varchar AS kind, ({names})[p.measure + 1]::varchar AS measure,
    p.owners::int AS customers, p.total::bigint AS total, t.customers::int AS top20_customers,
    t.total::bigint AS top20_total, p.top20_from::bigint AS top20_from, w.book::int AS book,
    jsonb_build_array(jsonb_build_array(0, 0)) || p.points AS points
FROM points p JOIN whole w ON w.scope = p.scope
JOIN top t ON t.scope = p.scope AND t.measure = p.measure
LEFT JOIN (VALUES {kinds}) k (scope, kind) ON k.scope = p.scope"""


def statistics(context: RunContext, chunk: Mapping[str, Any]) -> Counts:
    """Count the date. A past date that is no month-end has no statistics; those of days before the newest go.

    A past month-end also changes what moved in the month after it.
    """
    day = context.business_date
    recorded = is_month_end(day)
    if not (context.is_newest or recorded):
        return Counts()
    book = _NEWEST if context.is_newest else _RECORDED
    counts = [
        _migration(context, day, book),
        _replace(context, ProductUseMonth, day, _USE.format(book=book)),
        _replace(context, Concentration, day, concentration_sql(book)),
    ]
    following = month_end(add_months(month_start(day), 1))
    if recorded and MonthEnd.objects.filter(month_end=following).exists():
        counts.append(_migration(context, following, _RECORDED))
    dropped = _drop_days_before(day) if context.is_newest else 0
    return Counts(sum(c.rows_in for c in counts), sum(c.rows_changed for c in counts) + dropped)


def _migration(context: RunContext, day: dt.date, book: str) -> Counts:
    """Movements since the month-end before; none where that month-end was not recorded."""
    before = month_start(day) - dt.timedelta(days=1)
    if not MonthEnd.objects.filter(month_end=before).exists():
        return Counts()
    return _replace(context, MigrationMonth, day, _MIGRATION.format(book=book), before=before)


def concentration_sql(book: str) -> str:
    """The curves of the whole bank for each measure; of each unit, with what lies below it, and each kind, for deposits."""
    measures = ", ".join(f"({i}, b.{name})" for i, name in enumerate(MEASURES))
    names = ", ".join(f"'{name}'" for name in MEASURES)
    kinds = ", ".join(f"({scope}::bigint, '{kind}')" for kind, scope in KINDS.items())
    return _CONCENTRATION.format(
        book=book, measures=measures, names=f"ARRAY[{names}]", steps=STEPS, kinds=kinds
    )


def _replace(context: RunContext, model: type[Model], day: dt.date, select: str, **values: Any) -> Counts:
    return replace_day(context, model._meta.db_table, day, select, **values)


def _drop_days_before(newest: dt.date) -> int:
    """Only month-ends and the newest date keep their statistics."""
    dropped = 0
    for model in (MigrationMonth, ProductUseMonth, Concentration):
        days = model.objects.filter(as_of__lt=newest).values_list("as_of", flat=True).distinct()
        stale = [day for day in days if not is_month_end(day)]
        dropped += model.objects.filter(as_of__in=stale).delete()[0] if stale else 0
    return dropped


def register() -> None:
    """Hang the step on the night."""
    add_step(Step("statistics", _("Statistics"), statistics, after=("summaries",)))
