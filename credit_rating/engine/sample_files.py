"""What can be said of a sample's file by its first bytes, and how a fault of a sample is named.

Loads nothing heavy: the web process looks at an upload with it, the job that reads the file uses the same.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ZIP_MAGIC = b"PK\x03\x04"
UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
HEAD_BYTES = 65536
DELIMITERS = ",;\t|"
_NUMBER = re.compile(r"[-+]?\d[\d.,' ]*%?")


class SampleError(ValueError):
    """The file cannot be a sample: `code` and `params` name the fault, the text says it in a sentence."""

    def __init__(self, code: str, text: str, **params: Any) -> None:
        super().__init__(text % params)
        self.code, self.params = code, params


def is_workbook(head: bytes) -> bool:
    """Whether the file is a spreadsheet (.xlsx, a ZIP archive) rather than text."""
    return head.startswith(ZIP_MAGIC)


def refuse_no_text(head: bytes) -> None:
    """Raise SampleError for a file of text that is empty or no text at all (a picture, a program, an archive)."""
    if not head.removeprefix(codecs.BOM_UTF8).strip():
        raise SampleError("empty", "The file is empty.")
    if b"\0" in head[:HEAD_BYTES] and not head.startswith(UTF16):
        raise SampleError("binary", "The file is no text: it must be CSV or an Excel workbook (.xlsx).")


def decoded(raw: bytes) -> str:
    """Text of UTF-16, UTF-8 or GB 18030; the last character may be cut off."""
    if raw[:2] in UTF16:
        return raw.decode("utf-16", errors="replace")
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    return raw.decode("latin-1")


def delimiter_of(text: str) -> str:
    """The mark that cuts the first lines into the same number of fields, the more the better."""
    lines = [line for line in text[:HEAD_BYTES].splitlines()[:50] if line.strip()][:20]
    if not lines:
        raise SampleError("empty", "The file is empty.")
    best, most = r"\s+" if all(len(line.split()) > 1 for line in lines) else ",", 1
    for mark in DELIMITERS:
        counts = {len(row) for row in csv.reader(lines, delimiter=mark) if row}
        if len(counts) == 1 and (fields := counts.pop()) > most:
            best, most = mark, fields
    return best


def first_rows(path: Path) -> list[list[str]]:
    """The first two rows of a file, cells as text; fewer of one that has fewer. Raises SampleError."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if is_workbook(head):
        return _first_of_workbook(path)
    whole = head if len(head) < HEAD_BYTES else head[: head.rfind(b"\n") + 1] or head
    text = decoded(whole)
    mark, lines = delimiter_of(text), [line for line in text.splitlines() if line.strip()][:2]
    rows = [line.split() for line in lines] if mark == r"\s+" else list(csv.reader(lines, delimiter=mark))
    return [[cell.strip() for cell in row] for row in rows]


def _first_of_workbook(path: Path) -> list[list[str]]:
    import openpyxl

    try:
        with path.open("rb") as file:
            book = openpyxl.load_workbook(file, read_only=True, data_only=True)
            sheet = book.worksheets[0]
            sheet.reset_dimensions()
            rows = []
            for row in sheet.iter_rows(values_only=True):
                cells = ["" if value is None else str(value).strip() for value in row]
                rows += [cells] if any(cells) else []
                if len(rows) == 2:
                    break
            book.close()
    except Exception as error:  # whatever a damaged archive makes openpyxl raise
        raise SampleError("no_workbook", "The file is no Excel workbook (.xlsx).") from error
    width = max((i + 1 for row in rows for i, cell in enumerate(row) if cell), default=0)
    return [row[:width] for row in rows]


def refuse_no_names(names: Sequence[str], second: Sequence[str]) -> None:
    """Raise SampleError when the first line of a file holds values, not the names of the columns: nothing but numbers, a
    number above at least half of the columns whose second row is one, or twice the same."""
    given = [name for name in names if name]
    numbers = [name for name, value in zip(names, second, strict=False) if _is_number(value)]
    if (given and all(map(_is_number, given))) or (
        numbers and 2 * sum(map(_is_number, numbers)) >= len(numbers)
    ):
        raise SampleError(
            "no_header",
            "The first line holds numbers, not column names; say --no-header if there are none.",
        )
    doubles = sorted({name for name in given if given.count(name) > 1})
    if doubles:
        raise SampleError("double", "Two columns are called %(name)s.", name=doubles[0])


def _is_number(cell: str) -> bool:
    return bool(_NUMBER.fullmatch(cell))


def least_cases(folds: int) -> int:
    """Cases of the rarer outcome that a development needs: two in each fold."""
    return 2 * folds
