"""A worker killed in the middle of a chunk: its effect is gone, another does the chunk over, once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.db import connection

from crm_site.jobs import services
from crm_site.jobs.models import Chunk, Run
from crm_site.launcher.processes import die_with_parent
from crm_site.lib.permissions import Role, system_actor
from crm_site.lib.tenancy import bank
from crm_site.work.models import Notification
from tests.conftest import build_house, hire
from tests.jobs import toy

WORKER = Path(__file__).with_name("toy_worker.py")
PATIENCE = 60


def until(condition, what: str):
    """Poll for what other processes bring about; its first true value."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"not within {PATIENCE} s: {what}")


@pytest.fixture
def spawn(transactional_db: None) -> Iterator[object]:
    """Start worker processes on the test's own database."""
    url = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{connection.settings_dict['NAME']}")
    environment = os.environ | {"DATABASE_URL": urlunsplit(url)}
    started: list[subprocess.Popen[bytes]] = []

    def start(run: Run) -> subprocess.Popen[bytes]:
        command = [sys.executable, str(WORKER), str(run.bank_id), str(run.pk)]
        process = subprocess.Popen(command, env=environment, preexec_fn=die_with_parent(signal.SIGKILL))
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def at_work(pids: set[int], but: set[int]) -> tuple[int, int] | None:
    """A worker among these and the chunk that it works on."""
    for pk, worker in Chunk.objects.filter(done_at__isnull=True, kind="work").values_list("pk", "worker"):
        if worker and pk not in but and (pid := int(worker.split(":")[1])) in pids:
            return pid, pk
    return None


def test_a_killed_workers_chunk_is_done_over_once_and_soon(spawn) -> None:
    house = build_house("alpha")
    person = hire(house, "rm", Role.RELATIONSHIP_MANAGER, house.north)
    with toy.pipeline(toy.step("tell", chunks=6), toy.step("after", after=("tell",))), bank(house.id):
        run = services.start_run(
            system_actor(house.id, "t"),
            pipeline="toy",
            business_date=toy.DAY,
            params={"staff": person.staff.pk, "seconds": 0.3},
        )
    workers = {process.pid: process for process in (spawn(run), spawn(run))}
    killed: dict[int, float] = {}
    while len(killed) < 2:
        pid, chunk = until(lambda: at_work(set(workers), set(killed)), "a chunk under work")
        os.kill(pid, signal.SIGKILL)
        workers.pop(pid).wait()
        killed[chunk] = time.monotonic()
        replacement = spawn(run)
        workers[replacement.pid] = replacement
    for pk, since in killed.items():
        until(
            lambda pk=pk: Chunk.objects.filter(pk=pk, done_at__isnull=False).exists(), "the chunk done over"
        )
        assert time.monotonic() - since < 30
    for process in workers.values():
        assert process.wait(timeout=PATIENCE) == 0
    with bank(house.id):
        assert Run.objects.get(pk=run.pk).status == "done"
        told = Counter(Notification.objects.values_list("params__chunk", flat=True))
    assert told == dict.fromkeys(range(6), 1)  # each exactly once
    assert Chunk.objects.filter(pk__in=killed, tries__gt=1).count() == 2


def test_a_cancelled_run_finishes_the_piece_in_hand_and_no_other(spawn) -> None:
    house = build_house("alpha")
    person = hire(house, "rm", Role.RELATIONSHIP_MANAGER, house.north)
    actor = system_actor(house.id, "t")
    with toy.pipeline(toy.step("tell", chunks=6), toy.step("after", after=("tell",))):
        with bank(house.id):
            run = services.start_run(
                actor, pipeline="toy", business_date=toy.DAY, params={"staff": person.staff.pk, "seconds": 2}
            )
        worker = spawn(run)
        until(lambda: at_work({worker.pid}, set()), "a chunk is taken")

        def cancel() -> Run | None:
            """Asked while the chunk's row is locked; the lease before it is not "in hand" yet."""
            with connection.cursor() as cursor:
                cursor.execute("select count(*) from pg_stat_activity where query like 'select pg_sleep%'")
                if not cursor.fetchone()[0]:
                    return None
            with bank(house.id):
                return services.cancel_run(actor, run_id=run.pk)

        assert until(cancel, "it is asked to stop").status == "running"
        worker.wait(PATIENCE)
        with bank(house.id):
            stopped = Run.objects.get(pk=run.pk)
            assert (stopped.status, stopped.rows_in) == ("cancelled", 1)
            assert Notification.objects.count() == 1
            services.retry_run(actor, run_id=run.pk)
            Run.objects.filter(pk=run.pk).update(params={"staff": person.staff.pk, "seconds": 0})
        spawn(run).wait(PATIENCE)
        with bank(house.id):
            assert Run.objects.get(pk=run.pk).status == "done"
            assert Notification.objects.count() == 6
