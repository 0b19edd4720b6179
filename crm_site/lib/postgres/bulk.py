"""Some columns of many rows of a table in one statement: COPY to a temporary table, then UPDATE … FROM."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import connection, models

from crm_site.lib.tenancy import require_bank


def update_rows(rows: Sequence[models.Model], fields: Sequence[str]) -> int:
    """Save some fields of rows of one tenant model, each with its own values: what `save(update_fields=…)` does to one,
    under the same triggers. Returns how many were there to be changed."""
    if not rows:
        return 0
    meta, quote = type(rows[0])._meta, connection.ops.quote_name
    kept: list[Any] = [meta.get_field(name) for name in fields]
    columns = [quote(field.column) for field in kept]
    declared = ", ".join(f"{c} {f.db_type(connection)}" for c, f in zip(columns, kept, strict=True))
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS pg_temp.bulk_stage")
        cursor.execute(f"CREATE TEMP TABLE bulk_stage (stage_id bigint, {declared}) ON COMMIT DROP")
        with cursor.cursor.copy("COPY bulk_stage FROM STDIN") as copy:
            for row in rows:
                given = [f.get_db_prep_save(getattr(row, f.attname), connection) for f in kept]
                copy.write_row([row.pk, *given])
        changes = ", ".join(f"{column} = s.{column}" for column in columns)
        cursor.execute(
            f"UPDATE {quote(meta.db_table)} t SET {changes} FROM bulk_stage s WHERE t.bank_id = %s AND t.id = s.stage_id",
            [require_bank()],
        )
        return int(cursor.rowcount)
