"""A staged part into the bank's tables: references resolved, rows that differ written, by set-based SQL.

`land(part)` works on the temporary table `part`: the staged rows with the ids of what they refer to, the id of
the row that stands already (`found_id`) and the id they land under (`id`). Every statement carries the bank.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from psycopg.types.json import Jsonb

from crm_site.lib.crypto import Vault
from customers.ingest.columns import Bad, Column
from customers.ingest.feeds import Feed
from customers.ingest.staging import Part, Stager

# What a reference names: table and the column with the bank's own number.
REFERENCES = {
    "customer": ("customers_customer", "number"),
    "account": ("customers_account", "number"),
    "branch": ("accounts_orgunit", "code"),
    "staff": ("accounts_staff", "number"),
    "product": ("customers_product", "code"),
    "loan": ("customers_loan", "number"),
}
# Columns that a new row needs beside the feed's own.
NEW_ROW = {
    "accounts_orgunit": {"lft": "0", "rgt": "0"},
    "accounts_staff": {
        "password": "'!' || md5(random()::text || clock_timestamp()::text)",
        "is_active": "true",
        "must_change_password": "true",
        "language": "''",
    },
}


@dataclass
class Counts:
    """What a delivery did so far."""

    received: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: int = 0

    def add(self, other: Counts) -> None:
        self.received += other.received
        self.inserted += other.inserted
        self.updated += other.updated
        self.unchanged += other.unchanged
        self.rejected += other.rejected


@dataclass
class Landing:
    """One delivery's way into the tables: cursor, bank, feed and what the statements need."""

    cursor: Any
    bank_id: int
    feed: Feed
    stager: Stager
    vault: Vault
    received_at: dt.datetime
    business_date: dt.date
    as_of: dt.datetime | None  # of rows that carry none, when the delivery has a business date
    batch_id: int | None = None
    keep_changes: bool = False  # for undo
    options: dict[str, Any] = field(default_factory=dict)
    part: Part = field(default_factory=Part)
    updated: set[int] = field(default_factory=set)  # numbers of the part's rows whose standing row changed
    newest: dt.datetime | None = None  # as-of of what has landed so far, where rows say it
    _parts: int = 0
    _grown: dict[str, int] = field(
        default_factory=dict
    )  # table -> rows added since its statistics were taken

    # ---- small tools

    def run(self, sql: str, **params: Any) -> int:
        """Execute one statement with the bank and the delivery's moments at hand; rows affected."""
        self.cursor.execute(
            sql,
            {
                "bank": self.bank_id,
                "received_at": self.received_at,
                "business_date": self.business_date,
                "as_of": self.as_of,
                "batch": self.batch_id,
                **params,
            },
        )
        return self.cursor.rowcount

    def rows(self, sql: str, **params: Any) -> list[tuple]:
        self.run(sql, **params)
        return self.cursor.fetchall()

    def copy(self, table: str, columns: str, rows: Iterable[Sequence[Any]]) -> None:
        """Fill a new temporary table `table` (columns as SQL) with rows."""
        self.cursor.execute(f"CREATE TEMP TABLE {table} ({columns}) ON COMMIT DROP")
        with self.cursor.copy(f"COPY {table} FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)

    def drop(self, *tables: str) -> None:
        for table in tables:
            self.cursor.execute(f"DROP TABLE IF EXISTS {table}")

    # ---- what every feed does

    def begin(self) -> None:
        """Once per delivery: the staging table, and one delivery of a table at a time in this bank."""
        self.run(
            "SELECT pg_advisory_xact_lock(hashtextextended(%(lock)s, 0))",
            lock=f"ingest|{self.bank_id}|{self.feed.table}",
        )
        self.drop("stage", "seen_keys")
        self.cursor.execute(self.stager.ddl)
        self.cursor.execute("CREATE TEMP TABLE seen_keys (kh bigint, line bigint) ON COMMIT DROP")

    def land_part(self, part: Part) -> Counts:
        """Everything of one staged part; the rejected rows' errors are in `part.errors`."""
        self.part = part
        counts = Counts(received=part.received)
        if part.lines:
            counts.unchanged += self._resolve()
            ((newest,),) = self.rows("SELECT max(told_at) FROM part")
            self.newest = max(filter(None, (self.newest, newest)), default=None)
            counts.unchanged += self._set_aside_older()
            landed = LANDINGS.get(self.feed.name, land_rows)(self)
            counts.add(landed)
            self.drop("part")
        counts.rejected = len(part.rejected_lines)
        self.cursor.execute("TRUNCATE stage")
        self._parts += 1
        return counts

    def reject(self, rows: Iterable[tuple[int, str, Bad]]) -> int:
        """Set staged rows (by number) aside with their reason and take them out of `part`."""
        numbers = set()
        for n, name, bad in rows:
            numbers.add(n)
            self.stager.reject(self.part, self.part.row(n), name, bad)
        if numbers:
            self.run("DELETE FROM part WHERE n = ANY(%(numbers)s)", numbers=list(numbers))
        return len(numbers)

    def _key_match(self, table: str = "t") -> str:
        conditions = [f"{table}.bank_id = %(bank)s"]
        for name in self.feed.key:
            column = self.feed.column(name)
            value = f'p."{name}_id"' if column.reference else f'p."{name}"'
            conditions.append(f'{table}."{column.target}" = {value}')
        return " AND ".join(conditions)

    def _resolve(self) -> int:
        """stage -> part: duplicates of earlier parts and unknown references rejected, standing rows found.

        Returns how many rows say what stands already: where a feed can tell (SAME) they do not come into `part`.
        """
        feed = self.feed
        joins, picks = [], []
        for column in feed.columns:
            if column.reference:
                table, number = REFERENCES[column.reference]
                picks.append(f', r_{column.name}.id AS "{column.name}_id"')
                joins.append(
                    f"LEFT JOIN {table} r_{column.name} ON r_{column.name}.bank_id = %(bank)s "
                    f'AND r_{column.name}.{number} = s."{column.name}"'
                )
        found, new_id = "t.id", f"nextval(pg_get_serial_sequence('{feed.table}', 'id'))"
        if feed.name == "balances":  # their key is account and date
            found, new_id = "t.account_id", "NULL"
        known = [f'"{column.name}"' for column in feed.columns if column.reference or column.name in feed.key]
        self.cursor.execute(f"ANALYZE stage ({', '.join(['n', *known])})")
        beside, differs = self._differing()
        staged = self.run(
            f"""
            CREATE TEMP TABLE part ON COMMIT DROP AS
            SELECT p.*, {found} AS found_id, coalesce({found}, {new_id}) AS id,
                   coalesce(p.told_at < t.source_as_of, false) AS is_older
            FROM (
                SELECT s.*, coalesce(s.source_as_of, %(as_of)s) AS told_at{"".join(picks)} FROM stage s {" ".join(joins)}
            ) p LEFT JOIN {feed.table} t ON {self._key_match()} {beside} WHERE {differs}
            """
        )
        self._reject_seen()
        for column in feed.columns:
            if column.reference:
                missing = self.rows(
                    f'SELECT n FROM part WHERE "{column.name}" IS NOT NULL AND "{column.name}_id" IS NULL'
                )
                bad = Bad("unknown_reference", what=column.reference)
                self.reject((n, column.name, bad) for (n,) in missing)
        ids = [f'"{column.name}_id"' for column in feed.columns if column.reference]
        self.cursor.execute(f"ANALYZE part ({', '.join(['n', 'id', 'found_id', *known, *ids])})")
        return len(self.part.lines) - staged

    def _differing(self) -> tuple[str, str]:
        """(further joins, condition) of the rows that may change something: all of them, unless the feed can tell."""
        same = SAME.get(self.feed.name)
        if same is None:
            return "", "true"
        tables, equal = same(self)
        if self._parts:  # a key that came before is rejected, whatever its row says
            equal += " AND NOT EXISTS (SELECT FROM seen_keys k WHERE k.kh = p.kh)"
        for column in self.feed.columns:
            if column.reference and self.is_given(column):  # and so is a reference to nothing
                equal += f' AND (p."{column.name}" IS NULL OR p."{column.name}_id" IS NOT NULL)'
        return tables, f"(t.id IS NOT NULL AND p.told_at IS NULL AND {equal}) IS NOT TRUE"

    def _reject_seen(self) -> None:
        """A key of an earlier part of this delivery again. (Within a part the stager found it.)"""
        if self._parts:
            again = self.rows("SELECT p.n, k.line FROM part p JOIN seen_keys k ON k.kh = p.kh")
            self.reject((n, self.feed.key[0], Bad("duplicate", line=line)) for n, line in again)
        if not self.part.is_last:
            self.run(
                "INSERT INTO seen_keys SELECT s.kh, s.line FROM stage s"
                " WHERE NOT EXISTS (SELECT FROM seen_keys k WHERE k.kh = s.kh)"
            )
            self.cursor.execute("ANALYZE seen_keys")

    def _set_aside_older(self) -> int:
        """Rows older than what stands change nothing."""
        return self.run("DELETE FROM part WHERE is_older")

    def is_given(self, column: Column) -> bool:
        """Whether any row of the part gives the column."""
        return bool(self.part.mask_any >> self.stager.slots[column.name] & 1)

    def value(self, column: Column, standing: str) -> str:
        """SQL of what a standing row gets: the delivered value, or what stands where a row leaves it out."""
        bit = 1 << self.stager.slots[column.name]
        name = f"{column.name}_id" if column.reference else column.name
        delivered = f'coalesce(p."{name}", {column.empty_sql})'
        if self.part.mask_all & bit:
            return delivered
        return f"CASE WHEN p.given & {bit} <> 0 THEN {delivered} ELSE {standing} END"

    def pairs(self) -> list[tuple[str, str]]:
        """(column of the table, SQL of its new value) of what this part gives, key columns aside."""
        return [
            (column.target, self.value(column, f't."{column.target}"'))
            for column in self.feed.columns
            if column.target and column.name not in self.feed.key and self.is_given(column)
        ]

    def insert_new(self, extra: dict[str, str] | None = None, source: str = "part p") -> int:
        """Insert the rows that have no standing one. `extra`: further columns as SQL over p."""
        values = {"bank_id": "%(bank)s", "id": "p.id"}
        for column in self.feed.columns:
            if column.target:
                name = f"{column.name}_id" if column.reference else column.name
                values[column.target] = f'coalesce(p."{name}", {column.empty_sql})'
        values |= NEW_ROW.get(self.feed.table, {}) | (extra or {})
        values["source_as_of"] = "coalesce(p.told_at, %(received_at)s)"
        names = ", ".join(f'"{name}"' for name in values)
        count = self.run(
            f"INSERT INTO {self.feed.table} ({names}) SELECT {', '.join(values.values())} FROM {source} "
            "WHERE p.found_id IS NULL"
        )
        self.grown(self.feed.table, count)
        if self.keep_changes:
            self.run(
                f"""
                INSERT INTO customers_rowchange (bank_id, batch_id, "table", row_id, before, after)
                SELECT %(bank)s, %(batch)s, %(table)s, t.id, NULL, to_jsonb(t)
                FROM part p JOIN {self.feed.table} t ON t.bank_id = %(bank)s AND t.id = p.id
                WHERE p.found_id IS NULL
                """,
                table=self.feed.table,
            )
        return count

    def grown(self, table: str, inserted: int) -> None:
        """Rows were added to a table: take its statistics anew when they are a quarter of what the planner expects.

        It is asked what it expects of this bank: a new bank beside large ones is nothing to it until the table as a
        whole has grown by a tenth. Then it compares each row of a part with each of the bank (two parts of 100,000
        customers: hours), and takes an index on the bank alone for foreign keys (whose plans the session keeps).
        """
        total = self._grown[table] = self._grown.get(table, 0) + inserted
        if total < 500:
            return
        ((plan,),) = self.rows(f"EXPLAIN (FORMAT JSON) SELECT FROM {table} WHERE bank_id = {self.bank_id:d}")
        if total > plan[0]["Plan"]["Plan Rows"] / 4:
            self.run("SELECT banyan_analyze(%(t)s)", t=table)
            self._grown[table] = 0

    def update_changed(
        self, extra: Sequence[tuple[str, str]] = (), source: str = "part p", also: str = ""
    ) -> int:
        """Update standing rows that differ; returns how many. A newer as-of alone moves silently."""
        pairs = [*self.pairs(), *extra]
        table = self.feed.table
        differs = differing(pairs)
        self.updated = set()
        if not self.rows("SELECT EXISTS (SELECT 1 FROM part WHERE found_id IS NOT NULL)")[0][0]:
            return 0
        if pairs:
            if self.keep_changes:
                self._remember(source, differs)
            sets = ", ".join(f'"{name}" = {sql}' for name, sql in pairs)
            updated = self.rows(
                f"""
                UPDATE {table} t SET {sets}, source_as_of = coalesce(p.told_at, %(received_at)s){also}
                FROM {source} WHERE t.bank_id = %(bank)s AND t.id = p.found_id AND {differs} RETURNING p.n
                """
            )
            self.updated = {n for (n,) in updated}
            if self.keep_changes:
                self._keep_after()
        self.run(
            f"""
            UPDATE {table} t SET source_as_of = p.told_at FROM part p
            WHERE t.bank_id = %(bank)s AND t.id = p.found_id AND p.told_at > t.source_as_of
            """
        )
        return len(self.updated)

    def _remember(self, source: str, differs: str) -> None:
        self.drop("before_change")
        self.run(
            f"""
            CREATE TEMP TABLE before_change ON COMMIT DROP AS
            SELECT t.id, to_jsonb(t) AS before FROM {self.feed.table} t, {source}
            WHERE t.bank_id = %(bank)s AND t.id = p.found_id AND {differs}
            """
        )

    def _keep_after(self) -> None:
        self.run(
            f"""
            INSERT INTO customers_rowchange (bank_id, batch_id, "table", row_id, before, after)
            SELECT %(bank)s, %(batch)s, %(table)s, t.id, b.before, to_jsonb(t)
            FROM before_change b JOIN {self.feed.table} t ON t.bank_id = %(bank)s AND t.id = b.id
            """,
            table=self.feed.table,
        )

    def note_changes(self, table: str, before: str, changed_ids: str) -> None:
        """For undo: rows of a table that hangs on the feed's (`before`: temporary table of id, before)."""
        self.run(
            f"""
            INSERT INTO customers_rowchange (bank_id, batch_id, "table", row_id, before, after)
            SELECT %(bank)s, %(batch)s, %(table)s, coalesce(t.id, b.id), b.before, coalesce(to_jsonb(t), '{{}}')
            FROM (SELECT * FROM {table} t WHERE t.bank_id = %(bank)s AND {changed_ids}) t
            FULL JOIN {before} b ON b.id = t.id
            """,
            table=table,
        )

    def count_part(self) -> int:
        return self.rows("SELECT count(*) FROM part")[0][0]

    def ensure_months(self, table: str, column: str) -> None:
        """Partitions for every month of the part."""
        months = self.rows(f"SELECT DISTINCT date_trunc('month', {column})::date FROM part ORDER BY 1")
        for (month,) in months:
            self.run("SELECT banyan_ensure_month(%(table)s, %(month)s)", table=table, month=month)


def differing(pairs: Sequence[tuple[str, str]]) -> str:
    """SQL of whether a standing row t differs in some of the (column, new value)."""
    if not pairs:
        return "false"
    names, values = ", ".join(f't."{name}"' for name, _sql in pairs), ", ".join(sql for _name, sql in pairs)
    return f"ROW({names}) IS DISTINCT FROM ROW({values})"


def land_rows(landing: Landing, also: Sequence[tuple[str, str]] = ()) -> Counts:
    """The plain way: insert what is new, update what differs. `also`: (column, SQL of its new value) of standing rows."""
    total = landing.count_part()
    updated = landing.update_changed(also)
    inserted = landing.insert_new()
    return Counts(inserted=inserted, updated=updated, unchanged=total - inserted - updated)


def remove_ended(landing: Landing, only: str = "true") -> Counts:
    """Delete the standing rows that the delivery calls removed, and take those rows out of `part`. `only`: SQL of which
    standing rows t may go."""
    table = landing.feed.table
    if landing.keep_changes:
        landing.run(
            f"""
            INSERT INTO customers_rowchange (bank_id, batch_id, "table", row_id, before, after)
            SELECT %(bank)s, %(batch)s, %(table)s, t.id, to_jsonb(t), %(nothing)s
            FROM part p JOIN {table} t ON t.bank_id = %(bank)s AND t.id = p.found_id WHERE p.removed AND {only}
            """,
            table=table,
            nothing=Jsonb({}),
        )
    gone = landing.run(
        f"DELETE FROM {table} t USING part p WHERE t.bank_id = %(bank)s AND t.id = p.found_id AND p.removed AND {only}"
    )
    asked = landing.run("DELETE FROM part WHERE removed")
    return Counts(updated=gone, unchanged=asked - gone)


# What tells rows of a feed that stand already in all they give, with everything derived from them: (what else the join of
# the standing row asks and further tables to join, condition), over the staged row p and the standing one t.
SAME: dict[str, Callable[[Landing], tuple[str, str]]] = {}
# How each feed lands, where not the plain way. The rooms beside this one add theirs (customers.ingest.jobs).
LANDINGS: dict[str, Callable[[Landing], Counts]] = {}
