"""create_api_client --bank CODE --name NAME --scopes "a b": prints client_id and client_secret once."""

from __future__ import annotations

import argparse
from typing import Any

from django.core.management.base import CommandParser

from crm_site.accounts.banks import bank_by_code
from crm_site.accounts.services import create_api_client
from crm_site.lib.api.scopes import SCOPES
from crm_site.lib.commands import BanyanCommand
from crm_site.lib.permissions import Actor, Grant, Role
from crm_site.lib.tenancy import act_as, bank


def known_scopes(text: str) -> list[str]:
    """Scopes separated by blanks; a misspelt one is wrong usage."""
    wanted = text.split()
    if unknown := [scope for scope in wanted if scope not in SCOPES]:
        raise argparse.ArgumentTypeError(
            f"no scope is called {unknown[0]}; there are {', '.join(sorted(SCOPES))}"
        )
    return wanted


class Command(BanyanCommand):
    help = "Create a machine client of a bank (OAuth2 client credentials)."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--bank", required=True, help="code of the bank")
        parser.add_argument("--name", required=True, help="which system it is")
        parser.add_argument("--scopes", required=True, type=known_scopes, help="scopes, separated by blanks")

    def work(self, **options: Any) -> Any:
        found = bank_by_code(options["bank"])
        grants = (Grant(Role.ADMINISTRATOR, 0, 2_147_483_647),)
        actor = Actor(bank_id=found.pk, label="command create_api_client", grants=grants)
        with bank(found.pk):
            act_as(actor)
            client = create_api_client(actor, name=options["name"], scopes=options["scopes"])
        self.say(f"client_id      {client.client_id}")
        self.say(f"client_secret  {client.client_secret}   (shown once)")
        return {"client_id": client.client_id, "client_secret": client.client_secret}
