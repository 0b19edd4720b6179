"""DDL of tenant tables: keys that start with the bank, forced row security, composite foreign keys."""

from __future__ import annotations

from typing import Any

from django.db.backends.postgresql import schema
from django.db.models import Index, UniqueConstraint

from crm_site.lib.postgres.policy import POLICY
from crm_site.lib.postgres.setbased import guards, unguard


class DatabaseSchemaEditor(schema.DatabaseSchemaEditor):
    def _bank_field(self, model: Any) -> Any:
        return next((f for f in model._meta.local_fields if getattr(f, "is_bank", False)), None)

    def create_model(self, model: Any) -> None:
        super().create_model(model)
        bank_field = self._bank_field(model)
        if bank_field is None:
            return
        table, q = model._meta.db_table, self.quote_name
        if bank_field.keep_pk:
            self.execute(f"ALTER TABLE {q(table)} ADD UNIQUE (bank_id, {q(model._meta.pk.column)})")
        else:
            self.execute(
                f"ALTER TABLE {q(table)} DROP CONSTRAINT {q(table + '_pkey')}, "
                f"ADD CONSTRAINT {q(table + '_pkey')} PRIMARY KEY (bank_id, {q(model._meta.pk.column)})"
            )
        self.protect(table)
        for field in model._meta.local_fields:
            self._add_bank_fk(model, field)

    def protect(self, table: str) -> None:
        """Force row security on a tenant table; also for tables made by hand or by third parties."""
        q = self.quote_name(table)
        self.execute(f"ALTER TABLE {q} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
        self.execute(f"CREATE POLICY bank ON {q} USING ({POLICY}) WITH CHECK ({POLICY})")

    def add_field(self, model: Any, field: Any) -> None:
        super().add_field(model, field)
        self._add_bank_fk(model, field)

    def _add_bank_fk(self, model: Any, field: Any, *, indexed: bool = True) -> None:
        if not getattr(field, "is_bank_fk", False) or not model._meta.managed:
            return
        q, table, target = self.quote_name, model._meta.db_table, field.remote_field.model._meta
        if indexed and not field.unique and not _covered(model, field):
            index = self._create_index_name(table, ["bank_id", field.column], suffix="_bix")
            self.deferred_sql.append(f"CREATE INDEX {q(index)} ON {q(table)} (bank_id, {q(field.column)})")
        if field.set_based:
            key = self.set_based_key(table, field.column)
            self.deferred_sql.extend(
                guards(q, key, table, field.column, target.db_table, field.target_field.column)
            )
            return
        key = self._create_index_name(table, ["bank_id", field.column], suffix="_bfk")
        self.deferred_sql.append(
            f"ALTER TABLE {q(table)} ADD CONSTRAINT {q(key)} FOREIGN KEY (bank_id, {q(field.column)}) "
            f"REFERENCES {q(target.db_table)} (bank_id, {q(field.target_field.column)}) "
            "DEFERRABLE INITIALLY IMMEDIATE"
        )

    def set_based_key(self, table: str, column: str) -> str:
        """Name of a key that is checked once a statement."""
        return self._create_index_name(table, ["bank_id", column], suffix="_bsk")[
            :61
        ]  # a trigger's name is longer by two

    def _drop_bank_fk(self, model: Any, field: Any) -> bool:
        """Returns whether the key had an index of its own."""
        q, table, column = self.quote_name, model._meta.db_table, field.column
        if field.set_based:
            parent = field.remote_field.model._meta.db_table
            for statement in unguard(q, self.set_based_key(table, column), table, parent):
                self.execute(statement)
        with self.connection.cursor() as cursor:
            constraints = self.connection.introspection.get_constraints(cursor, table)
        indexed = False
        for name, info in constraints.items():
            if column in info["columns"] and name.endswith("_bfk"):
                self.execute(f"ALTER TABLE {q(table)} DROP CONSTRAINT {q(name)}")
            elif info["columns"] == ["bank_id", column] and name.endswith("_bix"):
                self.execute(f"DROP INDEX {q(name)}")
                indexed = True
        return indexed

    def _alter_field(self, model: Any, old_field: Any, new_field: Any, *args: Any, **kwargs: Any) -> None:
        was, now = getattr(old_field, "is_bank_fk", False), getattr(new_field, "is_bank_fk", False)
        changed = was != now or (was and now and _key_of(old_field) != _key_of(new_field))
        indexed = self._drop_bank_fk(model, old_field) if was and changed else True
        super()._alter_field(model, old_field, new_field, *args, **kwargs)
        if now and changed:
            self._add_bank_fk(model, new_field, indexed=indexed)


def _key_of(field: Any) -> tuple[str, bool]:
    return field.remote_field.model._meta.db_table, field.set_based


def _covered(model: Any, field: Any) -> bool:
    """Whether a declared B-tree index or unique constraint of the whole table begins with the bank and the field."""
    return any(
        list(declared.fields)[:2] == ["bank_id", field.name] and declared.condition is None
        for declared in (*model._meta.indexes, *model._meta.constraints)
        if type(declared) in (Index, UniqueConstraint)
    )
