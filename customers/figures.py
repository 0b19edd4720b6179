"""A customer's figures on any business date, as one SELECT over the records of that date (README: definitions).

The night writes them for the newest date and for month-ends; the tier step reads them for a date in the past.
"""

from __future__ import annotations

import datetime as dt
from math import lcm

from django.db import connection
from django.utils.translation import gettext as _

from crm_site.lib.dates import add_months, month_start
from crm_site.lib.errors import DomainError

WINDOW_DAYS = 30
# The average of each account is a sum over up to 30 days counted; all of them are whole numbers of 1/COMMON.
COMMON = lcm(*range(1, WINDOW_DAYS + 1))

LATELY_MONTHS = 2  # whole months before the window's own in which most accounts have changed
COLUMNS = (
    "deposits_adb", "deposits_balance", "loans", "aum", "overdue_amount", "days_past_due",
)  # fmt: skip

# Of each account two rows of balance changes are needed: the last one by the day and the last one by the window's
# first day. Looked up one by one they are two walks through the months for every account of the bank. So they are
# read in one go: `within` the window, `lately` the months before it; only who is in neither is looked up (`prior`),
# and who was opened within the window, whose days begin later (`opening`).
# Half-up: for a sum that is never negative, round() of a numeric is exactly that. Each part is counted once
# (MATERIALIZED): of a small bank beside a large one the planner expects one customer and would count the deposits of all
# for every one of them (300 customers beside 160,000: more than 4 minutes instead of 0.1 s).
_FIGURES = """
WITH rates AS (
    SELECT currency, 1::numeric AS rate FROM accounts_bank WHERE id = {bank}
    UNION ALL
    (SELECT DISTINCT ON (x.currency) x.currency, x.rate FROM customers_fxrate x
     WHERE x.bank_id = {bank} AND x.rate_date <= {day}
       AND x.currency <> (SELECT currency FROM accounts_bank WHERE id = {bank})
     ORDER BY x.currency, x.rate_date DESC)
), open_accounts AS MATERIALIZED (
    SELECT a.id, a.owner_id, a.currency, greatest(a.opened_date, {day} - {before}) AS start
    FROM customers_account a
    WHERE a.bank_id = {bank} AND a.owner_id BETWEEN {lo} AND {hi}
      AND a.opened_date <= {day} AND (a.closed_date IS NULL OR a.closed_date > {day})
), within AS (
    SELECT DISTINCT ON (b.account_id) b.account_id, b.date, b.balance, b.positive_days
    FROM customers_balancechange b
    WHERE b.bank_id = {bank} AND b.date > {day} - {before} AND b.date <= {day}
      AND b.account_id BETWEEN (SELECT min(id) FROM open_accounts) AND (SELECT max(id) FROM open_accounts)
    ORDER BY b.account_id, b.date DESC
), lately AS MATERIALIZED (
    SELECT DISTINCT ON (b.account_id) b.account_id, b.date, b.balance, b.positive_days
    FROM customers_balancechange b
    WHERE b.bank_id = {bank} AND b.date >= {lately} AND b.date <= {day} - {before}
      AND b.account_id BETWEEN (SELECT min(id) FROM open_accounts) AND (SELECT max(id) FROM open_accounts)
    ORDER BY b.account_id, b.date DESC
), prior AS (
    SELECT * FROM lately
    UNION ALL
    SELECT a.id, b.date, b.balance, b.positive_days FROM open_accounts a CROSS JOIN LATERAL (
        SELECT b.date, b.balance, b.positive_days FROM customers_balancechange b
        WHERE b.bank_id = {bank} AND b.account_id = a.id AND b.date < {lately}
        ORDER BY b.date DESC LIMIT 1) b
    WHERE NOT EXISTS (SELECT FROM lately l WHERE l.account_id = a.id)
), opening AS (
    SELECT a.id AS account_id, b.date, b.balance, b.positive_days FROM open_accounts a CROSS JOIN LATERAL (
        SELECT b.date, b.balance, b.positive_days FROM customers_balancechange b
        WHERE b.bank_id = {bank} AND b.account_id = a.id AND b.date <= a.start
        ORDER BY b.date DESC LIMIT 1) b
    WHERE a.start > {day} - {before}
), account_figures AS (
    SELECT a.owner_id,
        {day} + 1 - a.start AS days,
        coalesce(r.rate, 'NaN') AS rate,
        coalesce(w.balance, p.balance, 0) AS balance,
        coalesce(w.positive_days + ({day} + 1 - w.date) * greatest(w.balance, 0),
                 p.positive_days + ({day} + 1 - p.date) * greatest(p.balance, 0), 0)
          - CASE WHEN a.start > {day} - {before}
                 THEN coalesce(o.positive_days + (a.start - o.date) * greatest(o.balance, 0), 0)
                 ELSE coalesce(p.positive_days + (a.start - p.date) * greatest(p.balance, 0), 0)
            END AS balance_days
    FROM open_accounts a
    LEFT JOIN rates r ON r.currency = a.currency
    LEFT JOIN within w ON w.account_id = a.id
    LEFT JOIN prior p ON p.account_id = a.id
    LEFT JOIN opening o ON o.account_id = a.id
), deposits AS MATERIALIZED (
    SELECT owner_id, count(*) AS open_accounts,
        sum(balance_days * ({common} / days)::numeric * rate) AS average,
        sum(greatest(balance, 0) * rate) AS balance,
        sum(greatest(-balance, 0) * rate) AS overdraft
    FROM account_figures GROUP BY owner_id
), debts AS MATERIALIZED (
    SELECT l.customer_id,
        sum(b.outstanding * coalesce(r.rate, 'NaN')) AS outstanding,
        sum(b.overdue_amount * coalesce(r.rate, 'NaN')) AS overdue,
        max({day} - b.overdue_since) FILTER (WHERE b.overdue_amount > 0) AS days_past_due
    FROM customers_loan l
    JOIN LATERAL (
        SELECT b.outstanding, b.overdue_amount, b.overdue_since FROM customers_loanbalance b
        WHERE b.bank_id = {bank} AND b.loan_id = l.id AND b.date <= {day}
        ORDER BY b.date DESC LIMIT 1) b ON true
    LEFT JOIN rates r ON r.currency = l.currency
    WHERE l.bank_id = {bank} AND l.customer_id BETWEEN {lo} AND {hi}
      AND (l.closed_date IS NULL OR l.closed_date > {day})
    GROUP BY l.customer_id
), wealth AS MATERIALIZED (
    SELECT h.customer_id, sum(h.value * coalesce(r.rate, 'NaN')) AS value
    FROM customers_holding h LEFT JOIN rates r ON r.currency = h.currency
    WHERE h.bank_id = {bank} AND h.customer_id BETWEEN {lo} AND {hi} AND h.date <= {day}
      AND NOT EXISTS (SELECT 1 FROM customers_holding n WHERE n.bank_id = {bank} AND n.reference = h.reference
                      AND n.date > h.date AND n.date <= {day})
    GROUP BY h.customer_id
)
SELECT c.id AS customer_id, c.kind, c.home_branch_id,
    coalesce(div(2 * d.average + {common}, 2 * {common}), 0)::bigint AS deposits_adb,
    coalesce(round(d.balance), 0)::bigint AS deposits_balance,
    round(coalesce(l.outstanding, 0) + coalesce(d.overdraft, 0))::bigint AS loans,
    round(coalesce(d.balance, 0) + coalesce(w.value, 0))::bigint AS aum,
    coalesce(round(l.overdue), 0)::bigint AS overdue_amount,
    greatest(coalesce(l.days_past_due, 0), 0) AS days_past_due,
    coalesce(d.open_accounts, 0)::smallint AS open_accounts
FROM customers_customer c
LEFT JOIN deposits d ON d.owner_id = c.id
LEFT JOIN debts l ON l.customer_id = c.id
LEFT JOIN wealth w ON w.customer_id = c.id
WHERE c.bank_id = {bank} AND c.id BETWEEN {lo} AND {hi} AND NOT c.is_prospect
"""


def figures_sql(bank_id: int, day: dt.date, lo: int, hi: int) -> str:
    """SELECT customer_id, kind, home_branch_id, deposits_adb, deposits_balance, loans, aum, overdue_amount,
    days_past_due, open_accounts of every customer (no prospects) with lo <= id <= hi, as on `day`.

    Amounts in minor units of the bank's currency. A missing exchange rate makes the statement fail: ask
    `check_rates` first, which names the currency. Only integers and a date go into the text.
    """
    return _FIGURES.format(
        bank=int(bank_id), day=f"DATE '{day.isoformat()}'", lo=int(lo), hi=int(hi), common=COMMON,
        before=WINDOW_DAYS - 1, lately=f"DATE '{add_months(month_start(day - dt.timedelta(WINDOW_DAYS)), -LATELY_MONTHS).isoformat()}'",
    )  # fmt: skip


_WITHOUT_RATE = """
SELECT DISTINCT used.currency FROM (
    SELECT a.currency FROM customers_account a WHERE a.bank_id = %(bank)s AND a.opened_date <= %(day)s
        AND (a.closed_date IS NULL OR a.closed_date > %(day)s)
    UNION SELECT l.currency FROM customers_loan l WHERE l.bank_id = %(bank)s
        AND (l.closed_date IS NULL OR l.closed_date > %(day)s)
        AND EXISTS (SELECT 1 FROM customers_loanbalance b WHERE b.bank_id = %(bank)s AND b.loan_id = l.id
                    AND b.date <= %(day)s)
    UNION SELECT h.currency FROM customers_holding h WHERE h.bank_id = %(bank)s AND h.date <= %(day)s
) used
WHERE used.currency <> (SELECT currency FROM accounts_bank WHERE id = %(bank)s)
  AND NOT EXISTS (SELECT 1 FROM customers_fxrate x WHERE x.bank_id = %(bank)s AND x.currency = used.currency
                  AND x.rate_date <= %(day)s)
ORDER BY 1
"""


def check_rates(bank_id: int, day: dt.date) -> None:
    """Raise DomainError naming the currencies in use on `day` that have no exchange rate by then."""
    with connection.cursor() as cursor:
        cursor.execute(_WITHOUT_RATE, {"bank": bank_id, "day": day})
        missing = [row[0] for row in cursor.fetchall()]
    if missing:
        raise DomainError(
            _("No exchange rate by %(day)s for: %(currencies)s")
            % {"day": day.isoformat(), "currencies": ", ".join(missing)},
            code="fx_rate_missing",
        )
