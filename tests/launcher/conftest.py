"""A data folder of its own for each module: these tests start real servers beside those of the run."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OURS = (
    "DATABASE_URL",
    "DATABASE_OWNER_URL",
    "REDIS_URL",
    "SECRET_KEY",
    "BANYAN_MASTER_KEY",
    "BANYAN_DATA",
    "PORT",
)
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(scope="module")
def data() -> Iterator[Path]:
    """Not under pytest's own folder: that one is closed to the user that the servers run as."""
    folder = Path(tempfile.mkdtemp(prefix="banyan-test-launcher-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def launcher(data: Path) -> Iterator[Start]:
    """Start `python -m crm_site.launcher WORDS` on the data folder; what still runs is killed at the end."""
    yield from _launcher(data)


@pytest.fixture(scope="module")
def shared() -> Iterator[tuple[Path, Start]]:
    """A data folder whose servers run for the whole module, and the launcher on it."""
    folder = Path(tempfile.mkdtemp(prefix="banyan-test-launcher-"))
    for start in _launcher(folder):
        holder = start("exec", "--", "sh", "-c", "echo up; read line")
        assert holder.stdout
        assert holder.stdout.readline() == "up\n"
        yield folder, start
        holder.communicate("\n", timeout=60)
    shutil.rmtree(folder)


def _launcher(data: Path) -> Iterator[Start]:
    started: list[subprocess.Popen[str]] = []

    def start(*words: str, environment: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        clean = {name: value for name, value in os.environ.items() if name not in OURS}
        child = subprocess.Popen(
            [sys.executable, "-m", "crm_site.launcher", *words],
            cwd=ROOT,
            env=clean | {"BANYAN_DATA": str(data)} | dict(environment or {}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(child)
        return child

    yield start
    for child in started:
        if child.poll() is None:
            child.send_signal(signal.SIGKILL)
        child.communicate()
