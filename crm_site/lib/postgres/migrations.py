"""Migration operations for what Django's own do not make: partitioned tenant tables, banks for third-party tables."""

from __future__ import annotations

from typing import Any

from django.db.migrations.operations.base import Operation

from crm_site.lib.postgres.policy import POLICY
from crm_site.lib.postgres.setbased import guards, unguard

# Partitions are made by this function alone: it runs as the owner, since the application role may not create
# tables; the new partition is reachable through its parent only (no grants on it).
ENSURE_MONTH = """
CREATE OR REPLACE FUNCTION banyan_ensure_month(parent text, day date) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    first date := date_trunc('month', day)::date;
    part text := parent || '_' || to_char(first, 'YYYYMM');
    grantee record;
BEGIN
    IF to_regclass(part) IS NOT NULL THEN RETURN false; END IF;
    IF NOT EXISTS (SELECT 1 FROM pg_partitioned_table p JOIN pg_class c ON c.oid = p.partrelid
                   WHERE c.relname = parent AND c.relnamespace = 'public'::regnamespace) THEN
        RAISE EXCEPTION '% is not a partitioned table', parent;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended(part, 0));
    IF to_regclass(part) IS NOT NULL THEN RETURN false; END IF;
    EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)',
                   part, parent, first, (first + interval '1 month')::date);
    FOR grantee IN SELECT DISTINCT a.grantee::regrole::text AS name FROM pg_class c,
                   aclexplode(c.relacl) a WHERE c.oid = part::regclass AND a.grantee <> c.relowner AND a.grantee <> 0
    LOOP
        EXECUTE format('REVOKE ALL ON %I FROM %s', part, grantee.name);
    END LOOP;
    RETURN true;
END $$;
"""


# Without statistics the planner thinks every index that begins with the bank equally good, and a foreign key's check
# may read all rows of the bank for each row that is written: a bulk load refreshes them on its way. It runs as the
# owner, since the application role owns nothing; false when somebody else analyses the table right now.
ANALYZE = """
CREATE OR REPLACE FUNCTION banyan_analyze(name text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
                   WHERE c.relname = name AND c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
                     AND a.attname = 'bank_id') THEN
        RAISE EXCEPTION '% is not a tenant table', name;
    END IF;
    EXECUTE format('LOCK TABLE public.%I IN SHARE UPDATE EXCLUSIVE MODE NOWAIT', name);
    EXECUTE format('ANALYZE public.%I', name);
    RETURN true;
EXCEPTION WHEN lock_not_available THEN
    RETURN false;
END $$;
"""


class AnalyzeFunction(Operation):
    """Installs banyan_analyze(table): fresh planner statistics, for the application role too."""

    reversible = True
    reduces_to_sql = True

    def state_forwards(self, app_label: str, state: Any) -> None:
        pass

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        schema_editor.execute(ANALYZE, None)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        schema_editor.execute("DROP FUNCTION IF EXISTS banyan_analyze(text)", None)

    def describe(self) -> str:
        return "Install banyan_analyze"


# A key's own index (_bix) whose columns begin another whole, valid B-tree index of the table is written for nothing.
DROP_COVERED = """
DO $$
DECLARE found regclass;
BEGIN
    FOR found IN
        SELECT k.indexrelid::regclass FROM pg_index k JOIN pg_class name ON name.oid = k.indexrelid
        JOIN pg_class tab ON tab.oid = k.indrelid AND tab.relnamespace = 'public'::regnamespace
        WHERE name.relname LIKE '%\\_bix' ESCAPE '\\' AND NOT k.indisunique AND EXISTS (
            SELECT FROM pg_index o JOIN pg_class c ON c.oid = o.indexrelid JOIN pg_am am ON am.oid = c.relam
            WHERE o.indrelid = k.indrelid AND o.indexrelid <> k.indexrelid AND o.indisvalid AND o.indpred IS NULL
              AND o.indexprs IS NULL AND am.amname = 'btree' AND o.indnatts > k.indnatts
              AND o.indkey[0] = k.indkey[0] AND o.indkey[1] = k.indkey[1])
    LOOP EXECUTE format('DROP INDEX %s', found); END LOOP;
END $$
"""


class DropCoveredIndexes(Operation):
    """Drops the indexes of foreign keys that a declared index of the same table covers, in every app."""

    reversible = True
    reduces_to_sql = True

    def state_forwards(self, app_label: str, state: Any) -> None:
        pass

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        schema_editor.execute(DROP_COVERED, None)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        pass

    def describe(self) -> str:
        return "Drop indexes that others cover"


class EnsureMonthFunction(Operation):
    """Installs banyan_ensure_month(parent, day): makes the partition of the day's month, when absent."""

    reversible = True
    reduces_to_sql = True

    def state_forwards(self, app_label: str, state: Any) -> None:
        pass

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        schema_editor.execute(ENSURE_MONTH, None)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        schema_editor.execute("DROP FUNCTION IF EXISTS banyan_ensure_month(text, date)", None)

    def describe(self) -> str:
        return "Install banyan_ensure_month"


class CreatePartitionedTable(Operation):
    """A tenant table partitioned by month of a date column, for an unmanaged model.

    `columns`: the column definitions as SQL, beginning with bank_id bigint NOT NULL. `keys`: table constraints
    (primary key, foreign keys that start with bank_id). `indexes`: column lists.
    """

    reversible = True
    reduces_to_sql = True

    def __init__(self, table: str, *, by: str, columns: str, keys: list[str], indexes: list[str]) -> None:
        self.table, self.by, self.columns, self.keys, self.indexes = table, by, columns, keys, indexes

    def deconstruct(self) -> Any:
        return (
            type(self).__name__,
            [self.table],
            {"by": self.by, "columns": self.columns, "keys": self.keys, "indexes": self.indexes},
        )

    def state_forwards(self, app_label: str, state: Any) -> None:
        pass

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        body = ", ".join([self.columns, *self.keys])
        schema_editor.execute(f"CREATE TABLE {self.table} ({body}) PARTITION BY RANGE ({self.by})", None)
        schema_editor.protect(self.table)
        for index in self.indexes:
            schema_editor.execute(f"CREATE INDEX ON {self.table} ({index})", None)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        schema_editor.execute(f"DROP TABLE {self.table}", None)

    def describe(self) -> str:
        return f"Create table {self.table}, partitioned by month of {self.by}"


class CheckOnceAStatement(Operation):
    """Turns a partitioned table's foreign key (bank_id, column) -> parent (bank_id, id) into one that is checked once a
    statement (decision record 0007)."""

    reversible = True
    reduces_to_sql = True

    def __init__(self, table: str, column: str, parent: str) -> None:
        self.table, self.column, self.parent = table, column, parent

    def deconstruct(self) -> Any:
        return (type(self).__name__, [self.table, self.column, self.parent], {})

    def state_forwards(self, app_label: str, state: Any) -> None:
        pass

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        q, key = schema_editor.quote_name, schema_editor.set_based_key(self.table, self.column)
        schema_editor.execute(f"ALTER TABLE {q(self.table)} DROP CONSTRAINT {q(self._constraint)}", None)
        for statement in guards(q, key, self.table, self.column, self.parent, "id"):
            schema_editor.execute(statement, None)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        q, key = schema_editor.quote_name, schema_editor.set_based_key(self.table, self.column)
        for statement in unguard(q, key, self.table, self.parent):
            schema_editor.execute(statement, None)
        schema_editor.execute(
            f"ALTER TABLE {q(self.table)} ADD CONSTRAINT {q(self._constraint)} FOREIGN KEY (bank_id, {q(self.column)})"
            f" REFERENCES {q(self.parent)} (bank_id, id)",
            None,
        )

    @property
    def _constraint(self) -> str:
        return f"{self.table}_bank_id_{self.column}_fkey"

    def describe(self) -> str:
        return f"Check {self.column} of {self.table} once a statement"


class GiveBank(Operation):
    """Gives a third-party table a bank column that fills itself, and row security. The library never notices."""

    reversible = False
    reduces_to_sql = True

    def __init__(self, table: str) -> None:
        self.table = table

    def deconstruct(self) -> Any:
        return (type(self).__name__, [self.table], {})

    def state_forwards(self, app_label: str, state: Any) -> None:
        pass

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        setting = POLICY.partition(" = ")[2]
        schema_editor.execute(
            f"ALTER TABLE {self.table} ADD COLUMN bank_id bigint NOT NULL DEFAULT ({setting})", None
        )
        schema_editor.execute(f"CREATE INDEX ON {self.table} (bank_id)", None)
        schema_editor.protect(self.table)

    def describe(self) -> str:
        return f"Give {self.table} a bank"
