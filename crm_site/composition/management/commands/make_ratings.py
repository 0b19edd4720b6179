"""make_ratings CODE [--seed S]: ratings and approval cases for a synthetic bank that has none."""

from __future__ import annotations

import time
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from crm_site.accounts.banks import bank_by_code
from crm_site.composition.living_credit import top_up
from crm_site.composition.management.commands.make_bank import peak_mib
from crm_site.lib.commands import BanyanCommand


class Command(BanyanCommand):
    help = "Give a synthetic bank that has none its ratings and approval cases; what is there stays."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("code")
        parser.add_argument("--seed", type=int, default=42)

    def work(self, **options: Any) -> Any:
        began = time.monotonic()
        found = bank_by_code(options["code"])
        made = top_up(found, now=timezone.now(), seed=options["seed"])
        result = {
            "code": found.code,
            "rows": made,
            "seconds": round(time.monotonic() - began, 1),
            "peak_mib": peak_mib(),
        }
        for table, rows in made.items():
            self.say(f"  {table:14}{rows:>12,}")
        self.say(f"seconds       {result['seconds']}")
        self.say(f"peak_mib      {result['peak_mib']}")
        return result
