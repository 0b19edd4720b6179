"""A worker process of a foreground run: started by `nightly --workers N`, ends with the run."""

from __future__ import annotations

import signal
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from crm_site.jobs.crew import work_off


class Command(BaseCommand):
    help = "Work off the chunks of one run until it is finished (nightly --workers starts these)."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("bank_id", type=int)
        parser.add_argument("run_id", type=int)

    def handle(self, *args: Any, **options: Any) -> None:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            work_off(options["bank_id"], options["run_id"])
        except KeyboardInterrupt:
            return
