"""Ties between customers in words, and what rooms above say against ending one (A6)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from crm_site.lib import formats
from crm_site.lib.registry import Registry
from customers.models import Relation, RelationKind
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


# Raises Conflict where a recorded tie must not end now: guard(relation, day).
TieGuard = Callable[[Relation, dt.date], None]
TIE_GUARDS: Registry[TieGuard] = Registry("guard of ties")


def add_tie_guard(name: str, guard: TieGuard) -> TieGuard:
    """Register a guard, once, in AppConfig.ready()."""
    return TIE_GUARDS.add(name, guard)


def somebody() -> str:
    """Who is out of the reader's sight."""
    return _("another customer of the bank")
