"""remove_bank CODE --yes: one bank off the installation, with everything that is its own."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from crm_site.accounts.banks import bank_by_code
from crm_site.composition.moves.removing import remove, what_goes
from crm_site.lib.commands import BanyanCommand, Meter


class Command(BanyanCommand):
    help = "Remove one bank wholly. Runs as the owner of the tables (DATABASE_OWNER_URL)."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("code", help="code of the bank")
        parser.add_argument(
            "--yes", action="store_true", help="do it; without it only what would go is counted"
        )

    def work(self, **options: Any) -> Any:
        found = bank_by_code(options["code"])
        if not options["yes"]:
            there = what_goes(found)
            raise CommandError(
                f"{there.name} ({there.bank}): {there.customers} customers, {there.rows} rows and {there.files} files "
                "would be gone for good. Nothing was removed: say --yes.",
                returncode=2,
            )
        began, meter = time.monotonic(), Meter()
        done = remove(found, now=timezone.now(), show=meter.show)
        meter.clear()
        seconds = round(time.monotonic() - began, 1)
        self.say(
            f"{done.name} ({done.bank}) is gone: {done.customers} customers, {done.rows} rows and {done.files} files "
            f"in {seconds} s"
        )
        return {**asdict(done), "seconds": seconds}
