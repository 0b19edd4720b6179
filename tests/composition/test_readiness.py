"""What /readyz says to whatever sends traffic here."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from crm_site.composition import readiness


@pytest.mark.parametrize("url", ["", "redis://127.0.0.1:1/0"])
def test_without_a_broker_the_program_is_ready_but_says_what_is_missing(
    db: None, settings: Any, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    settings.REDIS_URL = url
    monkeypatch.setitem(readiness._state, "migrated", True)
    answer = Client().get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["broker"].startswith("degraded")
    assert (answer.json()["ready"], answer.json()["database"]) == (True, "ok")


def test_while_migrations_are_pending_nothing_is_sent_here(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(readiness._state, "migrated", False)
    monkeypatch.setattr(readiness, "pending_migrations", lambda: 2)
    answer = Client().get("/readyz")
    assert (answer.status_code, answer.json()["migrations"]) == (503, "2 pending")
