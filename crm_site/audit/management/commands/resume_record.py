"""resume_record: after a whole pg_restore, before anybody works: the record of every bank goes on behind its end."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.utils import timezone

from crm_site.accounts.banks import bank_by_code
from crm_site.accounts.selectors import banks
from crm_site.audit.resuming import resume
from crm_site.lib.commands import BanyanCommand


class Command(BanyanCommand):
    help = (
        "After the whole database was restored: let every bank's record go on behind its end. Safe to repeat."
    )

    def work(self, **options: Any) -> Any:
        found = [resume(bank_by_code(row["code"]).pk, timezone.now()) for row in banks()]
        for one in found:
            self.say(
                f"{one.bank}: {f'counts on, raised by {one.raised}' if one.raised else 'counts on as it is'}; "
                f"{one.lost_seals} later seals lost."
            )
        return [asdict(one) for one in found]
