"""How much the bank has at stake with customers who belong together (engine.groups), and which cap that meets (C5).

Caps: 商业银行法 第39条 and 《商业银行大额风险暴露管理办法》(银保监会令2018年第1号): loans to one customer ≤ 10% of net capital;
exposure to one non-bank customer ≤ 15%, to a connected group ≤ 20% of tier-1 net capital. 《商业银行集团客户授信业务风险管理
指引》: credit to one group ≤ 15% of net capital. 《银行保险机构关联交易管理办法》(银保监会令2022年第1号): one related party 10%,
its group 15%, all together 50% of the net capital of the quarter before.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from decimal import Decimal

from credit_rating.engine.steps import ZERO


@dataclass(frozen=True, slots=True)
class Stake:
    """What the bank has at stake with one customer: loans outstanding, living lines, what of them is drawn and reserved.

    Drawings under a living line are loans in the core as well and count once; loans beyond them stand beside the lines.
    """

    loans: Decimal = ZERO
    limits: Decimal = ZERO
    utilised: Decimal = ZERO
    reserved: Decimal = ZERO

    @property
    def outside(self) -> Decimal:
        """Loans that no living line carries."""
        return max(self.loans - self.utilised, ZERO)

    @property
    def lent(self) -> Decimal:
        """Loan balance: the core's or, where these are more, the drawings known here, and what is promised to be drawn."""
        return self.outside + self.utilised + self.reserved

    @property
    def credit(self) -> Decimal:
        """Credit granted: the lines, and the loans outside them."""
        return self.limits + self.outside

    def after(self, limit: Decimal) -> Stake:
        """With lines that come to `limit` in all and are drawn in full: what a new case would bring."""
        drawn = max(limit, self.limits)
        return Stake(self.outside + drawn, drawn, drawn)


@dataclass(frozen=True, slots=True)
class Capital:
    """Net capital and tier-1 net capital now, and net capital at the end of the quarter before."""

    net: Decimal
    tier1: Decimal
    net_last_quarter: Decimal | None


@dataclass(frozen=True, slots=True)
class Caps:
    """Shares of capital (fractions) and where the early warning begins (a fraction of the cap)."""

    single_loan: Decimal
    single_group: Decimal
    single_exposure: Decimal
    connected_group: Decimal
    related_single: Decimal
    related_group: Decimal
    related_all: Decimal
    warn: Decimal


@dataclass(frozen=True, slots=True)
class CapUse:
    """One cap and how far it is used. `level`: ok, warn, breach."""

    code: str
    amount: Decimal
    cap: Decimal
    base: Decimal
    pct: Decimal
    level: str

    @property
    def share(self) -> Decimal:
        """Used part of the cap, a fraction."""
        return self.amount / self.cap

    @property
    def over(self) -> Decimal:
        """By how much the cap is broken; 0 within it."""
        return max(ZERO, self.amount - self.cap)

    @property
    def room(self) -> Decimal:
        """What is left below the cap."""
        return max(ZERO, self.cap - self.amount)

    @property
    def as_json(self) -> dict[str, str]:
        """As it is kept on record; `from_json` reads it again."""
        return {field.name: str(getattr(self, field.name)) for field in fields(self)}

    @classmethod
    def from_json(cls, kept: Mapping[str, str]) -> CapUse:
        numbers = {name: Decimal(kept[name]) for name in ("amount", "cap", "base", "pct")}
        return cls(code=kept["code"], level=kept["level"], **numbers)


def check_stake(
    lent: Decimal,
    credit: Decimal,
    group_credit: Decimal,
    connected_credit: Decimal,
    capital: Capital,
    caps: Caps,
) -> tuple[CapUse, ...]:
    """The caps that hold for everybody: of one customer's loans and credit, of its group's credit, and of the credit of
    all who are connected with it."""
    return (
        _use("single_loan", lent, capital.net, caps.single_loan, caps.warn),
        _use("single_group", group_credit, capital.net, caps.single_group, caps.warn),
        _use("single_exposure", credit, capital.tier1, caps.single_exposure, caps.warn),
        _use("connected_group", connected_credit, capital.tier1, caps.connected_group, caps.warn),
    )


def check_caps(
    customer: int,
    stakes: Mapping[int, Stake],
    capital: Capital,
    caps: Caps,
    *,
    related: Mapping[int, Decimal] | None = None,
    group: Collection[int] | None = None,
) -> tuple[CapUse, ...]:
    """Every cap that applies to a customer after a case, in the order of the form.

    `stakes`: of the customer and all who are connected with it, with the case; `group`: those of them whom control and
    kin hold together (None: all); `related`: the credit of all related parties of the bank and of their groups when the
    customer is one of them, else None. A customer that is a cap's only subject counts alone; a cap is kept when the amount
    equals it. Raises ValueError for a related party while the last quarter's capital is unknown.
    """
    own = stakes[customer]
    connected_credit = sum((s.credit for s in stakes.values()), ZERO)
    group_credit = sum((s.credit for one, s in stakes.items() if group is None or one in group), ZERO)
    uses = check_stake(own.lent, own.credit, group_credit, connected_credit, capital, caps)
    if related is None:
        return uses
    base = capital.net_last_quarter
    if base is None:
        raise ValueError("the net capital of the quarter before is unknown")
    asked = {who: stakes[who].credit for who in related if who in stakes}
    together = {**related, **asked, customer: own.credit}
    return (
        *uses,
        _use("related_single", own.credit, base, caps.related_single, caps.warn),
        _use("related_group", group_credit, base, caps.related_group, caps.warn),
        _use("related_all", sum(together.values(), ZERO), base, caps.related_all, caps.warn),
    )


def check_related(
    credit: Mapping[int, Decimal], groups: Mapping[int, Sequence[int]], capital: Capital, caps: Caps
) -> tuple[CapUse, dict[int, CapUse]]:
    """(all related parties and their groups together, each with the fuller of the caps of one party and of its group).

    Whom a related party controls is one itself (关联交易管理办法 第七条), so the members of its group count.

    `credit`: of all related parties and of their groups' members; `groups`: related party -> its group, itself included.
    Raises ValueError while the last quarter's capital is unknown.
    """
    base = capital.net_last_quarter
    if base is None:
        raise ValueError("the net capital of the quarter before is unknown")
    each = {}
    for party, members in groups.items():
        together = sum((credit[one] for one in members), ZERO)
        single = _use("related_single", credit[party], base, caps.related_single, caps.warn)
        group = _use("related_group", together, base, caps.related_group, caps.warn)
        each[party] = max(single, group, key=lambda use: use.share)
    everybody = {one for members in groups.values() for one in members}
    all_of_them = sum((credit[one] for one in everybody), ZERO)
    return _use("related_all", all_of_them, base, caps.related_all, caps.warn), each


def _use(code: str, amount: Decimal, base: Decimal, pct: Decimal, warn: Decimal) -> CapUse:
    cap = base * pct
    level = "breach" if amount > cap else "warn" if amount >= cap * warn else "ok"
    return CapUse(code, amount, cap, base, pct, level)
