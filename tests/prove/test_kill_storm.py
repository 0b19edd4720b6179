"""A night whose workers are killed thirty times ends as an undisturbed one does."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from tests.prove.conftest import Promise
from tests.prove.databases import ROOT, address, bank_id, database, environment, hashes, manage, table_sizes

CUSTOMERS = os.environ.get("CUSTOMERS", "100000")
KILLS = 30
RESUME_SECONDS = 30
NIGHT = ("nightly", "--bank", "storm", "--workers", "2", "--json")


def children(pid: int) -> list[int]:
    """Worker processes of a process, as the kernel lists them."""
    try:
        listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except FileNotFoundError:
        return []
    return [int(word) for word in listed.split()]


def storm(name: str, dice: random.Random) -> tuple[int, list[float]]:
    """Run the night and kill a worker at random moments, again and again for new dates until all kills are spent.

    Returns the kills and how long each chunk that lost its worker waited for the next one.
    """
    kills, waited, lost = 0, [], {}
    night = subprocess.Popen(
        [sys.executable, "manage.py", *NIGHT], cwd=ROOT, env=environment(name), stdout=subprocess.PIPE
    )
    with psycopg.connect(address("DATABASE_URL", name), autocommit=True) as watch:
        next_kill = time.monotonic() + dice.uniform(0.5, 3)
        while night.poll() is None:
            time.sleep(0.05)
            for chunk, (worker, since) in list(lost.items()):
                row = watch.execute(
                    "SELECT worker, done_at FROM jobs_chunk WHERE id = %s", [chunk]
                ).fetchone()
                if row is not None and (row[0] != worker or row[1] is not None):
                    waited.append(time.monotonic() - since)
                    del lost[chunk]
            if kills >= KILLS or time.monotonic() < next_kill:
                continue
            busy = watch.execute(
                "SELECT id, worker, tries FROM jobs_chunk WHERE done_at IS NULL AND worker <> '' "
                "AND claimed_until IS NOT NULL ORDER BY id"
            ).fetchall()
            workers = {
                int(worker.split(":")[1]): (chunk, worker) for chunk, worker, tries in busy if tries < 4
            }
            victims = sorted(set(workers) & set(children(night.pid)))
            if victims:
                victim = dice.choice(victims)
                os.kill(victim, signal.SIGKILL)
                kills += 1
                chunk, worker = workers[victim]
                lost[chunk] = (worker, time.monotonic())
                next_kill = time.monotonic() + dice.uniform(0.2, 4)
    assert night.returncode == 0, "the night failed under the storm"
    assert not lost, f"chunks never taken up again: {lost}"
    return kills, waited


@pytest.mark.prove
def test_a_night_under_a_kill_storm_ends_like_a_quiet_one(promise: Promise) -> None:
    dice = random.Random(int(os.environ.get("SEED", "20261120")))
    with database("prove_storm_base") as base:
        manage(base, "migrate", "--verbosity", "0")
        manage(base, "make_bank", "storm", "--customers", CUSTOMERS, "--seed", "7")
        bank = bank_id(base, "storm")
        before = table_sizes(base, bank)
        with database("prove_storm_quiet", template=base) as quiet:
            manage(quiet, *NIGHT)
            expected = hashes(quiet, bank, before)
        with database("prove_storm_killed", template=base) as killed:
            kills, waited = storm(killed, dice)
            found = hashes(killed, bank, before)
    different = sorted(table for table in expected if expected[table] != found.get(table))
    promise(f"workers killed during a night of {CUSTOMERS} customers", kills, f"{KILLS}", kept=kills == KILLS)
    promise(
        "tables that differ from an undisturbed night",
        f"{len(different)} of {len(expected)} {' '.join(different)}".strip(),
        "0",
        kept=not different,
    )
    promise(
        "longest wait of a dead worker's chunk",
        f"{max(waited, default=0):.1f} s",
        f"< {RESUME_SECONDS} s",
        kept=max(waited, default=0) < RESUME_SECONDS,
    )
