"""Outside files as development samples: delimiter, encoding, header, outcome, and columns that no model may use."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from credit_rating.engine.columns import Column, Texts, column_of, number_of, text_of
from crm_site.lib.modelling import Bools

DELIMITERS = ",;\t|"
LEAST_ROWS = 50
_DATE = re.compile(
    r"(\d{4}[-/.年]\d{1,2}([-/.月]\d{1,2}日?)?|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4})([ T]\d{1,2}:\d{2}.*)?月?"
)
_NAMED_ID = re.compile(
    r"(^|[^a-z])(id|no|nr|row|rownames|rownumber|index|unnamed: 0)([^a-z]|$)|(?<=[a-z])Id$|编号|序号|号码"
)


class SampleError(ValueError):
    """The file cannot be a sample; the text says why in a sentence."""


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
    """All columns as text. Comma, semicolon, tab, bar or spaces between fields; UTF-8, UTF-16 or GB 18030; without
    `header` the columns are named 1, 2, … Raises SampleError."""
    text = _decode(path)
    delimiter = _delimiter(text)
    first = next(csv.reader(io.StringIO(text), delimiter=delimiter if len(delimiter) == 1 else " "), [])
    if header and first and all(not np.isnan(number_of(name.strip())) for name in first if name.strip()):
        raise SampleError(
            "The first line holds numbers, not column names; say --no-header if there are none."
        )
    try:
        frame = pd.read_csv(
            io.StringIO(text), sep=delimiter, header=None, index_col=False, dtype=str, keep_default_na=False,
            na_filter=False, skipinitialspace=True,
        )  # fmt: skip
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError) as error:
        raise SampleError(f"The file is no table: {str(error).strip().splitlines()[0]}") from error
    if header:
        frame.columns = [str(name).strip() for name in frame.iloc[0]]
        frame = frame.iloc[1:]
    else:
        frame.columns = [str(i + 1) for i in range(frame.shape[1])]
    doubles = sorted(set(frame.columns[frame.columns.duplicated()]))
    if doubles:
        raise SampleError(f"Two columns are called {doubles[0]}.")
    if frame.empty:
        raise SampleError("The file has no rows.")
    return frame


def _decode(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise SampleError(f"{path} cannot be read: {error.strerror}.") from error
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return raw.decode("utf-16", errors="replace")
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    return raw.decode("latin-1")


def _delimiter(text: str) -> str:
    """The mark that cuts the first lines into the same number of fields, the more the better."""
    lines = [line for line in text[:65536].splitlines()[:50] if line.strip()][:20]
    if not lines:
        raise SampleError("The file is empty.")
    best, most = r"\s+" if all(len(line.split()) > 1 for line in lines) else ",", 1
    for mark in DELIMITERS:
        counts = {len(row) for row in csv.reader(lines, delimiter=mark) if row}
        if len(counts) == 1 and (fields := counts.pop()) > most:
            best, most = mark, fields
    return best


def read_sample(
    path: Path,
    *,
    target: str,
    positive: str | None = None,
    drop: Collection[str] = (),
    header: bool = True,
    id_like: bool = True,
) -> Sample:
    """The file at `path` as a sample. `target` names the outcome's column; `positive` its label to predict, else the
    rarer of two. Columns in `drop`, constant ones, identifiers and dates are left out. Raises SampleError."""
    frame = read_table(path, header=header)
    for name in (target, *drop):
        if name not in frame.columns:
            raise SampleError(
                f"There is no column {name}; the file has {', '.join(map(str, frame.columns[:30]))}."
            )
    labels = np.array([text_of(value) for value in frame[target]], object)
    known = np.asarray(labels != "", bool)
    outcome, yes, no, taken_by = _outcome(labels[known], target, positive)
    if len(outcome) < LEAST_ROWS:
        raise SampleError(f"{len(outcome)} rows with an outcome are too few; {LEAST_ROWS} are needed.")
    columns: dict[str, Column] = {}
    left_out = dict.fromkeys(drop, "named by --drop")
    for name in frame.columns:
        if name == target or name in left_out:
            continue
        values = frame[name].to_numpy(object)[known]
        column = column_of(values)
        reason = _unfit(name, column) if id_like else ""
        if reason:
            left_out[name] = reason
        else:
            columns[name] = column
    if not columns:
        raise SampleError("No column is left to predict from.")
    return Sample(columns, outcome, yes, no, taken_by, left_out, int((~known).sum()))


def _outcome(labels: Texts, target: str, positive: str | None) -> tuple[Bools, str, str, str]:
    names, counts = np.unique(labels.astype(str), return_counts=True)
    if not len(names):
        raise SampleError(f"{target} is empty.")
    if len(names) == 1:
        raise SampleError(f"{target} is always {names[0]}.")
    if positive is not None:
        same = [n for n in names if n == positive.strip() or _equal_numbers(n, positive)]
        if not same:
            raise SampleError(f"{target} is never {positive}; it has {', '.join(names[:10])}.")
        rest = [n for n in names if n != same[0]]
        return np.asarray(labels == same[0], bool), str(same[0]), " or ".join(rest[:5]), "given"
    if len(names) != 2:
        raise SampleError(
            f"{target} has {len(names)} different values, not two; name the one to predict with --positive."
        )
    rarer = int(np.argmin(counts)) if counts[0] != counts[1] else 1
    return np.asarray(labels == names[rarer], bool), str(names[rarer]), str(names[1 - rarer]), "rarer"


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
