"""A campaign whose workers are killed while they rate households and open lines ends as an undisturbed one does."""

from __future__ import annotations

import os
import random
from typing import LiteralString

import psycopg
import pytest

from tests.prove.conftest import Promise
from tests.prove.databases import address, bank_id, database, hashes, manage, table_sizes
from tests.prove.storm import Storm

HOUSEHOLDS = int(os.environ.get("HOUSEHOLDS", "3000"))
KILLS = 8  # of workers that rate, and of workers that open lines
MOST_RUNS = 5


def words(call: str) -> tuple[str, ...]:
    return ("shell", "--no-imports", "-c", f"from tests.prove import season; season.{call}")


def ask(name: str, bank: int, query: LiteralString) -> tuple[object, ...]:
    with psycopg.connect(address("DATABASE_URL", name)) as connection:
        connection.execute("SELECT set_config('app.bank_id', %s, true)", [str(bank)])
        return connection.execute(query).fetchone() or ()


# What the season gave whom, whatever the running numbers: lines by customer, with their case and approval.
LINES: LiteralString = """
    SELECT count(*), count(DISTINCT l.customer_id), sum(l.limit_amount),
           sum(hashtextextended(ROW(l.customer_id, l.limit_amount, l.status, l.expires_on - l.starts_on, c.status, c.amount,
                                    r.status, r.grade, r.score, m.stage)::text, 0)::numeric)
    FROM credit_rating_creditline l
    JOIN credit_rating_creditcase c ON c.bank_id = l.bank_id AND c.line_id = l.id
    JOIN credit_rating_campaignmember m ON m.bank_id = c.bank_id AND m.case_id = c.id
    JOIN credit_rating_rating r ON r.bank_id = m.bank_id AND r.id = m.rating_id"""


@pytest.mark.prove
def test_a_campaign_under_a_kill_storm_ends_like_a_quiet_one(promise: Promise) -> None:
    dice = random.Random(int(os.environ.get("SEED", "20261122")))
    with database("prove_season_base") as base:
        manage(base, "migrate", "--verbosity", "0")
        manage(base, *words(f"prepare({HOUSEHOLDS})"))
        bank = bank_id(base, "season")
        before = table_sizes(base, bank)
        with database("prove_season_killed", template=base) as killed:
            rating = Storm(killed, dice, words("rate(2)"), KILLS, pause=1.5)
            runs = 0
            while rating.kills < KILLS and runs < MOST_RUNS:
                rating.run()
                runs += 1
            found = hashes(killed, bank, before)
            opening = Storm(killed, dice, words("approve(2)"), KILLS, pause=1.5)
            opening.run()
            lines = ask(killed, bank, LINES)
        with database("prove_season_quiet", template=base) as quiet:
            for _run in range(runs):
                manage(quiet, *words("rate(2)"))
            expected = hashes(quiet, bank, before)
            manage(quiet, *words("approve(2)"))
            wanted = ask(quiet, bank, LINES)
    different = sorted(table for table in expected if expected[table] != found.get(table))
    kills = rating.kills + opening.kills
    promise(
        f"workers killed while {HOUSEHOLDS:,} households were rated ({runs} runs) and {lines[0]} lines opened",
        f"{rating.kills} and {opening.kills}", f"{KILLS} and at least 3", kept=rating.kills == KILLS and opening.kills >= 3,
    )  # fmt: skip
    promise(
        "tables of ratings and calculations that differ from an undisturbed job",
        f"{len(different)} of {len(expected)} {' '.join(different)}".strip(), "0", kept=not different,
    )  # fmt: skip
    promise(
        "lines opened: each customer's once, as undisturbed", f"{lines[0]} for {lines[1]}, sum {lines[2]}",
        f"{wanted[0]} for {wanted[1]}, sum {wanted[2]}", kept=lines == wanted and lines[0] == lines[1] and kills > 0,
    )  # fmt: skip
