"""make_bank CODE --customers N [--seed S]: a synthetic bank with 13 months of history."""

from __future__ import annotations

import datetime as dt
import json
import resource
import sys
import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from crm_site.composition.synthetic_bank import make_bank
from crm_site.lib.errors import DomainError


class Command(BaseCommand):
    help = (
        "Create a synthetic bank: customers, accounts and 13 months of history, the same for the same seed."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("code")
        parser.add_argument("--customers", type=int, required=True)
        parser.add_argument("--seed", type=int, default=42)
        parser.add_argument("--date", type=dt.date.fromisoformat, help="last business date (default: today)")
        parser.add_argument("--name", default="")
        parser.add_argument("--host", default="")
        parser.add_argument("--json", action="store_true", dest="as_json")

    def handle(self, *args: Any, **options: Any) -> None:
        began, now = time.monotonic(), timezone.now()
        try:
            made = make_bank(
                code=options["code"],
                customers=options["customers"],
                seed=options["seed"],
                date=options["date"] or timezone.localdate(now),
                now=now,
                name=options["name"],
                host=options["host"],
                progress=self._progress(began),
            )
        except DomainError as error:
            raise CommandError(error.message) from error
        result = {
            "code": made.founded.bank.code,
            "host": made.founded.bank.host,
            "login": made.founded.login,
            "password": made.founded.password,
            "business_date": made.plan.date.isoformat(),
            "customers": made.plan.customers,
            "rows": made.rows,
            "seconds": round(time.monotonic() - began, 1),
            "peak_mib": _peak_mib(),
        }
        if options["as_json"]:
            self.stdout.write(json.dumps(result))
            return
        for key, value in result.items():
            if key == "rows":
                self.stdout.write("rows: " + ", ".join(f"{k} {v:,}" for k, v in made.rows.items()))
            else:
                self.stdout.write(f"{key}: {value}")

    def _progress(self, began: float) -> Any:
        def report(done: int, total: int) -> None:
            line = f"{done:,} of {total:,} customers, {time.monotonic() - began:.0f} s"
            self.stderr.write(
                f"\r{line}" if sys.stderr.isatty() else line, ending="" if sys.stderr.isatty() else None
            )

        return report


def _peak_mib() -> int:
    """Largest resident memory of this process or of the one that renders, in MiB."""
    unit = 1024 if sys.platform == "linux" else 1024 * 1024
    return (
        max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        // unit
    )
