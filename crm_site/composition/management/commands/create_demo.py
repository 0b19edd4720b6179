"""create_demo: the demo banks `demo` and `second` and the operators' bank, on embedded servers only."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from crm_site.composition.demo import BANKS, LOGINS, create_demo, is_embedded, live_through
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
            "--nights-of", choices=[row[0] for row in BANKS],
            help="only the nights of a bank that is there (create_demo starts this beside its own work)",
        )  # fmt: skip

    def work(self, **options: Any) -> Any:
        if not is_embedded():
            raise CommandError("Demo banks have known passwords: they are made on embedded servers only.")
        now = timezone.now()
        date: dt.date = options["date"] or timezone.localdate(now) - dt.timedelta(days=1)
        if code := options["nights_of"]:
            live_through(code, now=now, date=date, say=self.progress)
            return []
        logins = create_demo(now=now, date=date, say=self.progress, port=settings.PORT)
        if logins:
            self.say(f"logins: {settings.DATA_DIR / LOGINS}")
        else:
            self.say("The demo banks exist already.")
        return [login.__dict__ for login in logins]
