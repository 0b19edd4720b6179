"""Which servers a command talks to: named ones, those of a `make run` that is up, or its own for a while.

One data folder has one owner at a time, the holder of a lock on `server.lock`. The owner writes `run.json`;
others attach through it, holding a shared lock on `users.lock` so that a short-lived owner waits for them.
Locks go with their process, so nothing that a killed one leaves behind is in the way.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from crm_site.launcher import secrets
from crm_site.launcher.broker import Broker
from crm_site.launcher.errors import LauncherError
from crm_site.launcher.postgres import ADMIN, Postgres
from crm_site.launcher.processes import Service, enterable, server_user
from crm_site.launcher.provision import APPLICATION, DATABASE, OWNER, Passwords, provision

ROOT = Path(__file__).resolve().parents[2]
ELSEWHERE = Path("/var/lib/banyan")
START_SECONDS = 120
NAMED = ("DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL")  # servers that somebody else runs


def data_folder() -> Path:
    """$BANYAN_DATA, or .data in the project; made when absent."""
    data = Path(os.environ.get("BANYAN_DATA") or ROOT / ".data").absolute()
    user = server_user()
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        if user:
            data.chmod(0o711)  # the servers' own folder below must be reachable; what else is here is private
        for name in ("logs", "files"):
            (data / name).mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise LauncherError(f"The data folder {data} cannot be used: {error.strerror}.") from None
    return data


def server_home(data: Path) -> Path:
    """Where the database lives: in the data folder, or beside it where the servers' user cannot walk there."""
    user = server_user()
    home = data
    if not enterable(data, user):
        home = ELSEWHERE / hashlib.sha256(str(data).encode()).hexdigest()[:12]
        home.mkdir(mode=0o711, parents=True, exist_ok=True)
        (data / "servers-are-in").write_text(f"{home}\n")
    (home / "programs").mkdir(mode=0o711, exist_ok=True)
    return home


def lock(file: Path, *, shared: bool = False, wait: bool = False) -> IO[str] | None:
    """The open, locked file, or None when another process holds it. Closing it, or dying, frees it."""
    try:
        handle = file.open("a")
    except PermissionError:
        raise LauncherError(f"{file.parent} belongs to another user.") from None
    try:
        fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        handle.close()
        return None
    return handle


@dataclass
class Servers:
    """The servers that this process owns, and the environment that reaches them."""

    data: Path
    throw_away: bool = False
    services: list[Service] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)

    def start(self) -> None:
        keys = secrets.load(self.data)
        self.environment = base_environment(self.data, keys)
        home, user, logs = server_home(self.data), server_user(), self.data / "logs"
        if is_embedded("DATABASE_URL"):
            postgres = Postgres(home, logs / "postgres.log", user, keys["admin_password"], self.throw_away)
            self.services.append(postgres)
            postgres.start()
            passwords = Passwords(keys["owner_password"], keys["app_password"])
            provision(postgres.url(ADMIN, keys["admin_password"], "postgres"), passwords)
            self.environment |= {
                "DATABASE_URL": postgres.url(APPLICATION, passwords.application, DATABASE),
                "DATABASE_OWNER_URL": postgres.url(OWNER, passwords.owner, DATABASE),
            }
        if is_embedded("REDIS_URL"):
            broker = Broker(home, logs / "valkey.log", user, keys["broker_password"])
            self.services.append(broker)
            broker.start()
            self.environment["REDIS_URL"] = broker.url

    @property
    def cluster(self) -> Path | None:
        """The embedded database's own folder; None when DATABASE_URL names another server."""
        return next((service.data for service in self.services if isinstance(service, Postgres)), None)

    def stop(self) -> None:
        while self.services:
            self.services.pop().stop()


def is_embedded(name: str) -> bool:
    return not os.environ.get(name)


def base_environment(data: Path, keys: Mapping[str, str]) -> dict[str, str]:
    """What every child gets whoever runs the servers; what the caller has set wins."""
    defaults = {"SECRET_KEY": keys["secret_key"], "BANYAN_MASTER_KEY": keys["master_key"]}
    chosen = {name: os.environ.get(name) or value for name, value in defaults.items()}
    named = {name: os.environ[name] for name in NAMED if os.environ.get(name)}
    return chosen | named | {"BANYAN_DATA": str(data)}


def announce(data: Path, kind: str, environment: Mapping[str, str], address: str = "") -> None:
    about = {"pid": os.getpid(), "kind": kind, "address": address, "environment": dict(environment)}
    secrets.write_private(data / "run.json", json.dumps(about, indent=1))


def running(data: Path) -> dict[str, object]:
    """What the owner of the folder's lock wrote about itself; empty while it is still starting."""
    try:
        about: dict[str, object] = json.loads((data / "run.json").read_text())
    except FileNotFoundError:
        return {}
    except PermissionError:
        raise LauncherError(f"{data} belongs to another user.") from None
    return about


@contextmanager
def owned(data: Path, kind: str) -> Iterator[Servers]:
    """Start the servers as the folder's owner and stop them in reverse order; LauncherError when it has one."""
    held = lock(data / "server.lock")
    if held is None:
        raise LauncherError(f"Servers of {data} run already.")
    with held:
        yield from _own(data, kind)


def _own(data: Path, kind: str) -> Iterator[Servers]:
    (data / "run.json").unlink(missing_ok=True)
    servers = Servers(data, throw_away=kind == "test")
    try:
        servers.start()
        yield servers
    finally:
        (data / "run.json").unlink(missing_ok=True)
        servers.stop()


@contextmanager
def _attached_or_owned(data: Path) -> Iterator[Mapping[str, str]]:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        held = lock(data / "server.lock")
        if held is not None:
            with held, contextmanager(_own)(data, "command") as servers:
                announce(data, "command", servers.environment)
                try:
                    yield servers.environment
                finally:
                    (data / "run.json").unlink(missing_ok=True)  # nobody attaches from now on
                    with lock(data / "users.lock", wait=True) or ExitStack():
                        pass
                return
        with lock(data / "users.lock", shared=True, wait=True) or ExitStack():
            environment = running(data).get("environment")
            if isinstance(environment, dict):
                yield environment
                return
        time.sleep(0.1)
    raise LauncherError(f"The servers of {data} are held by another process that did not announce them.")


@contextmanager
def ensure_servers() -> Iterator[None]:
    """For the duration of the block, os.environ reaches a database, a broker and the keys.

    Does nothing where everything is named in the environment already (a container, a child of the launcher).
    """
    needed = ("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "BANYAN_MASTER_KEY")
    if all(os.environ.get(name) for name in needed):
        yield
        return
    before = dict(os.environ)
    with _attached_or_owned(data_folder()) as environment:
        found = {name: value for name, value in environment.items() if not before.get(name)}
        if before.get("DATABASE_URL"):
            found.pop("DATABASE_OWNER_URL", None)  # it would be the owner of another database
        os.environ.update(found)
        os.environ.setdefault("BANYAN_DATA", environment["BANYAN_DATA"])
        try:
            yield
        finally:
            sys.stdout.flush()
            os.environ.clear()
            os.environ.update(before)
