"""The file of a backup: a ZIP of one member a table and a file, and a manifest that vouches for all of them.

The manifest names every member with its length and SHA-256 and is itself sealed with a key made of the master key: a
file that was cut off, damaged or altered is refused before anything is written, and so is one of another master key.
"""

from __future__ import annotations

import base64
import errno
import fcntl
import hashlib
import hmac
import json
import os
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Self

from django.conf import settings

from crm_site.lib.crypto import Unreadable, master_key, rewrapped
from crm_site.lib.errors import Conflict, DomainError

FORMAT = 1
BLOCK = 256 * 1024
_MANIFEST, _SEAL = "manifest.json", "manifest.hmac"


def broken(why: str) -> DomainError:
    return DomainError(
        f"The backup is damaged or was altered ({why}); nothing was restored.", code="backup_broken"
    )


def _sealed(manifest: bytes) -> str:
    key = hmac.digest(master_key(settings.MASTER_KEY), b"bank backup", hashlib.sha256)
    return hmac.new(key, manifest, hashlib.sha256).hexdigest()


def opens(wrapped: bytes, code: str) -> bool:
    """Whether a bank's key opens with the master key of this installation."""
    try:
        rewrapped(wrapped, master_key(settings.MASTER_KEY), bank_code=code, new_code=code)
    except Unreadable:
        return False
    return True


@contextmanager
def whole_file(target: Path) -> Iterator[IO[bytes]]:
    """The file to write: it stands under its name when the block ends, complete, or not at all.

    An existing file is never overwritten. What a killed backup left as FILE.part the next one of that name overwrites.
    """
    part = target.with_name(f"{target.name}.part")
    if target.exists():
        raise Conflict(f"{target} exists already; a backup is never overwritten.", code="file_exists")
    try:
        file = os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT, 0o600), "r+b")
    except OSError as error:
        raise DomainError(f"{part} cannot be written: {error.strerror}.", code="file") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Conflict(f"Another backup is writing {target} right now.", code="file_busy") from error
        try:
            file.truncate()
            yield file
            file.flush()
            os.fsync(file.fileno())
            os.link(part, target)  # unlike a rename it refuses a name that was taken meanwhile
        except FileExistsError as error:
            raise Conflict(
                f"{target} exists already; a backup is never overwritten.", code="file_exists"
            ) from error
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise DomainError(
                    f"There is no room left for {target}; nothing was kept.", code="disk_full"
                ) from error
            raise DomainError(f"{target} could not be written: {error.strerror}.", code="file") from error
        finally:
            part.unlink(missing_ok=True)


class Writer:
    """Members one after the other, then the manifest."""

    def __init__(self, file: IO[bytes]) -> None:
        self._zip = zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1)
        self.members: dict[str, dict[str, Any]] = {}

    def member(self, name: str, blocks: Iterator[bytes] | IO[bytes]) -> dict[str, Any]:
        """Write a member; returns its entry in the manifest: name, bytes, lines, sha256."""
        digest, size, lines = hashlib.sha256(), 0, 0
        with self._zip.open(name, "w", force_zip64=True) as out:
            for block in _blocks(blocks):
                digest.update(block)
                out.write(block)
                size += len(block)
                lines += block.count(b"\n")
        entry = {"bytes": size, "lines": lines, "sha256": digest.hexdigest()}
        self.members[name] = entry
        return entry

    def close(self, facts: dict[str, Any]) -> None:
        text = json.dumps(
            {"format": FORMAT, **facts, "members": self.members}, ensure_ascii=False, indent=1
        ).encode()
        self._zip.writestr(_MANIFEST, text)
        self._zip.writestr(_SEAL, _sealed(text))
        self._zip.close()

    def abandon(self) -> None:
        """The file goes away unfinished: write no directory of members any more."""
        self._zip.fp = None


def _blocks(source: Iterator[bytes] | IO[bytes]) -> Iterator[bytes]:
    """Rows come one at a time; hashing and compressing want more."""
    kept = bytearray()
    for piece in source:
        kept += piece
        if len(kept) >= BLOCK:
            yield bytes(kept)
            kept.clear()
    if kept:
        yield bytes(kept)


class Reader:
    """A backup that has been found whole, of this master key and this shape of the database."""

    def __init__(self, path: Path) -> None:
        try:
            self._zip = zipfile.ZipFile(path)
        except OSError as error:
            raise DomainError(f"{path} cannot be read: {error.strerror}.", code="file") from error
        except zipfile.BadZipFile as error:
            raise broken("it is no whole ZIP file") from error
        try:
            text = self._zip.read(_MANIFEST)
            seal = self._zip.read(_SEAL).decode("ascii", "replace")
            self.facts: dict[str, Any] = json.loads(text)
            made_as = self.facts["format"]
            code, wrapped = self.facts["bank"]["code"], base64.b64decode(self.facts["bank"]["wrapped_key"])
        except Exception as error:
            raise broken("its manifest cannot be read") from error
        if made_as != FORMAT:
            raise DomainError(
                f"The backup has format {made_as}; this program reads {FORMAT}.", code="backup_format"
            )
        self.wrapped_key: bytes = wrapped
        if not opens(wrapped, code):
            raise DomainError(
                "The backup was made under another master key: set BANYAN_MASTER_KEY to the one of the installation "
                "that made it.",
                code="master_key",
            )
        if not hmac.compare_digest(seal, _sealed(text)):
            raise broken("its manifest is not as it was sealed")
        self.members: dict[str, dict[str, Any]] = self.facts["members"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._zip.close()

    @property
    def size(self) -> int:
        return sum(entry["bytes"] for entry in self.members.values())

    def blocks(self, name: str) -> Iterator[bytes]:
        """A member's content; raises DomainError at its end when it is not what the manifest says."""
        entry, digest, size = self.members[name], hashlib.sha256(), 0
        try:
            with self._zip.open(name) as member:
                while block := member.read(BLOCK):
                    digest.update(block)
                    size += len(block)
                    yield block
        except (KeyError, zipfile.BadZipFile, EOFError, OSError, zlib.error) as error:
            raise broken(f"{name} cannot be read") from error
        if (size, digest.hexdigest()) != (entry["bytes"], entry["sha256"]):
            raise broken(f"{name} is not as it was written")

    def lines(self, name: str) -> Iterator[str]:
        """A small table's rows as COPY wrote them."""
        rest = b""
        for block in self.blocks(name):
            *whole, rest = (rest + block).split(b"\n")
            yield from (line.decode() for line in whole)

    def verify(self, show: Callable[[str, float], None]) -> None:
        """Read everything once. Raises DomainError for the first member that is not as it was written."""
        done, whole = 0, self.size or 1
        for name in self.members:
            for block in self.blocks(name):
                done += len(block)
                show("checking the file", done / whole)
