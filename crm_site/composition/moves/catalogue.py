"""Which tables hold a bank's rows, in which order, and what of them goes along. Read from the database's catalogue."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Any

from django.db import DatabaseError, connection

from crm_site.lib.errors import DomainError

# Rows that stay behind, and why.
LEFT_OUT = {
    "accounts_bankmove": "the journal of the installation, not of the bank",
    "django_session": "everybody signs in again",
    "usersessions_usersession": "everybody signs in again",
    "account_emailconfirmation": "good for hours, sent again when asked for",
    "allauth_idp_oidc_token": "good for half an hour; a machine asks for a new one",
}
# Machine clients: their ids are unique on the installation, and a copy must not take the original's deliveries.
OF_THE_ORIGINAL = frozenset({"allauth_idp_oidc_client"})
# Their ids are unique on the installation and nothing refers to them: they are given anew.
NEW_KEYS = frozenset({"account_emailaddress", "mfa_authenticator", "jobs_chunk", "jobs_outbox"})
ONLY = {"jobs_outbox": "relayed_at IS NULL"}
FILE_COLUMN = "path"  # below MEDIA_ROOT: folder/bank/name

_TABLES = """
select c.relname, array(
    select a.attname::text from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    and a.attgenerated = '' and a.attname <> 'bank_id' order by a.attnum),
  (select a.attname from pg_partitioned_table p join pg_attribute a on a.attrelid = c.oid and a.attnum = p.partattrs[0]
   where p.partrelid = c.oid)
from pg_class c join pg_attribute b on b.attrelid = c.oid and b.attname = 'bank_id' and not b.attisdropped
where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition order by c.relname
"""
_KEYS = """
select conrelid::regclass::text, confrelid::regclass::text, conname::text from pg_constraint
where contype = 'f' and conparentid = 0 and connamespace = 'public'::regnamespace
"""
# Keys that are checked once a statement (decision 0007): column, parent, key of the parent.
_SET_KEYS = "select tgrelid::regclass::text, tgargs from pg_trigger where tgfoid = 'banyan_key_inserted'::regproc and tgparentid = 0"


@dataclass(frozen=True)
class Table:
    """`columns`: all but the bank's and generated ones. `by`: the date by whose months it is partitioned, or ""."""

    name: str
    columns: tuple[str, ...]
    by: str

    @property
    def carried(self) -> tuple[str, ...]:
        """The columns that go along."""
        return tuple(c for c in self.columns if c != "id") if self.name in NEW_KEYS else self.columns

    @property
    def only(self) -> str:
        return f" AND {ONLY[self.name]}" if self.name in ONLY else ""


@dataclass(frozen=True)
class Catalogue:
    """`tables`: parents before children. `parents`: those that others refer to. `own_keys`: keys of a table to itself,
    checked at the end of the transaction."""

    tables: tuple[Table, ...]
    parents: frozenset[str]
    own_keys: tuple[str, ...]

    @property
    def carried(self) -> list[Table]:
        return [table for table in self.tables if table.name not in LEFT_OUT]


def read_catalogue() -> Catalogue:
    """Every table with a bank's rows. CycleError when two tables refer to each other: neither could be filled first."""
    with connection.cursor() as cursor:
        cursor.execute(_TABLES)
        found = {name: Table(name, tuple(columns), by or "") for name, columns, by in cursor.fetchall()}
        cursor.execute(_KEYS)
        keys: list[tuple[str, str, str]] = cursor.fetchall()
        cursor.execute(_SET_KEYS)
        keys += [(child, bytes(args).split(b"\0")[1].decode(), "") for child, args in cursor.fetchall()]
    parents: dict[str, set[str]] = {name: set() for name in found}
    for child, parent, _name in keys:
        if child in found and parent in found and child != parent:
            parents[child].add(parent)
    order = TopologicalSorter(parents).static_order()
    own = tuple(name for child, parent, name in keys if child == parent and child in found)
    return Catalogue(tuple(found[name] for name in order), frozenset().union(*parents.values()), own)


@contextmanager
def one_line() -> Iterator[None]:
    """What the database refuses or breaks off is said to the operator in one line; its transaction is undone."""
    try:
        yield
    except DatabaseError as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise DomainError(f"The database broke off, nothing was changed: {first}", code="database") from error


def quoted(names: Iterable[str]) -> str:
    return ", ".join(connection.ops.quote_name(name) for name in names)


def migrations() -> list[str]:
    """The migrations that have been applied: a backup goes into a database of the same shape alone."""
    with connection.cursor() as cursor:
        cursor.execute("select app || '.' || name from django_migrations")
        return sorted({name for (name,) in cursor.fetchall()})


def months_of(cursor: Any, table: Table, bank_id: int) -> list[str]:
    """The months, as their first day, in which a partitioned table has rows of the bank."""
    cursor.execute(
        "select substring(c.relname from '[0-9]{6}$') from pg_inherits i join pg_class c on c.oid = i.inhrelid "
        "where i.inhparent = %s::regclass order by 1",
        [table.name],
    )
    months = []
    for (month,) in cursor.fetchall():
        first = f"{month[:4]}-{month[4:]}-01"
        cursor.execute(
            f"select exists (select from {quoted([table.name])} where bank_id = %s and {quoted([table.by])} >= %s::date "
            f"and {quoted([table.by])} < %s::date + interval '1 month')",
            [bank_id, first, first],
        )
        if cursor.fetchone()[0]:
            months.append(first)
    return months


def ensure_months(months: Iterable[tuple[str, str]]) -> None:
    """Make the partitions of (table, a day of the month), each for itself: all banks wait for it for a moment.

    This month's and the next one's of every table come with them: whoever makes one waits for every transaction that
    uses the table, a long backup or restore too, and all others behind him.
    """
    coming = (
        "select banyan_ensure_month(c.relname::text, (now() + make_interval(months => n))::date) "
        "from pg_partitioned_table p join pg_class c on c.oid = p.partrelid, generate_series(0, 1) n "
        "where c.relnamespace = 'public'::regnamespace"
    )
    with connection.cursor() as cursor:
        for table, day in months:
            cursor.execute("select banyan_ensure_month(%s, %s::date)", [table, day])
        cursor.execute(coming)


def count_rows(tables: Iterable[Table], bank_id: int) -> dict[str, int]:
    """Rows of the bank by table, empty ones left out. Call inside the bank."""
    counts = {}
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f"select count(*) from {quoted([table.name])} where bank_id = %s", [bank_id])
            counts[table.name] = cursor.fetchone()[0]
    return {name: rows for name, rows in counts.items() if rows}
