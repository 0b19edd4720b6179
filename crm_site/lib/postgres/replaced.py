"""Replace a date's rows of a derived table by what a SELECT says, in one statement's worth of work."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.db import connection

from crm_site.lib.registry import Counts, RunContext


def replace_day(context: RunContext, table: str, day: dt.date, select: str, **values: Any) -> Counts:
    """The day's rows of a table become what `select` says; nothing is written when they are that already.

    The table has the columns bank_id, as_of, run_id and those that `select` names. `select` may use %(bank)s, %(day)s,
    %(run)s and `values`. Call inside the bank.
    """
    given = {"bank": context.bank_id, "day": day, "run": context.run_id, **values}
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS pg_temp.counted")
        cursor.execute(f"CREATE TEMP TABLE counted ON COMMIT DROP AS {select}", given)
        rows = cursor.rowcount
        cursor.execute("SELECT * FROM counted LIMIT 0")
        columns = ", ".join(column.name for column in cursor.description or ())
        there = f"SELECT {columns} FROM {table} WHERE bank_id = %(bank)s AND as_of = %(day)s"
        cursor.execute(
            f"SELECT (SELECT count(*) FROM (TABLE counted EXCEPT {there}) fresh),"
            f" (SELECT count(*) FROM ({there} EXCEPT TABLE counted) gone)",
            given,
        )
        fresh, gone = cursor.fetchone() or (0, 0)
        if fresh or gone:
            cursor.execute(f"DELETE FROM {table} WHERE bank_id = %(bank)s AND as_of = %(day)s", given)
            cursor.execute(
                f"INSERT INTO {table} (bank_id, as_of, run_id, {columns})"
                f" SELECT %(bank)s, %(day)s, %(run)s, {columns} FROM counted",
                given,
            )
    return Counts(rows, fresh + gone)
