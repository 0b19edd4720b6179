"""Everybody who is a related party of the bank, whoever says so, with what is at stake and the nearest cap, and the relatives
of colleagues (C5, C6)."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from decimal import Decimal

from django.db.models import Q, QuerySet

from credit_rating.engine.exposure import CapUse
from credit_rating.engine.steps import ZERO
from credit_rating.models import RelatedParty, StaffRelation
from credit_rating.selectors.exposure import RelatedUse, related_on, related_use
from credit_rating.selectors.groups import among
from crm_site.lib.permissions import Actor
from customers.models import Customer

PAGE = 50
BANK, CORE, PAST = "bank", "core", "past"
SOURCES = (BANK, CORE, PAST)
NEAR = ("warn", "breach")


@dataclass(frozen=True, slots=True)
class Party:
    """A related party. `entries`: of the bank's register, those that hold (of PAST: those that do not); `is_told`: the core
    names it; `members`: how many its group has, itself included; `own`: its credit, `together`: with the other members of
    its group (None: could not be counted); `use`: its nearest cap (None: not checked)."""

    customer: Customer
    entries: tuple[RelatedParty, ...]
    is_told: bool
    members: int = 1
    own: Decimal | None = None
    together: Decimal | None = None
    use: CapUse | None = None

    @property
    def others_count(self) -> int:
        return self.members - 1

    @property
    def others(self) -> Decimal:
        """What the other members of its group have."""
        return (self.together or ZERO) - (self.own or ZERO)


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
    """A page of related parties, the greatest use of a cap first. Of all pages: `count`; `own`, what they have themselves,
    and `together`, with their groups, each customer once (None: not counted). `hidden`: related parties whom the reader
    does not see; `following`: the key of the next page ("" at the end)."""

    rows: list[Party]
    count: int
    own: Decimal | None
    together: Decimal | None
    hidden: int
    following: str
    use: RelatedUse

    @property
    def others(self) -> Decimal:
        """What the members of their groups have who are not listed."""
        return (self.together or ZERO) - (self.own or ZERO)


def register_page(actor: Actor, query: PartyQuery, day: dt.date, after: str = "") -> Register:
    """The related parties whom an actor sees. Credit and caps of all of them are known by figures alone, for their order
    is that of their use of the caps; who they are is read of one page."""
    use = related_use(day)
    seen = _numbers(Customer.objects.visible_to(actor).filter(pk__in=among(use.groups)))
    elsewhen = Q(to_date__lt=day) | Q(from_date__gt=day)
    entries = RelatedParty.objects.filter(elsewhen) if query.source == PAST else related_on(day)
    found = _fitting(actor, query, use, entries) if query != PartyQuery() else seen
    order = sorted(_key(one, use) for one in found)
    last = _read_key(after)
    rest = [key for key in order if key > last] if last else order
    shown = [one for _share, _credit, one in rest[:PAGE]]
    is_counted = bool(use.credits) and query.source != PAST
    return Register(
        _parties(shown, entries, use if is_counted else None), len(found),
        use.credit_of(found) if is_counted else None,
        use.credit_of(m for one in found for m in use.groups[one]) if is_counted else None,
        use.count - len(seen), ":".join(map(str, rest[PAGE - 1])) if len(rest) > PAGE else "", use,
    )  # fmt: skip


def _numbers(found: QuerySet[Customer]) -> set[int]:
    return set(found.order_by().values_list("pk", flat=True))


def _fitting(actor: Actor, query: PartyQuery, use: RelatedUse, entries: QuerySet[RelatedParty]) -> set[int]:
    """Whom the query asks for, of those the actor sees."""
    found = Customer.objects.visible_to(actor)
    if query.kind:
        entries = entries.filter(kind=query.kind)
    if query.kind or query.source in (BANK, PAST):
        found = found.filter(pk__in=entries.order_by().values("customer"))
    if query.source != PAST:
        found = found.filter(pk__in=among(use.groups))
    if query.source == CORE:
        found = found.filter(is_related_party=True)
    if query.text:
        found = found.filter(Q(name__icontains=query.text) | Q(number__iexact=query.text))
    near = {one for one, cap in use.each.items() if cap.level in NEAR}
    return _numbers(found) & near if query.is_near else _numbers(found)


def _key(one: int, use: RelatedUse) -> tuple[int, ...]:
    """Where a related party stands: by its use of a cap, its credit, its id. What the address of the next page carries."""
    share = use.each[one].share if one in use.each else ZERO
    return (-int(share * 1_000_000), -int(use.credits.get(one, ZERO) * 100), one)


def _read_key(text: str) -> tuple[int, ...]:
    """A key from an address; nothing for what is none: the first page."""
    try:
        return tuple(map(int, text.split(":"))) if text.count(":") == 2 else ()
    except ValueError:
        return ()


def _parties(shown: list[int], entries: QuerySet[RelatedParty], use: RelatedUse | None) -> list[Party]:
    """Customers in this order with their entries; `use`: None where nothing is counted of them."""
    held: dict[int, list[RelatedParty]] = {}
    for entry in entries.filter(customer_id__in=shown):
        held.setdefault(entry.customer_id, []).append(entry)
    fields = ("number", "name", "is_related_party", "source_as_of")
    known = Customer.objects.only(*fields).in_bulk(shown)
    parties = []
    for one in (known[key] for key in shown):
        party = Party(one, tuple(held.get(one.pk, ())), use is not None and one.is_related_party)
        if use is not None:
            group = use.groups[one.pk]
            own, together = use.credit_of([one.pk]), use.credit_of(group)
            party = replace(party, members=len(group), own=own, together=together, use=use.each.get(one.pk))
        parties.append(party)
    return parties


@dataclass(frozen=True, slots=True)
class Relatives:
    """A page of the register of colleagues' relatives, the newest entry first; `count`: of all pages; `following`: the key
    of the next page (0 at the end)."""

    rows: list[StaffRelation]
    count: int
    following: int


def relatives_page(actor: Actor, after: int = 0) -> Relatives:
    """Entries whose customers the actor sees."""
    kept = StaffRelation.objects.visible_to(actor)
    older = kept.filter(pk__lt=after) if after else kept
    rows = list(older.select_related("staff", "customer").order_by("-pk")[: PAGE + 1])
    return Relatives(rows[:PAGE], kept.count(), rows[PAGE - 1].pk if len(rows) > PAGE else 0)


def party_of(actor: Actor, customer: Customer) -> Party | None:
    """One related party with every entry there ever was; None for who neither is nor was one."""
    kept = RelatedParty.objects.visible_to(actor).select_related("entered_by")
    entries = tuple(kept.filter(customer=customer))
    if not entries and not customer.is_related_party:
        return None
    return Party(customer, entries, customer.is_related_party)
