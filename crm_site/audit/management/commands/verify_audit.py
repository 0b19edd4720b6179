"""verify_audit --bank CODE: exit 1 and the first broken entry when the record was tampered with."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from crm_site.accounts.banks import bank_by_code
from crm_site.audit.services import note_check, seal, verify
from crm_site.lib.commands import BanyanCommand
from crm_site.lib.permissions import system_actor


class Command(BanyanCommand):
    help = "Verify a bank's audit record from its first entry; then seal what is not sealed yet."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--bank", required=True, help="code of the bank")

    def work(self, **options: Any) -> Any:
        bank = bank_by_code(options["bank"])
        verdict = verify(bank.pk)
        note_check(system_actor(bank.pk, "command verify_audit"), verdict)
        if verdict.broken:
            raise CommandError(f"The audit record of {bank.code} is broken: {verdict.broken}.")
        newly = seal(bank.pk, timezone.now())
        self.say(
            f"The audit record of {bank.code} is intact: {verdict.entries} entries in {verdict.seals} seals; "
            f"{newly} more sealed now."
        )
        return {**asdict(verdict), "bank": bank.code, "sealed_now": newly}
