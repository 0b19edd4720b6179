"""A bank is backed up while its night runs, killed restores leave nothing, and what comes back is what went."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.prove.conftest import Promise
from tests.prove.databases import ROOT, address, bank_id, database, environment, hashes, manage, table_sizes

CUSTOMERS = os.environ.get("MOVED", "5000")
KILLS = 5
Hashes = dict[str, tuple[int, str]]


def of_bank(name: str, code: str) -> Hashes:
    """Every table's business columns; nothing is left out for having grown."""
    bank = bank_id(name, code)
    return hashes(name, bank, table_sizes(name, bank))


def banks(name: str) -> set[str]:
    with psycopg.connect(address("DATABASE_URL", name)) as connection:
        return {code for (code,) in connection.execute("SELECT code FROM accounts_bank").fetchall()}


def unfinished(name: str, bank: int) -> list[int]:
    """The runs that a copy goes on with."""
    with psycopg.connect(address("DATABASE_URL", name)) as connection:
        connection.execute("SELECT set_config('app.bank_id', %s, true)", [str(bank)])
        rows = connection.execute("SELECT id FROM jobs_run WHERE status IN ('queued', 'running')").fetchall()
    return [run for (run,) in rows]


def started(name: str, *words: str, **more: str) -> subprocess.Popen[Any]:
    command = [sys.executable, "manage.py", *words]
    return subprocess.Popen(
        command, cwd=ROOT, env=environment(name) | more, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


@pytest.mark.prove
def test_a_bank_comes_back_as_it_went_whatever_is_killed(promise: Promise, tmp_path: Path) -> None:
    dice = random.Random(int(os.environ.get("SEED", "20261120")))
    quiet, lively = tmp_path / "quiet.backup", tmp_path / "lively.backup"
    with database("prove_moves") as name:
        manage(name, "migrate", "--verbosity", "0")
        manage(name, "make_bank", "moved", "--customers", CUSTOMERS, "--seed", "7")
        manage(name, "make_bank", "beside", "--customers", "300", "--seed", "8")
        before, beside = of_bank(name, "moved"), of_bank(name, "beside")
        sizes = table_sizes(name, bank_id(name, "moved"))
        began = time.monotonic()
        manage(name, "backup_bank", "moved", str(quiet))
        backing = time.monotonic() - began
        night = started(name, "nightly", "--bank", "moved", "--workers", "1")
        time.sleep(4)
        manage(name, "backup_bank", "moved", str(lively))
        is_during = night.poll() is None
        assert night.wait() == 0
        after_night = hashes(name, bank_id(name, "moved"), sizes)
        manage(name, "remove_bank", "moved", "--yes")

        began = time.monotonic()
        manage(name, "restore_bank", str(quiet))
        restoring = time.monotonic() - began
        back = of_bank(name, "moved")
        manage(name, "verify_audit", "--bank", "moved")
        half = 0
        for _kill in range(KILLS):
            victim = started(name, "restore_bank", str(quiet), "--as", "drill")
            time.sleep(2 + dice.random() * restoring)
            victim.kill()
            victim.wait()
            if "drill" in banks(name):
                half += of_bank(name, "drill") != before
                manage(name, "remove_bank", "drill", "--yes")
        manage(name, "restore_bank", str(lively), "--as", "drill")
        drill = bank_id(name, "drill")
        for run in unfinished(name, drill):
            manage(name, "work_off", str(drill), str(run))
        manage(name, "verify_audit", "--bank", "drill")
        resumed = hashes(name, drill, sizes)
        began = time.monotonic()
        manage(name, "remove_bank", "drill", "--yes")
        removing = time.monotonic() - began
        untouched = of_bank(name, "beside") == beside
    differ = sorted(table for table in before if before[table] != back.get(table))
    late = sorted(table for table in after_night if after_night[table] != resumed.get(table))
    promise(
        f"tables of {CUSTOMERS} customers that came back otherwise",
        f"{len(differ)} {differ}",
        "0",
        kept=not differ,
    )
    promise(f"restores of {KILLS} killed ones that left a half bank", half, "0", kept=not half)
    promise("tables of another bank that changed", "0" if untouched else "some", "0", kept=untouched)
    what = "tables that differ when a night, backed up half way, is ended in the copy"
    promise(what, f"{len(late)} {late} (backed up during it: {is_during})", "0", kept=not late)
    size = f"{quiet.stat().st_size / 2**20:.1f} MiB"
    promise(
        "seconds to back up, restore, remove, with starting Python",
        f"{backing:.0f}, {restoring:.0f}, {removing:.0f}; {size}",
        "-",
        kept=True,
    )
