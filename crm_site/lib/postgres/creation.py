"""Test databases are made, migrated, cloned and dropped by the owner; the tests run as the application role."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db.backends.postgresql import creation


class DatabaseCreation(creation.DatabaseCreation):
    @contextmanager
    def as_owner(self) -> Iterator[None]:
        settings = self.connection.settings_dict
        owner = settings["TEST"].get("OWNER")
        if not owner:
            yield
            return
        kept = {key: settings[key] for key in owner}
        options = settings["OPTIONS"]
        self.connection.close()
        self.connection.close_pool()
        settings.update(owner)
        settings["OPTIONS"] = {key: value for key, value in options.items() if key != "pool"}
        try:
            yield
        finally:
            self.connection.close()
            settings.update(kept)
            settings["OPTIONS"] = options

    def create_test_db(self, *args: Any, **kwargs: Any) -> str:
        with self.as_owner():
            return super().create_test_db(*args, **kwargs)

    def _clone_test_db(self, *args: Any, **kwargs: Any) -> None:
        with self.as_owner():
            super()._clone_test_db(*args, **kwargs)

    def _destroy_test_db(self, *args: Any, **kwargs: Any) -> None:
        with self.as_owner():
            super()._destroy_test_db(*args, **kwargs)
