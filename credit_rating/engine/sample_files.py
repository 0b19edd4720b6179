"""What can be said of a sample's file by its first bytes, and how a fault of a sample is named.

Loads nothing heavy: the web process looks at an upload with it, the job that reads the file uses the same.
"""

from __future__ import annotations

import codecs
from typing import Any

ZIP_MAGIC = b"PK\x03\x04"
UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
HEAD_BYTES = 65536


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


def least_cases(folds: int) -> int:
    """Cases of the rarer outcome that a development needs: two in each fold."""
    return 2 * folds
