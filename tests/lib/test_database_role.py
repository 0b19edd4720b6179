"""The program refuses to work as a database role that row security does not bind."""

from __future__ import annotations

import os
import subprocess
import sys
from urllib.parse import quote

import pytest
from django.conf import settings
from django.db import connection

from crm_site.lib.postgres import roles
from crm_site.lib.postgres.roles import UnsafeRole, refuse_unsafe_role


def test_the_application_role_is_accepted(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roles, "_asked", set())
    refuse_unsafe_role(connection)
    assert len(roles._asked) == 1


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ((True, False, False), "is a superuser"),
        ((False, True, False), "may bypass row security"),
        ((False, False, True), "owns tables"),
    ],
)
def test_each_way_around_row_security_is_refused(
    monkeypatch: pytest.MonkeyPatch, answer: tuple[bool, bool, bool], why: str
) -> None:
    class Fake:
        settings_dict = {"HOST": "h", "PORT": "1", "USER": settings.APPLICATION_ROLE}

        def cursor(self) -> Fake:
            return self

        def __enter__(self) -> Fake:
            return self

        def __exit__(self, *args: object) -> None: ...

        def execute(self, sql: str) -> None: ...

        def fetchone(self) -> tuple[bool, bool, bool]:
            return answer

        def close(self) -> None: ...

    monkeypatch.setattr(roles, "_asked", set())
    with pytest.raises(UnsafeRole, match=why) as refused:
        refuse_unsafe_role(Fake())
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("way", [["manage.py", "list_banks"], ["-c", "import crm_site.wsgi"]])
def test_starting_as_the_owner_ends_with_one_line_and_1(db: None, way: list[str]) -> None:
    its = connection.settings_dict
    owner = its["TEST"].get("OWNER")
    if not owner:
        pytest.skip("needs DATABASE_OWNER_URL")
    url = f"postgresql://{quote(owner['USER'])}:{quote(owner['PASSWORD'])}@{its['HOST']}:{its['PORT']}/{its['NAME']}"
    environment = {**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "crm_site.settings"}
    ended = subprocess.run(
        [sys.executable, *way],
        check=False,
        env=environment,
        cwd=settings.BASE_DIR,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 1
    assert ended.stderr.strip().startswith("Refused: database role")
    assert len(ended.stderr.strip().splitlines()) == 1
