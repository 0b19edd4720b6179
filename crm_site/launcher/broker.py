"""Embedded Valkey: the broker that wakes workers. Keeps nothing on disk: PostgreSQL holds the truth."""

from __future__ import annotations

import signal
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

from crm_site.launcher.binaries import broker_program
from crm_site.launcher.postgres import HOST, free_port
from crm_site.launcher.processes import Service


class Broker(Service):
    death_signal = signal.SIGKILL
    grace = 5.0

    def __init__(self, home: Path, log: Path, user: str | None, password: str) -> None:
        super().__init__("Valkey", log, user)
        self.home = home
        self.password = password
        self.port = free_port()

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@{HOST}:{self.port}/0"

    def command(self) -> Sequence[str]:
        return [broker_program(self.home, self.user), "-"]

    def environment(self) -> Mapping[str, str]:
        return {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}

    def stdin(self) -> bytes:
        """The configuration, so that the password stands neither in a file nor among the arguments."""
        lines = ["bind " + HOST, f"port {self.port}", f"requirepass {self.password}", 'save ""']
        lines += ["appendonly no", "dir /", "loglevel warning", "daemonize no"]
        return "\n".join(lines).encode()

    def start(self) -> None:
        super().start()
        self.wait_until(self._answers, 20)

    def _answers(self) -> bool:
        try:
            with socket.create_connection((HOST, self.port), timeout=1) as connection:
                connection.sendall(f"AUTH {self.password}\r\nPING\r\n".encode())
                return b"+OK" in connection.recv(64)
        except OSError:
            return False
