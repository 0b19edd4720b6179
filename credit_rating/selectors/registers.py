"""Everybody who is a related party of the bank, whoever says so, with what is at stake and the nearest cap (C5)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from django.db.models import Q

from credit_rating.engine.exposure import CapUse, Stake
from credit_rating.models import RelatedParty
from credit_rating.selectors.exposure import RelatedUse, related_on, related_use
from crm_site.lib.permissions import Actor
from customers.models import Customer

PAGE = 100
BANK, CORE, PAST = "bank", "core", "past"
SOURCES = (BANK, CORE, PAST)
NEAR = ("warn", "breach")


@dataclass(frozen=True, slots=True)
class Party:
    """A related party. `entries`: of the bank's register, those that hold (of PAST: those that do not); `is_told`: the core
    names it; `members`: how many its group has, itself included; `use`: its nearest cap (None: not checked)."""

    customer: Customer
    entries: tuple[RelatedParty, ...]
    is_told: bool
    stake: Stake | None
    members: int
    use: CapUse | None

    @property
    def is_near(self) -> bool:
        return self.use is not None and self.use.level in NEAR


@dataclass(frozen=True, slots=True)
class PartyQuery:
    """What of the register is asked for: `source` of SOURCES ("" whoever holds), `kind` of RelatedKind, `is_near` a cap,
    `text` in the name or a whole number."""

    source: str = ""
    kind: str = ""
    is_near: bool = False
    text: str = ""


@dataclass(frozen=True, slots=True)
class Register:
    """A page of related parties, the greatest use of a cap first. `count`: of all pages; `hidden`: related parties whom
    the reader does not see; `following`: where the next page begins (0 at the end)."""

    rows: list[Party]
    count: int
    hidden: int
    following: int
    use: RelatedUse


def register_page(actor: Actor, query: PartyQuery, day: dt.date, start: int = 0) -> Register:
    """The related parties whom an actor sees. The whole register is read: it holds a few in a thousand customers, and the
    order is that of their use of the caps."""
    use = related_use(day)
    parties = _parties(actor, use, day)
    hidden = use.count - len(parties)
    if query.source == PAST:
        parties = _past(actor, day)
    found = sorted((one for one in parties if _fits(one, query)), key=_order)
    rows, following = found[start : start + PAGE], start + PAGE
    return Register(rows, len(found), hidden, following if following < len(found) else 0, use)


def party_of(actor: Actor, customer: Customer) -> Party | None:
    """One related party with every entry there ever was; None for who neither is nor was one."""
    kept = RelatedParty.objects.visible_to(actor).select_related("entered_by")
    entries = tuple(kept.filter(customer=customer))
    if not entries and not customer.is_related_party:
        return None
    return Party(customer, entries, customer.is_related_party, None, 1, None)


def _order(one: Party) -> tuple[object, ...]:
    share = one.use.share if one.use else 0
    return (-share, -(one.stake.credit if one.stake else 0), one.customer.number)


def _fits(one: Party, query: PartyQuery) -> bool:
    if (query.source == BANK and not one.entries) or (query.source == CORE and not one.is_told):
        return False
    if query.kind and query.kind not in {entry.kind for entry in one.entries}:
        return False
    if query.is_near and not one.is_near:
        return False
    text = query.text.casefold()
    return not text or text in one.customer.name.casefold() or text == one.customer.number.casefold()


def _parties(actor: Actor, use: RelatedUse, day: dt.date) -> list[Party]:
    held: dict[int, list[RelatedParty]] = {}
    holding = RelatedParty.objects.visible_to(actor).filter(pk__in=related_on(day).values("pk"))
    for entry in holding:
        held.setdefault(entry.customer_id, []).append(entry)
    return [
        Party(
            one, tuple(held.get(one.pk, ())), one.is_related_party, use.stakes.get(one.pk),
            len(use.groups.get(one.pk, (one.pk,))), use.each.get(one.pk),
        )
        for one in _customers(actor, use.groups)
    ]  # fmt: skip


def _past(actor: Actor, day: dt.date) -> list[Party]:
    """Entries that have ended or have not begun."""
    rows: dict[int, list[RelatedParty]] = {}
    elsewhen = Q(to_date__lt=day) | Q(from_date__gt=day)
    for entry in RelatedParty.objects.visible_to(actor).filter(elsewhen):
        rows.setdefault(entry.customer_id, []).append(entry)
    return [Party(one, tuple(rows[one.pk]), False, None, 1, None) for one in _customers(actor, rows)]


def _customers(actor: Actor, ids: Collection[int]) -> Iterable[Customer]:
    fields = ("number", "name", "is_related_party", "source_as_of")
    return Customer.objects.visible_to(actor).filter(pk__in=list(ids)).only(*fields)
