"""What every management command does alike: progress on standard error, the result on standard output."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from django.core.exceptions import ObjectDoesNotExist, PermissionDenied
from django.core.management.base import CommandError

from crm_site.lib.errors import DomainError

LINE_SECONDS = 5.0
BAR_SECONDS = 0.2
BAR_WIDTH = 24


class Meter:
    """Progress of long work: a bar that is redrawn on a terminal, a line every few seconds elsewhere."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self.stream, self.clock = stream, clock
        self.is_terminal = bool(getattr(stream, "isatty", lambda: False)())
        self.next_at = clock() + (0.0 if self.is_terminal else LINE_SECONDS)
        self.drawn = False

    def show(self, text: str, share: float) -> None:
        """Say that `share` (0..1) of the work called `text` is done; most calls print nothing."""
        now = self.clock()
        if now < self.next_at:
            return
        if self.is_terminal:
            full = round(share * BAR_WIDTH)
            bar = "█" * full + "░" * (BAR_WIDTH - full)
            self.stream.write(f"\r\x1b[K{bar} {share:4.0%} {text}")
            self.next_at, self.drawn = now + BAR_SECONDS, True
        else:
            self.stream.write(f"{text}: {share:.0%}\n")
            self.next_at = now + LINE_SECONDS
        self.stream.flush()

    def clear(self) -> None:
        """Wipe the bar before something else is printed."""
        if self.drawn:
            self.stream.write("\r\x1b[K")
            self.stream.flush()
            self.drawn = False


@contextmanager
def one_line_errors() -> Iterator[None]:
    """What a rule refuses becomes the command's one line and exit code 1."""
    try:
        yield
    except DomainError as error:
        raise CommandError(error.message) from error
    except PermissionDenied as error:
        raise CommandError(f"Not allowed: {error}") from error
    except ObjectDoesNotExist as error:
        raise CommandError(str(error)) from error


def as_json(result: Any) -> str:
    """One JSON document; amounts and dates as strings."""
    return json.dumps(result, ensure_ascii=False, default=str)
