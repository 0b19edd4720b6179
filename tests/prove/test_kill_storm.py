"""A night whose workers are killed thirty times ends as an undisturbed one does."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

from crm_site.launcher.processes import die_with_parent
from tests.prove.conftest import Promise
from tests.prove.databases import ROOT, address, bank_id, database, environment, hashes, manage, table_sizes

CUSTOMERS = os.environ.get("CUSTOMERS", "100000")
KILLS = 30
RESUME_SECONDS = 30
MOST_NIGHTS = 15  # a small bank's night is over before its workers have been killed so often
NIGHT = ("nightly", "--bank", "storm", "--workers", "2", "--json")


def children(pid: int) -> list[int]:
    """Worker processes of a process, as the kernel lists them."""
    try:
        listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except FileNotFoundError:
        return []
    return [int(word) for word in listed.split()]


@dataclass
class Storm:
    """Kills workers of a night at random moments; hears when another takes up what they left."""

    name: str
    dice: random.Random
    kills: int = 0
    waited: list[float] = field(default_factory=list)
    lost: dict[int, tuple[str, float]] = field(default_factory=dict)

    def night(self) -> None:
        """One night of the bank, under the storm until its kills are spent."""
        night = subprocess.Popen(
            [sys.executable, "manage.py", *NIGHT],
            cwd=ROOT,
            env=environment(self.name),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            preexec_fn=die_with_parent(signal.SIGKILL),
        )
        with psycopg.connect(address("DATABASE_URL", self.name), autocommit=True) as watch:
            next_kill = time.monotonic() + self.dice.uniform(0.5, 3)
            while night.poll() is None:
                time.sleep(0.05)
                self.look(watch)
                if self.kills < KILLS and time.monotonic() >= next_kill and self.strike(watch, night.pid):
                    next_kill = time.monotonic() + self.dice.uniform(0.2, 4)
            self.look(watch)
        why = night.communicate()[1].decode()[-500:]
        assert night.returncode == 0, f"the night failed under the storm: {why}"
        assert not self.lost, f"chunks never taken up again: {self.lost}"

    def look(self, watch: psycopg.Connection) -> None:
        for chunk, (worker, since) in list(self.lost.items()):
            row = watch.execute("SELECT worker, done_at FROM jobs_chunk WHERE id = %s", [chunk]).fetchone()
            if row is not None and (row[0] != worker or row[1] is not None):
                self.waited.append(time.monotonic() - since)
                del self.lost[chunk]

    def strike(self, watch: psycopg.Connection, night: int) -> bool:
        """Kill a random worker that has a chunk; not the fifth one of the same chunk, which would be given up."""
        busy = watch.execute(
            "SELECT id, worker FROM jobs_chunk WHERE done_at IS NULL AND worker <> '' AND tries < 5 ORDER BY id"
        ).fetchall()
        workers = {int(worker.split(":")[1]): (chunk, worker) for chunk, worker in busy}
        victims = sorted(set(workers) & set(children(night)))
        if not victims:
            return False
        victim = self.dice.choice(victims)
        os.kill(victim, signal.SIGKILL)
        self.kills += 1
        chunk, worker = workers[victim]
        self.lost[chunk] = (worker, time.monotonic())
        return True


@pytest.mark.prove
def test_a_night_under_a_kill_storm_ends_like_a_quiet_one(promise: Promise) -> None:
    dice = random.Random(int(os.environ.get("SEED", "20261120")))
    with database("prove_storm_base") as base:
        manage(base, "migrate", "--verbosity", "0")
        manage(base, "make_bank", "storm", "--customers", CUSTOMERS, "--seed", "7")
        bank = bank_id(base, "storm")
        before = table_sizes(base, bank)
        with database("prove_storm_killed", template=base) as killed:
            storm, nights = Storm(killed, dice), 0
            while storm.kills < KILLS and nights < MOST_NIGHTS:
                storm.night()
                nights += 1
            found = hashes(killed, bank, before)
        with database("prove_storm_quiet", template=base) as quiet:
            for _night in range(nights):
                manage(quiet, *NIGHT)
            expected = hashes(quiet, bank, before)
    different = sorted(table for table in expected if expected[table] != found.get(table))
    what = f"workers killed during {nights} nights of {CUSTOMERS} customers"
    promise(what, storm.kills, f"{KILLS}", kept=storm.kills == KILLS)
    promise(
        "tables that differ from an undisturbed night",
        f"{len(different)} of {len(expected)} {' '.join(different)}".strip(),
        "0",
        kept=not different,
    )
    promise(
        "longest wait of a dead worker's chunk",
        f"{max(storm.waited, default=0):.1f} s",
        f"< {RESUME_SECONDS} s",
        kept=max(storm.waited, default=0) < RESUME_SECONDS,
    )
