"""Five-level classification of a debtor's claims (商业银行金融资产风险分类办法, 2023). Pure: knows no database.

A claim is at least as bad as each rule says that fits it: days overdue (a ladder of its own for cards), what risk has
set by hand, and, once non-performing, the time it must pay well before it is performing again. Of a non-retail debtor
all claims are non-performing when more than a share of them is.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import IntEnum

from crm_site.lib.dates import add_months


class Level(IntEnum):
    """The five classes, best first."""

    NORMAL = 1
    SPECIAL_MENTION = 2
    SUBSTANDARD = 3
    DOUBTFUL = 4
    LOSS = 5


NON_PERFORMING = Level.SUBSTANDARD
# Why a claim stands in its class, in the order in which they are named when several say the same.
OVERDUE, CURE, BY_HAND, CONTAGION, NONE = "overdue", "cure", "by_hand", "contagion", "none"


@dataclass(frozen=True, slots=True)
class Rules:
    """`ladders`: asset ("loan", "card") -> level -> it holds above so many days overdue. `share`: of non-performing
    claims above which all are; `cure_months`: how long a non-performing claim must be free of arrears."""

    ladders: Mapping[str, Mapping[Level, int]]
    share: Decimal
    cure_months: int


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim as it stands. `outstanding` in one currency for all claims of a debtor; `by_hand`: at least this class;
    `before`: its class so far; `clean_since`: first day without arrears after the last ones (None: never any)."""

    days_past_due: int = 0
    outstanding: Decimal = field(default=Decimal(0))
    asset: str = "loan"
    by_hand: Level = Level.NORMAL
    before: Level = Level.NORMAL
    clean_since: dt.date | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """A claim's class and the rule that decided it. `share`: of the debtor's claims that are non-performing alone."""

    level: Level
    reason: str
    share: Decimal


def overdue_level(claim: Claim, rules: Rules) -> Level:
    """The worst class whose number of days the arrears exceed."""
    ladder = rules.ladders[claim.asset]
    return max((level for level, days in ladder.items() if claim.days_past_due > days), default=Level.NORMAL)


def _own(claim: Claim, rules: Rules, day: dt.date) -> tuple[Level, str]:
    found = [(overdue_level(claim, rules), OVERDUE)]
    if claim.before >= NON_PERFORMING and not _is_cured(claim, rules, day):
        found.append((NON_PERFORMING, CURE))
    found.append((claim.by_hand, BY_HAND))
    level, reason = max(found, key=lambda one: one[0])
    return level, reason if level > Level.NORMAL else NONE


def _is_cured(claim: Claim, rules: Rules, day: dt.date) -> bool:
    if claim.days_past_due > 0:
        return False
    return claim.clean_since is None or day >= add_months(claim.clean_since, rules.cure_months)


def classify(claims: Sequence[Claim], rules: Rules, *, is_retail: bool, day: dt.date) -> list[Verdict]:
    """The class of each claim of one debtor, in their order."""
    own = [_own(claim, rules, day) for claim in claims]
    total = sum((claim.outstanding for claim in claims), Decimal(0))
    bad = sum(
        (
            claim.outstanding
            for claim, (level, _why) in zip(claims, own, strict=True)
            if level >= NON_PERFORMING
        ),
        Decimal(0),
    )
    share = bad / total if total else Decimal(0)
    drags = not is_retail and bad > rules.share * total
    return [
        Verdict(NON_PERFORMING, CONTAGION, share)
        if drags and level < NON_PERFORMING
        else Verdict(level, why, share)
        for level, why in own
    ]
