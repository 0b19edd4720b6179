"""Credit lines of a synthetic bank, at every stage of their life, by set-based SQL from the customers that are there.

Three in five borrowers have a line whose use is what their loans owe, and one company in six without a loan has an
unused one. Everything is drawn from a hash of the customer's number and the seed: the same bank, the same lines.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.db import connection

from crm_site.lib.postgres.statistics import analyze

TABLES = (
    "credit_rating_creditline",
    "credit_rating_sublimit",
    "credit_rating_lineentry",
    "credit_rating_lineevent",
)
# dice: 0..9999, independent of one another. A line runs a year, a household's three; amounts in minor units.
_CHOSEN = """
CREATE TEMP TABLE made_line ON COMMIT DROP AS
WITH owed AS (
    SELECT w.customer_id, sum(w.outstanding)::bigint AS used FROM customers_loan w
    JOIN customers_product p ON p.bank_id = w.bank_id AND p.id = w.product_id AND p.code <> ALL (%(single)s)
    WHERE w.bank_id = %(bank)s AND w.outstanding > 0 AND w.currency = %(currency)s GROUP BY w.customer_id
), thrown AS (
    SELECT c.id AS customer_id, c.number, c.kind, coalesce(o.used, 0) AS used,
        abs(hashtextextended(c.number, %(seed)s) %% 10000) AS who,
        abs(hashtextextended(c.number, %(seed)s + 1) %% 10000) AS share,
        abs(hashtextextended(c.number, %(seed)s + 2) %% 10000) AS age,
        abs(hashtextextended(c.number, %(seed)s + 3) %% 10000) AS fate
    FROM customers_customer c LEFT JOIN owed o ON o.customer_id = c.id
    WHERE c.bank_id = %(bank)s AND NOT c.is_prospect AND c.status = 'active'
), chosen AS (
    SELECT *, CASE kind WHEN 'household' THEN 36 ELSE 12 END AS months FROM thrown
    WHERE used > 0 AND who < 6000 OR used = 0 AND kind = 'corporate' AND who < 1600
), dated AS (
    -- Nine in ten live: they began within their months; the others ended within the last year.
    SELECT *, (%(date)s::date - (CASE WHEN fate < 9000 THEN age %% (months * 30 - 5)
        ELSE months * 30 + 5 + age %% 300 END)::int) AS starts_on FROM chosen
), limited AS (
    -- Use from a fifth to all of the limit, rounded up to whole ten thousands (thousands for small ones). No line takes
    -- more than a hundredth of all that is lent, unless more is drawn: a bank's capital would not allow it.
    SELECT *, CASE WHEN used = 0 THEN least((20 + age %% 180) * 10000000,
            ceil((20 + age %% 180) / 200.0 * most / 1000000)::bigint * 1000000)
        ELSE greatest(ceil(used::numeric / unit), least(ceil(used / (0.2 + 0.8 * share / 10000.0) / unit),
            floor(most::numeric / unit)))::bigint * unit END AS room
    FROM (SELECT *, CASE WHEN used < 100000000 THEN 100000 ELSE 1000000 END AS unit FROM dated) u,
        (SELECT coalesce(sum(outstanding), 0)::bigint / 100 AS most FROM customers_loan
         WHERE bank_id = %(bank)s AND status = 'active') w
), staged AS (
    SELECT *, (starts_on + make_interval(months => months))::date AS expires_on FROM limited
)
SELECT customer_id, kind, room, starts_on, expires_on, extract(year FROM starts_on)::int AS year,
    row_number() OVER (PARTITION BY extract(year FROM starts_on) ORDER BY starts_on, number) AS serial,
    CASE WHEN expires_on < %(date)s AND used = 0 THEN 'closed' WHEN expires_on < %(date)s THEN 'expired'
        WHEN used = 0 AND fate < 1200 THEN 'pending' WHEN fate < 500 THEN 'frozen' ELSE 'active' END AS status,
    used, CASE WHEN used + used / 5 <= room THEN used / 5 ELSE 0 END AS repaid,
    CASE WHEN (starts_on + interval '1 year')::date < (starts_on + make_interval(months => months))::date
        THEN (starts_on + make_interval(years => 1 + (%(date)s::date - starts_on) / 366))::date END AS review_on
FROM staged
"""
_LINES = """
INSERT INTO credit_rating_creditline (bank_id, year, serial, customer_id, product_id, currency, status, starts_on,
    expires_on, review_on, limit_amount, reserved, utilised, opened_at, changed_at)
SELECT %(bank)s, m.year, m.serial, m.customer_id, p.id, %(currency)s, m.status, m.starts_on, m.expires_on,
    CASE WHEN m.review_on < m.expires_on THEN m.review_on END, m.room, 0, m.used, m.starts_on + interval '9 hours',
    greatest(m.starts_on, least(m.expires_on, %(date)s)) + interval '22 hours'
FROM made_line m
JOIN LATERAL (SELECT id FROM customers_product WHERE bank_id = %(bank)s AND code = CASE m.kind
    WHEN 'corporate' THEN %(corporate)s WHEN 'household' THEN %(household)s ELSE %(personal)s END) p ON true
"""
_SUB_LIMITS = """
INSERT INTO credit_rating_sublimit (bank_id, line_id, product_id, limit_amount, reserved, utilised)
SELECT %(bank)s, l.id, p.id, l.limit_amount / 2, 0, 0
FROM credit_rating_creditline l
JOIN customers_customer c ON c.bank_id = l.bank_id AND c.id = l.customer_id AND c.kind = 'corporate'
JOIN customers_product p ON p.bank_id = l.bank_id AND p.code = %(trade)s
WHERE l.bank_id = %(bank)s
"""
_ENTRIES = """
INSERT INTO credit_rating_lineentry (bank_id, line_id, kind, at, amount, reserved_change, utilised_change,
    reserved_after, utilised_after, reference, made_by)
SELECT %(bank)s, l.id, e.kind, e.at, abs(e.change), 0, e.change, 0, e.after, '', '核心系统'
FROM made_line m
JOIN credit_rating_creditline l ON l.bank_id = %(bank)s AND l.year = m.year AND l.serial = m.serial
CROSS JOIN LATERAL (VALUES
    ('brought_in', m.starts_on + interval '10 hours', m.used + m.repaid, m.used + m.repaid),
    ('repay', (m.starts_on + (least(m.expires_on, %(date)s) - m.starts_on) / 2) + interval '11 hours', -m.repaid,
        m.used)) e (kind, at, change, after)
WHERE e.change <> 0 ORDER BY e.at, l.id
"""
_EVENTS = """
INSERT INTO credit_rating_lineevent (bank_id, line_id, kind, at, reason, limit_amount, reserved, utilised, expires_on)
SELECT %(bank)s, l.id, e.kind, e.at, e.reason, l.limit_amount, 0, e.used, l.expires_on
FROM credit_rating_creditline l
CROSS JOIN LATERAL (VALUES
    ('opened', l.opened_at, '', 0::bigint, true),
    ('frozen', %(date)s - interval '13 hours', '逾期预警，暂停用信', l.utilised, l.status = 'frozen'),
    ('expired', l.expires_on + interval '22 hours', '', l.utilised, l.status IN ('expired', 'closed')),
    ('closed', l.expires_on + interval '34 hours', '客户不再续作', 0, l.status = 'closed')) e (kind, at, reason, used, happened)
WHERE l.bank_id = %(bank)s AND e.happened ORDER BY e.at, l.id
"""


# What lines are for (words.PRODUCTS), by kind of customer; companies have a sub-limit for trade finance.
PRODUCTS = {"corporate": "L201", "household": "L301", "personal": "L102", "trade": "T101"}
SINGLE = ["L101", "L202"]  # loans that are decided one by one, never under a line


def make_lines(bank_id: int, *, currency: str, date: dt.date, seed: int) -> int:
    """Give the active bank's customers their lines; returns how many."""
    values: dict[str, Any] = {
        "bank": bank_id,
        "currency": currency,
        "date": date,
        "seed": seed,
        "single": SINGLE,
    }
    values |= PRODUCTS
    with connection.cursor() as cursor:
        cursor.execute(_CHOSEN, values)
        cursor.execute(_LINES, values)
        made = cursor.rowcount
        analyze(TABLES[:1])
        for statement in (_SUB_LIMITS, _ENTRIES, _EVENTS):
            cursor.execute(statement, values)
        cursor.execute("DROP TABLE made_line")
    return made
