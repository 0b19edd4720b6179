"""make_bank CODE --customers N [--seed S]: a synthetic bank with 13 months of history."""

from __future__ import annotations

import argparse
import datetime as dt
import resource
import sys
import time
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from crm_site.composition.synthetic_bank import make_bank
from crm_site.lib.commands import BanyanCommand, Meter


def day(text: str) -> dt.date:
    """A date of the command line; argparse says which word was wrong and ends with exit code 2."""
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a date (YYYY-MM-DD)") from None


class Command(BanyanCommand):
    help = (
        "Create a synthetic bank with 13 months of history: the same book for the same seed, size and date."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("code", help="2 to 30 lower-case letters, digits and hyphens")
        parser.add_argument("--customers", type=int, required=True, metavar="N")
        parser.add_argument("--seed", type=int, default=42)
        parser.add_argument(
            "--date",
            type=day,
            metavar="YYYY-MM-DD",
            help="the history ends at the month-end at or before this date (default: today)",
        )
        parser.add_argument(
            "--to-the-day",
            action="store_true",
            help="the history goes on to the date itself, through the days of a running month",
        )
        parser.add_argument("--name", default="")
        parser.add_argument("--host", default="", help="host name; default CODE.localhost")

    def work(self, **options: Any) -> Any:
        began, now, meter = time.monotonic(), timezone.now(), Meter()
        made = make_bank(
            code=options["code"],
            customers=options["customers"],
            seed=options["seed"],
            date=options["date"] or timezone.localdate(now),
            now=now,
            to_the_day=options["to_the_day"],
            name=options["name"],
            host=options["host"],
            progress=lambda done, total: meter.show(f"{total:,} customers", done / total),
        )
        meter.clear()
        result = {
            "code": made.founded.bank.code,
            "host": made.founded.bank.host,
            "login": made.founded.login,
            "password": made.founded.password,
            "business_date": made.plan.date.isoformat(),
            "customers": made.plan.customers,
            "rows": made.rows,
            "seconds": round(time.monotonic() - began, 1),
            "peak_mib": peak_mib(),
        }
        for key in ("host", "login", "password", "business_date", "customers", "seconds", "peak_mib"):
            self.say(f"{key:14}{result[key]}")
        for table, rows in made.rows.items():
            self.say(f"  {table:14}{rows:>12,}")
        return result


def peak_mib() -> int:
    """Largest resident memory of this process or of the one that renders, in MiB."""
    unit = 1024 if sys.platform == "linux" else 1024 * 1024
    most = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return most // unit
