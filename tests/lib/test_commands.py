"""What every command has in common."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import ProgrammingError

from crm_site.lib import commands


class Broken(commands.BanyanCommand):
    def work(self, **options: Any) -> Any:
        raise ProgrammingError('column "standstill" does not exist')


def test_a_database_that_is_behind_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "pending_migrations", lambda: 2)
    with pytest.raises(CommandError, match="2 migrations behind"):
        call_command(Broken())
    monkeypatch.setattr(commands, "pending_migrations", lambda: 0)
    with pytest.raises(ProgrammingError):  # a defect of ours keeps its traceback
        call_command(Broken())
