"""A pipeline small enough to follow: each chunk writes to a table that every bank's tests have."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager

from crm_site.lib.registry import PIPELINES, STEPS, Counts, Pipeline, RunContext, Step, add_pipeline, add_step

DAY = dt.date(2026, 3, 31)


@contextmanager
def pipeline(*steps: Step, **options: object) -> Iterator[None]:
    """The steps under the pipeline "toy" for the length of the block."""
    before = dict(STEPS._items), dict(PIPELINES._items)
    add_pipeline(Pipeline("toy", "Toy", **options))
    for step in steps:
        add_step(step)
    try:
        yield
    finally:
        STEPS._items, PIPELINES._items = before


def step(name: str, *, chunks: int = 1, after: tuple[str, ...] = (), work=None, finish=None) -> Step:
    """A step that counts a row a chunk, in so many chunks (0: no plan)."""

    def count(context: RunContext, payload: object) -> Counts:
        return Counts(1, 1)

    plan = None if chunks == 1 else lambda _context: [{"from": n, "to": n + 1} for n in range(chunks)]
    return Step(name, name.title(), work or count, after=after, plan=plan, finish=finish, pipeline="toy")
