"""The step `overview` of the night: what the credit overview shows, counted once. Safe to repeat.

reads CreditLine, Rating, LoanClass, Signal, Standing, Relation, Guarantee   writes CreditCell, BigStake

One transaction for the whole bank: a few set-based statements (figures: tests/credit_rating/test_overview.py, bench).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from django.db import connection
from django.utils import timezone
from django.utils.translation import gettext_lazy

from credit_rating.models import BigStake, CreditCell
from credit_rating.policies.caps import dependence_share
from credit_rating.selectors.at_stake import capital_on
from credit_rating.selectors.groups import groups_of_book
from credit_rating.selectors.lines import ladder_end
from credit_rating.selectors.overview import a_year_before
from credit_rating.selectors.policies import policy_on
from credit_rating.services.policies import ensure_default_policies
from crm_site.lib.dates import add_months, end_of, is_month_end, month_start
from crm_site.lib.postgres.replaced import replace_day
from crm_site.lib.postgres.statistics import analyze
from crm_site.lib.registry import Counts, RunContext, Step, add_step

KEPT = 25  # month-ends of history
BIGGEST = 20  # customers kept of each branch and kind, and groups of the bank times ten

# Minor units of the bank's currency; null without a rate.
_HOME = (
    "CASE WHEN {row}.currency = b.currency THEN {amount} ELSE round({amount} * (SELECT r.rate FROM customers_fxrate r"
    " WHERE r.bank_id = %(bank)s AND r.currency = {row}.currency AND r.rate_date <= %(day)s"
    " ORDER BY r.rate_date DESC LIMIT 1))::bigint END"
)
# Lines that may be drawn on after the day, now or later.
_LIVING = f"""
SELECT l.customer_id, l.currency, l.expires_on, l.limit_amount AS own_limit, l.reserved + l.utilised AS own_used,
    {_HOME.format(row="l", amount="l.limit_amount")} AS amount,
    {_HOME.format(row="l", amount="(l.reserved + l.utilised)")} AS used,
    {_HOME.format(row="l", amount="l.utilised")} AS taken
FROM credit_rating_creditline l JOIN accounts_bank b ON b.id = %(bank)s
WHERE l.bank_id = %(bank)s AND l.status IN ('pending', 'active', 'frozen') AND l.expires_on > %(day)s"""
_IN_FORCE = """
SELECT r.customer_id, r.grade FROM credit_rating_rating r
WHERE r.bank_id = %(bank)s AND r.status = 'approved' AND r.expires_on > %(day)s"""
# The rating that held a year ago: the newest decided by then, unless it had run out.
_A_YEAR_AGO = """
SELECT customer_id, grade FROM (
    SELECT DISTINCT ON (r.customer_id) r.customer_id, r.grade, r.expires_on FROM credit_rating_rating r
    WHERE r.bank_id = %(bank)s AND r.status IN ('approved', 'superseded', 'expired') AND r.decided_at < %(moment)s
    ORDER BY r.customer_id, r.id DESC
) newest WHERE expires_on > %(before)s"""

_CELLS = f"""
WITH living AS MATERIALIZED ({_LIVING}), holding AS MATERIALIZED ({_IN_FORCE}), past AS ({_A_YEAR_AGO}),
drawn AS (
    SELECT c.home_branch_id, c.kind, l.currency, coalesce(h.grade, 'none') AS grade, l.amount, l.used,
        CASE WHEN l.expires_on < %(until)s THEN to_char(l.expires_on, 'YYYY-MM') ELSE 'later' END AS expiry,
        CASE WHEN l.own_used = 0 THEN 'unused' WHEN l.own_used * 100 < l.own_limit * 50 THEN 'low'
            WHEN l.own_used * 100 < l.own_limit * 90 THEN 'mid' ELSE 'high' END AS use
    FROM living l JOIN customers_customer c ON c.bank_id = %(bank)s AND c.id = l.customer_id
    LEFT JOIN holding h ON h.customer_id = l.customer_id
), rated AS (
    SELECT r.customer_id, bool_or(r.status = 'approved' AND r.expires_on > %(day)s) AS holds
    FROM credit_rating_rating r WHERE r.bank_id = %(bank)s AND r.status IN ('approved', 'superseded', 'expired') GROUP BY 1
)
SELECT v.section::varchar AS section, home_branch_id, kind, v.key::varchar AS key, ''::varchar AS other,
    count(*)::int AS count, coalesce(sum(amount), 0)::bigint AS amount, coalesce(sum(used), 0)::bigint AS used
FROM drawn CROSS JOIN LATERAL (VALUES ('grade', grade), ('expiry', expiry), ('use', use)) v (section, key)
GROUP BY 1, 2, 3, 4
UNION ALL
SELECT 'unpriced', home_branch_id, kind, currency, '', count(*)::int, 0, 0 FROM drawn WHERE amount IS NULL GROUP BY 2, 3, 4
UNION ALL
SELECT 'coverage', s.home_branch_id, s.kind,
    CASE WHEN r.holds THEN 'in_force' WHEN r.holds IS NULL THEN 'never' ELSE 'expired' END, '', count(*)::int,
    sum(s.loans)::bigint, 0
FROM customers_standing s LEFT JOIN rated r ON r.customer_id = s.customer_id
WHERE s.bank_id = %(bank)s AND s.loans > 0 GROUP BY 2, 3, 4
UNION ALL
SELECT 'class', c.home_branch_id, c.kind, k.level::text, '', count(*)::int,
    coalesce(sum({_HOME.format(row="n", amount="n.outstanding")}), 0)::bigint, 0
FROM credit_rating_loanclass k JOIN accounts_bank b ON b.id = %(bank)s
JOIN customers_loan n ON n.bank_id = %(bank)s AND n.id = k.loan_id
JOIN customers_customer c ON c.bank_id = %(bank)s AND c.id = k.customer_id
WHERE k.bank_id = %(bank)s AND k.until IS NULL GROUP BY 2, 3, 4
UNION ALL
SELECT 'warning', c.home_branch_id, c.kind, w.level, '', count(*)::int, 0, 0
FROM credit_rating_signal w JOIN customers_customer c ON c.bank_id = %(bank)s AND c.id = w.customer_id
WHERE w.bank_id = %(bank)s AND w.state = 'open' AND w.ended_on IS NULL GROUP BY 2, 3, 4
UNION ALL
SELECT 'migration', c.home_branch_id, c.kind, coalesce(p.grade, 'none'), coalesce(h.grade, 'none'), count(*)::int, 0, 0
FROM past p FULL JOIN holding h ON h.customer_id = p.customer_id
JOIN customers_customer c ON c.bank_id = %(bank)s AND c.id = coalesce(p.customer_id, h.customer_id)
GROUP BY 2, 3, 4, 5"""

# Everybody with a stake, once, as engine.exposure.Stake reckons it; `grouped` (who belongs to which group) is filled in
# before it is read.
_STAKES = f"""
CREATE TEMP TABLE stake ON COMMIT DROP AS
SELECT s.customer_id, s.home_branch_id, s.kind,
    (greatest(s.loans - coalesce(l.taken, 0), 0) + coalesce(l.used, 0))::bigint AS lent,
    (greatest(s.loans - coalesce(l.taken, 0), 0) + coalesce(l.amount, 0))::bigint AS credit
FROM customers_standing s
LEFT JOIN (
    SELECT customer_id, sum(amount) AS amount, sum(used) AS used, sum(taken) AS taken FROM ({_LIVING}) x GROUP BY 1
) l ON l.customer_id = s.customer_id
WHERE s.bank_id = %(bank)s AND (s.loans > 0 OR l.customer_id IS NOT NULL)"""
_BIGGEST = f"""
SELECT false AS is_group, customer_id, home_branch_id, kind, 1 AS members, lent, credit, credit AS core_credit FROM (
    SELECT *, row_number() OVER (PARTITION BY home_branch_id, kind ORDER BY credit DESC, customer_id) AS place FROM stake
) s WHERE place <= {BIGGEST}
UNION ALL (
SELECT true, (array_agg(s.customer_id ORDER BY s.credit DESC, s.customer_id))[1],
    (array_agg(s.home_branch_id ORDER BY s.credit DESC, s.customer_id))[1],
    (array_agg(s.kind ORDER BY s.credit DESC, s.customer_id))[1], g.members, sum(s.lent)::bigint, sum(s.credit)::bigint,
    max(g.together)::bigint
FROM (
    SELECT g.*, sum(s.credit) OVER (PARTITION BY g.core) AS together FROM grouped g
    JOIN stake s ON s.customer_id = g.customer_id
) g JOIN stake s ON s.customer_id = g.customer_id
GROUP BY g.head, g.members ORDER BY sum(s.credit) DESC LIMIT {BIGGEST * 10})"""


def overview(context: RunContext, chunk: Mapping[str, Any]) -> Counts:
    """Count the newest date. A night for a past date leaves it alone: lines and classes of then are not known."""
    if not context.is_newest:
        return Counts()
    day = context.business_date
    before = a_year_before(day)
    values = {
        "until": ladder_end(day + dt.timedelta(days=1)),
        "before": before,
        "moment": end_of(before),
    }
    cells = replace_day(context, CreditCell._meta.db_table, day, _CELLS, **values)
    _stage(context, day)
    biggest = replace_day(context, BigStake._meta.db_table, day, _BIGGEST)
    dropped = _drop_before(day)
    return Counts(cells.rows_in + biggest.rows_in, cells.rows_changed + biggest.rows_changed + dropped)


def _stage(context: RunContext, day: dt.date) -> None:
    """Everybody's stake and group in temporary tables of this transaction."""
    ensure_default_policies(timezone.now())
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS pg_temp.stake, pg_temp.grouped")
        cursor.execute(_STAKES, {"bank": context.bank_id, "day": day})
        cursor.execute(
            "CREATE TEMP TABLE grouped (head bigint, core bigint, customer_id bigint, members int) ON COMMIT DROP"
        )
        core, connected = groups_of_book(day, _dependable(cursor, day))
        heads = {customer: group[0] for group in core for customer in group}
        with cursor.cursor.copy("COPY grouped FROM STDIN") as copy:
            for group in connected:
                for customer in group:
                    copy.write_row((group[0], heads.get(customer, customer), customer, len(group)))
        cursor.execute("ANALYZE pg_temp.stake")
        cursor.execute("ANALYZE pg_temp.grouped")


def _dependable(cursor: Any, day: dt.date) -> set[int]:
    """Whose credit is so great that economic dependence is asked; nobody's without capital on record."""
    capital = capital_on(day)
    if capital is None:
        return set()
    bound = capital[0].tier1 * dependence_share(policy_on("caps", day).body)
    cursor.execute("SELECT customer_id FROM pg_temp.stake WHERE credit > %s", [int(bound.scaleb(2))])
    return {customer for (customer,) in cursor.fetchall()}


def _drop_before(newest: dt.date) -> int:
    """Only month-ends and the newest date keep their cells, only the newest date its greatest stakes."""
    dropped = BigStake.objects.filter(as_of__lt=newest).delete()[0]
    old = add_months(month_start(newest), -KEPT)
    days = (
        CreditCell.objects.filter(as_of__lt=newest)
        .order_by("as_of")
        .values_list("as_of", flat=True)
        .distinct()
    )
    stale = [day for day in days if day < old or not is_month_end(day)]
    return dropped + (CreditCell.objects.filter(as_of__in=stale).delete()[0] if stale else 0)


def finish(context: RunContext) -> None:
    """Without statistics the planner reads cells by the bank alone."""
    if context.is_newest:
        analyze([CreditCell._meta.db_table, BigStake._meta.db_table])


def register() -> None:
    """Hang the step on the night (AppConfig.ready)."""
    add_step(
        Step(
            "overview", gettext_lazy("Credit overview"), overview, after=("lines", "classes", "ratings", "warnings"),
            finish=finish,
        )
    )  # fmt: skip
