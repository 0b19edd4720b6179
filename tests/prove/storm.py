"""A storm of SIGKILLs over the worker processes of a run in the foreground."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from crm_site.launcher.processes import die_with_parent
from tests.prove.databases import ROOT, address, environment


def children(pid: int) -> list[int]:
    """Worker processes of a process, as the kernel lists them."""
    try:
        listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except FileNotFoundError:
        return []
    return [int(word) for word in listed.split()]


@dataclass
class Storm:
    """Kills workers of a foreground run at random moments; hears when another takes up what they left.

    `words`: the management command whose children the workers are; `most`: kills until it lets them be; `pause`: the
    longest seconds between two kills.
    """

    name: str
    dice: random.Random
    words: Sequence[str]
    most: int
    pause: float = 4
    kills: int = 0
    waited: list[float] = field(default_factory=list)
    lost: dict[int, tuple[str, float]] = field(default_factory=dict)

    def run(self) -> None:
        """The command once, under the storm until its kills are spent."""
        command = subprocess.Popen(
            [sys.executable, "manage.py", *self.words],
            cwd=ROOT,
            env=environment(self.name),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            preexec_fn=die_with_parent(signal.SIGKILL),
        )
        with psycopg.connect(address("DATABASE_URL", self.name), autocommit=True) as watch:
            next_kill = time.monotonic() + self.dice.uniform(0.5, 3)
            while command.poll() is None:
                time.sleep(0.05)
                self.look(watch)
                if (
                    self.kills < self.most
                    and time.monotonic() >= next_kill
                    and self.strike(watch, command.pid)
                ):
                    next_kill = time.monotonic() + self.dice.uniform(0.2, self.pause)
            self.look(watch)
        why = command.communicate()[1].decode()[-500:]
        assert command.returncode == 0, f"the run failed under the storm: {why}"
        assert not self.lost, f"chunks never taken up again: {self.lost}"

    def look(self, watch: psycopg.Connection) -> None:
        for chunk, (worker, since) in list(self.lost.items()):
            row = watch.execute("SELECT worker, done_at FROM jobs_chunk WHERE id = %s", [chunk]).fetchone()
            if row is not None and (row[0] != worker or row[1] is not None):
                self.waited.append(time.monotonic() - since)
                del self.lost[chunk]

    def strike(self, watch: psycopg.Connection, command: int) -> bool:
        """Kill a random worker that has a chunk; not the fifth one of the same chunk, which would be given up."""
        busy = watch.execute(
            "SELECT id, worker FROM jobs_chunk WHERE done_at IS NULL AND worker <> '' AND tries < 5 ORDER BY id"
        ).fetchall()
        workers = {int(worker.split(":")[1]): (chunk, worker) for chunk, worker in busy}
        victims = sorted(set(workers) & set(children(command)))
        if not victims:
            return False
        victim = self.dice.choice(victims)
        os.kill(victim, signal.SIGKILL)
        self.kills += 1
        chunk, worker = workers[victim]
        self.lost[chunk] = (worker, time.monotonic())
        return True
