"""list_banks: the banks of this installation."""

from __future__ import annotations

from typing import Any

from crm_site.accounts.selectors import banks
from crm_site.lib.commands import BanyanCommand


class Command(BanyanCommand):
    help = "List the banks of this installation: code, host, name."

    def work(self, **options: Any) -> Any:
        found = banks()
        for row in found:
            self.say(f"{row['code']:20}{row['host']:32}{row['name']}")
        return found
