"""`make run` from start to end, with the real program on an empty database."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from crm_site.launcher.postgres import free_port

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def settings_of_run() -> dict[str, str]:
    return {"PORT": str(free_port()), "BANYAN_DEMO": "0", "WEB_WORKERS": "1"}


def wait_for_ready(child: subprocess.Popen[str]) -> list[str]:
    """What was printed up to `ready`."""
    assert child.stdout
    printed = []
    for row in child.stdout:
        printed.append(row.strip())
        if printed[-1] == "ready":
            return printed
    raise AssertionError(child.stderr.read() if child.stderr else printed)


def descendants(pid: int) -> set[int]:
    """Processes under `pid`, living ones only."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
            except OSError:
                continue
            if state != "Z":
                parents[int(entry.name)] = int(parent)
    found: set[int] = set()
    grown = {pid}
    while grown:
        grown = {child for child, parent in parents.items() if parent in grown} - found
        found |= grown
    return found


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until_gone(pids: set[int]) -> None:
    deadline = time.monotonic() + 30
    while left := {pid for pid in pids if is_alive(pid)}:
        assert time.monotonic() < deadline, f"left behind: {left}"
        time.sleep(0.05)


def test_run_serves_refuses_a_second_start_and_stops_everything(
    launcher: Start, settings_of_run: dict[str, str], data: Path
) -> None:
    child = launcher("run", environment=settings_of_run)
    wait_for_ready(child)
    with urllib.request.urlopen(f"http://127.0.0.1:{settings_of_run['PORT']}/readyz") as answer:
        assert json.load(answer)["ready"] is True

    second = launcher("run", environment=settings_of_run)
    _, complaint = second.communicate(timeout=60)
    assert second.returncode == 1
    assert complaint.count("\n") == 1
    assert f"http://127.0.0.1:{settings_of_run['PORT']}" in complaint

    started = descendants(child.pid)
    assert len(started) >= 6  # PostgreSQL, Valkey, web and its worker, worker, beat
    child.send_signal(signal.SIGTERM)
    assert child.wait(60) == 0
    wait_until_gone(started)
    assert not (data / "run.json").exists()


def test_what_dies_is_started_again_and_sigkill_leaves_nothing(
    launcher: Start, settings_of_run: dict[str, str], data: Path
) -> None:
    child = launcher("run", environment=settings_of_run)
    wait_for_ready(child)
    broker = json.loads((data / "run.json").read_text())["environment"]["REDIS_URL"]
    port = broker.rpartition(":")[2].split("/")[0]
    (valkey,) = [
        pid
        for pid in descendants(child.pid)
        if f":{port}" in Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    ]
    os.kill(valkey, signal.SIGKILL)
    assert child.stderr
    assert "Valkey stopped" in child.stderr.readline()
    deadline = time.monotonic() + 30
    while True:
        with urllib.request.urlopen(f"http://127.0.0.1:{settings_of_run['PORT']}/readyz") as answer:
            if json.load(answer)["broker"] == "ok":
                break
        assert time.monotonic() < deadline
        time.sleep(0.1)

    started = descendants(child.pid)
    child.kill()
    child.wait()
    wait_until_gone(started)


def test_a_port_in_use_is_said_in_one_line(launcher: Start, settings_of_run: dict[str, str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", int(settings_of_run["PORT"])))
        taken.listen()
        child = launcher("run", environment=settings_of_run)
        _, complaint = child.communicate(timeout=60)
    assert child.returncode == 1
    assert complaint.count("\n") == 1
    assert "PORT" in complaint
