"""The table of `make prove`, a plugin of its pytest: promise, figure, aim.

Properties marked with `tests.properties.rule` are run from where they are, on many more random cases; each rule has one line.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

Promise = Callable[..., None]
_KEPT, _BROKEN, _NOT_RUN = "kept", "BROKEN", "NOT RUN"


@dataclass
class Rule:
    """What is known of a rule's properties: how many there are, the random cases they saw, those that failed."""

    properties: int = 0
    cases: int = 0
    failed: list[str] = field(default_factory=list)
    began: bool = False


_rows: list[tuple[str, str, str, str]] = []
_rules: dict[str, Rule] = {}
_rule_of: dict[str, str] = {}
_told: set[str] = set()  # tests that have a row


def record(what: str, figure: object, aim: str, *, kept: bool) -> None:
    """A line of the table; fails the proof when the promise was not kept."""
    _told.add(os.environ["PYTEST_CURRENT_TEST"].rpartition(" ")[0])
    _rows.append((what, str(figure), aim, _KEPT if kept else _BROKEN))
    assert kept, f"{what}: {figure}, promised {aim}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Count the cases of each property that is marked with its rule."""
    for item in items:
        mark = item.get_closest_marker("rule")
        if mark and isinstance(item, pytest.Function):
            found = _rules.setdefault(mark.args[0], Rule())
            found.properties += 1
            _rule_of[item.nodeid] = mark.args[0]
            _count_cases(item.obj.hypothesis, found)


def _count_cases(handle: Any, rule: Rule) -> None:
    inner = handle.inner_test

    @functools.wraps(inner)
    def counted(*args: Any, **named: Any) -> Any:
        rule.cases += 1
        return inner(*args, **named)

    handle.inner_test = counted


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Nothing that was asked for is silent: what failed or was skipped has its row."""
    rule = _rules.get(_rule_of.get(report.nodeid, ""))
    if rule:
        rule.began = True
        if report.failed or report.skipped:
            rule.failed.append(report.nodeid.rpartition("::")[2])
    elif report.skipped:
        why = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longreprtext
        _rows.append((report.nodeid.rpartition("::")[2], why.removeprefix("Skipped: "), "", _NOT_RUN))
    elif report.failed and not (report.when == "call" and report.nodeid in _told):
        _rows.append((report.nodeid.rpartition("::")[2], "stopped by an error, see above", "", _BROKEN))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """The table: promise, figure, aim."""
    for name, rule in _rules.items():
        if rule.began:
            what = (
                f"{name}: {rule.properties} propert{'y' if rule.properties == 1 else 'ies'} against an oracle"
            )
            figure = (
                f"{len(rule.failed)} broken in {rule.cases:,} random cases {' '.join(rule.failed)}".strip()
            )
            _rows.append((what, figure, "0", _BROKEN if rule.failed else _KEPT))
    if not _rows:
        return
    rows = [("promise", "figure", "aim", ""), *_rows]
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    terminalreporter.write_line("")
    for row in rows:
        terminalreporter.write_line(
            "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        )
