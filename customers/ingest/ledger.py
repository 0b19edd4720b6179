"""Accounts, holders, balances, transactions and holdings: how they land."""

from __future__ import annotations

from customers.ingest.columns import Bad
from customers.ingest.landing import LANDINGS, Counts, Landing, land_rows, remove_ended
from customers.models.accounts import BalanceConfirmation

BUCKET = 10_000
CONFIRMATIONS = BalanceConfirmation._meta.db_table


def land_accounts(landing: Landing) -> Counts:
    """Accounts with their owner as a holder; the account number finds its owner."""
    landing.drop("owner_change")
    landing.run(
        """
        CREATE TEMP TABLE owner_change ON COMMIT DROP AS
        SELECT p.n, a.owner_id AS old_owner FROM part p
        JOIN customers_account a ON a.bank_id = %(bank)s AND a.id = p.found_id
        WHERE a.owner_id <> p.owner_id
        """
    )
    counts = land_rows(landing)
    holders = landing.run(
        """
        INSERT INTO customers_accountholder (bank_id, account_id, customer_id, role, source_as_of)
        SELECT %(bank)s, p.id, p.owner_id, 'owner', coalesce(p.told_at, %(received_at)s)
        FROM part p WHERE p.found_id IS NULL
        """
    )
    landing.grown("customers_accountholder", holders)
    _add_number_tokens(landing, "p.found_id IS NULL")
    if landing.rows("SELECT count(*) FROM owner_change")[0][0]:
        _change_owners(landing)
    return counts


def _add_number_tokens(landing: Landing, condition: str) -> None:
    landing.run(
        f"""
        INSERT INTO customers_searchtoken (bank_id, customer_id, token, weight)
        SELECT %(bank)s, p.owner_id, left('a:' || lower(p.number), 64), 3 FROM part p WHERE {condition}
        ON CONFLICT (bank_id, token, customer_id) DO NOTHING
        """
    )


def _change_owners(landing: Landing) -> None:
    """The old owner is no longer a holder, the new one is the owner (a joint holder moves up)."""
    landing.run(
        """
        DELETE FROM customers_accountholder h USING part p JOIN owner_change o USING (n)
        WHERE h.bank_id = %(bank)s AND h.account_id = p.found_id AND h.role = 'owner'
        """
    )
    landing.run(
        """
        INSERT INTO customers_accountholder (bank_id, account_id, customer_id, role, source_as_of)
        SELECT %(bank)s, p.found_id, p.owner_id, 'owner', coalesce(p.told_at, %(received_at)s)
        FROM part p JOIN owner_change o USING (n)
        ON CONFLICT (bank_id, account_id, customer_id) DO UPDATE SET role = 'owner'
        """
    )
    landing.run(
        """
        DELETE FROM customers_searchtoken t USING part p JOIN owner_change o USING (n)
        WHERE t.bank_id = %(bank)s AND t.token = left('a:' || lower(p.number), 64) AND t.customer_id = o.old_owner
        """
    )
    _add_number_tokens(landing, "p.n IN (SELECT n FROM owner_change)")


def land_holders(landing: Landing) -> Counts:
    """Joint holders come and go; a second owner replaces the first, in the account too."""
    owners = landing.rows(
        """
        SELECT p.n FROM part p JOIN customers_accountholder h ON h.bank_id = %(bank)s AND h.id = p.found_id
        WHERE h.role = 'owner' AND (p.removed OR p.role = 'joint')
          AND NOT EXISTS (SELECT 1 FROM part q WHERE q.account_id = p.account_id AND q.role = 'owner'
                          AND q.customer_id <> p.customer_id AND q.removed IS NOT TRUE)
        """
    )
    landing.reject((n, "role", Bad("last_owner")) for (n,) in owners)
    twice = landing.rows(
        """
        SELECT n, first FROM (
            SELECT n, role, min(n) OVER (PARTITION BY account_id) AS first FROM part
            WHERE role = 'owner' AND removed IS NOT TRUE) x
        WHERE n <> first
        """
    )
    lines = landing.part.lines
    landing.reject((n, "account", Bad("duplicate", line=lines[first])) for n, first in twice)
    # The standing owner steps down first: an account has one owner at any moment.
    landing.run(
        """
        DELETE FROM customers_accountholder h USING part p
        WHERE h.bank_id = %(bank)s AND h.account_id = p.account_id AND h.role = 'owner' AND p.role = 'owner'
          AND p.removed IS NOT TRUE AND h.customer_id <> p.customer_id
          AND NOT EXISTS (SELECT 1 FROM part q WHERE q.found_id = h.id)
        """
    )
    landing.run(
        """
        UPDATE customers_accountholder h SET role = 'joint' FROM part p
        WHERE h.bank_id = %(bank)s AND h.account_id = p.account_id AND h.role = 'owner' AND p.role = 'owner'
          AND p.removed IS NOT TRUE AND h.customer_id <> p.customer_id
        """
    )
    counts = remove_ended(landing)
    counts.add(land_rows(landing))
    _follow_owner(landing)
    return counts


def _follow_owner(landing: Landing) -> None:
    """Account.owner is the holder of role owner; the account number finds the new owner only."""
    landing.drop("moved")
    landing.run(
        """
        CREATE TEMP TABLE moved ON COMMIT DROP AS
        SELECT a.id, a.number, a.owner_id AS old_owner, p.customer_id AS owner_id FROM part p
        JOIN customers_account a ON a.bank_id = %(bank)s AND a.id = p.account_id
        WHERE p.role = 'owner' AND a.owner_id <> p.customer_id
        """
    )
    landing.run(
        """
        UPDATE customers_account a SET owner_id = m.owner_id FROM moved m
        WHERE a.bank_id = %(bank)s AND a.id = m.id
        """
    )
    landing.run(
        """
        DELETE FROM customers_searchtoken t USING moved m
        WHERE t.bank_id = %(bank)s AND t.token = left('a:' || lower(m.number), 64) AND t.customer_id = m.old_owner
        """
    )
    landing.run(
        """
        INSERT INTO customers_searchtoken (bank_id, customer_id, token, weight)
        SELECT %(bank)s, m.owner_id, left('a:' || lower(m.number), 64), 3 FROM moved m
        ON CONFLICT (bank_id, token, customer_id) DO NOTHING
        """
    )


def land_transactions(landing: Landing) -> Counts:
    landing.ensure_months("customers_transaction", "booked_date")
    return land_rows(landing)


def land_balances(landing: Landing) -> Counts:
    """End-of-day balances as changes with running balance-days (customers.models.BalanceChange).

    A delivered day that equals the balance carried forward makes no row but a confirmation. A day that comes
    late is put in its place: later days that are known keep their balance, and the running sums of the later
    rows of the accounts concerned are computed anew.
    """
    landing.drop("first_day", "known", "timeline")
    landing.run(
        "CREATE TEMP TABLE first_day ON COMMIT DROP AS SELECT account_id, min(date) AS day FROM part GROUP BY 1"
    )
    landing.run("ANALYZE first_day")
    _known_days(landing)
    older = landing.run(
        """
        DELETE FROM part p USING known k
        WHERE k.account_id = p.account_id AND k.date = p.date AND p.told_at < k.told_at
        """
    )
    landing.ensure_months("customers_balancechange", "date")
    _timeline(landing)
    counts = _write_timeline(landing)
    counts.unchanged += older
    return counts


def _known_days(landing: Landing) -> None:
    """Confirmed days of the part's accounts from the first delivered day on, with their standing balance."""
    landing.run(
        "CREATE TEMP TABLE known (account_id bigint, date date, told_at timestamptz, balance bigint) ON COMMIT DROP"
    )
    (first,) = landing.rows("SELECT min(day) FROM first_day")[0]
    if not landing.rows(
        f"SELECT EXISTS (SELECT 1 FROM {CONFIRMATIONS} WHERE bank_id = %(bank)s AND date >= %(first)s)",
        first=first,
    )[0][0]:
        return
    landing.run(
        f"""
        INSERT INTO known
        SELECT k.account_id, k.date, k.told_at,
               (SELECT b.balance FROM customers_balancechange b
                WHERE b.bank_id = %(bank)s AND b.account_id = k.account_id AND b.date <= k.date
                ORDER BY b.date DESC LIMIT 1)
        FROM (SELECT f.account_id, c.date, max(c.source_as_of) AS told_at
              FROM {CONFIRMATIONS} c CROSS JOIN LATERAL unnest(c.accounts) AS a (account_id)
              JOIN first_day f ON f.account_id = a.account_id AND c.date >= f.day
              WHERE c.bank_id = %(bank)s AND c.date >= %(first)s
                AND c.bucket IN (SELECT DISTINCT account_id / {BUCKET} FROM first_day)
              GROUP BY 1, 2) k
        """,
        first=first,
    )
    landing.run("ANALYZE known")


def _timeline(landing: Landing) -> None:
    """Every known day of the accounts from the first delivered day on, with the running sums up to it."""
    landing.run(
        """
        CREATE TEMP TABLE timeline ON COMMIT DROP AS
        WITH standing AS (
            SELECT b.account_id, b.date, b.balance, b.source_as_of FROM customers_balancechange b
            JOIN first_day f ON f.account_id = b.account_id AND b.date >= f.day
            WHERE b.bank_id = %(bank)s
        ), days AS (
            SELECT f.account_id, b.date, b.balance, NULL::timestamptz AS told_at, NULL::timestamptz AS dated_at,
                   false AS is_told, true AS is_base,
                   NULL::bigint AS row_balance, b.positive_days AS positive_step, b.negative_days AS negative_step
            FROM first_day f CROSS JOIN LATERAL (
                SELECT * FROM customers_balancechange b
                WHERE b.bank_id = %(bank)s AND b.account_id = f.account_id AND b.date < f.day
                ORDER BY b.date DESC LIMIT 1) b
            UNION ALL
            SELECT account_id, date, coalesce(p.balance, s.balance, k.balance),
                   CASE WHEN p.n IS NULL THEN coalesce(s.source_as_of, k.told_at)
                        ELSE coalesce(p.told_at, %(received_at)s) END,
                   p.told_at, p.n IS NOT NULL, false, s.balance, 0, 0
            FROM part p FULL JOIN standing s USING (account_id, date) FULL JOIN known k USING (account_id, date)
        ), steps AS (
            SELECT *, lag(balance) OVER w AS previous,
                   positive_step + coalesce((date - lag(date) OVER w) * greatest(lag(balance) OVER w, 0), 0) AS plus,
                   negative_step + coalesce((date - lag(date) OVER w) * greatest(-lag(balance) OVER w, 0), 0) AS minus
            FROM days WINDOW w AS (PARTITION BY account_id ORDER BY date)
        )
        SELECT account_id, date, balance, told_at, dated_at, is_told, is_base, row_balance,
               previous IS NULL OR balance <> previous AS is_change,
               (sum(plus) OVER w)::bigint AS positive_days, (sum(minus) OVER w)::bigint AS negative_days
        FROM steps WINDOW w AS (PARTITION BY account_id ORDER BY date)
        """
    )
    landing.run("DELETE FROM timeline WHERE is_base")
    landing.run("ANALYZE timeline")


def _write_timeline(landing: Landing) -> Counts:
    (told,) = landing.rows("SELECT count(*) FROM timeline WHERE is_told")[0]
    (updated,) = landing.rows(
        "SELECT count(*) FROM timeline WHERE is_told AND row_balance IS NOT NULL AND row_balance <> balance"
    )[0]
    (inserted,) = landing.rows(
        "SELECT count(*) FROM timeline WHERE is_told AND is_change AND row_balance IS NULL"
    )[0]
    landing.run(
        """
        DELETE FROM customers_balancechange b USING timeline t
        WHERE b.bank_id = %(bank)s AND b.account_id = t.account_id AND b.date = t.date
          AND t.row_balance IS NOT NULL AND NOT t.is_change
        """
    )
    landing.run(
        """
        UPDATE customers_balancechange b
        SET balance = t.balance, positive_days = t.positive_days, negative_days = t.negative_days,
            source_as_of = CASE WHEN b.balance <> t.balance THEN t.told_at
                                ELSE greatest(b.source_as_of, t.told_at) END
        FROM timeline t
        WHERE b.bank_id = %(bank)s AND b.account_id = t.account_id AND b.date = t.date
          AND t.row_balance IS NOT NULL AND t.is_change
          AND (ROW(b.balance, b.positive_days, b.negative_days)
               IS DISTINCT FROM ROW(t.balance, t.positive_days, t.negative_days) OR t.dated_at > b.source_as_of)
        """
    )
    added = landing.run(
        """
        INSERT INTO customers_balancechange
            (bank_id, account_id, date, balance, positive_days, negative_days, source_as_of)
        SELECT %(bank)s, account_id, date, balance, positive_days, negative_days, told_at FROM timeline
        WHERE is_change AND row_balance IS NULL
        """
    )
    landing.grown("customers_balancechange", added)
    landing.run(
        f"""
        INSERT INTO {CONFIRMATIONS} (bank_id, date, bucket, accounts, source_as_of)
        SELECT %(bank)s, t.date, t.account_id / {BUCKET}, array_agg(t.account_id ORDER BY t.account_id), t.told_at
        FROM timeline t LEFT JOIN known k USING (account_id, date)
        LEFT JOIN part p USING (account_id, date)
        WHERE NOT t.is_change AND (t.is_told OR t.row_balance IS NOT NULL)
          AND (k.account_id IS NULL OR (p.told_at IS NOT NULL AND k.told_at < p.told_at))
        GROUP BY t.date, t.account_id / {BUCKET}, t.told_at
        """
    )
    return Counts(inserted=inserted, updated=updated, unchanged=told - inserted - updated)


def land_holdings(landing: Landing) -> Counts:
    """Market values: a row per change; a value that equals the one carried forward makes none.

    A value that comes late for a day before a later known one is kept even when it equals what was carried.
    """
    same = landing.run(
        """
        DELETE FROM part p WHERE p.found_id IS NULL AND EXISTS (
            SELECT 1 FROM (
                SELECT h.value, h.currency, h.product_id, h.customer_id, h.maturity_date FROM customers_holding h
                WHERE h.bank_id = %(bank)s AND h.reference = p.reference AND h.date < p.date
                ORDER BY h.date DESC LIMIT 1) last
            WHERE last.value = p.value AND last.currency = p.currency AND last.product_id = p.product_id
              AND last.customer_id = p.customer_id AND last.maturity_date IS NOT DISTINCT FROM p.maturity_date)
          AND NOT EXISTS (
            SELECT 1 FROM customers_holding h
            WHERE h.bank_id = %(bank)s AND h.reference = p.reference AND h.date > p.date)
          AND NOT EXISTS (SELECT 1 FROM part q WHERE q.reference = p.reference AND q.n <> p.n)
        """
    )
    counts = land_rows(landing)
    counts.unchanged += same
    return counts


def register() -> None:
    """Enter how these feeds land."""
    LANDINGS["accounts"] = land_accounts
    LANDINGS["holders"] = land_holders
    LANDINGS["transactions"] = land_transactions
    LANDINGS["balances"] = land_balances
    LANDINGS["holdings"] = land_holdings
