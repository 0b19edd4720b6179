"""Who belongs together (C5), by ties that the bank's policy names. Pure: knows no database.

A group (集团客户) is what control holds together, and kin of those who control (《商业银行集团客户授信业务风险管理指引》第三条).
Connected customers (关联客户) are the group and who depends on it economically (《商业银行大额风险暴露管理办法》附件: 经济依存): each
guarantees the other; a guarantee takes up so much of what the guarantor can promise that he falls with the debtor; a
supplier lives off one buyer. Dependence is asked of ties one end of which has more credit than the regulator's bound (5%
of tier-1 net capital): small debtors who guarantee one another do not grow into one giant group.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

BY_SHARE = ("shareholder", "beneficial_owner")
CONTROL = ("common_control", "parent_company", *BY_SHARE)
KIN, MUTUAL, GUARANTOR, SUPPLIER = "family", "mutual", "guarantor", "supplier"
DEPENDENCE = (MUTUAL, GUARANTOR, SUPPLIER)
# The strongest first: what a member is said to belong by when several ties hold.
TIES = (*CONTROL, KIN, *DEPENDENCE)
_RANK = {kind: place for place, kind in enumerate(TIES)}


@dataclass(frozen=True, slots=True)
class Tie:
    """`one` is <kind> of `other`. `share`, a fraction where it is known: held by `one`; of a guarantee: of what `one` can
    promise in all; of a supplier: of its sales."""

    one: int
    other: int
    kind: str
    share: Decimal | None = None

    def beyond(self, end: int) -> int:
        """The other end."""
        return self.other if end == self.one else self.one


@dataclass(frozen=True, slots=True)
class Bonds:
    """What the policy lets join: kinds of TIES, and from which share on control, a guarantee and trade do."""

    kinds: frozenset[str]
    control: Decimal
    guarantee: Decimal
    trade: Decimal


def is_control(tie: Tie, threshold: Decimal) -> bool:
    """Whether a tie is one of control: common control always; a parent unless its share is known to be below the
    threshold; a shareholder or beneficial owner from the threshold on."""
    if tie.kind == "common_control":
        return True
    if tie.kind == "parent_company":
        return tie.share is None or tie.share >= threshold
    return tie.kind in BY_SHARE and tie.share is not None and tie.share >= threshold


def controllers(ties: Iterable[Tie], threshold: Decimal) -> set[int]:
    """Who controls another: the ends whose kin belong to the group as well."""
    return {t.one for t in ties if t.kind != "common_control" and is_control(t, threshold)}


def is_core(tie: Tie, bonds: Bonds, controlling: Collection[int]) -> bool:
    """Whether a tie makes a group: control, or kin of somebody who controls."""
    if tie.kind == KIN:
        return KIN in bonds.kinds and (tie.one in controlling or tie.other in controlling)
    return is_control(tie, bonds.control)


def is_dependence(tie: Tie, bonds: Bonds) -> bool:
    """Whether a tie is strong enough to be economic dependence; an unknown share is not."""
    if tie.kind not in bonds.kinds or tie.kind not in DEPENDENCE:
        return False
    if tie.kind == MUTUAL:
        return True
    least = bonds.guarantee if tie.kind == GUARANTOR else bonds.trade
    return tie.share is not None and tie.share >= least


def mutual(ties: Iterable[Tie]) -> list[Tie]:
    """A tie for each two who guarantee each other, beside their guarantees."""
    pairs = {(t.one, t.other) for t in ties if t.kind == GUARANTOR}
    return [Tie(one, other, MUTUAL) for one, other in sorted(pairs) if one < other and (other, one) in pairs]


@dataclass(frozen=True, slots=True)
class Web:
    """Ties around some customers, and the credit of those whom dependence ties; `bound`: dependence holds where an end
    has more credit than this (None: nobody's is asked)."""

    core: Mapping[int, list[Tie]]
    dependence: Mapping[int, list[Tie]]
    credit: Mapping[int, Decimal]
    bound: Decimal | None

    def holds(self, tie: Tie, credit: Mapping[int, Decimal]) -> bool:
        """Whether a tie of dependence is one that the regulator asks about."""
        return self.bound is not None and any(
            credit.get(e, Decimal(0)) > self.bound for e in (tie.one, tie.other)
        )


def web_of(
    core: Iterable[Tie], dependence: Iterable[Tie], credit: Mapping[int, Decimal], bound: Decimal | None
) -> Web:
    return Web(_by_end(core), _by_end(dependence), credit, bound)


def _by_end(ties: Iterable[Tie]) -> dict[int, list[Tie]]:
    near: dict[int, list[Tie]] = {}
    for tie in sorted(set(ties), key=lambda t: (_RANK[t.kind], t.one, t.other, t.share or 0)):
        near.setdefault(tie.one, []).append(tie)
        near.setdefault(tie.other, []).append(tie)
    return near


@dataclass(frozen=True, slots=True)
class Group:
    """`core`: a customer and its group, itself first, nearest first; `ties`: them and whom dependence connects with them,
    each with the tie by which it was reached and the member it was reached from (None for the customer itself)."""

    core: tuple[int, ...]
    ties: Mapping[int, tuple[Tie, int] | None]

    @property
    def members(self) -> tuple[int, ...]:
        return tuple(self.ties)


def group_of(start: int, web: Web, credit: Decimal | None = None) -> Group:
    """All that hang together with a customer; cycles do no harm. `credit`: what the customer would have (None: has)."""
    known = web.credit if credit is None else {**web.credit, start: credit}
    found: dict[int, tuple[Tie, int] | None] = {start: None}
    _reach(found, lambda one: web.core.get(one, []))
    core = tuple(found)

    def near(one: int) -> list[Tie]:
        return [*web.core.get(one, []), *(t for t in web.dependence.get(one, []) if web.holds(t, known))]

    _reach(found, near)
    return Group(core, found)


def _reach(found: dict[int, tuple[Tie, int] | None], near: Callable[[int], list[Tie]]) -> None:
    wave = sorted(found)
    while wave:
        step: dict[int, tuple[Tie, int]] = {}
        for one in wave:
            for tie in near(one):
                if (other := tie.beyond(one)) not in found:
                    step.setdefault(other, (tie, one))
        wave = sorted(step)
        found.update((one, step[one]) for one in wave)


def components(ties: Iterable[Tie]) -> list[list[int]]:
    """Everybody whom some tie holds to another, cut into the groups that `group_of` finds one by one; each in order of
    id. By union of the ties: near linear in their number."""
    leads: dict[int, int] = {}

    def lead(one: int) -> int:
        while leads.setdefault(one, one) != one:
            leads[one] = one = leads[leads[one]]
        return one

    for tie in ties:
        leads[lead(tie.one)] = lead(tie.other)
    groups: dict[int, list[int]] = {}
    for one in sorted(leads):
        groups.setdefault(lead(one), []).append(one)
    return [group for group in groups.values() if len(group) > 1]
