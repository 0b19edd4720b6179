"""The command migrate renders little, and everything where a migration's own code looks."""

from __future__ import annotations

from django.db import models
from django.db.migrations.state import ModelState

from crm_site.lib.management.commands.migrate import LeanState


def _model(name: str, *fields: tuple[str, models.Field]) -> ModelState:
    return ModelState("shelf", name, [("id", models.BigAutoField(primary_key=True)), *fields])


def _key(to: str) -> models.Field:
    return models.ForeignKey(to, models.CASCADE)


def test_a_new_model_leaves_the_others_as_they_are_and_is_seen_by_them() -> None:
    state = LeanState()
    state.add_model(_model("Bank"))
    bank = state.apps.get_model("shelf", "Bank")
    state.add_model(_model("Branch", ("bank", _key("shelf.Bank"))))
    assert state.apps.get_model("shelf", "Bank") is bank
    assert state.apps.get_model("shelf", "Branch")._meta.get_field("bank").related_model is bank
    assert [relation.related_model.__name__ for relation in bank._meta.related_objects] == ["Branch"]


def test_a_migration_s_own_code_finds_models_that_know_each_other() -> None:
    state = LeanState()
    state.add_model(_model("Bank"))
    state.add_model(_model("Branch", ("bank", _key("shelf.Bank"))))
    old = state.apps.get_model("shelf", "Bank")
    state.add_field("shelf", "bank", "name", models.TextField(), preserve_default=True)
    assert "name" in {field.name for field in state.apps.get_model("shelf", "Bank")._meta.fields}
    copy = state.clone()
    copy.clear_delayed_apps_cache()  # what RunPython does first
    bank, branch = (copy.apps.get_model("shelf", name) for name in ("Bank", "Branch"))
    assert bank is not old
    assert branch._meta.get_field("bank").related_model is bank


def test_a_change_of_a_key_renders_all_that_hang_on_it() -> None:
    state = LeanState()
    state.add_model(_model("Bank"))
    state.add_model(_model("Branch", ("bank", _key("shelf.Bank"))))
    branch = state.apps.get_model("shelf", "Branch")
    state.alter_field("shelf", "bank", "id", models.AutoField(primary_key=True), preserve_default=True)
    assert state.apps.get_model("shelf", "Branch") is not branch
    assert state.apps.get_model("shelf", "Branch")._meta.get_field("bank").rel_db_type is not None
