"""`make run`: everything in the foreground, in order; stopped in reverse order."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from crm_site.launcher import vendor
from crm_site.launcher.errors import LauncherError
from crm_site.launcher.processes import Service, die_with_parent
from crm_site.launcher.servers import ROOT, Servers, announce, data_folder, is_embedded, lock, owned, running
from crm_site.launcher.translations import start_compiling

FIRST_PAGE_SECONDS = 90
LOGINS = "demo-logins.json"
LONGEST_PAUSE = 30.0  # between two attempts to restart a server that keeps dying


class Program(Service):
    """A Python process of ours: web, worker or beat."""

    def __init__(self, name: str, servers: Servers, arguments: Sequence[str]) -> None:
        super().__init__(name, servers.data / "logs" / f"{name}.log")
        self.arguments = arguments
        self.variables = os.environ | servers.environment

    def command(self) -> Sequence[str]:
        return [sys.executable, "-m", *self.arguments]

    def environment(self) -> Mapping[str, str]:
        return self.variables


class Worker(Program):
    # When we are killed the broker goes too, and a worker that looks for its broker hears no other signal. A
    # chunk is one transaction, so nothing is half done; its children end when it is gone.
    death_signal = signal.SIGKILL


class Stop:
    """Asked to end: Ctrl-C, SIGTERM, SIGHUP, or the make that started us is gone."""

    def __init__(self) -> None:
        self._asked = False
        self._parent = os.getppid() if os.environ.get("BANYAN_FOLLOW_PARENT") else None
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._ask)

    def _ask(self, *_: object) -> None:
        self._asked = True

    def __bool__(self) -> bool:
        return self._asked or self._parent not in (None, os.getppid())


def main() -> int:
    host, port = os.environ.get("HOST", "127.0.0.1"), int(os.environ.get("PORT", "8000"))
    data, stop = data_folder(), Stop()
    _refuse_second_start(data)
    _refuse_taken(host, port)
    if not is_embedded("DATABASE_URL") and not os.environ.get("DATABASE_OWNER_URL"):
        raise LauncherError(
            "DATABASE_URL is set, but DATABASE_OWNER_URL is not: migrations run as the owner."
        )
    # What needs no server is done while the servers start and the database is made.
    compiling = Errand(start_compiling(), "The translations do not compile.")
    fetching = vendor.start()
    if fetching:
        print("Fetching front-end files", flush=True)
    arriving = fetching and Errand(fetching, "The front-end files could not be fetched.", "front-end files")
    with owned(data, "run") as servers, ExitStack() as ending:
        _migrate(servers, stop)
        compiling.finish(stop)  # the demo's texts are in both languages
        demo = None if stop else _start_demo(servers)
        if demo:
            ending.callback(demo.end)
        if arriving:
            arriving.finish(stop)
        _start_programs(servers, stop, demo, "127.0.0.1" if host == "0.0.0.0" else host, port)
        if not stop:
            announce(data, "run", servers.environment, f"http://{host}:{port}")
            print(f"logs: {data / 'logs'}")
            print("ready", flush=True)
        _supervise(servers, stop)
    return 0


def _refuse_second_start(data: Path) -> None:
    if held := lock(data / "server.lock"):
        held.close()
        return
    about = running(data)
    if about.get("kind") == "command":
        raise LauncherError(
            f"A command (process {about['pid']}) is using the servers of {data}: start again when it is done."
        )
    where = f" at {about['address']}" if about.get("address") else ""
    raise LauncherError(
        f"Banyan runs already{where} (data folder {data}): stop it first, or set BANYAN_DATA and PORT to others."
    )


def _refuse_taken(host: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise LauncherError(
                f"Cannot listen on {host}:{port} ({error.strerror}): set PORT to another."
            ) from None


def _manage(servers: Servers, *words: str, bulk: bool = False) -> subprocess.Popen[str]:
    """A management command; its answer as JSON can be read. `bulk`: its commits do not wait for the disk."""
    hurry = {"PGOPTIONS": "-c synchronous_commit=off"} if bulk else {}
    return subprocess.Popen(
        [sys.executable, str(ROOT / "manage.py"), *words],
        cwd=ROOT,
        env=os.environ | servers.environment | hurry,
        stdout=subprocess.PIPE if "--json" in words else None,
        text=True,
        start_new_session=True,
        preexec_fn=die_with_parent(signal.SIGTERM),
    )


class Errand:
    """A command that prints for itself and ends; a phase of the start when it has a name."""

    def __init__(self, child: subprocess.Popen[Any], failure: str, name: str = "") -> None:
        self.child, self.failure, self.name = child, failure, name
        self.began = time.monotonic()

    def finish(self, stop: Stop) -> None:
        """Wait for it, or end it when we are asked to stop. LauncherError when it fails."""
        while self.child.poll() is None and not stop:
            time.sleep(0.02)
        if stop:
            self.end()
        elif self.child.returncode:
            raise LauncherError(self.failure)
        elif self.name:  # whoever finds a start slow sees where
            print(f"{self.name}: {time.monotonic() - self.began:.1f} s", flush=True)

    def end(self) -> None:
        if self.child.poll() is None:
            self.child.terminate()
            self.child.wait()


def _migrate(servers: Servers, stop: Stop) -> None:
    stamp, state = (servers.cluster / "banyan-migrated" if servers.cluster else None), _migrations()
    if stamp and stamp.exists() and stamp.read_text() == state:
        return
    child = _manage(servers, "migrate", "--noinput", "--verbosity", "0")
    Errand(child, "The migrations failed.", "migrations").finish(stop)
    if stamp and not stop:
        stamp.write_text(state)


def _start_demo(servers: Servers) -> Errand | None:
    """Begin with the demo banks, or go on with them, until they were once finished on these embedded servers."""
    stamp = _demo_stamp(servers)
    if (
        os.environ.get("BANYAN_DEMO", "1") == "0"
        or stamp is None
        or stamp.exists()
        or not _knows("create_demo")
    ):
        return None
    print("Creating the demo banks", flush=True)
    child = _manage(servers, "create_demo", "--first", "--json", bulk=True)  # can be done again
    return Errand(child, "The demo banks could not be created.", "demo banks")


def _demo_stamp(servers: Servers) -> Path | None:
    return servers.cluster / "banyan-demo" if servers.cluster else None


def _migrations() -> str:
    """A fingerprint of all migrations, ours and those of the locked packages."""
    state = hashlib.sha256((ROOT / "requirements" / "run.txt").read_bytes())
    for file in sorted([*ROOT.glob("*/migrations/*.py"), *ROOT.glob("crm_site/*/migrations/*.py")]):
        state.update(str(file.relative_to(ROOT)).encode() + file.read_bytes())
    return state.hexdigest()


def _knows(command: str) -> bool:
    return any(ROOT.glob(f"**/management/commands/{command}.py"))


def _start_programs(servers: Servers, stop: Stop, demo: Errand | None, host: str, port: int) -> None:
    """Web first, so that its first page comes soonest; the demo is made and the list of banks read meanwhile."""
    if stop:
        return
    web = Program("web", servers, ["gunicorn", "--config", "python:crm_site.gunicorn", "crm_site.wsgi"])
    servers.services.append(web)
    web.start()
    listing = demo or Errand(_manage(servers, "list_banks", "--json"), "The banks cannot be listed.")
    web.wait_until(lambda: bool(stop) or _answers(f"http://{host}:{port}/readyz"), FIRST_PAGE_SECONDS)
    listing.finish(stop)
    if stop:
        return
    if demo and (stamp := _demo_stamp(servers)):
        stamp.touch()
    worker = ["celery", "-A", "crm_site.celery", "worker", "--pool", "prefork", "--concurrency", "2"]
    beat = ["celery", "-A", "crm_site.celery", "beat", "--pidfile=", "--schedule", str(servers.data / "beat")]
    for program in (
        Worker("worker", servers, [*worker, "--without-gossip", "--without-mingle", "--loglevel", "INFO"]),
        Program("beat", servers, beat),
    ):
        servers.services.append(program)
        program.start()
    for bank in json.loads(listing.child.communicate()[0]):
        print(f"{bank['name']}: http://{_with_port(bank['host'], port)}/")
    _print_logins(servers.data / LOGINS, port)


def _with_port(host: str, port: int) -> str:
    return host if ":" in host or port == 80 else f"{host}:{port}"


def _print_logins(file: Path, port: int) -> None:
    """Who can sign in to the demo banks, at the port of this start: the file names that of the first one."""
    if not file.exists():
        return
    for login in json.loads(file.read_text()):
        login["url"] = f"http://{_with_port(urlsplit(login['url']).hostname or '', port)}/"
        print("  " + "  ".join(str(value) for value in login.values()))


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _supervise(servers: Servers, stop: Stop) -> None:
    """Until asked to stop, start again what died; one that keeps dying waits longer each time."""
    pauses: dict[str, float] = {}
    due: dict[str, float] = {}
    while not stop:
        time.sleep(0.2)
        for service in servers.services:
            if service.running:
                continue
            now = time.monotonic()
            if service.name not in due:
                pauses[service.name] = min(LONGEST_PAUSE, pauses.get(service.name, 0.5) * 2)
                due[service.name] = now + pauses[service.name]
                print(
                    f"{service.name} stopped; starting it again: see {service.log}",
                    file=sys.stderr,
                    flush=True,
                )
            elif now >= due[service.name]:
                del due[service.name]
                try:
                    service.start()
                except LauncherError as error:
                    print(error, file=sys.stderr, flush=True)
