"""Columns of a sample as the engine reads them: numbers or text, with what is unknown told apart.

A column is made alike from a file, where everything is text, and from the bank's own data, where numbers are
numbers; so a scorecard developed on the one scores the other.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crm_site.lib.modelling import Bools, Floats, Ints

Texts = NDArray[np.object_]

# How files write that a value is not there.
UNKNOWN = frozenset(
    ("", "na", "n/a", "#n/a", "nan", "null", "?", ".", "-", "--", "<na>", "nat", "inf", "-inf")
)
NUMBERS_AT_LEAST = 0.5  # a column is of numbers when so large a share of its known values are
MOST = 1e30  # no figure of a customer; what is beyond (infinity too) is unknown: cuts are sought in 32 bit floats
WORDS_AT_MOST = 8  # … and no more different words stand between them
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?")
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+")


@dataclass(frozen=True)
class Column:
    """Values (n,). Of numbers: `numbers`, NaN where there is none, and `texts` for the words that stand between
    them, None when there are none. Of text: `texts` alone, "" where unknown."""

    numbers: Floats | None
    texts: Texts | None

    def __len__(self) -> int:
        values = self.texts if self.numbers is None else self.numbers
        return 0 if values is None else len(values)

    def take(self, rows: Ints | Bools) -> Column:
        """The given rows alone."""
        return Column(
            None if self.numbers is None else self.numbers[rows],
            None if self.texts is None else self.texts[rows],
        )

    def words(self) -> Texts:
        """The texts (n,); "" where there is none."""
        return np.full(len(self), "", object) if self.texts is None else self.texts

    def unknown(self) -> Bools:
        """Where neither a number nor a word is known."""
        if self.numbers is None:
            return np.asarray(self.words() == "", bool)
        missing = np.isnan(self.numbers)
        return missing if self.texts is None else missing & np.asarray(self.texts == "", bool)


def text_of(value: Any) -> str:
    """How a value is written as a category or a special code: 2.0 as "2", True as "true", unknown as ""."""
    if value is None or value is pd.NaT:
        return ""
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value)).lower()
    if isinstance(value, (float, np.floating)):
        if not np.isfinite(value):
            return ""
        return str(int(value)) if float(value).is_integer() else repr(float(value))
    text = str(value).strip()
    return "" if text.lower() in UNKNOWN else text


def number_of(text: str) -> float:
    """The number that a text writes, with thousands separators or a decimal comma; NaN when it writes none."""
    if _THOUSANDS.fullmatch(text):
        text = text.replace(",", "")
    elif _DECIMAL_COMMA.fullmatch(text):
        text = text.replace(",", ".")
    try:
        number = float(text.removesuffix("%")) if "_" not in text else np.nan
    except ValueError:
        return np.nan
    return number if abs(number) <= MOST else np.nan


def _known_texts(values: Sequence[Any] | NDArray[Any]) -> tuple[Ints, list[str]]:
    """Codes (n,) into the distinct texts; parsing each distinct value once keeps long files quick."""
    codes, distinct = pd.factorize(np.asarray(values, object), use_na_sentinel=False)
    return codes, [text_of(value) for value in distinct]


def _as_floats(values: Sequence[Any] | NDArray[Any]) -> Floats | None:
    """Values that are numbers already; None when some are something else."""
    array = np.asarray(values)
    if array.dtype.kind not in "iuf":
        return None
    numbers = array.astype(float)
    return np.where(np.abs(numbers) <= MOST, numbers, np.nan)


def number_column(values: Sequence[Any] | NDArray[Any]) -> Column:
    """A column read as numbers; other words are kept beside them."""
    floats = _as_floats(values)
    if floats is not None:
        return Column(floats, None)
    codes, texts = _known_texts(values)
    numbers = np.array([number_of(text) for text in texts], float)
    words = np.array(
        [text if np.isnan(number) else "" for text, number in zip(texts, numbers, strict=True)], object
    )
    return Column(numbers[codes], words[codes] if any(words) else None)


def text_column(values: Sequence[Any] | NDArray[Any]) -> Column:
    """A column read as text."""
    codes, texts = _known_texts(values)
    return Column(None, np.array(texts, object)[codes])


def column_of(values: Sequence[Any] | NDArray[Any]) -> Column:
    """A column of numbers when most of its values are and few other words stand between them; else of text."""
    as_numbers = number_column(values)
    if as_numbers.texts is None:
        return as_numbers
    known = ~as_numbers.unknown()
    words = set(as_numbers.texts[known]) - {""}
    share = np.mean(as_numbers.texts[known] == "")  # where a number is
    return as_numbers if share >= NUMBERS_AT_LEAST and len(words) <= WORDS_AT_MOST else text_column(values)
