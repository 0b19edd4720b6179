"""load_sample berka DIR --bank CODE: the Berka files through the same ingest service as the API."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from crm_site.composition.berka import Difference, Loaded, load
from crm_site.lib.commands import BanyanCommand, Meter
from crm_site.lib.errors import DomainError


class Command(BanyanCommand):
    help = "Load a public sample into a bank (created when absent). Repeating it changes nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("sample", choices=["berka"])
        parser.add_argument("folder", type=Path, metavar="DIR")
        parser.add_argument("--bank", required=True, metavar="CODE")

    def work(self, **options: Any) -> Any:
        folder: Path = options["folder"]
        if not folder.is_dir():
            raise DomainError(f"{folder} is not a folder.")
        meter = Meter()
        loaded = load(
            folder,
            code=options["bank"],
            now=timezone.now(),
            progress=lambda feed, done, total: meter.show(feed, done / max(total, 1)),
        )
        meter.clear()
        feeds = {
            feed: {
                "received": batch.rows_received,
                "inserted": batch.rows_inserted,
                "updated": batch.rows_updated,
                "unchanged": batch.rows_unchanged,
                "seconds": batch.seconds,
            }
            for feed, batch in loaded.batches.items()
        }
        if loaded.password:
            self.say(
                f"Created bank at host {loaded.bank.host}  login {loaded.login}  one-time password {loaded.password}"
            )
        for feed, done in feeds.items():
            self.say(
                f"{feed:16} {done['received']:>8,} rows: {done['inserted']:,} new, {done['updated']:,} changed, "
                f"{done['unchanged']:,} unchanged, {done['seconds']} s"
            )
        new, changed = loaded.outcomes
        self.say(f"{'outcomes':16} {new:,} new, {changed:,} changed: for development samples alone")
        self._say_control(loaded)
        return {
            "bank": loaded.bank.code,
            "host": loaded.bank.host,
            "login": loaded.login or None,
            "password": loaded.password or None,
            "feeds": feeds,
            "outcomes": {"new": loaded.outcomes[0], "changed": loaded.outcomes[1]},
            "day_ends": loaded.day_ends,
            "differences": [
                {"account": d.account, "date": d.date, "computed": d.computed, "delivered": d.delivered}
                for d in loaded.differences
            ],
        }

    def _say_control(self, loaded: Loaded) -> None:
        """The control totals, one line an account; --json lists every day."""
        by_account: dict[str, list[Difference]] = defaultdict(list)
        for difference in loaded.differences:
            by_account[difference.account].append(difference)
        equal = loaded.day_ends - len(loaded.differences)
        largest = max((abs(d.amount) for d in loaded.differences), default=0)
        self.say(
            f"Control totals: {equal:,} of {loaded.day_ends:,} day-ends equal a balance of the ledger's own column; "
            f"{len(loaded.differences):,} in {len(by_account):,} accounts differ, by at most {largest} "
            f"{loaded.bank.currency} (the ledger's amounts are rounded):"
        )
        for account, found in sorted(by_account.items(), key=lambda item: int(item[0])):
            most = max(found, key=lambda d: abs(d.amount))
            self.say(
                f"  account {account}: {len(found)} days, most on {most.date}: computed {most.computed}, "
                f"delivered {most.delivered}"
            )
