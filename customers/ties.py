"""Ties between customers in words, and what rooms above say against ending one (A6)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from crm_site.lib import formats
from crm_site.lib.permissions import Actor
from crm_site.lib.registry import Registry
from customers.models import RecordedTie, RelationKind
from customers.models.ties import SYMMETRIC

SENTENCES = {
    RelationKind.FAMILY: gettext_lazy("%(one)s and %(other)s are family"),
    RelationKind.PARENT_COMPANY: gettext_lazy("%(one)s is the parent company of %(other)s"),
    RelationKind.COMMON_CONTROL: gettext_lazy("%(one)s and %(other)s are under common control"),
    RelationKind.SHAREHOLDER: gettext_lazy("%(one)s is a shareholder of %(other)s"),
    RelationKind.BENEFICIAL_OWNER: gettext_lazy("%(one)s is a beneficial owner of %(other)s"),
    RelationKind.GUARANTOR: gettext_lazy("%(one)s guarantees %(other)s"),
    RelationKind.SUPPLIER: gettext_lazy("%(one)s supplies %(other)s"),
    RelationKind.LEGAL_REPRESENTATIVE: gettext_lazy("%(one)s is the legal representative of %(other)s"),
}
WITH_SHARE = {
    RelationKind.PARENT_COMPANY: gettext_lazy(
        "%(one)s is the parent company of %(other)s and holds %(share)s of it"
    ),
    RelationKind.SHAREHOLDER: gettext_lazy("%(one)s holds %(share)s of %(other)s"),
    RelationKind.BENEFICIAL_OWNER: gettext_lazy("%(one)s beneficially owns %(share)s of %(other)s"),
    RelationKind.SUPPLIER: gettext_lazy("%(one)s sells %(share)s of what it sells to %(other)s"),
}


def say_tie(kind: str, one: str, other: str, share: Decimal | None = None) -> str:
    """A tie as a sentence: A holds 60% of B."""
    code = RelationKind(kind)
    if share is None or code not in WITH_SHARE:
        return str(SENTENCES[code] % {"one": one, "other": other})
    return str(WITH_SHARE[code] % {"one": one, "other": other, "share": say_share(share)})


def say_share(share: Decimal) -> str:
    """A share with as many decimals as it needs, two at most: 60%, 0.5%."""
    pct = Decimal(share) * 100
    decimals = next((n for n in (0, 1) if round(pct, n) == pct), 2)
    return formats.percent(Decimal(share), decimals)


def say_direction(kind: str, is_from: bool, one: str, other: str) -> str:
    """The same of the customer of a page, `one`, and another: who of them comes first."""
    return say_tie(kind, one, other) if is_from or kind in SYMMETRIC else say_tie(kind, other, one)


@dataclass(frozen=True, slots=True)
class TieHold:
    """Something under way that counts a tie, or may, and keeps it until it has ended. `name`, `about` and `url` are ""
    where the reader does not see it; `until`: the last day that it may go on, None while none is set."""

    name: str = ""
    about: str = ""
    url: str = ""
    until: dt.date | None = None


@dataclass(frozen=True, slots=True)
class TieKeeper:
    """What a room above says of ties: what holds one between two customers, `holds(reader, ends, day)`; and what becomes
    of that when a tie is declared mistaken all the same: `correct(actor, record, why, now, day)` before it goes, which
    raises DomainError where this actor must not, and `corrected(record, now, day)` once it is gone."""

    holds: Callable[[Actor, Collection[int], dt.date], list[TieHold]]
    correct: Callable[[Actor, RecordedTie, str, dt.datetime, dt.date], None]
    corrected: Callable[[RecordedTie, dt.datetime, dt.date], None]


TIE_KEEPERS: Registry[TieKeeper] = Registry("keeper of ties")


def add_tie_keeper(name: str, keeper: TieKeeper) -> TieKeeper:
    """Register a keeper, once, in AppConfig.ready()."""
    return TIE_KEEPERS.add(name, keeper)


def holds_of(actor: Actor, ends: Collection[int], day: dt.date) -> list[TieHold]:
    """What keeps a tie between two customers on a day, on record already or about to be; what the reader sees first."""
    found = [hold for keeper in TIE_KEEPERS for hold in keeper.holds(actor, ends, day)]
    return sorted(found, key=lambda hold: not hold.name)


def say_holds(holds: Sequence[TieHold]) -> str:
    """Why a tie cannot be ended now, and until when."""
    seen = [_say_hold(hold) for hold in holds if hold.name]
    if hidden := len(holds) - len(seen):
        seen.append(
            ngettext("%(n)s case that you do not see", "%(n)s cases that you do not see", hidden)
            % {"n": hidden}
        )
    return _("Under way, and may count this tie: %s. It can be ended once they have ended.") % "; ".join(seen)


def _say_hold(hold: TieHold) -> str:
    if hold.until is None:
        return hold.name
    return _("%(name)s (%(day)s at the latest)") % {"name": hold.name, "day": formats.day(hold.until)}


def somebody() -> str:
    """Who is out of the reader's sight."""
    return _("another customer of the bank")
