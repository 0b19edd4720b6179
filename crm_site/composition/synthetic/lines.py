"""Credit lines of a synthetic bank, at every stage of their life, by set-based SQL from the customers that are there.

Three in five borrowers have a line, and one company in six without a loan an unused one. What was lent before a line
began is brought in on its first day; a loan granted later is drawn on its own day, through a reservation; what the loans'
balances went down by is repaid on the days on which they did. A loan granted after the line's end is none of its own.
Everything is drawn from a hash of the customer's number and the seed: the same bank, the same lines.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.db import connection

from crm_site.lib.postgres.statistics import analyze

TABLES = (
    "credit_rating_creditline",
    "credit_rating_sublimit",
    "credit_rating_reservation",
    "credit_rating_lineentry",
    "credit_rating_lineevent",
)
# dice: 0..9999, independent of one another. A line runs a year, a household's three; amounts in minor units.
_CHOSEN = """
CREATE TEMP TABLE made_span ON COMMIT DROP AS
WITH owing AS (
    SELECT DISTINCT w.customer_id FROM customers_loan w
    JOIN customers_product p ON p.bank_id = w.bank_id AND p.id = w.product_id AND p.code <> ALL (%(single)s)
    WHERE w.bank_id = %(bank)s AND w.outstanding > 0 AND w.currency = %(currency)s
), thrown AS (
    SELECT c.id AS customer_id, c.number, c.kind, o.customer_id IS NOT NULL AS owes,
        abs(hashtextextended(c.number, %(seed)s) %% 10000) AS who,
        abs(hashtextextended(c.number, %(seed)s + 1) %% 10000) AS share,
        abs(hashtextextended(c.number, %(seed)s + 2) %% 10000) AS age,
        abs(hashtextextended(c.number, %(seed)s + 3) %% 10000) AS fate
    FROM customers_customer c LEFT JOIN owing o ON o.customer_id = c.id
    WHERE c.bank_id = %(bank)s AND NOT c.is_prospect AND c.status = 'active'
), chosen AS (
    SELECT *, CASE kind WHEN 'household' THEN 36 ELSE 12 END AS months FROM thrown
    WHERE owes AND who < 6000 OR NOT owes AND kind = 'corporate' AND who < 1600
), dated AS (
    -- Nine in ten live: they began within their months; the others ended within the last year.
    SELECT *, (%(date)s::date - (CASE WHEN fate < 9000 THEN age %% (months * 30 - 5)
        ELSE months * 30 + 5 + age %% 300 END)::int) AS starts_on FROM chosen
)
SELECT *, (starts_on + make_interval(months => months))::date AS expires_on FROM dated
"""
# The loans under each line: what stood on its first day, or what was granted later, and what they owe now.
_DRAWN = """
CREATE TEMP TABLE made_drawn ON COMMIT DROP AS
SELECT s.customer_id, w.id AS loan_id, w.number, w.granted_date > s.starts_on AS is_new, w.outstanding,
    greatest(w.granted_date, s.starts_on) AS drawn_on,
    greatest(w.outstanding, CASE WHEN w.granted_date > s.starts_on THEN w.amount ELSE coalesce(
        (SELECT b.outstanding FROM customers_loanbalance b WHERE b.bank_id = w.bank_id AND b.loan_id = w.id
            AND b.date <= s.starts_on ORDER BY b.date DESC LIMIT 1),
        (SELECT b.outstanding FROM customers_loanbalance b WHERE b.bank_id = w.bank_id AND b.loan_id = w.id
            ORDER BY b.date LIMIT 1), w.amount) END) AS drawn
FROM made_span s
JOIN customers_loan w ON w.bank_id = %(bank)s AND w.customer_id = s.customer_id AND w.outstanding > 0
    AND w.currency = %(currency)s AND w.granted_date <= s.expires_on
JOIN customers_product p ON p.bank_id = w.bank_id AND p.id = w.product_id AND p.code <> ALL (%(single)s)
"""
_ROOM = """
CREATE TEMP TABLE made_line ON COMMIT DROP AS
WITH used AS (
    SELECT customer_id, sum(outstanding)::bigint AS used, sum(drawn)::bigint AS drawn FROM made_drawn GROUP BY customer_id
), limited AS (
    -- Use from a fifth to all of the limit, rounded up to whole ten thousands (thousands for small ones). No line takes
    -- more than a hundredth of all that is lent, unless more was drawn: a bank's capital would not allow it.
    SELECT *, CASE WHEN drawn = 0 THEN least((20 + age %% 180) * 10000000,
            ceil((20 + age %% 180) / 200.0 * most / 1000000)::bigint * 1000000)
        ELSE greatest(ceil(drawn::numeric / step), least(ceil(used / (0.2 + 0.8 * share / 10000.0) / step),
            floor(most::numeric / step)))::bigint * step END AS room
    FROM (SELECT s.*, coalesce(d.used, 0) AS used, coalesce(d.drawn, 0) AS drawn,
            CASE WHEN coalesce(d.drawn, 0) < 100000000 THEN 100000 ELSE 1000000 END AS step
        FROM made_span s LEFT JOIN used d ON d.customer_id = s.customer_id) u,
        (SELECT coalesce(sum(outstanding), 0)::bigint / 100 AS most FROM customers_loan
         WHERE bank_id = %(bank)s AND status = 'active') w
)
SELECT customer_id, kind, room, used, drawn, starts_on, expires_on, extract(year FROM starts_on)::int AS year,
    row_number() OVER (PARTITION BY extract(year FROM starts_on) ORDER BY starts_on, number) AS serial,
    CASE WHEN expires_on < %(date)s AND used = 0 THEN 'closed' WHEN expires_on < %(date)s THEN 'expired'
        WHEN used = 0 AND fate < 1200 THEN 'pending' WHEN fate < 500 THEN 'frozen' ELSE 'active' END AS status,
    CASE WHEN (starts_on + interval '1 year')::date < expires_on
        THEN (starts_on + make_interval(years => 1 + (%(date)s::date - starts_on) / 366))::date END AS review_on
FROM limited
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
SELECT %(bank)s, l.id, p.id,
    CASE p.code WHEN %(trade)s THEN l.limit_amount / 2 ELSE greatest(l.limit_amount / 5 * 4, m.drawn) END, 0,
    CASE p.code WHEN %(trade)s THEN 0 ELSE l.utilised END
FROM made_line m
JOIN credit_rating_creditline l ON l.bank_id = %(bank)s AND l.year = m.year AND l.serial = m.serial
JOIN customers_product p ON p.bank_id = l.bank_id
    AND (p.code = %(trade)s OR p.code = %(corporate)s AND l.serial %% 2 = 0)
WHERE m.kind = 'corporate'
"""
_RESERVATIONS = """
INSERT INTO credit_rating_reservation (bank_id, line_id, product_id, amount, committed, status, reference,
    reserved_at, expires_at, closed_at)
SELECT %(bank)s, l.id, s.product_id, d.drawn, d.drawn, 'committed', d.number, d.drawn_on + interval '10 hours',
    d.drawn_on + interval '10 hours 30 minutes', d.drawn_on + interval '10 hours 2 minutes'
FROM made_drawn d
JOIN made_line m ON m.customer_id = d.customer_id
JOIN credit_rating_creditline l ON l.bank_id = %(bank)s AND l.year = m.year AND l.serial = m.serial
LEFT JOIN credit_rating_sublimit s ON s.bank_id = l.bank_id AND s.line_id = l.id AND s.product_id = l.product_id
WHERE d.is_new ORDER BY d.drawn_on, d.loan_id
"""
_ENTRIES = """
INSERT INTO credit_rating_lineentry (bank_id, line_id, reservation_id, product_id, kind, at, amount, reserved_change,
    utilised_change, reserved_after, utilised_after, reference, made_by)
WITH repaid AS (
    SELECT d.customer_id, d.number, b.date, coalesce(lag(b.outstanding) OVER by_day, d.drawn) - b.outstanding AS amount
    FROM made_drawn d
    JOIN customers_loanbalance b ON b.bank_id = %(bank)s AND b.loan_id = d.loan_id AND b.date > d.drawn_on
    WINDOW by_day AS (PARTITION BY d.loan_id ORDER BY b.date)
), acts AS (
    SELECT d.customer_id, d.number, e.kind, e.at, d.drawn AS amount, e.held * d.drawn AS reserved_change,
        e.taken * d.drawn AS utilised_change
    FROM made_drawn d
    CROSS JOIN LATERAL (VALUES
        ('brought_in', d.drawn_on + interval '10 hours', 0, 1, NOT d.is_new),
        ('reserve', d.drawn_on + interval '10 hours', 1, 0, d.is_new),
        ('commit', d.drawn_on + interval '10 hours 2 minutes', -1, 1, d.is_new)) e (kind, at, held, taken, happened)
    WHERE e.happened
    UNION ALL SELECT customer_id, number, 'repay', date + interval '18 hours', amount, 0, -amount FROM repaid
    WHERE amount > 0
)
SELECT %(bank)s, l.id, r.id, s.product_id, a.kind, a.at, a.amount, a.reserved_change, a.utilised_change,
    sum(a.reserved_change) OVER so_far, sum(a.utilised_change) OVER so_far, a.number, '核心系统'
FROM acts a
JOIN made_line m ON m.customer_id = a.customer_id
JOIN credit_rating_creditline l ON l.bank_id = %(bank)s AND l.year = m.year AND l.serial = m.serial
LEFT JOIN credit_rating_sublimit s ON s.bank_id = l.bank_id AND s.line_id = l.id AND s.product_id = l.product_id
LEFT JOIN credit_rating_reservation r ON r.bank_id = %(bank)s AND r.line_id = l.id AND r.reference = a.number
    AND a.kind IN ('reserve', 'commit')
WINDOW so_far AS (PARTITION BY l.id ORDER BY a.at, a.kind, a.number ROWS UNBOUNDED PRECEDING)
ORDER BY a.at, l.id, a.kind, a.number
"""
_EVENTS = """
INSERT INTO credit_rating_lineevent (bank_id, line_id, kind, at, reason, limit_amount, reserved, utilised, expires_on)
SELECT %(bank)s, l.id, e.kind, e.at, e.reason, l.limit_amount, 0, coalesce((SELECT sum(n.utilised_change)
    FROM credit_rating_lineentry n WHERE n.bank_id = l.bank_id AND n.line_id = l.id AND n.at <= e.at), 0), l.expires_on
FROM credit_rating_creditline l
CROSS JOIN LATERAL (VALUES
    ('opened', l.opened_at, '', true),
    ('frozen', %(date)s - interval '13 hours', '逾期预警，暂停用信', l.status = 'frozen'),
    ('expired', l.expires_on + interval '22 hours', '', l.status IN ('expired', 'closed')),
    ('closed', l.expires_on + interval '34 hours', '客户不再续作', l.status = 'closed')) e (kind, at, reason, happened)
WHERE l.bank_id = %(bank)s AND e.happened ORDER BY e.at, l.id
"""


# What lines are for (words.PRODUCTS), by kind of customer; companies have a sub-limit for trade finance, every second
# one another for the working capital that it draws.
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
        for statement in (_CHOSEN, _DRAWN, _ROOM, _LINES):
            cursor.execute(statement, values)
        made = cursor.rowcount
        analyze(TABLES[:1])
        cursor.execute(_SUB_LIMITS, values)
        analyze(TABLES[1:2])
        for statement in (_RESERVATIONS, _ENTRIES, _EVENTS):
            cursor.execute(statement, values)
        cursor.execute("DROP TABLE made_line, made_drawn, made_span")
    return made
