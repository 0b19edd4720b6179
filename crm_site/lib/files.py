"""Files that people and systems hand in: below MEDIA_ROOT, outside the web root, readable by this program alone.

A file is there whole or not at all: what fails while it is written leaves nothing behind.
"""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from django.conf import settings
from django.utils.translation import gettext as _

from crm_site.lib.errors import DomainError


class DiskFull(DomainError):
    """There is no room for the file; nothing of it is kept."""

    status = 507

    def __init__(self) -> None:
        super().__init__(_("There is no room left to store the file. Nothing was kept."), code="disk_full")


def full_path(relative: str) -> Path:
    """Where a file lies that is known by its path below MEDIA_ROOT."""
    return Path(settings.MEDIA_ROOT) / relative


@contextmanager
def new_file(folder: str, bank_id: int) -> Iterator[tuple[str, IO[bytes]]]:
    """(path below MEDIA_ROOT, the file to write): on disk for good when the block ends, gone when it fails.

    Raises DiskFull when there is no room.
    """
    relative = f"{folder}/{bank_id}/{uuid.uuid4().hex}"
    path = full_path(relative)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            yield relative, file
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        path.unlink(missing_ok=True)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull from error
        raise
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def remove(relative: str) -> None:
    """Take a file away; one that is not there is gone already."""
    if relative:
        full_path(relative).unlink(missing_ok=True)
