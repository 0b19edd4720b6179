"""create_bank CODE --name NAME: a bank with its head office and an administrator."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from crm_site.accounts.services import found_bank
from crm_site.lib.commands import BanyanCommand


class Command(BanyanCommand):
    help = (
        "Create a bank with its head office and an administrator; prints host, login and a one-time password."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("code", help="2 to 30 lower-case letters, digits and hyphens")
        parser.add_argument("--name", required=True)
        parser.add_argument("--host", default="", help="host name; default CODE.localhost")
        parser.add_argument("--currency", default="CNY", help="ISO 4217 code of the bank's own currency")
        parser.add_argument("--timezone", default="Asia/Shanghai")
        parser.add_argument("--language", default="zh-hans", choices=["zh-hans", "en"])

    def work(self, **options: Any) -> Any:
        founded = found_bank(
            code=options["code"],
            name=options["name"],
            host=options["host"],
            currency=options["currency"],
            timezone=options["timezone"],
            language=options["language"],
            now=timezone.now(),
        )
        self.say(f"host      {founded.bank.host}")
        self.say(f"login     {founded.login}")
        self.say(f"password  {founded.password}   (one-time: it must be changed at the first sign-in)")
        return {
            "code": founded.bank.code,
            "host": founded.bank.host,
            "login": founded.login,
            "password": founded.password,
        }
