"""create_demo: the demo banks `demo` and `second` and the operators' bank, on embedded servers only."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from crm_site.accounts.models import Bank
from crm_site.composition.demo import BANKS, LOGINS, create_demo, create_one, is_embedded, kept_logins
from crm_site.composition.management.commands.make_bank import day
from crm_site.lib.commands import BanyanCommand


class Command(BanyanCommand):
    help = "Create the demo banks with people who can sign in. Only on embedded servers; safe to repeat."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--date", type=day, metavar="YYYY-MM-DD", help="last day of the books (default: yesterday)"
        )
        parser.add_argument(
            "--only", choices=[row[0] for row in BANKS],
            help="only this bank (create_demo starts this beside its own work)",
        )  # fmt: skip
        parser.add_argument(
            "--first", action="store_true", help="nothing where there are banks already that it did not begin"
        )

    def work(self, **options: Any) -> Any:
        if not is_embedded():
            raise CommandError("Demo banks have known passwords: they are made on embedded servers only.")
        now = timezone.now()
        date: dt.date = options["date"] or timezone.localdate(now) - dt.timedelta(days=1)
        if code := options["only"]:
            create_one(code, now=now, date=date, say=self.progress, port=settings.PORT)
        elif options["first"] and not (settings.DATA_DIR / LOGINS).exists() and Bank.objects.exists():
            self.say("There are banks: no demo is made beside them.")
        elif create_demo(now=now, date=date, say=self.progress, port=settings.PORT):
            self.say(f"logins: {settings.DATA_DIR / LOGINS}")
        else:
            self.say("The demo banks exist already.")
        return kept_logins()
