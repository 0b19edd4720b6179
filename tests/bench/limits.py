"""What each step of a night is for whoever writes it by hand: one statement, or the COPY path for the model.

They write the same effect, changes of tasks and loans with their entry in the record, into narrow tables with the keys
that it needs and no more: no row security, no foreign keys, no trigger, no chunks; only rows that differ. The tables begin as the night found them (`begin`), so that a
limit changes as much as the night does. Where a step of ours is itself one hand-written SELECT (figures, homes,
statistics), the limit is that SELECT as the superuser over the whole book.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import psycopg

from crm_site.lib.dates import add_months, is_month_end, month_start
from customers.figures import figures_sql
from relationship import placement, worklists
from segmentation import statistics
from segmentation.engine.churn import Scorecard
from tests.rig import Spent, Work

ALL = (0, 2**62)
BEGIN = """
DROP TABLE IF EXISTS bench_figures, bench_monthend, bench_loan, bench_home, bench_load, bench_proposal, bench_task,
    bench_audit, bench_score;
CREATE TABLE bench_figures (bank_id bigint, customer_id bigint, deposits_adb bigint, deposits_balance bigint,
    loans bigint, aum bigint, overdue_amount bigint, days_past_due int, adb_previous bigint, deposits_13 bigint[],
    PRIMARY KEY (bank_id, customer_id)) WITH (fillfactor = 50);
INSERT INTO bench_figures SELECT bank_id, customer_id, deposits_adb, deposits_balance, loans, aum, overdue_amount,
    days_past_due, adb_previous, deposits_13 FROM customers_standing WHERE bank_id = {bank} AND as_of IS NOT NULL;
CREATE TABLE bench_monthend (bank_id bigint, month_end date, customer_id bigint, home_branch_id bigint, deposits_adb bigint,
    deposits_balance bigint, loans bigint, aum bigint, open_accounts smallint, transactions int, inflow bigint,
    outflow bigint, overdue_amount bigint, days_past_due int, value_tier smallint, wealth_level smallint,
    PRIMARY KEY (bank_id, month_end, customer_id)) WITH (fillfactor = 50);
CREATE TABLE bench_loan (bank_id bigint, id bigint, outstanding bigint, overdue_amount bigint, days_past_due int,
    PRIMARY KEY (bank_id, id)) WITH (fillfactor = 50);
INSERT INTO bench_loan SELECT bank_id, id, outstanding, overdue_amount, days_past_due FROM customers_loan
    WHERE bank_id = {bank};
CREATE TABLE bench_home (bank_id bigint, customer_id bigint, home_branch_id bigint, PRIMARY KEY (bank_id, customer_id));
INSERT INTO bench_home SELECT bank_id, id, home_branch_id FROM customers_customer WHERE bank_id = {bank};
CREATE TABLE bench_load (manager_id bigint, value_tier smallint, customers int, deposits_adb bigint, loans bigint,
    overdue_customers int, overdue_amount bigint, contacted int);
CREATE TABLE bench_proposal (bank_id bigint, customer_id bigint, unit_id bigint, manager_id bigint, value bigint,
    PRIMARY KEY (bank_id, customer_id));
INSERT INTO bench_proposal SELECT bank_id, customer_id, unit_id, manager_id, value FROM relationship_assignmentproposal
    WHERE bank_id = {bank} AND status = 'proposed';
CREATE TABLE bench_task (bank_id bigint, source_key text, reason text, customer_id bigint, owner_id bigint, unit_id bigint,
    due_date date, stake bigint, urgency smallint, params jsonb, status text DEFAULT 'open',
    PRIMARY KEY (bank_id, source_key));
INSERT INTO bench_task SELECT bank_id, source_key, reason, customer_id, owner_id, unit_id, due_date, stake, urgency,
    params, status FROM work_task WHERE bank_id = {bank} AND source_key <> '';
CREATE TABLE bench_audit (at timestamptz, bank_id bigint, tab text, key text, customer_id bigint, changes jsonb);
CREATE TABLE bench_score (bank_id bigint, customer_id bigint, as_of date, model_id bigint, score_bp int,
    reason_1 smallint, value_1 float8, reason_2 smallint, value_2 float8, reason_3 smallint, value_3 float8);
CREATE INDEX ON bench_score (bank_id, customer_id);
"""
FIGURES = ("deposits_adb", "deposits_balance", "loans", "aum", "overdue_amount", "days_past_due")


def begin(admin: psycopg.Connection[Any], bank: int) -> None:
    """The narrow tables as things stand before a night."""
    admin.execute(BEGIN.format(bank=bank))


def timed(admin: psycopg.Connection[Any], sql: str, params: Any = None) -> Spent:
    with Work() as work:
        admin.execute(sql, params)
    return work.spent


def of_night(admin: psycopg.Connection[Any], bank: int, day: dt.date) -> dict[str, Spent]:
    """What each step's limit takes on the day, but for the tiers', which the caller measures. Figures must be in."""
    admin.execute("ANALYZE")
    return {
        "feeds": timed(admin, _FEEDS, {"bank": bank}),
        "balances": balances(admin, bank, day),
        "arrears": timed(admin, _ARREARS, {"bank": bank, "day": day}),
        "churn": sum(churn(admin, bank, day).values(), Spent()),
        "placement": homes(admin, bank, day),
        "proposals": timed(admin, _PROPOSALS, {"bank": bank, "day": day}),
        "worklists": tasks(admin, bank, day),
        "summaries": summaries(admin, bank, day),
        "statistics": counted(admin, bank, day),
    }


_FEEDS = (
    "SELECT feed, max(coalesce(business_date, received_at::date)) FROM customers_batch"
    " WHERE bank_id = %(bank)s AND status = 'done' GROUP BY feed"
)
_ARREARS = """
WITH now AS (
    SELECT DISTINCT ON (loan_id) loan_id, outstanding, overdue_amount,
        CASE WHEN overdue_amount > 0 THEN greatest(%(day)s - overdue_since, 0) ELSE 0 END AS days
    FROM customers_loanbalance WHERE bank_id = %(bank)s AND date <= %(day)s ORDER BY loan_id, date DESC
), moved AS (
    UPDATE bench_loan t SET outstanding = n.outstanding, overdue_amount = n.overdue_amount, days_past_due = n.days
    FROM now n WHERE t.bank_id = %(bank)s AND t.id = n.loan_id
      AND (t.outstanding, t.overdue_amount, t.days_past_due) IS DISTINCT FROM (n.outstanding, n.overdue_amount, n.days)
    RETURNING t.*
)
INSERT INTO bench_audit SELECT now(), bank_id, 'customers_loan', id::text, NULL, to_jsonb(moved) FROM moved
"""


def balances(admin: psycopg.Connection[Any], bank: int, day: dt.date) -> Spent:
    """Everybody's figures where they differ; on a month-end also its record with the month's entries."""
    months, record = "b.deposits_13", ""
    if is_month_end(day):
        months = "(b.deposits_13 || f.deposits_adb)[greatest(cardinality(b.deposits_13) - 11, 1):]"
        record = f""", activity AS (
            SELECT a.owner_id, count(*) AS n, sum(greatest(t.amount, 0)) AS inflow, sum(greatest(-t.amount, 0)) AS outflow
            FROM customers_account a JOIN customers_transaction t ON t.bank_id = {bank} AND t.account_id = a.id
                AND t.booked_date BETWEEN DATE '{month_start(day)}' AND DATE '{day}'
            WHERE a.bank_id = {bank} GROUP BY a.owner_id
        ), recorded AS (
            INSERT INTO bench_monthend SELECT {bank}, DATE '{day}', f.customer_id, f.home_branch_id, f.deposits_adb,
                f.deposits_balance, f.loans, f.aum, f.open_accounts, coalesce(a.n, 0), coalesce(a.inflow, 0),
                coalesce(a.outflow, 0), f.overdue_amount, f.days_past_due, 0, 0
            FROM f LEFT JOIN activity a ON a.owner_id = f.customer_id)"""
    sets = ", ".join(f"{name} = f.{name}" for name in FIGURES)
    old, new = (", ".join(f"{t}.{name}" for name in FIGURES) for t in "bf")
    return timed(
        admin,
        f"WITH f AS MATERIALIZED ({figures_sql(bank, day, *ALL)}){record} UPDATE bench_figures b SET {sets},"
        f" adb_previous = coalesce(b.deposits_13[cardinality(b.deposits_13)], 0), deposits_13 = {months} FROM f"
        f" WHERE b.bank_id = {bank} AND b.customer_id = f.customer_id AND ({old}, {months}) IS DISTINCT FROM ({new}, b.deposits_13)",
    )


def homes(admin: psycopg.Connection[Any], bank: int, day: dt.date) -> Spent:
    """Home branches of those whose turn it is or who did business elsewhere; then what each person looks after."""
    values = {
        "bank": bank, "currency": "CNY", "day": day, "since": add_months(day, -placement.HOME_MONTHS),
        "recent": day - dt.timedelta(days=placement.RECENT_DAYS), "first": ALL[0], "last": ALL[1],
        "turn": placement.HOME_TURN, "slot": day.toordinal() % placement.HOME_TURN,
    }  # fmt: skip
    moved = f"""UPDATE bench_home h SET home_branch_id = n.home FROM ({placement._HOMES}) n (id, home, responsible)
        WHERE h.bank_id = %(bank)s AND h.customer_id = n.id"""
    loads = """INSERT INTO bench_load SELECT responsible_id, value_tier, count(*), sum(deposits_adb), sum(loans),
        count(*) FILTER (WHERE overdue_amount > 0), sum(overdue_amount), count(*) FILTER (WHERE last_contact_date >= %(day)s)
        FROM customers_standing WHERE bank_id = %(bank)s AND responsible_id IS NOT NULL GROUP BY 1, 2"""
    return timed(admin, moved, values) + timed(admin, loads, {"bank": bank, "day": day})


# Gaps without a place in the queue get the person of their branch with the fewest customers; places without a gap go.
_PROPOSALS = """
WITH tellers AS (
    SELECT staff_id FROM accounts_rolegrant WHERE bank_id = %(bank)s AND status = 'effective' GROUP BY staff_id
    HAVING bool_or(role = 'teller') AND NOT bool_or(role = 'relationship_manager')
), gaps AS MATERIALIZED (
    SELECT c.id, c.home_branch_id, s.deposits_adb + s.loans AS value
    FROM customers_standing s JOIN customers_customer c ON c.bank_id = s.bank_id AND c.id = s.customer_id
    WHERE s.bank_id = %(bank)s AND NOT c.is_prospect AND c.status <> 'closed' AND (s.responsible_id IS NULL
        OR (s.loans > 0 OR s.value_tier > 1) AND c.won_by_id IS DISTINCT FROM s.responsible_id
            AND s.responsible_id IN (SELECT staff_id FROM tellers))
), gone AS (
    DELETE FROM bench_proposal p WHERE p.bank_id = %(bank)s AND NOT EXISTS (SELECT FROM gaps g WHERE g.id = p.customer_id)
), lightest AS (
    SELECT DISTINCT ON (s.unit_id) s.unit_id, s.id FROM accounts_staff s
    LEFT JOIN (SELECT manager_id, sum(customers) AS n FROM relationship_managerload WHERE bank_id = %(bank)s GROUP BY 1) l
        ON l.manager_id = s.id
    WHERE s.bank_id = %(bank)s AND s.is_active ORDER BY s.unit_id, coalesce(l.n, 0)
)
INSERT INTO bench_proposal SELECT %(bank)s, g.id, g.home_branch_id, l.id, g.value
FROM gaps g LEFT JOIN lightest l ON l.unit_id = g.home_branch_id
WHERE NOT EXISTS (SELECT FROM bench_proposal p WHERE p.bank_id = %(bank)s AND p.customer_id = g.id)
"""


def tasks(admin: psycopg.Connection[Any], bank: int, day: dt.date) -> Spent:
    """The sources' own SELECTs in one statement."""
    wanted = " UNION ALL ".join(
        f"SELECT * FROM ({source.sql}) s (source_key, reason, c, o, u, due, stake, urgency, params)"
        for source in worklists.SOURCES
    )
    codes = [source.code for source in worklists.SOURCES]
    return put(admin, wanted, codes, worklists.values_of(bank, "CNY", day, *ALL))


def put(admin: psycopg.Connection[Any], wanted: str, sources: list[str], values: dict[str, Any]) -> Spent:
    """All tasks of some sources by one upsert of those that differ, those without a cause closed, both written into the
    record. `wanted`: SELECT source_key, reason, c, o, u, due, stake, params (customer, owner, unit)."""
    return timed(
        admin,
        f"""
WITH wanted AS MATERIALIZED (SELECT DISTINCT ON (source_key) * FROM ({wanted}) w
), written AS (
    INSERT INTO bench_task AS t (bank_id, source_key, reason, customer_id, owner_id, unit_id, due_date, stake, urgency, params)
    SELECT %(bank)s, source_key, reason, c, o, u, due, stake, 50, params FROM wanted
    ON CONFLICT (bank_id, source_key) DO UPDATE SET owner_id = excluded.owner_id, unit_id = excluded.unit_id,
        due_date = excluded.due_date, stake = excluded.stake, params = excluded.params, status = 'open'
    WHERE (t.status, t.owner_id, t.unit_id, t.due_date, t.stake) IS DISTINCT FROM
        ('open', excluded.owner_id, excluded.unit_id, excluded.due_date, excluded.stake) RETURNING t.*
), closed AS (
    UPDATE bench_task t SET status = 'cancelled' WHERE t.bank_id = %(bank)s AND t.status = 'open'
        AND split_part(t.source_key, ':', 1) = ANY (%(sources)s)
        AND NOT EXISTS (SELECT FROM wanted w WHERE w.source_key = t.source_key) RETURNING t.*
)
INSERT INTO bench_audit SELECT now(), bank_id, 'work_task', source_key, customer_id, to_jsonb(written) FROM written
UNION ALL SELECT now(), bank_id, 'work_task', source_key, customer_id, '{{"status": ["open", "cancelled"]}}' FROM closed""",
        values | {"sources": sources},
    )


def summaries(admin: psycopg.Connection[Any], bank: int, day: dt.date) -> Spent:
    """Branch x kind x tier x level by one GROUP BY; a month-end's record gets its tiers."""
    admin.execute("DROP TABLE IF EXISTS bench_summary")
    settled = Spent()
    if is_month_end(day):
        settled = timed(
            admin,
            "UPDATE bench_monthend m SET home_branch_id = s.home_branch_id, value_tier = s.value_tier,"
            " wealth_level = s.wealth_level FROM customers_standing s WHERE m.bank_id = %(bank)s"
            " AND m.month_end = %(day)s AND s.bank_id = %(bank)s AND s.customer_id = m.customer_id",
            {"bank": bank, "day": day},
        )
    return settled + timed(
        admin,
        "CREATE TABLE bench_summary AS SELECT home_branch_id, kind, value_tier, wealth_level, count(*),"
        " count(*) FILTER (WHERE deposits_adb > 0) AS depositors, count(*) FILTER (WHERE loans > 0) AS borrowers,"
        " sum(deposits_adb) AS adb, sum(deposits_balance) AS balance, sum(loans) AS loans, sum(aum) AS aum,"
        " sum(overdue_amount) AS overdue, count(*) FILTER (WHERE churn_bp >= 3000) AS alarmed,"
        " count(*) FILTER (WHERE responsible_id IS NULL) AS without_manager"
        f" FROM customers_standing WHERE bank_id = {bank} AND as_of IS NOT NULL GROUP BY 1, 2, 3, 4",
    )


def counted(admin: psycopg.Connection[Any], bank: int, day: dt.date) -> Spent:
    """Movement, product use and concentration of the book, each one statement."""
    admin.execute("DROP TABLE IF EXISTS bench_migration, bench_use, bench_curve")
    book = statistics._NEWEST
    given = {"bank": bank, "day": day, "before": month_start(day) - dt.timedelta(days=1)}
    made = {
        "bench_migration": statistics._MIGRATION.format(book=book),
        "bench_use": statistics._USE.format(book=book),
        "bench_curve": statistics.concentration_sql(book),
    }
    return sum(
        (timed(admin, f"CREATE TABLE {table} AS {sql}", given) for table, sql in made.items()), Spent()
    )


# -- the churn model ----------------------------------------------------------------------------------------------------

# Six points of each customer, the newest Standing unless the day is a month-end, rolled into the model's features.
_ROLLED = """
WITH points AS (
    SELECT customer_id, month_end, deposits_adb, deposits_balance, loans, aum, open_accounts, transactions, inflow, outflow
    FROM customers_monthend WHERE bank_id = {bank} AND month_end = ANY (ARRAY[{months}]::date[])
    {newest}
), rolled AS (
    SELECT customer_id,
        array_agg(deposits_adb::float8 ORDER BY month_end) AS adb, array_agg(open_accounts ORDER BY month_end) AS accounts,
        array_agg(transactions ORDER BY month_end) AS entries, array_agg(inflow::float8 ORDER BY month_end) AS inflow,
        (array_agg(outflow::float8 ORDER BY month_end DESC))[1] AS outflow,
        (array_agg(deposits_balance::float8 ORDER BY month_end DESC))[1] AS balance,
        (array_agg(aum::float8 ORDER BY month_end DESC))[1] AS aum, (array_agg(loans ORDER BY month_end DESC))[1] AS loans,
        avg(deposits_adb)::float8 AS base, max(deposits_adb)::float8 AS peak, min(deposits_adb)::float8 AS low
    FROM points GROUP BY customer_id HAVING count(*) = 6
)
SELECT r.customer_id::float8, (CASE c.kind WHEN 'personal' THEN 0 WHEN 'corporate' THEN 1 ELSE 2 END)::float8,
    {known}
FROM rolled r JOIN customers_customer c ON c.bank_id = {bank} AND c.id = r.customer_id
WHERE NOT c.is_prospect AND base >= 100000 AND accounts[1] > 0 AND accounts[6] > 0 AND peak - low > 0.01 * peak
  AND adb[6] >= 0.1 * base
"""
_NEWEST_POINT = """
    UNION ALL SELECT s.customer_id, DATE '{day}', s.deposits_adb, s.deposits_balance, s.loans, s.aum,
        coalesce(a.n, 0)::smallint, 0, 0, 0
    FROM customers_standing s LEFT JOIN (
        SELECT owner_id, count(*) AS n FROM customers_account WHERE bank_id = {bank} AND opened_date <= DATE '{day}'
            AND (closed_date IS NULL OR closed_date > DATE '{day}') GROUP BY owner_id) a ON a.owner_id = s.customer_id
    WHERE s.bank_id = {bank}"""
_NAN = "'NaN'::float8"
_FEATURES = {
    "adb_to_quarter": "least(adb[6] / nullif((adb[3] + adb[4] + adb[5]) / 3, 0), 5)",
    "adb_to_peak": "adb[6] / nullif(peak, 0)",
    "balance_to_adb": "least(balance / nullif(adb[6], 0), 5)",
    "falling_months": """CASE WHEN adb[6] >= adb[5] THEN 0 WHEN adb[5] >= adb[4] THEN 1 WHEN adb[4] >= adb[3] THEN 2
        WHEN adb[3] >= adb[2] THEN 3 WHEN adb[2] >= adb[1] THEN 4 ELSE 5 END""",
    "volatility": """least((abs(adb[2] - adb[1]) + abs(adb[3] - adb[2]) + abs(adb[4] - adb[3]) + abs(adb[5] - adb[4])
        + abs(adb[6] - adb[5])) / 5 / base, 5)""",
    "baseline": "base / 100",
    "entries_to_quarter": "least(entries[6] / nullif((entries[3] + entries[4] + entries[5]) / 3.0, 0)::float8, 5)",
    "inflow_to_quarter": "least(inflow[6] / nullif((inflow[3] + inflow[4] + inflow[5]) / 3, 0), 5)",
    "net_outflow": "greatest(least((outflow - inflow[6]) / base, 5), -5)",
    "open_accounts": "accounts[6]",
    "accounts_closed": "greatest(accounts[3] - accounts[6], 0)",
    "holdings": "round(greatest((aum - balance) / nullif(aum, 0), 0)::numeric, 2)",
    "has_loan": "(loans > 0)::int",
    "tenure_years": "(DATE '{day}' - c.customer_since) / 365.25",
    "age_years": "CASE WHEN c.kind <> 'corporate' THEN (DATE '{day}' - c.birth_date) / 365.25 END",
    "kind": "CASE c.kind WHEN 'personal' THEN 0 WHEN 'corporate' THEN 1 ELSE 2 END",
}
_UNKNOWN_BETWEEN = ("entries_to_quarter", "inflow_to_quarter", "net_outflow")


def churn(admin: psycopg.Connection[Any], bank: int, day: dt.date) -> dict[str, Spent]:
    """Rolled features out by binary COPY, the champions' prediction and reasons, binary COPY in: what each takes."""
    models = admin.execute(
        "SELECT id, kind, card FROM segmentation_churnmodel WHERE bank_id = %s AND status = 'champion' ORDER BY kind",
        [bank],
    ).fetchall()
    at_month_end = is_month_end(day)
    ends = [month_start(add_months(day, -n)) - dt.timedelta(days=1) for n in range(6)]
    ends = [end for end in ends if (day - end).days >= 15]
    months = [day, *ends][:6] if at_month_end else ends[:5]
    known = ", ".join(
        f"coalesce(({_NAN if not at_month_end and name in _UNKNOWN_BETWEEN else sql.format(day=day)})::float8, {_NAN})"
        for name, sql in _FEATURES.items()
    )
    sql = _ROLLED.format(
        bank=bank, months=", ".join(f"'{m}'" for m in months), known=known,
        newest="" if at_month_end else _NEWEST_POINT.format(bank=bank, day=day),
    )  # fmt: skip
    with Work() as reading:
        with admin.cursor().copy(f"COPY ({sql}) TO STDOUT (FORMAT binary)") as copy:
            data = b"".join(bytes(piece) for piece in copy)
        width = 2 + len(_FEATURES)
        shape = np.dtype(
            [("n", ">i2"), *[(f"{k}{i}", t) for i in range(width) for k, t in (("l", ">i4"), ("v", ">f8"))]]
        )
        rows = np.frombuffer(data, shape, count=(len(data) - 21) // shape.itemsize, offset=19)
    with Work() as predicting:
        values = {name: rows[f"v{i + 2}"].astype(float) for i, name in enumerate(_FEATURES)}
        ids, kinds = rows["v0"].astype(np.int64), rows["v1"].astype(np.int64)
        own = [("personal", "corporate", "household").index(kind) for _id, kind, _card in models if kind]
        parts = []
        for model_id, kind, card in models:
            mine = (
                kinds == ("personal", "corporate", "household").index(kind) if kind else ~np.isin(kinds, own)
            )
            scored = Scorecard.from_json(card).score({name: v[mine] for name, v in values.items()})
            codes, why = Scorecard.from_json(card).reasons(scored)
            parts.append(
                (ids[mine], np.full(mine.sum(), model_id), np.rint(scored.probability * 10_000), codes, why)
            )
        ids, models_of, points, codes, why = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    with Work() as writing:
        columns: list[tuple[str, int, Any]] = [
            ("i8", 8, np.full(len(ids), bank)), ("i8", 8, ids), ("i4", 4, np.full(len(ids), (day - dt.date(2000, 1, 1)).days)),
            ("i8", 8, models_of), ("i4", 4, points),
        ]  # fmt: skip
        for n in range(3):
            columns += [("i2", 2, codes[:, n]), ("f8", 8, why[:, n])]
        fields = [
            ("n", ">i2"),
            *[f for i, (t, _w, _v) in enumerate(columns) for f in ((f"l{i}", ">i4"), (f"v{i}", f">{t}"))],
        ]
        out = np.empty(len(ids), np.dtype(fields))
        out["n"] = len(columns)
        for i, (_type, size, column) in enumerate(columns):
            out[f"l{i}"], out[f"v{i}"] = size, column
        with admin.cursor().copy("COPY bench_score FROM STDIN (FORMAT binary)") as copy:
            copy.write(b"PGCOPY\n\xff\r\n\0" + bytes(8) + out.tobytes() + b"\xff\xff")
    return {"out": reading.spent, "predict": predicting.spent, "in": writing.spent}
