"""Manners of management commands: one JSON document with --json, one line and exit 1 for a refusal."""

from __future__ import annotations

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from crm_site.lib.errors import DomainError


class BanyanCommand(BaseCommand):
    """Base of every command: subclasses implement `work` and return what --json prints.

    `say` prints a result line unless --json was asked for. DomainError becomes one line and exit 1.
    """

    requires_system_checks: list[str] = []  # noqa: RUF012 - as Django declares it

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON document")

    def handle(self, *args: Any, **options: Any) -> None:
        self.as_json = options["json"]
        try:
            result = self.work(**options)
        except DomainError as error:
            raise CommandError(error.message) from error
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
