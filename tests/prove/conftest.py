"""The proofs of `make prove`: left out of `make test`; what they measure is printed as one table.

A proof takes the fixture `promise` and calls `promise("what is promised", "figure", "aim", kept=True)`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

PROVING = bool(os.environ.get("BANYAN_PROVE"))
collect_ignore_glob = [] if PROVING else ["test_*.py"]
Promise = Callable[..., None]
_kept: list[tuple[str, str, str, bool]] = []


@pytest.fixture
def promise() -> Promise:
    """Records a line of the table and fails the proof when the promise was not kept."""

    def record(what: str, figure: object, aim: str, *, kept: bool) -> None:
        _kept.append((what, str(figure), aim, kept))
        assert kept, f"{what}: {figure}, promised {aim}"

    return record


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """The table: promise, figure, aim."""
    if not _kept:
        return
    head = ("promise", "figure", "aim", "")
    rows = [head, *((what, figure, aim, "kept" if kept else "BROKEN") for what, figure, aim, kept in _kept)]
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    terminalreporter.write_line("")
    for row in rows:
        terminalreporter.write_line(
            "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        )
