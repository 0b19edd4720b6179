"""Child processes that stop when asked and die with us."""

from __future__ import annotations

import ctypes
import os
import pwd
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from crm_site.launcher.errors import LauncherError

PR_SET_PDEATHSIG = 1
LOG_LIMIT = 20 * 1024 * 1024
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def die_with_parent(death_signal: int) -> Callable[[], None]:
    """A preexec function: the kernel sends `death_signal` when this process is gone, however it went.

    Runs after the change of user, which would clear the setting. Linux only; elsewhere it does nothing.
    """
    parent = os.getpid()

    def preexec() -> None:
        if _libc is None:
            return
        _libc.prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
        if os.getppid() != parent:  # it died between fork and prctl
            os._exit(1)

    return preexec


def server_user() -> str | None:
    """The unprivileged user that servers run as when we are root (PostgreSQL refuses root); else None."""
    return "nobody" if os.geteuid() == 0 else None


def main_group(user: str | None) -> int | None:
    return pwd.getpwnam(user).pw_gid if user else None


def enterable(folder: Path, user: str | None) -> bool:
    """Whether `user` can walk down to `folder` (root walks everywhere, so only mode bits can tell)."""
    if user is None:
        return True
    uid = pwd.getpwnam(user).pw_uid
    for step in (folder, *folder.parents):
        status = step.stat()
        if not (status.st_mode & 0o001 or (status.st_uid == uid and status.st_mode & 0o100)):
            return False
    return True


class Service(ABC):
    """One server process: how it is started, and how it is stopped."""

    stop_signal = signal.SIGTERM
    death_signal = signal.SIGTERM
    grace = 20.0  # seconds between the stop signal and SIGKILL

    def __init__(self, name: str, log: Path, user: str | None = None) -> None:
        self.name = name
        self.log = log
        self.user = user
        self.process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def command(self) -> Sequence[str]: ...

    def environment(self) -> Mapping[str, str] | None:
        return None

    def stdin(self) -> bytes | None:
        return None

    def start(self) -> None:
        text = self.stdin()
        with self._open_log() as log:
            self.process = subprocess.Popen(
                self.command(),
                stdin=subprocess.PIPE if text is not None else subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.environment(),
                cwd="/" if self.user else None,
                start_new_session=True,  # Ctrl-C reaches only us, and we stop them in order
                preexec_fn=die_with_parent(self.death_signal),
                user=self.user,
                group=main_group(self.user),
                extra_groups=[] if self.user else None,
            )
        if text is not None and self.process.stdin:
            self.process.stdin.write(text)
            self.process.stdin.close()

    def _open_log(self) -> IO[bytes]:
        if self.log.exists() and self.log.stat().st_size > LOG_LIMIT:
            self.log.replace(self.log.with_suffix(".log.1"))
        return self.log.open("ab")

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def stop(self) -> None:
        if self.process is None:
            return
        if self.running:
            self.process.send_signal(self.stop_signal)
            try:
                self.process.wait(self.grace)
            except subprocess.TimeoutExpired:
                self.kill()
        self.process = None

    def kill(self) -> None:
        """End the process and what it started (its own session), for good."""
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def wait_until(self, ready: Callable[[], bool], seconds: float) -> None:
        """Poll until `ready()`; a LauncherError with the last line of the log when that does not happen."""
        deadline = time.monotonic() + seconds
        while not ready():
            if not self.running:
                raise LauncherError(f"{self.name} did not start: {self.last_words()} ({self.log})")
            if time.monotonic() > deadline:
                raise LauncherError(f"{self.name} did not answer within {seconds:.0f} s: see {self.log}")
            time.sleep(0.02)

    def last_words(self) -> str:
        lines = self.log.read_text(errors="replace").strip().splitlines() if self.log.exists() else []
        return lines[-1] if lines else "no output"
