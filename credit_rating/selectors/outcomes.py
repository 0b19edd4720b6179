"""Loans whose outcome is known by now, with what the bank knew of each the day before it was granted.

The one reader of LoanOutcome. A feature comes from rows dated before the loan's own date: balances and entries up to
the day before (or up to the ledger's last day, where the ledger ends earlier: `ledger_age_days` says by how much),
cards issued and loans granted before. The loan's own terms are those it was asked for. What is not known is empty,
never 0. A standing order carries no date of its own: it counts once an entry before the loan's date has carried it out.
"""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.db import connection
from django.db.models import Count, Max, Min

from credit_rating.models import LoanOutcome
from credit_rating.models.samples import USE_OUTCOMES
from crm_site.lib.money import from_minor
from crm_site.lib.permissions import Actor, require
from crm_site.lib.tenancy import require_bank

OUTCOME = "outcome"
# Codes that count as bad unless a developer says otherwise: ended unpaid, and running in debt.
BAD_CODES = ("B", "D")
WINDOW_DAYS, MONTH_DAYS = 180, 30
MONEY = frozenset(
    ("amount", "payment", "balance_last", "balance_avg_30", "balance_avg_180", "balance_min_180", "inflow_month",
     "outflow_month", "orders_amount")
)  # fmt: skip
FEATURES = (
    "amount", "duration_months", "payment", "age_years", "account_days", "region", "cards", "earlier_loans",
    "balance_last", "balance_avg_30", "balance_avg_180", "balance_min_180", "overdrawn_days_180", "inflow_month",
    "outflow_month", "entries_month", "payment_of_inflow", "orders", "orders_amount", "ledger_age_days",
)  # fmt: skip

# reach: the ledger's first and last day. picked: the loans; `known` the newest day that may be looked at, `since` the
# first of the window. spans: end-of-day balances with the days they stood, cut off at `known`.
_SQL = f"""
WITH reach AS (
  SELECT min(date) AS first, max(date) AS last FROM customers_balancechange WHERE bank_id = %(bank)s
), picked AS (
  SELECT l.id, l.number, o.code, l.customer_id, a.id AS account_id, l.granted_date AS granted, l.amount, c.birth_date,
         a.opened_date, u.region, least(l.granted_date - 1, r.last) AS known,
         greatest(least(l.granted_date - 1, r.last) - {WINDOW_DAYS - 1}, a.opened_date, r.first) AS since
  FROM credit_rating_loanoutcome o
  JOIN customers_loan l ON l.bank_id = o.bank_id AND l.id = o.loan_id
  JOIN customers_customer c ON c.bank_id = l.bank_id AND c.id = l.customer_id
  LEFT JOIN customers_account a ON a.bank_id = l.bank_id AND a.id = l.account_id AND a.opened_date < l.granted_date
  LEFT JOIN accounts_orgunit u ON u.bank_id = a.bank_id AND u.id = a.branch_id
  CROSS JOIN reach r
  WHERE o.bank_id = %(bank)s AND o.observed_on <= %(as_of)s
), spans AS (
  SELECT p.id, b.balance, p.known, p.since, b.date AS from_day,
         coalesce(lead(b.date) OVER (PARTITION BY p.id ORDER BY b.date), p.known + 1) AS to_day
  FROM picked p
  JOIN customers_balancechange b ON b.bank_id = %(bank)s AND b.account_id = p.account_id AND b.date <= p.known
), days AS (
  SELECT id, balance, to_day > known AS is_last, greatest(to_day - greatest(from_day, since), 0) AS wide,
         greatest(to_day - greatest(from_day, since, known - {MONTH_DAYS - 1}), 0) AS narrow
  FROM spans
), balances AS (
  SELECT id, max(balance) FILTER (WHERE is_last) AS balance_last,
         round(sum(balance * narrow) / nullif(sum(narrow), 0)) AS balance_avg_30,
         round(sum(balance * wide) / nullif(sum(wide), 0)) AS balance_avg_180,
         min(balance) FILTER (WHERE wide > 0) AS balance_min_180,
         coalesce(sum(wide) FILTER (WHERE balance < 0), 0) AS overdrawn_days_180
  FROM days GROUP BY id
), flows AS (
  SELECT p.id, greatest(p.known - p.since + 1, 1) AS covered,
         count(*) FILTER (WHERE t.booked_date >= p.since) AS entries,
         coalesce(sum(t.amount) FILTER (WHERE t.amount > 0 AND t.booked_date >= p.since), 0) AS inflow,
         coalesce(-sum(t.amount) FILTER (WHERE t.amount < 0 AND t.booked_date >= p.since), 0) AS outflow
  FROM picked p
  JOIN customers_transaction t ON t.bank_id = %(bank)s AND t.account_id = p.account_id AND t.booked_date <= p.known
  GROUP BY p.id, p.known, p.since
), orders AS (
  SELECT p.id, count(*) AS number, sum(s.amount) AS amount
  FROM picked p
  JOIN customers_standingorder s ON s.bank_id = %(bank)s AND s.account_id = p.account_id
  WHERE EXISTS (
    SELECT 1 FROM customers_transaction t
    WHERE t.bank_id = %(bank)s AND t.account_id = p.account_id AND t.booked_date <= p.known
      AND t.amount = -s.amount AND t.counterparty_account = s.to_account)
  GROUP BY p.id
)
SELECT p.number, p.code, p.granted, p.amount, i.months AS duration_months, i.payment,
       date_part('year', age(p.granted, p.birth_date))::int AS age_years, p.granted - p.opened_date AS account_days,
       nullif(p.region, '') AS region,
       (SELECT count(*) FROM customers_card k WHERE k.bank_id = %(bank)s AND k.customer_id = p.customer_id
          AND k.issued_date < p.granted AND (k.closed_date IS NULL OR k.closed_date >= p.granted)) AS cards,
       (SELECT count(*) FROM customers_loan e WHERE e.bank_id = %(bank)s AND e.customer_id = p.customer_id
          AND e.granted_date < p.granted) AS earlier_loans,
       b.balance_last, b.balance_avg_30, b.balance_avg_180, b.balance_min_180, b.overdrawn_days_180,
       round(f.inflow * {MONTH_DAYS}.0 / f.covered) AS inflow_month,
       round(f.outflow * {MONTH_DAYS}.0 / f.covered) AS outflow_month,
       round(f.entries * {MONTH_DAYS}.0 / f.covered, 2) AS entries_month,
       round(i.payment * f.covered / nullif(f.inflow * {MONTH_DAYS}.0, 0), 4) AS payment_of_inflow,
       CASE WHEN f.id IS NOT NULL THEN coalesce(s.number, 0) END AS orders,
       CASE WHEN f.id IS NOT NULL THEN coalesce(s.amount, 0) END AS orders_amount,
       CASE WHEN f.id IS NOT NULL THEN p.granted - 1 - p.known END AS ledger_age_days
FROM picked p
LEFT JOIN balances b ON b.id = p.id
LEFT JOIN flows f ON f.id = p.id
LEFT JOIN orders s ON s.id = p.id
LEFT JOIN LATERAL (
  SELECT count(*) AS months, (array_agg(n.amount ORDER BY n.due_date))[1] AS payment
  FROM customers_loaninstalment n WHERE n.bank_id = %(bank)s AND n.loan_id = p.id) i ON true
ORDER BY p.granted, p.number
"""


def outcome_rows(actor: Actor, as_of: dt.date) -> Iterator[dict[str, Any]]:
    """Each loan whose outcome had been observed by `as_of`: number, code, granted and FEATURES; amounts in the loan's
    currency, None for what is not known. In the order in which they were granted."""
    require(actor, USE_OUTCOMES)
    with connection.cursor() as cursor:
        cursor.execute(_SQL, {"bank": require_bank(), "as_of": as_of})
        names = [column.name for column in cursor.description or ()]
        for row in cursor:
            yield {
                name: from_minor(value) if name in MONEY and value is not None else value
                for name, value in zip(names, row, strict=True)
            }


def write_outcomes(actor: Actor, as_of: dt.date, file: Path) -> int:
    """The sample as a CSV: features and the outcome's code, nothing that leads to a customer. Returns its rows."""
    written = 0
    with file.open("w", encoding="utf-8", newline="") as text:
        writer = csv.writer(text)
        writer.writerow([*FEATURES, OUTCOME])
        for row in outcome_rows(actor, as_of):
            writer.writerow([_text(row[name]) for name in FEATURES] + [row["code"]])
            written += 1
    return written


def _text(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def outcomes_known(actor: Actor, as_of: dt.date) -> Mapping[str, Any]:
    """What there is to develop from: `loans`, first and last `granted` and `observed` days, cases by `codes`."""
    require(actor, USE_OUTCOMES)
    known = LoanOutcome.objects.filter(observed_on__lte=as_of)
    found = known.aggregate(
        loans=Count("pk"),
        granted_from=Min("granted_date"),
        granted_to=Max("granted_date"),
        observed=Max("observed_on"),
    )
    codes = known.order_by("code").values_list("code").annotate(number=Count("pk"))
    return {**found, "codes": list(codes)}
