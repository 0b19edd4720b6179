"""What the rules of early warning would signal by a version that is not in force, against the one that is (C10)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from credit_rating.models import CreditPolicy
from credit_rating.policies import SHAPES, read
from credit_rating.policies.warnings import GROUP, SUBJECT, rules_of
from credit_rating.selectors.policies import before
from credit_rating.warning_rules import debtors_in, signalled
from crm_site.lib.tenancy import require_bank
from customers.models import Standing
from customers.nightly import customer_ranges

NAMED = 5  # customers that a rule names, those who owe most


@dataclass(slots=True)
class Tally:
    """What a rule says by either version: counts, and who of the new and of the gone owes most: (amount, customer)."""

    before: int = 0
    after: int = 0
    same: int = 0
    new: list[tuple[Decimal, int]] = field(default_factory=list)
    gone: list[tuple[Decimal, int]] = field(default_factory=list)

    def add(self, was: Collection[int], becomes: Collection[int], owed: dict[int, Decimal]) -> None:
        """A range of customers more."""
        one, other = set(was), set(becomes)
        self.before += len(one)
        self.after += len(other)
        self.same += len(one & other)
        self.new = _largest(self.new, other - one, owed)
        self.gone = _largest(self.gone, one - other, owed)

    def told(self) -> dict[str, Any]:
        return {
            "before": self.before, "after": self.after, "same": self.same, "new": self.after - self.same,
            "gone": self.before - self.same, "new_names": [key for _owed, key in self.new],
            "gone_names": [key for _owed, key in self.gone],
        }  # fmt: skip


def _largest(
    known: list[tuple[Decimal, int]], more: Collection[int], owed: dict[int, Decimal]
) -> list[tuple[Decimal, int]]:
    found = [*known, *((owed.get(key, Decimal(0)), key) for key in more)]
    return sorted(found, key=lambda one: (-one[0], one[1]))[:NAMED]


def try_warnings(version: CreditPolicy, day: dt.date, progress: Callable[[int, int], None]) -> dict[str, Any]:
    """Every debtor by the rules of a version and of the one in force before it, on the figures of a business date.

    {"against": version number, "rows": debtors, "customers": [warned of so far, by this], "rules": [{"code", "name", "level",
    "kept": it is a rule of both | "new" | "gone", Tally.told}]}, the rules in the order of the version, then those gone.
    """
    bank_id, base = require_bank(), before(version, day)
    after = read(SHAPES[SUBJECT], version.body)
    standing = read(SHAPES[SUBJECT], base.body) if base else None
    mine = {rule.code: rule for rule in rules_of(after)}
    theirs = {rule.code: rule for rule in rules_of(standing)} if standing else {}
    tallies = {code: Tally() for code in (*mine, GROUP, *(code for code in theirs if code not in mine))}
    debtors, warned = 0, [0, 0]
    parts = list(customer_ranges(bank_id))
    for number, part in enumerate(parts):
        asked = debtors_in(bank_id, part["lo"], part["hi"])
        becomes = signalled(bank_id, after, asked, day)
        was = signalled(bank_id, standing, asked, day) if standing else {}
        owed = dict(Standing.objects.filter(customer_id__in=asked).values_list("customer_id", "loans"))
        for code, tally in tallies.items():
            tally.add(was.get(code, {}), becomes.get(code, {}), owed)
        debtors += len(asked)
        warned[0] += len({key for found in was.values() for key in found})
        warned[1] += len({key for found in becomes.values() for key in found})
        progress(number + 1, len(parts))
    return {
        "against": base.version if base else None,
        "rows": debtors,
        "customers": warned,
        "rules": [
            {
                "code": code,
                "name": rule.name if (rule := mine.get(code) or theirs.get(code)) else "",
                "level": rule.level if rule else "watch",
                "kept": "both" if code == GROUP or (code in mine and code in theirs) else "new" if code in mine else "gone",
                **tally.told(),
            }
            for code, tally in tallies.items()
        ],
    }  # fmt: skip
