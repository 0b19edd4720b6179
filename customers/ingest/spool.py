"""Receiving a delivery: streamed to a file, and checked as a whole on the way.

What is wrong with the container (encoding, compression, size, header) is told at once and nothing is kept;
what is wrong with single rows is found later by the job. Memory: two blocks, whatever the size.
"""

from __future__ import annotations

import codecs
import gzip
import hashlib
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from django.utils.translation import gettext as _

from crm_site.lib.encodings import UTF_8, Decoder, NotText, say_not_utf_8
from crm_site.lib.errors import DomainError
from crm_site.lib.files import DiskFull, full_path, new_file, remove

MOST_BYTES = 2 * 1024**3  # as received
MOST_UNPACKED = 20 * 1024**3
MOST_LINE = 1024**2
MOST_RATIO = 200  # unpacked / packed, once more than RATIO_FROM are unpacked: a bomb
RATIO_FROM = 64 * 1024**2
BLOCK = 256 * 1024
GZIP_MAGIC = b"\x1f\x8b"
ZIP_MAGIC = b"PK\x03\x04"
_AFTER_CELL = (b",", b";", b"\t", b"\r", b"\n", b"")  # what may follow the quote that ends a cell


class Refused(DomainError):
    """The delivery as a whole cannot be taken; nothing of it is kept. Carries the HTTP status."""

    def __init__(
        self, message: str, *, code: str, status: int = 422, fields: dict[str, str] | None = None
    ) -> None:
        super().__init__(message, code=code, fields=fields)
        self.status = status


class WrongEncoding(Refused):
    """A text that is not UTF-8, with where it is not."""

    def __init__(self, found: NotText) -> None:
        super().__init__(say_not_utf_8(found), code="encoding")
        self.found = found


@dataclass(frozen=True)
class Spooled:
    """A delivery on disk: path relative to MEDIA_ROOT, size and SHA-256 as received, its first bytes."""

    path: str
    size: int
    digest: str
    is_gzip: bool
    head: bytes
    lines: int

    @property
    def full_path(self) -> Path:
        return full_path(self.path)


@dataclass
class TextCheck:
    """Checks unpacked text as it passes: UTF-8, line length, quotes that close."""

    head: bytes = b""
    quotes: int = 0
    unpacked: int = 0
    _text: Decoder = field(default_factory=partial(Decoder, UTF_8))

    @property
    def lines(self) -> int:
        """Lines so far, the last one without a line end too."""
        return self._text.lines + bool(self._text.open)

    def feed(self, block: bytes) -> None:
        if len(self.head) < BLOCK:
            self.head += block[: BLOCK - len(self.head)]
        self.unpacked += len(block)
        line, begun = self._text.lines + 1, self._text.open
        self._decode(block)
        first = block.find(b"\n")
        if begun + (len(block) if first < 0 else first) > MOST_LINE:
            raise Refused(_("Line %(line)s is longer than 1 MiB.") % {"line": line}, code="line_too_long")
        self.quotes += block.count(b'"')

    def _decode(self, block: bytes, *, final: bool = False) -> None:
        try:
            self._text.feed(block, final=final)
        except NotText as found:
            raise WrongEncoding(found) from None

    def finish(self) -> None:
        self._decode(b"", final=True)
        if not self.unpacked or not self.head.lstrip(codecs.BOM_UTF8).strip():
            raise Refused(_("The delivery is empty."), code="empty")


class _Gunzip:
    """Unpacks gzip members block by block and watches the ratio."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(31)
        self.packed = 0
        self.unpacked = 0
        self._fresh = True

    def feed(self, data: bytes) -> Iterable[bytes]:
        self.packed += len(data)
        while data:
            if self._inflate.eof:
                data = data.lstrip(b"\0")  # padding between members
                if not data:
                    return
                self._inflate = zlib.decompressobj(31)
            try:
                block = self._inflate.decompress(data, BLOCK)
            except zlib.error as error:
                raise self.broken() from error
            self.unpacked += len(block)
            if self.unpacked > MOST_UNPACKED or (
                self.unpacked > RATIO_FROM and self.unpacked > MOST_RATIO * self.packed
            ):
                raise Refused(
                    _("The compressed delivery unpacks to far more than a real one would."),
                    code="gzip_bomb",
                    status=413,
                )
            if block:
                yield block
            data = self._inflate.unused_data if self._inflate.eof else self._inflate.unconsumed_tail
            if not block and not data:
                return

    def finish(self) -> None:
        if not self._inflate.eof:
            raise self.broken()

    @staticmethod
    def broken() -> Refused:
        return Refused(_("The gzip data is damaged or cut off."), code="broken_gzip")


def spool(chunks: Iterable[bytes], *, bank_id: int, is_text: bool = True, folder: str = "ingest") -> Spooled:
    """Write a delivery to disk as it arrives and check it as a whole.

    `is_text=False` (spreadsheets) checks the size alone. Raises Refused; then no file is left behind.
    """
    inspector = _Inspector(is_text=is_text)
    try:
        with new_file(folder, bank_id) as (relative, file):
            for chunk in chunks:
                if chunk:
                    inspector.feed(chunk)
                    file.write(chunk)
            inspector.finish()
            if inspector.is_quote_open:
                file.flush()
                opener = gzip.open if inspector.gunzip is not None else Path.open
                with opener(full_path(relative), "rb") as kept:
                    line = _open_quote(kept)
                message = _("The quoted cell that begins in line %(line)s is not closed.")
                raise Refused(message % {"line": line}, code="unclosed_quote")
    except DiskFull as error:
        raise Refused(
            _("There is no room left to store the delivery."), code="disk_full", status=507
        ) from error
    check = inspector.check
    is_gzip = inspector.gunzip is not None
    return Spooled(relative, inspector.size, inspector.digest.hexdigest(), is_gzip, check.head, check.lines)


class _Inspector:
    """Looks at a delivery as it arrives: size, digest and, where it is text, its content unpacked."""

    def __init__(self, *, is_text: bool) -> None:
        self.is_text = is_text
        self.digest, self.size, self.head = hashlib.sha256(), 0, b""
        self.check = TextCheck()
        self.gunzip: _Gunzip | None = None

    def feed(self, chunk: bytes) -> None:
        self.size += len(chunk)
        if self.size > MOST_BYTES:
            raise Refused(_("A delivery has at most 2 GB."), code="too_large", status=413)
        self.digest.update(chunk)
        if self.is_text and not self.head and chunk.startswith(GZIP_MAGIC):
            self.gunzip = _Gunzip()
        self.head = self.head or chunk[:4]
        if self.gunzip is not None:
            for block in self.gunzip.feed(chunk):
                self.check.feed(block)
        elif self.is_text:
            self.check.feed(chunk)

    def finish(self) -> None:
        if self.gunzip is not None:
            self.gunzip.finish()
        if self.is_text:
            self.check.finish()
        elif not self.size:
            raise Refused(_("The delivery is empty."), code="empty")

    @property
    def is_quote_open(self) -> bool:
        """Whether a quoted cell of a CSV is open at its end."""
        is_csv = not self.check.head.lstrip(codecs.BOM_UTF8).lstrip().startswith(b"{")
        return bool(self.check.quotes % 2) and is_csv


def _open_quote(lines: Iterable[bytes]) -> int:
    """The line in which the quote opens that nothing closes; the first line is 1.

    A quote within an open cell that ends no cell begins another one: then the open cell lacks its end, though later
    quotes would pair with it.
    """
    opened, is_open = 0, False
    for number, line in enumerate(lines, 1):
        if not is_open and line.count(b'"') % 2 == 0:
            continue
        at = line.find(b'"')
        while at >= 0:
            after = line[at + 1 : at + 2]
            if not is_open:
                opened, is_open = number, True
            elif after == b'"':
                at += 1
            elif after in _AFTER_CELL:
                is_open = False
            elif opened < number:
                return opened
            at = line.find(b'"', at + 1)
    return opened


def discard(relative: str) -> None:
    """Delete a spooled file: it holds protected values in the clear and is not needed once it has landed."""
    remove(relative)
