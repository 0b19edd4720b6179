"""Rows into a temporary table: every cell parsed, bad rows set aside, the rest copied, part by part.

A part is PART_ROWS rows: what Python holds of a delivery at any moment. All parts of a delivery land in one
transaction.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from operator import itemgetter
from typing import Any

from crm_site.lib.crypto import Vault
from customers.ingest.columns import Bad, Column, Parser, Place, parser_of
from customers.ingest.feeds import Feed
from customers.ingest.reading import Row, Shape
from customers.ingest.row_errors import ROW_ERRORS

PART_ROWS = 100_000
FIRST_ERRORS = 10_000  # kept of a dry run, in memory until it is rolled back
_BLOCK_ROWS = 250  # parsed and copied at once: few enough to be gone before the collector looks at them
_NULL = "\\N"
# What a protected column is indexed as: Identifier.scheme, or the kind of a contact point.
BLIND_SCHEMES = {"phone_2": "phone", "other_document": "other"}
PLACE_OF_ROWS = "batcherror.row"


@dataclass(frozen=True)
class RowError:
    """One reason why a row did not land."""

    line: int
    field: str
    code: str
    params: dict[str, Any]
    row: dict[str, Any]

    @property
    def message(self) -> str:
        return (ROW_ERRORS[self.code] % self.params)[:300]


def blind_scheme(column: str) -> str:
    return BLIND_SCHEMES.get(column, column)


class _Plan:
    """How the cells of one shape become a staged row."""

    def __init__(self, feed: Feed, shape: Shape, parsers: dict[str, Parser]) -> None:
        slots = {name: index for index, name in enumerate(feed.names)}
        taken = [
            (index, name) for index, name in enumerate(shape.columns) if name is not None and name in slots
        ]
        self.positions = [index for index, _name in taken]
        self.slots = [slots[name] for _index, name in taken]
        self.parsers = [parsers[name] for _index, name in taken]
        self.mask = sum(1 << slot for slot in self.slots)

    def taken(self, cells: Sequence[str]) -> Sequence[str]:
        return [cells[p] for p in self.positions]


@dataclass
class Part:
    """Up to PART_ROWS rows staged in the temporary table `stage`, and their raw cells for what comes after."""

    lines: list[int] = field(default_factory=list)
    raws: list[str] = field(default_factory=list)
    shapes: list[Shape] = field(default_factory=list)
    received: int = 0
    rejected_lines: set[int] = field(default_factory=set)
    errors: list[RowError] = field(default_factory=list)
    mask_all: int = -1
    mask_any: int = 0
    is_last: bool = False

    def row(self, n: int) -> Row:
        """The row staged as number n, as it was delivered."""
        return Row(self.lines[n], self.shapes[n], self.raws[n].split("\x1f"))

    def cell(self, n: int, column: str) -> str:
        """A cell as delivered, stripped; "" where the row does not give it."""
        try:
            position = self.shapes[n].columns.index(column)
        except ValueError:
            return ""
        return self.raws[n].split("\x1f")[position].strip()


def _with_bad(cells: Sequence[str], parse: Parser) -> tuple[list[str], set[int]]:
    """A column in which some cell cannot land: its values, and the positions of those that cannot."""
    values, bad = [_NULL] * len(cells), set()
    for i, cell in enumerate(cells):
        try:
            values[i] = parse(value) if (value := cell.strip()) else _NULL
        except Bad:
            bad.add(i)
    return values, bad


Check = Callable[[list[str], dict[str, int]], None]


class Stager:
    """Parses rows of a feed for one bank and copies them into `stage`."""

    def __init__(self, feed: Feed, place: Place, vault: Vault, check: Check | None = None) -> None:
        self.feed = feed
        self.vault = vault
        self.check = check
        self.slots = {name: index for index, name in enumerate(feed.names)}
        self.plain = {column.name: parser_of(column, place) for column in feed.columns}
        self.parsers = {
            column.name: self._blinded(column) if column.protected else self.plain[column.name]
            for column in feed.columns
        }
        self.required = [(self.slots[name], name) for name in feed.required]
        self.key = itemgetter(*[self.slots[name] for name in feed.key])
        self.blank = [_NULL] * len(feed.columns)
        self._plans: dict[Shape, _Plan] = {}

    def _blinded(self, column: Column) -> Parser:
        normal, scheme, index = self.plain[column.name], blind_scheme(column.name), self.vault.blind_index
        return lambda value: "\\\\x" + index(scheme, normal(value)).hex()

    @property
    def ddl(self) -> str:
        """The temporary table: row number, line, hash of the key, bits of the columns given, the columns."""
        columns = ", ".join(f'"{c.name}" {"bytea" if c.protected else c.sql_type}' for c in self.feed.columns)
        return f"CREATE TEMP TABLE stage (n integer, line bigint, kh bigint, given bigint, {columns}) ON COMMIT DROP"

    def stage_part(self, cursor: Any, rows: Iterator[Row]) -> Part:
        """Copy the next part into `stage` (empty before); an empty part when there are no more rows."""
        part = Part()
        seen: dict[Any, int] = {}
        names = ", ".join(f'"{name}"' for name in self.feed.names)
        with cursor.copy(f"COPY stage (n, line, kh, given, {names}) FROM STDIN") as copy:
            coming = islice(rows, PART_ROWS)
            while block := list(islice(coming, _BLOCK_ROWS)):
                part.received += len(block)
                copy.write("".join(self._staged(block, part, seen)))
        part.is_last = part.received < PART_ROWS
        return part

    def _staged(self, block: list[Row], part: Part, seen: dict[Any, int]) -> Iterator[str]:
        """The good rows of a block as lines for COPY, in their order; the others are rejected with all their reasons."""
        shape, mask = None, 0
        for row, values in zip(block, self._parsed(block), strict=True):
            if values is None:
                self._refuse(part, row)
                continue
            if row.shape is not shape:
                shape, mask = row.shape, self._plans[row.shape].mask
            key = self.key(values)
            first = seen.setdefault(key, row.line)
            if first != row.line:
                self.reject(part, row, self.feed.key[0], Bad("duplicate", line=first))
                continue
            n = len(part.lines)
            part.lines.append(row.line)
            part.shapes.append(row.shape)
            part.raws.append("\x1f".join(row.cells))
            part.mask_all &= mask
            part.mask_any |= mask
            yield f"{n}\t{row.line}\t{hash(key)}\t{mask}\t" + "\t".join(values) + "\n"

    def _parsed(self, block: list[Row]) -> list[Sequence[str] | None]:
        """Each row's values by slot, or None where something is wrong with it.

        Column by column over the rows of one shape: a cell costs the call of its parser and no more.
        """
        parsed: list[Sequence[str] | None] = [None] * len(block)
        groups: dict[Shape, list[int]] = {}
        shape, mine = None, []
        for i, row in enumerate(block):
            if row.shape is not shape:
                shape, mine = row.shape, groups.setdefault(row.shape, [])
            if row.bad is None and not row.shape.unknown:
                mine.append(i)
        for shape, places in groups.items():
            if not places:
                continue
            plan = self._plans.get(shape)
            if plan is None:
                plan = self._plans[shape] = _Plan(self.feed, shape, self.parsers)
            for i, values in zip(places, self._columns([block[i].cells for i in places], plan), strict=True):
                parsed[i] = values
        return parsed

    def _columns(self, rows: list[Sequence[str]], plan: _Plan) -> Iterator[Sequence[str] | None]:
        """The values of rows of one shape."""
        given, bad = list(zip(*rows, strict=True)), set()
        columns: list[Sequence[str]] = [[_NULL] * len(rows)] * len(self.feed.columns)
        for position, parse, slot in zip(plan.positions, plan.parsers, plan.slots, strict=True):
            try:
                columns[slot] = [parse(v) if (v := cell.strip()) else _NULL for cell in given[position]]
            except Bad:
                columns[slot], wrong = _with_bad(given[position], parse)
                bad |= wrong
        for slot, _name in self.required:
            if _NULL in columns[slot]:
                bad |= {i for i, value in enumerate(columns[slot]) if value == _NULL}
        for i, values in enumerate(zip(*columns, strict=True)):
            yield None if i in bad else self._checked(values)

    def _checked(self, values: Sequence[str]) -> Sequence[str] | None:
        """What the feed's check over several cells makes of a row; None when it refuses it."""
        if self.check is None:
            return values
        out = list(values)
        try:
            self.check(out, self.slots)
        except Bad:
            return None
        return out

    def _refuse(self, part: Part, row: Row) -> None:
        if row.bad is not None:
            self.reject(part, row, row.bad_column, row.bad)
        elif row.shape.unknown:
            for name in row.shape.unknown:
                self.reject(part, row, str(name)[:40], Bad("unknown_field"))
        else:
            self._reject_all(part, row, self._plans[row.shape])

    def _reject_all(self, part: Part, row: Row, plan: _Plan) -> None:
        """Every reason of a bad row, not the first alone."""
        out = self.blank[:]
        bad_names = set()
        for cell, parse, slot in zip(plan.taken(row.cells), plan.parsers, plan.slots, strict=True):
            value = cell.strip()
            try:
                out[slot] = parse(value) if value else _NULL
            except Bad as bad:
                name = self.feed.names[slot]
                bad_names.add(name)
                self.reject(part, row, name, bad)
        for slot, name in self.required:
            if out[slot] == _NULL and name not in bad_names:
                bad_names.add(name)
                self.reject(part, row, name, Bad("required"))
        if not bad_names and self.check is not None:
            try:
                self.check(out, self.slots)
            except Bad as bad:
                self.reject(part, row, bad.params.pop("field", ""), bad)

    def reject(self, part: Part, row: Row, name: str, bad: Bad) -> None:
        """Keep a row error; protected cells of the row are kept encrypted."""
        part.rejected_lines.add(row.line)
        part.errors.append(RowError(row.line, name, bad.code, bad.params, self._kept(row)))

    def _kept(self, row: Row) -> dict[str, Any]:
        kept = row.as_dict()
        for name, cell in kept.items():
            if not isinstance(cell, str):
                continue
            value = cell.encode("utf-8", "replace").decode().replace("\0", "")[:4000]
            if value and name in self.slots and self.feed.column(name).protected:
                cipher = self.vault.encrypt(value, place=PLACE_OF_ROWS, row=f"{row.line}|{name}")
                kept[name] = {"protected": cipher.hex()}
            else:
                kept[name] = value
        return json.loads(json.dumps(kept).replace("\\u0000", ""))


def opened(row: dict[str, Any], line: int, vault: Vault) -> dict[str, Any]:
    """A kept error row with its protected cells in the clear (for who delivered it)."""
    return {
        name: vault.decrypt(bytes.fromhex(value["protected"]), place=PLACE_OF_ROWS, row=f"{line}|{name}")
        if isinstance(value, dict) and "protected" in value
        else value
        for name, value in row.items()
    }


# ---- checks over several cells of a row, before it is staged


def _ordered(out: list[str], slots: dict[str, int], first: str, second: str) -> None:
    a, b = out[slots[first]], out[slots[second]]
    if _NULL not in (a, b) and b < a:  # ISO dates order as text
        raise Bad("date_order", field=second)


def check_account(out: list[str], slots: dict[str, int]) -> None:
    _ordered(out, slots, "opened_date", "closed_date")
    _ordered(out, slots, "opened_date", "maturity_date")


def check_loan(out: list[str], slots: dict[str, int]) -> None:
    _ordered(out, slots, "granted_date", "maturity_date")
    _ordered(out, slots, "granted_date", "closed_date")
    day = out[slots["instalment_day"]]
    if day != _NULL and not 1 <= int(day) <= 31:
        raise Bad("bad_number", field="instalment_day")


def check_rate(out: list[str], slots: dict[str, int]) -> None:
    if not out[slots["rate"]].strip("0."):
        raise Bad("bad_number", field="rate")


def check_relation(out: list[str], slots: dict[str, int]) -> None:
    if out[slots["customer"]] == out[slots["other"]]:
        raise Bad("same_customer", field="other")


def check_arrears(out: list[str], slots: dict[str, int]) -> None:
    _ordered(out, slots, "overdue_since", "date")


def name_interaction(out: list[str], slots: dict[str, int]) -> None:
    """A contact without the source's number is named by what it says, so that it counts once."""
    if out[slots["source"]] == _NULL:
        out[slots["source"]] = "import"
    if out[slots["reference"]] == _NULL:
        said = "|".join(out[slots[name]] for name in ("customer", "at", "channel", "note"))
        out[slots["reference"]] = "h:" + hashlib.sha256(said.encode()).hexdigest()[:32]


CHECKS: dict[str, Check] = {
    "accounts": check_account,
    "loans": check_loan,
    "fx-rates": check_rate,
    "relations": check_relation,
    "arrears": check_arrears,
    "interactions": name_interaction,
}
