"""A night whose workers are killed thirty times ends as an undisturbed one does."""

from __future__ import annotations

import os
import random

import pytest

from tests.prove.conftest import Promise
from tests.prove.databases import bank_id, database, hashes, manage, table_sizes
from tests.prove.storm import Storm

CUSTOMERS = os.environ.get("CUSTOMERS", "100000")
KILLS = 30
RESUME_SECONDS = 30
MOST_NIGHTS = 15  # a small bank's night is over before its workers have been killed so often
NIGHT = ("nightly", "--bank", "storm", "--workers", "2", "--json")


@pytest.mark.prove
def test_a_night_under_a_kill_storm_ends_like_a_quiet_one(promise: Promise) -> None:
    dice = random.Random(int(os.environ.get("SEED", "20261120")))
    with database("prove_storm_base") as base:
        manage(base, "migrate", "--verbosity", "0")
        manage(base, "make_bank", "storm", "--customers", CUSTOMERS, "--seed", "7")
        bank = bank_id(base, "storm")
        before = table_sizes(base, bank)
        with database("prove_storm_killed", template=base) as killed:
            storm, nights = Storm(killed, dice, NIGHT, KILLS), 0
            while storm.kills < KILLS and nights < MOST_NIGHTS:
                storm.run()
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
