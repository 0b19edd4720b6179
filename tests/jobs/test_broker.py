"""Redis stopped: pages work, nothing hangs, and the job goes on when it is back (design.md 4)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.db import connection
from django.test import Client

from crm_site.jobs.models import Run
from crm_site.launcher.broker import Broker
from crm_site.launcher.processes import die_with_parent, server_user
from crm_site.lib.permissions import Role
from crm_site.lib.tenancy import bank
from tests.conftest import NOW, build_house, hire
from tests.jobs.test_kills import until

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    home = tmp_path / "broker"
    (home / "programs").mkdir(parents=True)
    for folder in (tmp_path, home, home / "programs", *tmp_path.parents[:3]):
        if folder.owner() == Path.home().owner():
            folder.chmod(folder.stat().st_mode | 0o111)  # the broker's own user must get in
    broker = Broker(home, tmp_path / "valkey.log", server_user(), "secret")
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def celery(transactional_db: None, broker: Broker, tmp_path: Path) -> Iterator[None]:
    """A worker and beat on the test's own database and broker."""
    url = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{connection.settings_dict['NAME']}")
    environment = os.environ | {"DATABASE_URL": urlunsplit(url), "REDIS_URL": broker.url}
    program = [sys.executable, "-m", "celery", "-A", "crm_site.celery"]
    worker = ["worker", "--concurrency", "1", "--without-gossip", "--without-mingle", "--loglevel", "ERROR"]
    beat = ["beat", "--pidfile=", "--schedule", str(tmp_path / "beat"), "--loglevel", "CRITICAL"]
    started = [
        subprocess.Popen(
            [*program, *words],
            cwd=ROOT,
            env=environment,
            start_new_session=True,
            preexec_fn=die_with_parent(signal.SIGKILL),
        )
        for words in (worker, beat)
    ]
    yield
    for process in started:  # a worker may go at any moment: that is what the house is built for
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_a_job_started_while_redis_is_down_runs_when_it_is_back(
    celery: None, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The night of a bank without a customer: every step has next to nothing to do."""
    house = build_house("alpha")
    boss = hire(house, "administrator", Role.ADMINISTRATOR, house.head_office)
    client = Client(HTTP_HOST=house.bank.host)
    with bank(house.id):
        client.force_login(boss.staff, backend="allauth.account.auth_backends.AuthenticationBackend")
    client.get("/jobs/")  # the first page of a process loads the program
    broker.stop()
    begun = time.monotonic()
    answer = client.post("/jobs/start/", {"business_date": (NOW.date()).isoformat()})
    assert answer.status_code == 302
    assert client.get(answer.url).status_code == 200
    assert time.monotonic() - begun < 5
    with bank(house.id):
        assert Run.objects.get().status == "running"
    broker.start()

    def ended() -> bool:
        with bank(house.id):
            return Run.objects.get().is_finished

    until(ended, "the run to end")
