"""A line of the table, and the table."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.rig import Spent


@dataclass(frozen=True)
class Row:
    """`ours` and `limit` in `unit`; `ratio` ours / limit; `aim` the most it should be; `peak_mib` of any process of ours;
    `cpu_ratio` the same ratio in processor seconds, ours and the database's, which other work on the machine spares."""

    name: str
    customers: int
    ours: float | None
    limit: float | None = None
    ratio: float | None = None
    cpu_ratio: float | None = None
    unit: str = "s"
    aim: float | None = None
    peak_mib: float | None = None
    note: str = ""

    @property
    def misses(self) -> bool:
        return self.ratio is not None and self.aim is not None and self.ratio > self.aim


def row(name: str, customers: int, ours: float, limit: float | None = None, **more: object) -> Row:
    """A row with its ratio worked out."""
    ratio = None if not limit else round(ours / limit, 2)
    kept = None if limit is None else round(limit, 3)
    return Row(name, customers, round(ours, 3), kept, ratio, **more)


def work_row(name: str, customers: int, ours: Spent, limit: Spent, **more: object) -> Row:
    """A row of work by seconds, with both ratios."""
    return row(name, customers, ours.seconds, limit.seconds, cpu_ratio=round(ours.cpu / limit.cpu, 2), **more)


def table(rows: list[Row]) -> str:
    """The rows as aligned text."""
    head = ("name", "customers", "ours", "limit", "unit", "ratio", "cpu", "aim", "peak MiB", "", "")
    lines = [head]
    for r in rows:
        verdict = "" if r.ratio is None or r.aim is None else "MISSED" if r.misses else "met"
        lines.append(
            (r.name, f"{r.customers:,}", _text(r.ours), _text(r.limit), r.unit, _text(r.ratio), _text(r.cpu_ratio), _text(r.aim),
             _text(r.peak_mib and round(r.peak_mib)), verdict, r.note)
        )  # fmt: skip
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:,.10g}"


def save(rows: list[Row], file: Path) -> None:
    """The contract's JSON."""
    draft = file.with_suffix(".new")
    draft.write_text(json.dumps([asdict(r) for r in rows], indent=1, ensure_ascii=False) + "\n")
    draft.replace(file)
