"""What the application role may do: rows of the owner's tables, nothing else (no TRUNCATE, no DDL).

From PostgreSQL 17 on also MAINTAIN, so that a bulk load can ANALYZE what it filled.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import connections


def grant_to_application(sender: Any, using: str, **kwargs: Any) -> None:
    """Before migrating, as the owner: tables made from now on are usable by the application role."""
    connection = connections[using]
    role = settings.APPLICATION_ROLE
    if connection.settings_dict["USER"] == role:
        return
    name = connection.ops.quote_name(role)
    rights = "SELECT, INSERT, UPDATE, DELETE" + (", MAINTAIN" if connection.pg_version >= 170_000 else "")
    with connection.cursor() as cursor:
        cursor.execute(f"GRANT USAGE ON SCHEMA public TO {name}")
        cursor.execute(f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT {rights} ON TABLES TO {name}")
        cursor.execute(
            f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO {name}"
        )
