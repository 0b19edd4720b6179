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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from crm_site.launcher.errors import LauncherError
from crm_site.launcher.processes import Service, die_with_parent
from crm_site.launcher.servers import ROOT, Servers, announce, data_folder, is_embedded, lock, owned, running
from crm_site.launcher.translations import finish_compiling, start_compiling

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
    with owned(data, "run") as servers:
        _prepare(servers, stop)
        _start_programs(servers, stop, "127.0.0.1" if host == "0.0.0.0" else host, port)
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


def _manage(servers: Servers, *words: str, capture: bool = False) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(ROOT / "manage.py"), *words],
        cwd=ROOT,
        env=os.environ | servers.environment,
        stdout=subprocess.PIPE if capture else None,
        stderr=subprocess.PIPE if capture else None,
        text=True,
        start_new_session=True,
        preexec_fn=die_with_parent(signal.SIGTERM),
    )


def _finish(child: subprocess.Popen[str], stop: Stop, failure: str) -> None:
    """Wait for a command that prints for itself; end it when we are asked to stop."""
    while child.poll() is None:
        if stop:
            child.terminate()
            child.wait()
            return
        time.sleep(0.05)
    if child.returncode:
        raise LauncherError(failure)


def _prepare(servers: Servers, stop: Stop) -> None:
    """Translations, migrations, and the demo banks on the first start of embedded servers."""
    translations = start_compiling()
    cluster = servers.cluster
    stamp, state = (cluster / "banyan-migrated" if cluster else None), _migrations()
    if stamp is None or not stamp.exists() or stamp.read_text() != state:
        with _timed("migrations"):
            _finish(
                _manage(servers, "migrate", "--noinput", "--verbosity", "0"), stop, "The migrations failed."
            )
        if stamp and not stop:
            stamp.write_text(state)
    finish_compiling(translations)
    wants_demo = os.environ.get("BANYAN_DEMO", "1") != "0"
    is_first_start = wants_demo and cluster is not None and not stop and not (servers.data / LOGINS).exists()
    if (
        is_first_start
        and _knows("create_demo")
        and not _banks(_manage(servers, "list_banks", "--json", capture=True))
    ):
        print("Creating the demo banks", flush=True)
        with _timed("demo banks"):
            _finish(_manage(servers, "create_demo"), stop, "The demo banks could not be created.")


@contextmanager
def _timed(what: str) -> Iterator[None]:
    """Say how long a phase of the start took: whoever finds a start slow sees where."""
    began = time.monotonic()
    yield
    print(f"{what}: {time.monotonic() - began:.1f} s", flush=True)


def _migrations() -> str:
    """A fingerprint of all migrations, ours and those of the locked packages."""
    state = hashlib.sha256((ROOT / "requirements" / "run.txt").read_bytes())
    for file in sorted([*ROOT.glob("*/migrations/*.py"), *ROOT.glob("crm_site/*/migrations/*.py")]):
        state.update(str(file.relative_to(ROOT)).encode() + file.read_bytes())
    return state.hexdigest()


def _banks(child: subprocess.Popen[str]) -> list[dict[str, str]]:
    answer, complaint = child.communicate()
    if child.returncode and "Unknown command" in complaint:
        return []
    if child.returncode:
        raise LauncherError(
            f"The banks cannot be listed: {(complaint.strip().splitlines() or ['no reason'])[-1]}"
        )
    banks: list[dict[str, str]] = json.loads(answer)
    return banks


def _knows(command: str) -> bool:
    return any(ROOT.glob(f"**/management/commands/{command}.py"))


def _start_programs(servers: Servers, stop: Stop, host: str, port: int) -> None:
    """Web first, so that its first page comes soonest; the list of banks is read meanwhile."""
    if stop:
        return
    web = Program("web", servers, ["gunicorn", "--config", "python:crm_site.gunicorn", "crm_site.wsgi"])
    servers.services.append(web)
    web.start()
    listing = _manage(servers, "list_banks", "--json", capture=True)
    web.wait_until(lambda: bool(stop) or _answers(f"http://{host}:{port}/readyz"), FIRST_PAGE_SECONDS)
    banks = _banks(listing)
    worker = ["celery", "-A", "crm_site.celery", "worker", "--pool", "prefork", "--concurrency", "2"]
    beat = ["celery", "-A", "crm_site.celery", "beat", "--pidfile=", "--schedule", str(servers.data / "beat")]
    for program in (
        Worker("worker", servers, [*worker, "--without-gossip", "--without-mingle", "--loglevel", "INFO"]),
        Program("beat", servers, beat),
    ):
        servers.services.append(program)
        program.start()
    for bank in banks:
        print(f"{bank['name']}: http://{_with_port(bank['host'], port)}/")
    _print_logins(servers.data / LOGINS)


def _with_port(host: str, port: int) -> str:
    return host if ":" in host or port == 80 else f"{host}:{port}"


def _print_logins(file: Path) -> None:
    if not file.exists():
        return
    for login in json.loads(file.read_text()):
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
