"""Servers of their own for `make bench` and `make prove`: settings as in production, gone afterwards."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from crm_site.launcher.postgres import ADMIN, Postgres, free_port
from crm_site.launcher.processes import Service
from crm_site.launcher.provision import DATABASE
from crm_site.launcher.secrets import load
from crm_site.launcher.servers import Servers, data_folder, owned, server_home
from crm_site.launcher.translations import compile_translations

ROOT = Path(__file__).resolve().parents[1]
NAMED = ("DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL", "SECRET_KEY", "BANYAN_MASTER_KEY")
MIB = 1024 * 1024
SERVERS = ("postgres", "valkey-server", "redis-server")


class Web(Service):
    """Our web server as `make run` starts it, on a free port; `extra` wins over the environment."""

    def __init__(self, servers: Servers, name: str, extra: Mapping[str, str] | None = None) -> None:
        super().__init__(name, servers.data / "logs" / f"{name}.log")
        self.port = free_port()
        self.variables = os.environ | servers.environment | {"PORT": str(self.port), "LOG_LEVEL": "WARNING"}
        self.variables |= extra or {}

    def command(self) -> Sequence[str]:
        return [sys.executable, "-m", "gunicorn", "--config", "python:crm_site.gunicorn", "crm_site.wsgi"]

    def environment(self) -> Mapping[str, str]:
        return self.variables

    def start(self) -> None:
        super().start()
        self.wait_until(self._answers, 60)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=10) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


@dataclass
class Rig:
    """Running servers, with Django set up in this process against them."""

    servers: Servers
    started: list[Service] = field(default_factory=list)

    @property
    def data(self) -> Path:
        return self.servers.data

    @property
    def postgres(self) -> Postgres:
        return next(service for service in self.servers.services if isinstance(service, Postgres))

    def admin(self) -> psycopg.Connection[Any]:
        """The database's superuser, each statement its own transaction."""
        url = self.postgres.url(ADMIN, load(self.data)["admin_password"], DATABASE)
        return psycopg.connect(url, autocommit=True, prepare_threshold=None)

    def manage(self, *words: str, extra: Mapping[str, str] | None = None) -> str:
        """Run a management command; its standard output. Raises when it fails."""
        done = subprocess.run(
            [sys.executable, str(ROOT / "manage.py"), *words],
            cwd=ROOT, env=os.environ | self.servers.environment | dict(extra or {}), stdout=subprocess.PIPE, text=True,
            check=True,
        )  # fmt: skip
        return done.stdout

    def json(self, *words: str) -> Any:
        return json.loads(self.manage(*words, "--json"))

    @contextmanager
    def web(self, name: str = "web", extra: Mapping[str, str] | None = None) -> Iterator[int]:
        """A web server for the length of the block; yields its port."""
        web = Web(self.servers, name, extra)
        try:
            web.start()
            yield web.port
        finally:
            web.stop()


@contextmanager
def rig(name: str, *, keep: bool = False) -> Iterator[Rig]:
    """Servers in the folder `name` of the data folder, migrated, with Django set up. Gone afterwards unless `keep`."""
    for variable in NAMED:  # never the data of whoever calls
        os.environ.pop(variable, None)
    folder = data_folder() / name
    os.environ["BANYAN_DATA"] = str(folder)
    if folder.exists() and not keep:
        _remove(folder)
    compile_translations()
    try:
        with owned(data_folder(), name) as servers:
            os.environ.update(servers.environment)
            made = Rig(servers)
            made.manage("migrate", "--noinput", "--verbosity", "0")
            os.environ.setdefault("DJANGO_SETTINGS_MODULE", "crm_site.settings")
            import django

            django.setup()
            yield made
            from django.db import connections

            connections.close_all()
    finally:
        if not keep:
            _remove(folder)


def _remove(folder: Path) -> None:
    for place in {server_home(folder), folder}:
        shutil.rmtree(place, ignore_errors=True)


@dataclass(frozen=True)
class Spent:
    """What something took: seconds by the clock, and seconds of processors, which a busy machine does not lengthen."""

    seconds: float = 0.0
    cpu: float = 0.0

    def __add__(self, other: Spent) -> Spent:
        return Spent(self.seconds + other.seconds, self.cpu + other.cpu)

    def __sub__(self, other: Spent) -> Spent:
        return Spent(self.seconds - other.seconds, self.cpu - other.cpu)


class Work:
    """A block's work: `spent` by this process, all it started and the servers, and `mib`, the largest resident memory of any
    process of ours by itself. The database's own vacuuming is left out: nobody knows which block it falls into.
    """

    def __init__(self, interval: float = 0.2) -> None:
        self.interval, self.mib, self.spent = interval, 0.0, Spent()
        self._vacuums: dict[int, float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Work:
        self._begun = Spent(time.perf_counter(), self._cpu())
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.spent = Spent(time.perf_counter(), self._cpu()) - self._begun
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while True:
            self.mib = max(self.mib, *(resident_mib(pid) for pid in family(os.getpid())))
            if self._stop.wait(self.interval):
                return
            self._see_vacuums()

    def _see_vacuums(self) -> None:
        for pid in family(os.getpid(), servers=True):
            if _read(pid, "cmdline").startswith("postgres: autovacuum worker"):
                self._vacuums[pid] = cpu_seconds(pid)

    def _cpu(self) -> float:
        """Seconds so far of everything that we started, the dead among them by who buried them, without the vacuums."""
        self._see_vacuums()
        everything = sum(cpu_seconds(pid) for pid in family(os.getpid(), servers=True))
        return everything - sum(self._vacuums.values())


def family(pid: int, *, servers: bool = False) -> list[int]:
    """A process and all it started, by id; the servers only when asked for."""
    found, waiting = [], [pid]
    while waiting:
        one = waiting.pop()
        found.append(one)
        children = [int(child) for child in _children(one).split()]
        waiting += [child for child in children if servers or _read(child, "comm").strip() not in SERVERS]
    return found


def _children(pid: int) -> str:
    try:
        return " ".join(path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children"))
    except OSError:  # it, or a thread of it, is gone
        return ""


def _read(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text()
    except OSError:  # it is gone
        return ""


def cpu_seconds(pid: int) -> float:
    """Of a process and its children that have ended; 0 when it is gone."""
    fields = _read(pid, "stat").rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def resident_mib(pid: int) -> float:
    fields = _read(pid, "statm").split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE") / MIB if fields else 0.0
