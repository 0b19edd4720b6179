"""The database backend: tenant tables get a composite key, forced row security and composite foreign keys."""

from __future__ import annotations

from django.db.backends.postgresql import base

from .creation import DatabaseCreation
from .operations import DatabaseOperations
from .roles import refuse_unsafe_role
from .schema import DatabaseSchemaEditor


class DatabaseWrapper(base.DatabaseWrapper):
    SchemaEditorClass = DatabaseSchemaEditor
    creation_class = DatabaseCreation
    ops_class = DatabaseOperations
    bank_id: int | None = None

    def init_connection_state(self) -> None:
        super().init_connection_state()
        refuse_unsafe_role(self)
