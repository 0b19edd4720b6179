"""Loans with their schedules, and arrears: how they land, with the history per date."""

from __future__ import annotations

from customers.ingest.landing import LANDINGS, Counts, Landing, land_rows


def land_loans(landing: Landing) -> Counts:
    """The loan, its outstanding principal from a date on, and its schedule.

    `outstanding` makes a LoanBalance row for `as_of` when it differs from the one carried forward; the loan's own
    figure follows only when no later day is known.
    """
    total = landing.count_part()
    landing.run("UPDATE part SET as_of = %(business_date)s WHERE as_of IS NULL")
    updated = landing.update_changed()
    inserted = landing.insert_new(
        extra={"outstanding": "p.outstanding", "overdue_amount": "0", "days_past_due": "0"}
    )
    touched = _outstanding(landing) | _schedules(landing)
    only_history = len(touched - landing.updated)
    return Counts(
        inserted=inserted, updated=updated + only_history, unchanged=total - inserted - updated - only_history
    )


def _outstanding(landing: Landing) -> set[int]:
    """History of outstanding principal; numbers of the rows of standing loans that changed it."""
    changed = landing.rows(
        """
        INSERT INTO customers_loanbalance AS t
            (bank_id, loan_id, date, outstanding, overdue_amount, overdue_since, source_as_of)
        SELECT %(bank)s, p.id, p.as_of, p.outstanding, coalesce(b.overdue_amount, 0), b.overdue_since,
               coalesce(p.told_at, %(received_at)s)
        FROM part p LEFT JOIN LATERAL (
            SELECT * FROM customers_loanbalance b
            WHERE b.bank_id = %(bank)s AND b.loan_id = p.id AND b.date <= p.as_of ORDER BY b.date DESC LIMIT 1) b ON true
        WHERE b.outstanding IS DISTINCT FROM p.outstanding
        ON CONFLICT (bank_id, loan_id, date) DO UPDATE
        SET outstanding = excluded.outstanding, source_as_of = excluded.source_as_of
        RETURNING t.loan_id
        """
    )
    landing.grown("customers_loanbalance", len(changed))
    loans = {loan for (loan,) in changed}
    landing.run(
        """
        UPDATE customers_loan l SET outstanding = p.outstanding, as_of = p.as_of FROM part p
        WHERE l.bank_id = %(bank)s AND l.id = p.id AND (l.as_of IS NULL OR l.as_of <= p.as_of)
          AND (l.outstanding, l.as_of) IS DISTINCT FROM (p.outstanding, p.as_of)
        """
    )
    numbers = landing.rows("SELECT n, id FROM part WHERE found_id IS NOT NULL")
    return {n for n, loan in numbers if loan in loans}


def _schedules(landing: Landing) -> set[int]:
    """The loan's instalments as delivered: explicit, or monthly from the first due day after it was granted.

    A day that a month does not have falls on its last one. Instalments that are no longer in the schedule go.
    """
    landing.drop("due")
    landing.run(
        """
        CREATE TEMP TABLE due ON COMMIT DROP AS
        SELECT p.n, p.id AS loan_id, split_part(d, ':', 1)::date AS due_date, split_part(d, ':', 2)::bigint AS amount
        FROM part p CROSS JOIN LATERAL regexp_split_to_table(p.schedule, ';') AS d WHERE p.schedule IS NOT NULL
        UNION ALL
        SELECT p.n, p.id, m.due, p.instalment_amount
        FROM part p CROSS JOIN LATERAL (
            SELECT least(month + (coalesce(p.instalment_day, extract(day FROM p.granted_date)::int) - 1),
                         (month + interval '1 month - 1 day')::date) AS due
            FROM (SELECT generate_series(date_trunc('month', p.granted_date), p.maturity_date, '1 month')::date AS month) x
        ) m
        WHERE p.schedule IS NULL AND p.instalment_amount IS NOT NULL
          AND m.due > p.granted_date AND m.due <= p.maturity_date
        """
    )
    gone = landing.rows(
        """
        DELETE FROM customers_loaninstalment i USING (SELECT DISTINCT n, loan_id FROM due) d
        WHERE i.bank_id = %(bank)s AND i.loan_id = d.loan_id
          AND NOT EXISTS (SELECT 1 FROM due x WHERE x.loan_id = i.loan_id AND x.due_date = i.due_date)
        RETURNING d.n
        """
    )
    changed = landing.rows(
        """
        INSERT INTO customers_loaninstalment AS t (bank_id, loan_id, due_date, amount, source_as_of)
        SELECT %(bank)s, d.loan_id, d.due_date, d.amount, coalesce(p.told_at, %(received_at)s)
        FROM due d JOIN part p USING (n)
        ON CONFLICT (bank_id, loan_id, due_date) DO UPDATE
        SET amount = excluded.amount, source_as_of = excluded.source_as_of WHERE t.amount <> excluded.amount
        RETURNING t.loan_id
        """
    )
    landing.grown("customers_loaninstalment", len(changed))
    loans = {loan for (loan,) in changed}
    standing = landing.rows("SELECT n, id FROM part WHERE found_id IS NOT NULL")
    return {n for n, loan in standing if loan in loans} | {
        n for (n,) in gone if n in {m for m, _id in standing}
    }


def land_arrears(landing: Landing) -> Counts:
    """A day's outstanding and arrears as history; the loan's own figures follow when no later day is known.

    Days past due run from the day after the oldest uncovered due date, to the day delivered.
    """
    same = landing.run(
        """
        DELETE FROM part p WHERE p.found_id IS NULL AND EXISTS (
            SELECT 1 FROM (
                SELECT * FROM customers_loanbalance b
                WHERE b.bank_id = %(bank)s AND b.loan_id = p.loan_id AND b.date < p.date
                ORDER BY b.date DESC LIMIT 1) b
            WHERE b.outstanding = p.outstanding AND b.overdue_amount = coalesce(p.overdue_amount, 0)
              AND b.overdue_since IS NOT DISTINCT FROM p.overdue_since)
          AND NOT EXISTS (
            SELECT 1 FROM customers_loanbalance b
            WHERE b.bank_id = %(bank)s AND b.loan_id = p.loan_id AND b.date > p.date)
          AND NOT EXISTS (SELECT 1 FROM part q WHERE q.loan_id = p.loan_id AND q.n <> p.n)
        """
    )
    counts = land_rows(landing)
    counts.unchanged += same
    landing.run(
        """
        UPDATE customers_loan l
        SET outstanding = p.outstanding, overdue_amount = coalesce(p.overdue_amount, 0), as_of = p.date,
            days_past_due = CASE WHEN p.overdue_since IS NULL THEN 0 ELSE p.date - p.overdue_since END
        FROM (SELECT DISTINCT ON (loan_id) * FROM part ORDER BY loan_id, date DESC) p
        WHERE l.bank_id = %(bank)s AND l.id = p.loan_id AND (l.as_of IS NULL OR l.as_of <= p.date)
        """
    )
    return counts


def register() -> None:
    """Enter how these feeds land."""
    LANDINGS["loans"] = land_loans
    LANDINGS["arrears"] = land_arrears
