"""Embedded PostgreSQL: a cluster in the data folder on a free loopback port, reached by password only."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from crm_site.launcher import secrets
from crm_site.launcher.binaries import PostgresPrograms, postgres_programs
from crm_site.launcher.errors import LauncherError
from crm_site.launcher.processes import Service, main_group

HOST = "127.0.0.1"
ADMIN = "banyan_admin"
MIB = 1024 * 1024
THROW_AWAY = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "checkpoint_timeout": "1h",
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def machine_memory() -> int:
    """Bytes of memory this process may use: the machine's, or its container's limit."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
    except OSError:
        return total
    return min(total, int(limit)) if limit.isdigit() else total


def server_settings(throw_away: bool) -> dict[str, str]:
    """For two cores and a few GiB that the application shares. Tests give up durability."""
    memory = machine_memory()
    settings = {
        "shared_buffers": f"{max(128, min(memory // 4 // MIB, 256 if throw_away else 2048))}MB",
        "effective_cache_size": f"{max(256, memory // 2 // MIB)}MB",
        "work_mem": "64MB",
        "maintenance_work_mem": "512MB" if memory > 4096 * MIB else "128MB",
        "max_connections": "100",
        "max_locks_per_transaction": "256",  # months are partitions, and a query may lock them all
        "max_wal_size": "8GB",
        # The embedded server knows pglz alone, which doubles the processor time of a night's updates (100,000 rows
        # of Standing: 5.0 s against 2.8) and saves only disk.
        "wal_compression": "off",
        "checkpoint_timeout": "15min",
        "synchronous_commit": "on",
        "random_page_cost": "1.1",
        "jit": "off",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "password_encryption": "scram-sha-256",
        "listen_addresses": HOST,
        "unix_socket_directories": "",
    }
    shared = Path("/dev/shm")
    if shared.exists() and shutil.disk_usage(shared).total < 1024 * MIB:
        settings["dynamic_shared_memory_type"] = (
            "sysv"  # a container's 64 MB is too little for parallel plans
        )
    return settings | (THROW_AWAY if throw_away else {})


class Postgres(Service):
    stop_signal = signal.SIGINT  # fast shutdown: open transactions are rolled back
    death_signal = signal.SIGINT
    grace = 60.0

    def __init__(
        self, home: Path, log: Path, user: str | None, password: str, throw_away: bool = False
    ) -> None:
        super().__init__("PostgreSQL", log, user)
        self.home = home
        self.data = home / "postgres"
        self.password = password
        self.throw_away = throw_away
        self.port = free_port()
        self._programs: PostgresPrograms | None = None
        if throw_away:
            self.stop_signal = self.death_signal = signal.SIGQUIT

    @property
    def programs(self) -> PostgresPrograms:
        if self._programs is None:
            version = self.data / "PG_VERSION"
            wanted = int(version.read_text()) if version.exists() else None
            self._programs = postgres_programs(self.home, self.user, wanted)
        return self._programs

    def url(self, role: str, password: str, database: str) -> str:
        return f"postgresql://{role}:{password}@{HOST}:{self.port}/{database}"

    def environment(self) -> Mapping[str, str]:
        return {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}

    def command(self) -> Sequence[str]:
        settings = server_settings(self.throw_away) | {"port": str(self.port)}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [self.programs.path("postgres"), "-D", str(self.data), *options]

    def start(self) -> None:
        if not self.data.exists():
            self._initialise()
        self._clear_leftovers()
        super().start()
        self.wait_until(self._is_ready, 60)

    def _initialise(self) -> None:
        """initdb into a folder beside, then rename: what is half made never looks like data."""
        draft = self.home / "postgres.new"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700, parents=True)
        password = self.home / "password.new"
        secrets.write_private(password, self.password)
        if self.user:
            shutil.chown(draft, self.user)
            shutil.chown(password, self.user)
        locale = ["--lc-collate=C", "--lc-ctype=C.UTF-8"]
        if self.programs.major >= 17:
            locale += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        made = subprocess.run(
            [
                *(self.programs.path("initdb"), "-D", str(draft), "-U", ADMIN, "-E", "UTF8", *locale),
                *("--auth=scram-sha-256", f"--pwfile={password}", "--no-instructions"),
                *(["--no-sync"] if self.throw_away else []),
            ],
            capture_output=True,
            env=self.environment(),
            cwd="/",
            check=False,
            user=self.user,
            group=main_group(self.user),
            extra_groups=[] if self.user else None,
        )
        password.unlink()
        if made.returncode:
            raise LauncherError(
                f"initdb failed: {made.stderr.decode(errors='replace').strip().splitlines()[-1]}"
            )
        draft.rename(self.data)

    def _pid_file(self) -> list[str]:
        try:
            return (self.data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return []

    def _is_ready(self) -> bool:
        lines = self._pid_file()
        mine = self.process is not None and lines[:1] == [str(self.process.pid)]
        return mine and len(lines) > 7 and lines[7].strip() == "ready"

    def _clear_leftovers(self) -> None:
        """We hold the folder's lock, so a postmaster here belongs to a launcher that was killed: let it finish.

        A pid that some other program has got since is no reason to refuse to start.
        """
        lines = self._pid_file()
        pid = int(lines[0]) if lines and re.fullmatch(r"\d+", lines[0]) else 0
        deadline = time.monotonic() + self.grace
        while pid and self._is_postmaster(pid):
            if time.monotonic() > deadline:
                raise LauncherError(
                    f"An old PostgreSQL (process {pid}) still holds {self.data}: stop it first."
                )
            os.kill(pid, signal.SIGINT)
            time.sleep(0.1)
        if pid and Path("/proc/self").exists():
            (self.data / "postmaster.pid").unlink(missing_ok=True)

    def _is_postmaster(self, pid: int) -> bool:
        try:
            return Path(f"/proc/{pid}/cwd").resolve() == self.data.resolve() and _is_alive(pid)
        except OSError:
            return False


def _is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
