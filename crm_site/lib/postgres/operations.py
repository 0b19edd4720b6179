"""Flushing (transactional tests) goes through the owner: the application role may not TRUNCATE."""

from __future__ import annotations

from typing import Any

import psycopg
from django.apps import apps
from django.db.backends.postgresql import operations


class DatabaseOperations(operations.DatabaseOperations):
    compiler_module = "crm_site.lib.postgres.compiler"

    def sql_flush(
        self, style: Any, tables: Any, *, reset_sequences: bool = False, allow_cascade: bool = False
    ) -> Any:
        unmanaged = [m._meta.db_table for m in apps.get_models() if not m._meta.managed]
        every = list(dict.fromkeys([*tables, *unmanaged]))
        return super().sql_flush(style, every, reset_sequences=reset_sequences, allow_cascade=True)

    def execute_sql_flush(self, sql_list: Any) -> None:
        settings = self.connection.settings_dict
        owner = settings["TEST"].get("OWNER")
        if not owner:
            super().execute_sql_flush(sql_list)
            return
        with psycopg.connect(
            host=settings["HOST"],
            port=settings["PORT"],
            dbname=settings["NAME"],
            user=owner["USER"],
            password=owner["PASSWORD"],
        ) as owned:
            for statement in sql_list:
                owned.execute(statement)
