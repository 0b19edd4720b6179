"""Outside files as development samples: delimiter, encoding, header, outcome, and columns that no model may use."""

from __future__ import annotations

import csv
import datetime as dt
import io
import re
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from credit_rating.engine.columns import Column, Texts, column_of, number_of, text_of
from credit_rating.engine.sample_files import (
    HEAD_BYTES,
    SampleError,
    decoded,
    delimiter_of,
    is_workbook,
    refuse_no_names,
    refuse_no_text,
)
from crm_site.lib.modelling import Bools

__all__ = ["ColumnProfile", "Sample", "SampleError", "profile", "read_sample", "read_table"]

LEAST_ROWS = 50
_DATE = re.compile(
    r"(\d{4}[-/.年]\d{1,2}([-/.月]\d{1,2}日?)?|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4})([ T]\d{1,2}:\d{2}.*)?月?"
)
_NAMED_ID = re.compile(
    r"(^|[^a-z])(id|no|nr|row|rownames|rownumber|index|unnamed: 0)([^a-z]|$)|(?<=[a-z])Id$|编号|序号|号码"
)


@dataclass(frozen=True)
class Sample:
    """Candidate columns and outcome (n,): True where it was the `positive` label. `taken_by`: "given" or "rarer".
    `left_out`: reason by column. `without_target`: rows of the file left out because their outcome is unknown."""

    columns: dict[str, Column]
    target: Bools
    positive: str
    negative: str
    taken_by: str
    left_out: dict[str, str]
    without_target: int = 0

    def take(self, rows: Bools | np.ndarray) -> dict[str, Column]:
        """Columns of the given rows."""
        return {name: column.take(rows) for name, column in self.columns.items()}


def read_table(path: Path, *, header: bool = True) -> pd.DataFrame:
    """All columns as text. A workbook's first sheet, or text: comma, semicolon, tab, bar or spaces between fields;
    UTF-8, UTF-16 or GB 18030. Without `header` the columns are named 1, 2, … Raises SampleError."""
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError as error:
        raise SampleError(
            "unreadable", "%(file)s cannot be read: %(why)s.", file=path, why=error.strerror
        ) from error
    frame = _sheet(path) if is_workbook(head) else _text_table(path, head)
    names = [str(name).strip() for name in frame.iloc[0]] if len(frame) else []
    if header:
        refuse_no_names(names, [text_of(value) for value in frame.iloc[1]] if len(frame) > 1 else [])
        frame.columns = names or frame.columns
        frame = frame.iloc[1:]
    else:
        frame.columns = [str(i + 1) for i in range(frame.shape[1])]
    doubles = sorted(set(frame.columns[frame.columns.duplicated()]))
    if doubles:
        raise SampleError("double", "Two columns are called %(name)s.", name=doubles[0])
    if frame.empty:
        raise SampleError("no_rows", "The file has no rows.")
    return frame


def _text_table(path: Path, head: bytes) -> pd.DataFrame:
    refuse_no_text(head)
    text = decoded(path.read_bytes())
    try:
        return pd.read_csv(
            io.StringIO(text), sep=delimiter_of(text), header=None, index_col=False, dtype=str, keep_default_na=False,
            na_filter=False, skipinitialspace=True,
        )  # fmt: skip
    except (pd.errors.ParserError, pd.errors.EmptyDataError, csv.Error, ValueError) as error:
        if isinstance(error, SampleError):
            raise
        why = str(error).strip().splitlines()[0]
        raise SampleError("no_table", "The file is no table: %(why)s", why=why) from error


def _sheet(path: Path) -> pd.DataFrame:
    """The first sheet of a workbook, cells as a file of text would have them. Rows without any cell are left out."""
    import openpyxl

    try:
        with path.open("rb") as file:
            book = openpyxl.load_workbook(file, read_only=True, data_only=True)
            sheet = book.worksheets[0]
            sheet.reset_dimensions()
            rows = [[_cell(value) for value in row] for row in sheet.iter_rows(values_only=True)]
            book.close()
    except Exception as error:  # whatever a damaged archive makes openpyxl raise
        raise SampleError("no_workbook", "The file is no Excel workbook (.xlsx).") from error
    rows = [row for row in rows if any(row)]
    width = max((i + 1 for row in rows for i, cell in enumerate(row) if cell), default=0)
    return pd.DataFrame([(row + [""] * width)[:width] for row in rows], dtype=object)


def _cell(value: Any) -> str:
    if isinstance(value, dt.datetime):
        return value.date().isoformat() if value.time() == dt.time() else value.isoformat(" ")
    return text_of(value)


def read_sample(
    path: Path,
    *,
    target: str,
    positive: str | Collection[str] | None = None,
    negative: Collection[str] = (),
    drop: Collection[str] = (),
    header: bool = True,
    id_like: bool = True,
) -> Sample:
    """The file at `path` as a sample. `target` names the outcome's column; `positive` its label (or labels) to
    predict, else the rarer of two; `negative` the labels of the others, else all that remain: rows of a label that
    is neither are left out. Columns in `drop`, constant ones, identifiers and dates are left out. Raises SampleError.
    """
    frame = read_table(path, header=header)
    for name in (target, *drop):
        if name not in frame.columns:
            there = ", ".join(map(str, frame.columns[:30]))
            raise SampleError(
                "no_column", "There is no column %(name)s; the file has %(there)s.", name=name, there=there
            )
    labels = np.array([text_of(value) for value in frame[target]], object)
    wanted = [positive] if isinstance(positive, str) else list(positive or ())
    known, outcome, yes, no = _outcome(labels, target, wanted, list(negative))
    if len(outcome) < LEAST_ROWS:
        raise _too_few(len(outcome))
    columns: dict[str, Column] = {}
    left_out = dict.fromkeys(drop, "left out by whoever developed it")
    for name in frame.columns:
        if name == target or name in left_out:
            continue
        column = column_of(frame[name].to_numpy(object)[known])
        reason = _unfit(name, column) if id_like else ""
        if reason:
            left_out[name] = reason
        else:
            columns[name] = column
    if not columns:
        raise SampleError("no_factor", "No column is left to predict from.")
    taken_by = "given" if wanted else "rarer"
    return Sample(columns, outcome, yes, no, taken_by, left_out, int((~known).sum()))


def _too_few(rows: int) -> SampleError:
    text = "%(rows)s rows with an outcome are too few; %(least)s are needed."
    return SampleError("few_rows", text, rows=rows, least=LEAST_ROWS)


def _outcome(
    labels: Texts, target: str, positive: list[str], negative: list[str]
) -> tuple[Bools, Bools, str, str]:
    """Which rows have an outcome, the outcomes of those (True: to predict), and the words of both."""
    names, counts = np.unique(labels[labels != ""].astype(str), return_counts=True)
    if not len(names):
        raise SampleError("no_outcome", "%(target)s is empty.", target=target)
    if len(names) == 1:
        raise SampleError("one_class", "%(target)s is always %(label)s.", target=target, label=names[0])
    if positive:
        bad = _labels(names, positive, target)
        good = _labels(names, negative, target) if negative else [n for n in names if n not in bad]
        good = [n for n in good if n not in bad]
        if not good:
            raise SampleError(
                "one_class", "%(target)s is always %(label)s.", target=target, label=" or ".join(bad)
            )
    elif len(names) == 2:
        rarer = int(np.argmin(counts)) if counts[0] != counts[1] else 1
        bad, good = [names[rarer]], [names[1 - rarer]]
    else:
        text = "%(target)s has %(number)s different values, not two; name the one to predict with --positive."
        raise SampleError("many_classes", text, target=target, number=len(names))
    is_bad, is_good = np.isin(labels.astype(str), bad), np.isin(labels.astype(str), good)
    known = np.asarray(is_bad | is_good, bool)
    return known, np.asarray(is_bad[known], bool), _words(bad), _words(good)


def _words(labels: list[str]) -> str:
    return " or ".join(labels[:5]) + (" …" if len(labels) > 5 else "")


def _labels(names: Texts, wanted: list[str], target: str) -> list[str]:
    """The labels that are meant, each of which must occur."""
    found = []
    for label in wanted:
        same = [n for n in names if n == label.strip() or _equal_numbers(n, label)]
        if not same:
            text = "%(target)s is never %(label)s; it has %(there)s."
            raise SampleError("no_label", text, target=target, label=label, there=", ".join(names[:10]))
        found.append(str(same[0]))
    return found


def _equal_numbers(one: str, other: str) -> bool:
    return number_of(one) == number_of(other.strip())


def _unfit(name: str, column: Column) -> str:
    """Why a column may not be a factor; "" when it may."""
    known = ~column.unknown()
    size = int(known.sum())
    if column.numbers is None:
        texts = column.texts
        if texts is None:
            return ""
        distinct = len(set(texts[known]))
        if distinct and sum(bool(_DATE.fullmatch(t)) for t in texts[known][:200]) > 0.9 * min(size, 200):
            return "dates: give an age or a duration instead"
        if distinct > 0.5 * size:
            return "text that differs from row to row"
    else:
        numbers = column.numbers[~np.isnan(column.numbers)]
        distinct = len(np.unique(numbers)) + (0 if column.texts is None else len(set(column.texts) - {""}))
        if size and distinct == size == len(column) and (numbers == np.round(numbers)).all():
            if _NAMED_ID.search(name) or _NAMED_ID.search(name.lower()):
                return "an identifier by its name and values"
            if (np.diff(numbers) > 0).all():
                return "a running number"
    if distinct == 0:
        return "empty"
    return "one value only" if distinct == 1 and size == len(column) else ""


MOST_LABELS = 20  # different values that are listed, and that an outcome may have


@dataclass(frozen=True)
class ColumnProfile:
    """A column as whoever develops from it sees it: `kind` number or text; `known` rows with a value; `distinct`
    values; `labels` [value, rows], commonest first, when there are few; `left_out`: why it may be no factor, or ""."""

    name: str
    kind: str
    known: int
    distinct: int
    labels: list[list[Any]]
    left_out: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def profile(path: Path, *, header: bool = True) -> tuple[int, list[ColumnProfile]]:
    """Rows and columns of a file. Raises SampleError for one that cannot be a sample, whatever its outcome."""
    frame = read_table(path, header=header)
    if len(frame) < LEAST_ROWS:
        raise _too_few(len(frame))
    return len(frame), [_profile(str(name), frame[name].to_numpy(object)) for name in frame.columns]


def _profile(name: str, values: Texts) -> ColumnProfile:
    column = column_of(values)
    texts = pd.Series([text_of(value) for value in values], dtype=object)
    counts = texts[texts != ""].value_counts()
    labels = [[str(v), int(n)] for v, n in counts.items()] if len(counts) <= MOST_LABELS else []
    kind = "text" if column.numbers is None else "number"
    return ColumnProfile(name, kind, int(counts.sum()), len(counts), labels, _unfit(name, column))
