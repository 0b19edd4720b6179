"""The night run in the foreground: needs no Celery, and Celery workers may help."""

from __future__ import annotations

import argparse
import datetime as dt
from typing import Any

from django.core.management.base import CommandError, CommandParser

from crm_site.accounts.models import Bank
from crm_site.jobs import selectors, services
from crm_site.jobs.models import Run, RunStatus
from crm_site.lib.commands import BanyanCommand, Meter
from crm_site.lib.dates import month_ends
from crm_site.lib.permissions import system_actor
from crm_site.lib.tenancy import bank


def day(text: str) -> dt.date:
    """A date of the command line; argparse says which word was wrong and ends with exit code 2."""
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a date (YYYY-MM-DD)") from None


def count(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 64:
        raise argparse.ArgumentTypeError("a number from 1 to 64")
    return int(text)


class Command(BanyanCommand):
    help = "Run the night for a bank: one line a step (step, rows in, rows changed, seconds)."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        self.usage = parser.error
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("--bank", metavar="CODE")
        which.add_argument("--all-banks", action="store_true", help="every active bank, one after the other")
        parser.add_argument(
            "--date",
            type=day,
            metavar="YYYY-MM-DD",
            help="default: the day after the bank's business date; before its first night, its newest balances",
        )
        parser.add_argument("--from", dest="first", type=day, metavar="D", help="every day from D ...")
        parser.add_argument("--to", dest="last", type=day, metavar="D", help="... to D, oldest first")
        parser.add_argument("--month-ends", action="store_true", help="of --from/--to only the month-ends")
        parser.add_argument(
            "--steps", metavar="a,b", help="only these steps; the business date does not move"
        )
        parser.add_argument(
            "--workers", type=count, default=1, metavar="N", help="worker processes (default 1)"
        )

    def work(self, **options: Any) -> Any:
        self._check(options)
        self.meter = Meter()
        results = [self._run_bank(found, options) for found in self._banks(options)]
        return results[0] if options["bank"] else {"banks": results}

    def _check(self, options: dict[str, Any]) -> None:
        ranged = options["first"] is not None or options["last"] is not None
        if ranged and (options["first"] is None or options["last"] is None):
            self.usage("--from and --to go together")
        if ranged and options["date"] is not None:
            self.usage("either --date or --from and --to")
        if options["month_ends"] and not ranged:
            self.usage("--month-ends needs --from and --to")
        if ranged and options["first"] > options["last"]:
            self.usage("--from is later than --to")

    def _banks(self, options: dict[str, Any]) -> list[Bank]:
        known = Bank.objects.filter(is_active=True, is_platform=False).order_by("code")
        if options["all_banks"]:
            return list(known)
        found = known.filter(code=options["bank"]).first()
        if found is None:
            raise CommandError(f"There is no bank {options['bank']!r}.")
        return [found]

    def _dates(self, of: Bank, options: dict[str, Any]) -> list[dt.date]:
        first, last = options["first"], options["last"]
        if first is not None and options["month_ends"]:
            return month_ends(first, last)
        if first is not None:
            return [first + dt.timedelta(days=n) for n in range((last - first).days + 1)]
        if options["date"] is not None:
            return [options["date"]]
        with bank(of.pk):
            following = services.next_business_date()
        if following is None:
            raise CommandError(f"Bank {of.code!r} has no balances yet: load some, or give --date.")
        return [following]

    def _run_bank(self, of: Bank, options: dict[str, Any]) -> dict[str, Any]:
        """Every date in turn; the first that fails ends it."""
        nights = [self._night(of, date, options) for date in self._dates(of, options)]
        if len(nights) == 1:
            return nights[0]
        sums: dict[str, dict[str, Any]] = {}
        for step in (step for night in nights for step in night["steps"]):
            so_far = sums.setdefault(
                step["step"], {"step": step["step"], "rows_in": 0, "rows_changed": 0, "seconds": 0.0}
            )
            for key in ("rows_in", "rows_changed", "seconds"):
                so_far[key] = round(so_far[key] + step[key], 3)
        return {
            "bank": of.code,
            "business_date": nights[-1]["business_date"] if nights else None,
            "seconds": round(sum(night["seconds"] for night in nights), 3),
            "steps": list(sums.values()),
            "runs": nights,
        }

    def _night(self, of: Bank, date: dt.date, options: dict[str, Any]) -> dict[str, Any]:
        steps = [name.strip() for name in options["steps"].split(",")] if options["steps"] else None
        with bank(of.pk):
            actor = system_actor(of.pk, "command nightly")
            run = services.start_run(actor, pipeline=services.NIGHTLY, business_date=date, steps=steps)
        self.printed: set[str] = set()
        self.say(f"{of.code} {date.isoformat()}")
        run = services.run_to_end(run, workers=options["workers"], watch=self._watch)
        self.meter.clear()
        if run.status == RunStatus.CANCELLED:
            raise CommandError(f"{of.code} {date.isoformat()} was cancelled")
        if run.status != RunStatus.DONE:
            raise CommandError(f"{of.code} {date.isoformat()} failed in {run.error}")
        with bank(of.pk):
            views = selectors.step_views(run)
        return {
            "bank": of.code,
            "business_date": date,
            "seconds": round(run.seconds or 0.0, 3),
            "run": run.pk,
            "steps": [
                {
                    "step": view.name,
                    "rows_in": view.rows_in,
                    "rows_changed": view.rows_changed,
                    "seconds": round(view.seconds or 0.0, 3),
                }
                for view in views
            ],
        }

    def _watch(self, run: Run) -> None:
        with bank(run.bank_id):
            views = selectors.step_views(run)
        for view in views:
            if view.status == "done" and view.name not in self.printed:
                self.printed.add(view.name)
                self.meter.clear()
                self.say(
                    f"  {view.name:<16} {view.rows_in:>12,} in {view.rows_changed:>12,} changed "
                    f"{view.seconds or 0.0:>9.2f} s"
                )
                self.stdout.flush()
        current = next((view.name for view in views if view.status in ("running", "ready")), "waiting")
        self.meter.show(f"{run.business_date.isoformat()} {current}", selectors.share_done(run, views))
