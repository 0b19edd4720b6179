"""Databases of a proof's own: made beside the servers' one, copied, hashed and dropped."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

ROOT = Path(__file__).resolve().parents[2]


def address(variable: str, name: str) -> str:
    """The address in an environment variable, for another database of the same server."""
    return urlunsplit(urlsplit(os.environ[variable])._replace(path=f"/{name}"))


def environment(name: str) -> dict[str, str]:
    """What a command needs to work on that database."""
    named = {key: address(key, name) for key in ("DATABASE_URL", "DATABASE_OWNER_URL")}
    return os.environ | named | {"LOG_LEVEL": "ERROR"}


def manage(name: str, *words: str) -> str:
    """A management command on that database; its standard output."""
    command = [sys.executable, "manage.py", *words]
    done = subprocess.run(
        command, cwd=ROOT, env=environment(name), check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr[-2000:]}"
    return done.stdout


@contextmanager
def database(name: str, *, template: str = "template0") -> Iterator[str]:
    """A new database, a copy of `template`, gone afterwards. Nobody may be connected to the template."""
    with psycopg.connect(address("DATABASE_OWNER_URL", "postgres"), autocommit=True) as owner:
        _drop(owner, name)
        owner.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
        )
        try:
            yield name
        finally:
            _drop(owner, name)


def _drop(owner: psycopg.Connection, name: str) -> None:
    """Wait for the last session of a killed worker to be noticed; the owner may not end another role's."""
    for attempt in range(60):
        try:
            owner.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name)))
        except psycopg.errors.ObjectInUse:
            if attempt == 59:
                raise
            time.sleep(0.5)
        else:
            return


def bank_id(name: str, code: str) -> int:
    with psycopg.connect(address("DATABASE_URL", name)) as connection:
        row = connection.execute("SELECT id FROM accounts_bank WHERE code = %s", [code]).fetchone()
    assert row is not None
    return int(row[0])


# Who ran what when is told by these; they differ between two runs that did the same.
OF_THE_RUN = ("jobs_", "audit_", "django_", "work_notification")
# The key of a warning's task ends with the id that the night gave the warning.
TOLD = {
    ("work_task", "source_key"): sql.SQL("regexp_replace(source_key, '^warning:[0-9]+$', 'warning:')"),
}


def table_sizes(name: str, bank: int) -> dict[str, int]:
    """Rows of the bank by table."""
    with psycopg.connect(address("DATABASE_URL", name)) as connection:
        connection.execute("SELECT set_config('app.bank_id', %s, true)", [str(bank)])
        counts = {}
        for table in _tables(connection):
            row = connection.execute(
                sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))
            ).fetchone()
            counts[table] = row[0] if row else 0
        return counts


def hashes(name: str, bank: int, before: dict[str, int]) -> dict[str, tuple[int, str]]:
    """Rows and a hash of the business columns of each of the bank's tables, whatever their order.

    Left out: ids (the bank's too), times, run ids, and references to tables that have grown since `before` (ids given on the way), also
    where a text holds them (TOLD).
    """
    grown = {table for table, count in table_sizes(name, bank).items() if count != before.get(table)}
    found = {}
    with psycopg.connect(address("DATABASE_URL", name)) as connection:
        connection.execute("SELECT set_config('app.bank_id', %s, true)", [str(bank)])
        for table in _tables(connection):
            columns = [
                TOLD.get((table, column), sql.Identifier(column))
                for column in _business_columns(connection, table, grown)
            ]
            query = sql.SQL(
                "SELECT count(*), coalesce(sum(hashtextextended(ROW({})::text, 0)::numeric), 0)::text FROM {}"
            ).format(sql.SQL(", ").join(columns), sql.Identifier(table))
            row = connection.execute(query).fetchone()
            assert row is not None
            found[table] = (row[0], row[1])
    return found


def _tables(connection: psycopg.Connection) -> list[str]:
    rows = connection.execute(
        """SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'bank_id'
           WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
           AND c.relrowsecurity ORDER BY 1"""
    ).fetchall()
    return [name for (name,) in rows if not name.startswith(OF_THE_RUN)]


def _business_columns(connection: psycopg.Connection, table: str, grown: set[str]) -> list[str]:
    rows = connection.execute(
        """SELECT a.attname, (SELECT max(f.confrelid::regclass::text) FROM pg_constraint f
                WHERE f.conrelid = a.attrelid AND f.contype = 'f' AND a.attnum = ANY (f.conkey) AND a.attname <> 'bank_id')
           FROM pg_attribute a WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped
           AND a.atttypid <> 'timestamptz'::regtype AND a.attname NOT IN ('id', 'run_id', 'bank_id') ORDER BY a.attnum""",
        [table],
    ).fetchall()
    return [name for name, target in rows if target not in grown]
