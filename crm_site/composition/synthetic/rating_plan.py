"""Who of a synthetic bank has been rated, when and how far: by set-based SQL from the customers that are there.

One customer in five: whoever borrows or has a line, and others by chance. Everything is drawn from a hash of the
customer's number and the seed. Ids rise with the day, as they would have.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any, NamedTuple

from django.db import connection

from customers.figures import COMMON

SHARE = "0.2"
# fate, age, age2: 0..9999, independent of one another. `back`: days before the date that a rating was decided (made,
# where nobody has decided yet); expired and superseded ones were decided more than a year ago, all others within it: grades
# of then and of now can be compared.
_PLAN = """
CREATE TEMP TABLE made_rating ON COMMIT DROP AS
WITH people AS (
    SELECT c.id AS customer_id, c.number, c.customer_since AS since,
        coalesce((SELECT sum(w.outstanding) FROM customers_loan w WHERE w.bank_id = %(bank)s AND w.customer_id = c.id
            AND w.currency = %(currency)s), 0)::bigint AS owed,
        EXISTS (SELECT FROM credit_rating_creditline x WHERE x.bank_id = %(bank)s AND x.customer_id = c.id) AS has_line
    FROM customers_customer c
    WHERE c.bank_id = %(bank)s AND NOT c.is_prospect AND c.status = 'active' AND c.home_branch_id IS NOT NULL
), counted AS (
    SELECT *, owed > 0 OR has_line AS borrows, count(*) OVER () AS everybody,
        count(*) FILTER (WHERE owed > 0 OR has_line) OVER () AS borrowers,
        abs(hashtextextended(number, %(seed)s + 10) %% 10000) AS who,
        abs(hashtextextended(number, %(seed)s + 11) %% 10000) AS fate,
        abs(hashtextextended(number, %(seed)s + 12) %% 10000) AS age,
        abs(hashtextextended(number, %(seed)s + 13) %% 10000) AS age2
    FROM people
), chosen AS (
    SELECT * FROM counted
    WHERE borrows OR who < 10000 * greatest({share} * everybody - borrowers, 0) / greatest(everybody - borrowers, 1)
), walked AS (
    SELECT c.customer_id, c.since, c.owed, c.fate, w.place AS turn, w.status, w.back::int AS back, c.age %% 4 AS took
    FROM chosen c CROSS JOIN LATERAL (
        SELECT 1 AS place, 'expired' AS status, 366 + age %% 18 AS back WHERE fate < 500
        UNION ALL SELECT 1, 'superseded', 366 + age %% 18 WHERE (fate >= 500 AND fate < 1800) OR fate >= 8000
        UNION ALL SELECT 2, 'approved', age2 %% 200 WHERE fate >= 500 AND fate < 1800
        UNION ALL SELECT 1, 'approved', 300 + age %% 50 WHERE fate >= 1800 AND fate < 1900
        UNION ALL SELECT 2, 'submitted', age2 %% 6 WHERE fate >= 1800 AND fate < 1900
        UNION ALL SELECT 1, 'submitted', age2 %% 6 WHERE fate >= 1900 AND fate < 1970
        UNION ALL SELECT 1, 'returned', 1 + age2 %% 20 WHERE fate >= 1970 AND fate < 2010
        UNION ALL SELECT 1, 'draft', age2 %% 10 WHERE fate >= 2010 AND fate < 2100
        UNION ALL SELECT 1, 'approved', age %% 350 WHERE fate >= 2100 AND fate < 8000
        UNION ALL SELECT 2, 'approved', age %% 350 WHERE fate >= 8000
    ) w
), dated AS (
    SELECT *, {decided} AS decided FROM walked
), made AS (
    SELECT *, {made} AS as_of FROM dated
)
SELECT nextval(pg_get_serial_sequence('credit_rating_rating', 'id')) AS id, m.* FROM (
    SELECT customer_id, status, as_of, decided, owed, fate, min(as_of) OVER (PARTITION BY customer_id) AS first_day,
        row_number() OVER (PARTITION BY customer_id ORDER BY turn) AS place
    FROM made WHERE since IS NULL OR since <= as_of ORDER BY as_of, customer_id) m
"""


def _workday(day: str) -> str:
    """SQL of the working day at or before a day."""
    return f"({day} - greatest(extract(isodow FROM {day})::int - 5, 0))"


def plan_ratings(bank_id: int, *, currency: str, date: dt.date, seed: int) -> int:
    """Fill the temporary table made_rating for the active bank; returns how many ratings."""
    values: dict[str, Any] = {"bank": bank_id, "currency": currency, "date": date, "seed": seed}
    sql = _PLAN.format(
        share=SHARE, decided=_workday("(%(date)s::date - back)"),
        made=_workday("(decided - CASE WHEN status IN ('draft', 'submitted') THEN 0 ELSE took END::int)"),
    )  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        made = cursor.rowcount
        cursor.execute("CREATE INDEX ON made_rating (customer_id)")
        cursor.execute("ANALYZE made_rating")
    return made


# What the night would have known of a customer on the day of the rating: by the rules of customers.figures (30-day
# average of deposits, days past due) and of credit_rating.selectors.factors (worst arrears of a year).
_FACTS = """
WITH asked AS MATERIALIZED (
    SELECT id, customer_id, as_of AS day FROM made_rating WHERE customer_id BETWEEN %(lo)s AND %(hi)s
), open_accounts AS MATERIALIZED (
    SELECT q.id AS rating, q.day, a.id, a.currency, greatest(a.opened_date, q.day - 29) AS start
    FROM asked q JOIN customers_account a ON a.bank_id = %(bank)s AND a.owner_id = q.customer_id
        AND a.opened_date <= q.day AND (a.closed_date IS NULL OR a.closed_date > q.day)
), held AS (
    SELECT x.rating, x.day + 1 - x.start AS days,
        CASE WHEN x.currency = %(currency)s THEN 1 ELSE (SELECT r.rate FROM customers_fxrate r
            WHERE r.bank_id = %(bank)s AND r.currency = x.currency AND r.rate_date <= x.day
            ORDER BY r.rate_date DESC LIMIT 1) END AS rate,
        coalesce(w.balance, 0) AS balance,
        coalesce(w.positive_days + (x.day + 1 - w.date) * greatest(w.balance, 0), 0)
            - coalesce(o.positive_days + (x.start - o.date) * greatest(o.balance, 0), 0) AS balance_days
    FROM open_accounts x
    LEFT JOIN LATERAL (SELECT b.date, b.balance, b.positive_days FROM customers_balancechange b
        WHERE b.bank_id = %(bank)s AND b.account_id = x.id AND b.date <= x.day ORDER BY b.date DESC LIMIT 1) w ON true
    LEFT JOIN LATERAL (SELECT b.date, b.balance, b.positive_days FROM customers_balancechange b
        WHERE b.bank_id = %(bank)s AND b.account_id = x.id AND b.date <= x.start ORDER BY b.date DESC LIMIT 1) o ON true
), deposits AS MATERIALIZED (
    SELECT rating, sum(balance_days * (%(common)s / days)::numeric * rate) AS average, bool_or(balance < 0) AS overdrawn
    FROM held GROUP BY rating
), debts AS MATERIALIZED (
    SELECT q.id AS rating, bool_or(b.outstanding > 0) AS owes,
        max(q.day - b.overdue_since) FILTER (WHERE b.overdue_amount > 0) AS late, bool_or(l.closed_date IS NULL
            OR l.closed_date > q.day - 366) AS owed, max(y.worst) AS worst
    FROM asked q JOIN customers_loan l ON l.bank_id = %(bank)s AND l.customer_id = q.customer_id
    JOIN LATERAL (SELECT b.outstanding, b.overdue_amount, b.overdue_since FROM customers_loanbalance b
        WHERE b.bank_id = %(bank)s AND b.loan_id = l.id AND b.date <= q.day ORDER BY b.date DESC LIMIT 1) b ON true
    LEFT JOIN LATERAL (SELECT max(b.date - b.overdue_since) AS worst FROM customers_loanbalance b
        WHERE b.bank_id = %(bank)s AND b.loan_id = l.id AND b.date > q.day - 366 AND b.date <= q.day
            AND b.overdue_amount > 0) y ON true
    GROUP BY q.id
)
SELECT m.id, m.customer_id, m.place, m.status, m.as_of, m.decided, m.first_day, m.owed, m.fate,
    c.number, c.name, c.kind, c.size, c.birth_date, c.founded_date, c.customer_since, c.home_branch_id, c.responsible_id,
    coalesce(div(2 * d.average + %(common)s, 2 * %(common)s), 0)::bigint,
    CASE WHEN d.overdrawn OR b.owes OR b.late > 0 THEN greatest(coalesce(b.late, 0), 0) END,
    CASE WHEN d.overdrawn OR b.owed THEN greatest(coalesce(b.late, 0), coalesce(b.worst, 0)) END
FROM made_rating m
JOIN customers_customer c ON c.bank_id = %(bank)s AND c.id = m.customer_id
LEFT JOIN deposits d ON d.rating = m.id
LEFT JOIN debts b ON b.rating = m.id
WHERE m.customer_id BETWEEN %(lo)s AND %(hi)s
ORDER BY m.customer_id, m.place
"""


class Planned(NamedTuple):
    """A rating to be made and what was known of its customer on the day: amounts in minor units, days past due None
    for who owed nothing. `fate`: 0..9999, the customer's own dice."""

    id: int
    customer_id: int
    place: int
    status: str
    as_of: dt.date
    decided: dt.date
    first_day: dt.date
    owed: int
    fate: int
    number: str
    name: str
    kind: str
    size: str
    birth_date: dt.date | None
    founded_date: dt.date | None
    customer_since: dt.date | None
    home_branch_id: int
    responsible_id: int | None
    deposits: int
    days_past_due: int | None
    worst_arrears: int | None


def planned(bank_id: int, *, currency: str, size: int) -> Iterator[list[Planned]]:
    """The plan in pieces of about `size` ratings, a customer's together, by customer."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT min(customer_id), max(customer_id) FROM (SELECT customer_id, (row_number() OVER (ORDER BY customer_id)"
            " - 1) / %s AS piece FROM (SELECT DISTINCT customer_id FROM made_rating) d) p GROUP BY piece ORDER BY piece",
            [size],
        )
        for lo, hi in cursor.fetchall():
            values = {"bank": bank_id, "currency": currency, "lo": lo, "hi": hi, "common": COMMON}
            cursor.execute(_FACTS, values)
            yield [Planned(*row) for row in cursor.fetchall()]
