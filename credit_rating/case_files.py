"""Which files may go with a case: known by their bytes, not by their name (C6)."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from pathlib import PurePath
from typing import IO

from django.utils.translation import gettext as _

from crm_site.lib.errors import DomainError

MOST_BYTES = 20 * 1024 * 1024
MOST_FILES = 60  # of a case, withdrawn ones apart
HEAD = 16


class FileFault(DomainError):
    """A file that does not go with a case."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of file: what it is served as; `is_shown`: whether a browser shows it by itself, harmlessly."""

    suffix: str
    content_type: str
    is_shown: bool = False


KINDS = {
    "pdf": Kind(".pdf", "application/pdf", True),
    "jpeg": Kind(".jpg", "image/jpeg", True),
    "png": Kind(".png", "image/png", True),
    "webp": Kind(".webp", "image/webp", True),
    "heic": Kind(".heic", "image/heic"),
    "docx": Kind(".docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    "xlsx": Kind(".xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
}
_OFFICE = {"word/document.xml": "docx", "xl/workbook.xml": "xlsx"}


def kind_of(file: IO[bytes]) -> str:
    """The code of a file's kind by its bytes. Raises FileFault for any other, and for office files with macros."""
    file.seek(0)
    head = file.read(HEAD)
    found = ""
    if head.startswith(b"%PDF-"):
        found = "pdf"
    elif head.startswith(b"\xff\xd8\xff"):
        found = "jpeg"
    elif head.startswith(b"\x89PNG\r\n\x1a\n"):
        found = "png"
    elif head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        found = "webp"
    elif head[4:8] == b"ftyp" and head[8:12] in (b"heic", b"heix", b"mif1"):
        found = "heic"
    elif head.startswith(b"PK\x03\x04"):
        found = _office(file)
    if not found:
        raise FileFault(
            _(
                "Only PDF, photographs (JPEG, PNG, WebP, HEIC), Word and Excel files without macros are taken."
            ),
            code="file_kind",
        )
    return found


def _office(file: IO[bytes]) -> str:
    file.seek(0)
    try:
        with zipfile.ZipFile(io.BufferedReader(file) if isinstance(file, io.RawIOBase) else file) as archive:
            names = set(archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError):
        return ""
    if any(name.lower().endswith("vbaproject.bin") for name in names):
        return ""
    return next((kind for name, kind in _OFFICE.items() if name in names), "")


def shown_name(name: str, kind: str) -> str:
    """A file's name as it is kept: without folders and control characters, ending as its kind does."""
    plain = "".join(c for c in PurePath(name.replace("\\", "/")).name if c.isprintable()).strip(" .")
    suffix = KINDS[kind].suffix
    stem = plain[: -len(PurePath(plain).suffix)] if PurePath(plain).suffix else plain
    return f"{(stem or _('file'))[: 160 - len(suffix)]}{suffix}"
