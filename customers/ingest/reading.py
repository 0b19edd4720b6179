"""Rows out of a delivery: CSV, NDJSON (plain or gzip) and spreadsheets, one row at a time.

A row comes as (line, shape, cells): the shape says which of the feed's columns the cells are.
"""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any, NamedTuple

from django.utils.translation import gettext as _

from crm_site.lib.formats import is_chinese
from customers.ingest.columns import Bad
from customers.ingest.feeds import Feed
from customers.ingest.spool import GZIP_MAGIC, MOST_UNPACKED, Refused

CSV, NDJSON, XLSX = "csv", "ndjson", "xlsx"
MOST_CELL = 64 * 1024
MOST_SHEET_ROWS = 1_048_576
csv.field_size_limit(MOST_CELL)


@dataclass(frozen=True)
class Shape:
    """Which columns a row gives, in the order of its cells (None: a header that is not taken over)."""

    columns: tuple[str | None, ...]
    unknown: tuple[str, ...] = ()


class Row(NamedTuple):
    """One row as delivered. `bad`: why it cannot be read at all, because of `bad_column` ("": of the whole row)."""

    line: int
    shape: Shape
    cells: Sequence[str]
    bad: Bad | None = None
    bad_column: str = ""

    def as_dict(self) -> dict[str, Any]:
        names = [name or f"column {i}" for i, name in enumerate(self.shape.columns, start=1)]
        named = dict(zip(names, self.cells, strict=False))
        extra = self.cells[len(names) :]
        return named | ({"…": list(extra)} if extra else {})


def is_gzip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == GZIP_MAGIC


def open_text(path: Path) -> IO[str]:
    """The text of a spooled file, unpacked, without its byte order mark."""
    if is_gzip(path):
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def delimiter_of(header: str) -> str:
    """Comma, semicolon or tab: whichever the header has most of."""
    return max(",;\t", key=header.count)


def sniff(head: bytes) -> str:
    """csv or ndjson, by the first character."""
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    return NDJSON if text.startswith(b"{") else CSV


def header_of(head: bytes) -> tuple[list[str], str]:
    """Header cells and delimiter of a CSV from its first bytes (whole lines are there: a line has <= 1 MiB)."""
    text = head.decode("utf-8-sig", errors="ignore")
    first = text.lstrip("\r\n").split("\n", 1)[0]
    delimiter = delimiter_of(first)
    cells = next(csv.reader([first.rstrip("\r")], delimiter=delimiter), [])
    return [cell.strip() for cell in cells], delimiter


def _words(feed: Feed, names: Sequence[str]) -> str:
    """Columns as the reader sees them in the form that maps them."""
    words = {column.name: column.chinese if is_chinese() else column.name for column in feed.columns}
    return ("、" if is_chinese() else ", ").join(words.get(name, name) for name in names)


def told_apart(header: Sequence[str]) -> list[str]:
    """A header's cells with a number behind what stands there a second time: keys of a mapping."""
    names: list[str] = []
    for cell in header:
        name, number = cell, 1
        while name in names:
            number += 1
            name = f"{cell} #{number}"
        names.append(name)
    return names


def check_header(feed: Feed, header: Sequence[str], mapping: Mapping[str, str] | None = None) -> Shape:
    """The shape behind a header; raises Refused for unknown, repeated and missing columns.

    With a mapping (header as `told_apart` -> column, "" = leave out) unmapped headers are left out.
    """
    if mapping is None:
        columns: list[str | None] = [name or None for name in header]
        unknown = [name for name in header if name not in feed.names]
        if unknown:
            raise Refused(
                _("Unknown columns: %(names)s.") % {"names": ", ".join(n or "''" for n in unknown)[:300]},
                code="unknown_column",
                fields=dict.fromkeys(unknown, "unknown"),
            )
    else:
        columns = [mapping.get(name) or None for name in told_apart(header)]
    given = [name for name in columns if name]
    repeated = sorted({name for name in given if given.count(name) > 1})
    if repeated:
        raise Refused(
            _("Columns named twice: %(names)s.") % {"names": _words(feed, repeated)},
            code="repeated_column",
            fields=dict.fromkeys(repeated, "repeated"),
        )
    missing = [name for name in feed.required if name not in given]
    if missing:
        raise Refused(
            _("Missing columns: %(names)s.") % {"names": _words(feed, missing)},
            code="missing_column",
            fields=dict.fromkeys(missing, "required"),
        )
    return Shape(tuple(columns))


def csv_rows(path: Path, feed: Feed, mapping: Mapping[str, str] | None = None) -> Iterator[Row]:
    """Rows of a CSV with header. Quoted cells may hold line breaks; `line` is where the row begins."""
    with open_text(path) as text:
        head = text.readline()
        while head in ("\n", "\r\n"):
            head = text.readline()
        delimiter = delimiter_of(head)
        text.seek(0)
        reader = csv.reader(text, delimiter=delimiter, strict=False)
        shape: Shape | None = None
        width = 0
        while True:
            line = reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error:
                yield Row(line, shape or Shape(()), (), Bad("malformed_row"))
                continue
            if not cells or (len(cells) == 1 and not cells[0].strip()):
                continue
            if shape is None:
                shape = check_header(feed, [cell.strip() for cell in cells], mapping)
                width = len(shape.columns)
            elif len(cells) == width:
                yield Row(line, shape, cells)
            else:
                yield Row(line, shape, cells, Bad("column_count", given=len(cells), wanted=width))


def _as_text(value: Any) -> str:
    """JSON numbers come as their own text (parse_float=str); booleans and null as feeds write them."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if value is True or value is False:
        return "true" if value else "false"
    raise Bad("bad_json")


def ndjson_rows(path: Path, feed: Feed) -> Iterator[Row]:
    """Rows of newline-delimited JSON objects; a key that is left out leaves what stands."""
    shapes: dict[tuple[str, ...], Shape] = {}
    known = frozenset(feed.names)
    decode = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=str).decode
    nothing = Shape(())
    with open_text(path) as text:
        for line, raw in enumerate(text, start=1):
            stripped = raw.strip()
            if not stripped:
                continue
            try:
                entry = decode(stripped)
            except (ValueError, RecursionError):
                entry = None
            if not isinstance(entry, dict):
                yield Row(line, nothing, (stripped[:1000],), Bad("bad_json"))
                continue
            names = tuple(entry)
            shape = shapes.get(names)
            if shape is None:
                shape = Shape(names, tuple(name for name in names if name not in known))
                if len(shapes) < 10_000:
                    shapes[names] = shape
            try:
                cells = [v if type(v) is str else _as_text(v) for v in entry.values()]
            except Bad as bad:
                yield Row(line, shape, [str(v)[:1000] for v in entry.values()], bad)
                continue
            yield Row(line, shape, cells)


def _sheet_cell(value: Any) -> str:
    """A spreadsheet's cell as a feed writes it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dt.datetime):
        return value.date().isoformat() if value.time() == dt.time() else value.isoformat()
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(round(value, 10))
    return str(value)


def check_workbook(path: Path) -> None:
    """Refuse what is no workbook, or one whose parts unpack to far too much."""
    try:
        with zipfile.ZipFile(path) as archive:
            parts = archive.infolist()
    except zipfile.BadZipFile as error:
        raise Refused(_("Not an Excel workbook (.xlsx)."), code="not_xlsx") from error
    if "[Content_Types].xml" not in {part.filename for part in parts}:
        raise Refused(_("Not an Excel workbook (.xlsx)."), code="not_xlsx")
    unpacked, packed = sum(p.file_size for p in parts), sum(p.compress_size for p in parts)
    if unpacked > min(MOST_UNPACKED, 4 * 1024**3) or (unpacked > 200 * 1024**2 and unpacked > 200 * packed):
        raise Refused(
            _("The compressed delivery unpacks to far more than a real one would."),
            code="gzip_bomb",
            status=413,
        )


def sheet_rows(path: Path) -> Iterator[tuple[int, list[str], list[int]]]:
    """(row number, cells, places of formulas) of a workbook's first sheet, read as a stream."""
    import openpyxl

    with path.open("rb") as file:
        try:
            book = openpyxl.load_workbook(file, read_only=True, data_only=False)
            sheet = book.worksheets[0]
            sheet.reset_dimensions()
        except Exception as error:
            raise Refused(_("Not an Excel workbook (.xlsx)."), code="not_xlsx") from error
        try:
            for number, cells in enumerate(sheet.iter_rows(max_row=MOST_SHEET_ROWS), start=1):
                texts = [_sheet_cell(cell.value) for cell in cells]
                if any(texts):
                    formulas = [at for at, cell in enumerate(cells) if getattr(cell, "data_type", "") == "f"]
                    yield number, texts, formulas
        finally:
            book.close()


def xlsx_rows(path: Path, feed: Feed, mapping: Mapping[str, str] | None = None) -> Iterator[Row]:
    """Rows of a workbook's first sheet; its first row is the header. A formula in a column that is read refuses its row."""
    shape: Shape | None = None
    width = 0
    for number, cells, formulas in sheet_rows(path):
        if shape is None:
            header = [cell.strip() for cell in cells]
            while header and not header[-1]:
                header.pop()
            shape = check_header(feed, header, mapping)
            width = len(shape.columns)
            continue
        if any(cells[width:]):
            yield Row(number, shape, cells, Bad("column_count", given=len(cells), wanted=width))
            continue
        padded = [*cells[:width], *[""] * (width - len(cells))]
        column = next((name for at in formulas if (name := shape.columns[at])), "")
        yield Row(number, shape, padded, Bad("formula") if column else None, column)


def preview(path: Path, content_format: str, number: int) -> tuple[list[str], list[list[str]]]:
    """Header and the first rows of a CSV or workbook, as text, for mapping its columns."""
    if content_format == XLSX:
        found = [cells for _number, cells, _formulas in islice(sheet_rows(path), number + 1)]
    else:
        with open_text(path) as text:
            head = text.readline()
            while head in ("\n", "\r\n"):
                head = text.readline()
            text.seek(0)
            reader = csv.reader(text, delimiter=delimiter_of(head))
            found = list(islice((cells for cells in reader if any(cells)), number + 1))
    header = [cell.strip() for cell in found[0]] if found else []
    while header and not header[-1]:
        header.pop()
    return header, [[cell.strip()[:80] for cell in cells] for cells in found[1:]]


def rows_of(
    path: Path, feed: Feed, content_format: str, mapping: Mapping[str, str] | None = None
) -> Iterator[Row]:
    """The rows of a spooled delivery. Raises Refused for what concerns it as a whole."""
    if content_format == NDJSON:
        return ndjson_rows(path, feed)
    if content_format == XLSX:
        return xlsx_rows(path, feed, mapping)
    return csv_rows(path, feed, mapping)
