"""migrate: as Django does it, but each step renders the models that it changes and no others."""

from __future__ import annotations

from typing import Any, cast

from django.core.management.commands import migrate
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.state import ProjectState


class LeanState(ProjectState):
    """Renders a new model alone, and one whose change concerns no other (Django calls that delayed) alone as well.

    Django renders whatever is connected with it too, and by way of the bank's key every table is connected: on an
    empty database that was four fifths of the time. Nothing points to a new model yet; before a RunPython Django
    renders everything that was delayed.
    """

    def clone(self) -> LeanState:
        return _lean(super().clone())

    def _find_reload_model(
        self, app_label: str, model_name: str, delay: bool = False
    ) -> set[tuple[str, str]]:
        if delay:
            self.is_delayed = True
        if delay or model_name not in self.apps.all_models[app_label]:
            return {(app_label, model_name)}
        return cast("Any", super())._find_reload_model(app_label, model_name, delay)


def _lean(state: ProjectState) -> LeanState:
    state.__class__ = LeanState
    return cast("LeanState", state)


class LeanExecutor(MigrationExecutor):
    def _create_project_state(self, with_applied_migrations: bool = False) -> LeanState:
        return _lean(cast("Any", super())._create_project_state(with_applied_migrations))


class Command(migrate.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        cast("Any", migrate).MigrationExecutor = LeanExecutor
        super().handle(*args, **options)
