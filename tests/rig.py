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


class Peak:
    """Largest resident memory, in MiB, of this process and its descendants, each by itself, while the block runs."""

    def __init__(self, seconds: float = 0.2) -> None:
        self.seconds, self.mib = seconds, 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while True:
            self.mib = max(self.mib, *(resident_mib(pid) for pid in family(os.getpid())))
            if self._stop.wait(self.seconds):
                return


def family(pid: int) -> list[int]:
    """A process and all it started, by id, but for the servers' own (another session's group leads them)."""
    found, waiting = [], [pid]
    while waiting:
        one = waiting.pop()
        found.append(one)
        for task in Path(f"/proc/{one}/task").glob("*/children"):
            try:
                waiting += [int(child) for child in task.read_text().split() if not _is_server(int(child))]
            except OSError:
                continue
    return found


def _is_server(pid: int) -> bool:
    try:
        name = Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return False
    return name in ("postgres", "valkey-server", "redis-server")


def resident_mib(pid: int) -> float:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / MIB


def seconds_of(begun: float) -> float:
    return time.perf_counter() - begun
