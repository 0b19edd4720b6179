"""Five-level classification of a debtor's claims (商业银行金融资产风险分类办法, 2023). Pure: knows no database.

A claim is at least as bad as each rule says that fits it: days overdue (a ladder of its own for cards), the expected
credit loss that the bank has on its books for it (第十二, 十三条) and whether it is credit-impaired (第十一条), what risk has
set by hand, and, once non-performing, the time it must pay well before it is performing again. Of a non-retail debtor
all claims are non-performing when more than a share of them is (第十四条), or when more than a share of his debts at all
banks is overdue by more than so many days; none is normal while one of his debts, here or elsewhere, is non-performing.
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
OVERDUE, LOSS_SHARE, IMPAIRED, ALL_BANKS = "overdue", "loss", "impaired", "all_banks"
CURE, BY_HAND, CONTAGION, BAD_DEBT, NONE = "cure", "by_hand", "contagion", "bad_debt", "none"
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Rules:
    """`ladders`: asset ("loan", "card") -> level -> it holds above so many days overdue. `share`: of non-performing
    claims above which all are; `cure_months`: how long a non-performing claim must be free of arrears. `losses`: level ->
    it holds from this share of expected loss on; `impaired`: the class of a credit-impaired claim; `late_share`: of the
    debts at all banks, overdue for more than `late_days`, above which all claims are non-performing; `bad_debt`: the
    class of claims beside a non-performing debt. None: the policy does not ask. Shares are fractions."""

    ladders: Mapping[str, Mapping[Level, int]]
    share: Decimal
    cure_months: int
    losses: Mapping[Level, Decimal]
    impaired: Level | None
    late_share: Decimal
    late_days: int
    bad_debt: Level | None


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim as it stands. `outstanding` in one currency for all claims of a debtor; `by_hand`: at least this class;
    `before`: its class so far; `clean_since`: first day without arrears after the last ones (None: never any).
    `expected_loss` of the `balance` it was reckoned for, in the claim's own currency (None: not told)."""

    days_past_due: int = 0
    outstanding: Decimal = field(default=Decimal(0))
    asset: str = "loan"
    by_hand: Level = Level.NORMAL
    before: Level = Level.NORMAL
    clean_since: dt.date | None = None
    expected_loss: Decimal | None = None
    balance: Decimal = ZERO
    is_impaired: bool = False


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What a debtor owes to other banks, in the bank's currency: in all, and in debts overdue for more than the rules'
    days; whether one of them is non-performing there. `total` None: some cannot be converted, so no share is known."""

    total: Decimal | None = ZERO
    late: Decimal = ZERO
    has_bad: bool = False


NOTHING = Elsewhere()


@dataclass(frozen=True, slots=True)
class Verdict:
    """A claim's class and the rule that decided it. `share`: of the debtor's claims that are non-performing alone;
    `late_share`: of his debts at all banks that are overdue for too long (None: not known)."""

    level: Level
    reason: str
    share: Decimal
    late_share: Decimal | None


def overdue_level(claim: Claim, rules: Rules) -> Level:
    """The worst class whose number of days the arrears exceed."""
    ladder = rules.ladders[claim.asset]
    return max((level for level, days in ladder.items() if claim.days_past_due > days), default=Level.NORMAL)


def loss_level(claim: Claim, rules: Rules) -> Level:
    """The worst class whose share of the balance the expected loss reaches; normal where none was told."""
    if claim.expected_loss is None or claim.balance <= 0:
        return Level.NORMAL
    reached = [level for level, share in rules.losses.items() if claim.expected_loss >= share * claim.balance]
    return max(reached, default=Level.NORMAL)


def late_share(claims: Sequence[Claim], elsewhere: Elsewhere, rules: Rules) -> Decimal | None:
    """The part of a debtor's debts, here and elsewhere, that is overdue for more than the rules' days."""
    if elsewhere.total is None:
        return None
    late = sum((c.outstanding for c in claims if c.days_past_due > rules.late_days), elsewhere.late)
    debts = sum((c.outstanding for c in claims), elsewhere.total)
    return late / debts if debts else ZERO


def _own(claim: Claim, rules: Rules, day: dt.date, *, is_late: bool) -> tuple[Level, str]:
    found = [(overdue_level(claim, rules), OVERDUE), (loss_level(claim, rules), LOSS_SHARE)]
    if claim.is_impaired and rules.impaired is not None:
        found.append((rules.impaired, IMPAIRED))
    if is_late:
        found.append((NON_PERFORMING, ALL_BANKS))
    if claim.before >= NON_PERFORMING and not _is_cured(claim, rules, day):
        found.append((NON_PERFORMING, CURE))
    found.append((claim.by_hand, BY_HAND))
    level, reason = max(found, key=lambda one: one[0])
    return level, reason if level > Level.NORMAL else NONE


def _is_cured(claim: Claim, rules: Rules, day: dt.date) -> bool:
    if claim.days_past_due > 0:
        return False
    return claim.clean_since is None or day >= add_months(claim.clean_since, rules.cure_months)


def classify(
    claims: Sequence[Claim], rules: Rules, *, is_retail: bool, day: dt.date, elsewhere: Elsewhere = NOTHING
) -> list[Verdict]:
    """The class of each claim of one debtor, in their order. `elsewhere`: his debts at other banks."""
    late = late_share(claims, elsewhere, rules)
    is_late = not is_retail and late is not None and late > rules.late_share
    own = [_own(claim, rules, day, is_late=is_late) for claim in claims]
    total = sum((claim.outstanding for claim in claims), ZERO)
    bad = sum(
        (c.outstanding for c, (level, _why) in zip(claims, own, strict=True) if level >= NON_PERFORMING), ZERO
    )
    share = bad / total if total else ZERO
    least, because = Level.NORMAL, NONE
    if not is_retail and bad > rules.share * total:
        least, because = NON_PERFORMING, CONTAGION
    elif not is_retail and rules.bad_debt is not None and (bad or elsewhere.has_bad):
        least, because = rules.bad_debt, BAD_DEBT
    return [
        Verdict(least, because, share, late) if level < least else Verdict(level, why, share, late)
        for level, why in own
    ]
