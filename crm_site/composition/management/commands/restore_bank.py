"""restore_bank FILE [--as CODE]: a bank out of its backup, under its own code or beside the original."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from crm_site.composition.moves.restoring import restore
from crm_site.lib.commands import BanyanCommand, Meter


class Command(BanyanCommand):
    help = "Put a bank back from its backup: whole, or not at all."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("file", type=Path, help="a file that backup_bank wrote")
        parser.add_argument(
            "--as", dest="code", default="", metavar="CODE", help="beside the original, as CODE"
        )
        parser.add_argument(
            "--host", default="", help="host name; default the bank's own, a copy's CODE.localhost"
        )

    def work(self, **options: Any) -> Any:
        began, meter = time.monotonic(), Meter()
        done = restore(
            options["file"], code=options["code"], host=options["host"], now=timezone.now(), show=meter.show
        )
        meter.clear()
        seconds = round(time.monotonic() - began, 1)
        self.say(
            f"Bank {done.bank} at {done.host} stands as of {done.made_at}: {done.rows} rows of {done.tables} tables "
            f"and {done.files} files in {seconds} s"
        )
        if done.lost_seals:
            self.progress(
                f"{done.lost_seals} seals of its record are newer than the backup and lost with their entries."
            )
        self.progress(f"Its audit record: {done.record}.")
        return {**asdict(done), "seconds": seconds}
