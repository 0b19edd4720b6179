"""GROUP BY that keeps the bank beside the id: the key is (bank_id, id), PostgreSQL refuses `id` alone."""

from __future__ import annotations

from typing import Any

from django.db.models.sql import compiler
from django.db.models.sql.compiler import *  # noqa: F403 - Django looks every compiler up in this module


class SQLCompiler(compiler.SQLCompiler):
    def collapse_group_by(self, expressions: Any, having: Any) -> Any:
        collapsed = super().collapse_group_by(expressions, having)
        keyed = {e.alias for e in collapsed if hasattr(e, "target") and e.target.primary_key}
        return collapsed + [
            e
            for e in expressions
            if e not in collapsed
            and getattr(getattr(e, "target", None), "is_bank", False)
            and e.alias in keyed
        ]


class SQLInsertCompiler(compiler.SQLInsertCompiler, SQLCompiler):
    pass


class SQLDeleteCompiler(compiler.SQLDeleteCompiler, SQLCompiler):
    pass


class SQLUpdateCompiler(compiler.SQLUpdateCompiler, SQLCompiler):
    pass


class SQLAggregateCompiler(compiler.SQLAggregateCompiler, SQLCompiler):
    pass
