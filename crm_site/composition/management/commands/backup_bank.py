"""backup_bank CODE FILE: one bank into one file, while the others and itself work on."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from crm_site.accounts.banks import bank_by_code
from crm_site.composition.moves.backing_up import back_up
from crm_site.lib.commands import BanyanCommand, Meter


class Command(BanyanCommand):
    help = "Back up one bank, its rows and files as they stand now, into a file that must not exist."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("code", help="code of the bank")
        parser.add_argument("file", type=Path, help="the file to write")

    def work(self, **options: Any) -> Any:
        began, meter = time.monotonic(), Meter()
        done = back_up(bank_by_code(options["code"]), options["file"], now=timezone.now(), show=meter.show)
        meter.clear()
        seconds = round(time.monotonic() - began, 1)
        self.say(
            f"{done.file}: {done.rows} rows of {done.tables} tables and {done.files} files of bank {done.bank}, "
            f"{done.bytes / 2**20:.1f} MiB in {seconds} s"
        )
        return {**asdict(done), "seconds": seconds}
