"""Manners of management commands: one JSON document with --json, one line and exit 1 for a refusal."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import ProgrammingError

from crm_site.lib.errors import DomainError
from crm_site.lib.postgres.pending import pending_migrations

LINE_SECONDS = 5.0
BAR_SECONDS = 0.2
BAR_WIDTH = 24


class BanyanCommand(BaseCommand):
    """Base of every command: subclasses implement `work` and return what --json prints.

    `say` prints a result line unless --json was asked for. DomainError becomes one line and exit 1, and so does a
    database that lacks a table or column because it has not been migrated.
    """

    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON document")

    def handle(self, *args: Any, **options: Any) -> None:
        self.as_json = options["json"]
        try:
            result = self.work(**options)
        except DomainError as error:
            raise CommandError(error.message) from error
        except ProgrammingError as error:
            if not (pending := pending_migrations()):
                raise
            message = (
                f"The database is {pending} migrations behind this program: run `manage.py migrate` first."
            )
            raise CommandError(message) from error
        if self.as_json:
            self.stdout.write(json.dumps(result, ensure_ascii=False, default=str))

    def work(self, **options: Any) -> Any:
        raise NotImplementedError

    def say(self, line: str) -> None:
        if not self.as_json:
            self.stdout.write(line)

    def progress(self, line: str) -> None:
        """A line about progress on standard error."""
        print(line, file=sys.stderr, flush=True)


class Meter:
    """Progress of long work on standard error: a bar on a terminal, a line every few seconds elsewhere."""

    def __init__(self, stream: Any = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.stream, self.clock = stream or sys.stderr, clock
        self.is_terminal = self.stream.isatty()
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
