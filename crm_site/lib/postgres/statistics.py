"""Planner statistics for tables that a bulk load has just filled."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import connection


def analyze(tables: Iterable[str]) -> None:
    """Refresh the statistics of tables, in the caller's transaction: its own new rows count.

    Do it after filling a parent and before filling what points at it: without statistics a foreign key's check
    may take an index that knows the bank alone and read every row of the bank (5,000 customers: 160 s for 8).
    """
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute("select banyan_analyze(%s)", [table])
