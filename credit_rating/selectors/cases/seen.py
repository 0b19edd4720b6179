"""What stood beside a case's dossier when somebody decided: kept as JSON, read again as what the page draws (C6).

It is read for the whole bank and kept with every name; a reader is told the names that he may see himself.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from decimal import Decimal
from functools import cache
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

from django.db.models import Model

from credit_rating.engine.classes import Level
from credit_rating.engine.exposure import CapUse
from credit_rating.models import (
    BankCapital,
    CaseSeen,
    CaseStatus,
    Collateral,
    CreditCase,
    CreditLine,
    ExternalExposure,
    Guarantee,
    Opinion,
    Signal,
)
from credit_rating.models.cases import ENDED
from credit_rating.models.guarantees import LIVE
from credit_rating.selectors.cases.whole import GroupRow, Whole, whole_of, wholes_of
from credit_rating.selectors.guarantees import GuaranteeRow, guarantees_of
from crm_site.lib.permissions import Actor, system_actor
from customers.models import ContactPerson, Customer, Product

# What of a row is kept: all that page and paper draw of it.
KEPT: dict[type[Model], tuple[str, ...]] = {
    BankCapital: ("as_of", "net_capital", "tier1_net_capital"),
    Collateral: ("id", "asset_type", "registration_number"),
    CreditCase: ("id", "year", "serial", "product", "currency", "amount", "status", "closed_at"),
    ContactPerson: ("name", "post", "title", "roles", "from_date", "left_date", "left_reason"),
    CreditLine: (
        "id", "year", "serial", "product", "currency", "limit", "utilised", "status", "starts_on", "expires_on",
    ),
    ExternalExposure: (
        "source", "report_date", "lender", "reference", "kind", "currency", "granted", "outstanding", "overdue",
        "level", "maturity_date", "days_past_due",
    ),
    Guarantee: (
        "id", "kind", "status", "amount", "lien_order", "collateral", "guarantor_id", "proof_number", "proof_on",
        "proof_note",
    ),
    Product: ("name",),
    Signal: ("id", "code", "name", "level", "state", "figures", "is_raised", "opened_on", "due_on"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Seen:
    """The panels beside the dossier: the group against the caps, lines, other banks, warnings, decisions, guarantees."""

    whole: Whole
    guarantees: list[GuaranteeRow]


def seen_by(actor: Actor, case: CreditCase, day: dt.date) -> Seen:
    """The panels as they stand on a day, for a reader."""
    return Seen(whole_of(actor, case, day), guarantees_of(actor, case.customer, day=day))


def seen_content(case: CreditCase, day: dt.date) -> Any:
    """The panels of a day in JSON, every name included; amounts and dates as text."""
    return _told(seen_by(system_actor(case.bank_id, "seen"), case, day))


def seen_contents(cases: Sequence[CreditCase], day: dt.date) -> dict[int, Any]:
    """customer -> `seen_content` of its case, read together; the cases are of different customers."""
    if not cases:
        return {}
    actor = system_actor(cases[0].bank_id, "seen")
    wholes = wholes_of(actor, cases, day)
    pledged = Guarantee.objects.filter(customer_id__in=list(wholes), status__in=LIVE)
    secured = set(pledged.order_by().values_list("customer_id", flat=True))
    return {
        case.customer_id: _told(
            Seen(
                wholes[case.customer_id],
                guarantees_of(actor, case.customer, day=day) if case.customer_id in secured else [],
            )
        )
        for case in cases
    }


@dataclass(frozen=True, slots=True)
class Decided:
    """The panels as they were at the end of a case; `opinion`: the one that ended it, None when it ended by itself."""

    seen: Seen
    opinion: Opinion | None


def decided_by(actor: Actor, case: CreditCase) -> Decided | None:
    """What was seen when an ended case ended. None for one that has not, or of which nothing was kept."""
    if case.status not in ENDED or not case.seen_hash:
        return None
    last = newest_opinion(case) if case.status in (CaseStatus.APPROVED, CaseStatus.REJECTED) else None
    return Decided(_kept(actor, case, case.seen_hash), last)


def newest_opinion(case: CreditCase) -> Opinion | None:
    """The newest opinion of this round that counts, of a case read `with_record`."""
    said = [o for o in case.opinions.all() if o.round == case.round and o.voided_at is None]
    return max(said, key=lambda o: o.pk, default=None)


def voided_opinion(case: CreditCase) -> Opinion | None:
    """The newest opinion that became void in this round, of a case under way read `with_record`; None once somebody has
    spoken anew."""
    said = [o for o in case.opinions.all() if o.round == case.round]
    if not case.is_waiting or any(o.voided_at is None for o in said):
        return None
    return max(said, key=lambda o: o.pk, default=None)


@dataclass(frozen=True, slots=True)
class Moved:
    """What has moved since an opinion: caps whose level is another (before, now), warnings that are new, members whose
    class is another (before, now), and who has come to the group or connected customers, or left them."""

    opinion: Opinion
    caps: list[tuple[CapUse, CapUse]]
    warnings: list[Signal]
    classes: list[tuple[GroupRow, GroupRow]]
    came: list[GroupRow]
    left: list[GroupRow]


def moved_since(actor: Actor, case: CreditCase, now: Seen) -> Moved | None:
    """What has moved since the newest opinion on a case under way, also since one that became void by it; None when
    nothing has, or nobody has spoken."""
    last = newest_opinion(case) or voided_opinion(case)
    if not case.is_waiting or last is None or not last.seen_hash:
        return None
    before = _kept(actor, case, last.seen_hash)
    warned = {signal.pk for signal in before.whole.warnings}
    new = [signal for signal in now.whole.warnings if signal.pk not in warned]
    caps: list[tuple[CapUse, CapUse]] = []
    classes: list[tuple[GroupRow, GroupRow]] = []
    came: list[GroupRow] = []
    left: list[GroupRow] = []
    if before.whole.group and now.whole.group:
        uses = {use.code: use for use in before.whole.group.concentration.uses}
        found = now.whole.group.concentration.uses
        caps = [(uses[u.code], u) for u in found if u.code in uses and uses[u.code].level != u.level]
        rows = {row.member.customer_id: row for row in before.whole.group.rows}
        pairs = [(rows.get(row.member.customer_id), row) for row in now.whole.group.rows]
        # Who is classed for the first time, and as normal, has not moved.
        classes = [
            (old, row)
            for old, row in pairs
            if old is not None and (old.level or Level.NORMAL) != (row.level or Level.NORMAL)
        ]
        came = [row for old, row in pairs if old is None]
        there = {row.member.customer_id for row in now.whole.group.rows}
        left = [row for key, row in rows.items() if key not in there]
    moved = Moved(last, caps, new, classes, came, left)
    return moved if caps or new or classes or came or left else None


def _kept(actor: Actor, case: CreditCase, digest: str) -> Seen:
    """What was kept under a hash, with the names that the reader may see."""
    found: Seen = _read(Seen, CaseSeen.objects.get(case=case, hash=digest).content)
    whole, rows = found.whole, found.guarantees
    people = {row.guarantee.guarantor_id for row in rows if row.guarantee.guarantor_id}
    if whole.group is not None:
        people |= {member.customer_id for member in whole.group.concentration.members}
    named = set(Customer.objects.visible_to(actor).filter(pk__in=people).values_list("pk", flat=True))
    if whole.people is not None:  # whether one has a page of his own is no matter of the case
        present = [replace(row, party_id=None) for row in whole.people.present]
        whole = replace(whole, people=replace(whole.people, present=present))
    if whole.group is not None:
        together = whole.group.concentration
        members = [m if m.customer_id in named else replace(m, name="") for m in together.members]
        group = replace(
            whole.group,
            rows=[replace(row, member=m) for row, m in zip(whole.group.rows, members, strict=True)],
            concentration=replace(together, members=members),
        )
        whole = replace(whole, group=group)
    told = [
        replace(row, name="") if row.guarantee.guarantor_id not in (None, *named) else row for row in rows
    ]
    return Seen(whole, told)


# -- JSON and back --------------------------------------------------------------------------------------------------


def _told(value: Any) -> Any:
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, dt.date):  # a moment is a date as well
        return value.isoformat()
    if isinstance(value, Model):
        return {name: _told(getattr(value, name)) for name in KEPT[type(value)]}
    if is_dataclass(value):
        return {field.name: _told(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, list | tuple):
        return [_told(one) for one in value]
    return value


def _read(shape: Any, told: Any) -> Any:
    """A value of a shape (dataclass, row, list, tuple, date, amount) from what `_told` made of it."""
    inner = get_args(shape)
    if get_origin(shape) is UnionType:  # X | None
        return None if told is None else _read(next(one for one in inner if one is not NoneType), told)
    if get_origin(shape) in (list, Sequence):
        return [_read(inner[0], one) for one in told]
    if get_origin(shape) is tuple:
        shapes = [inner[0]] * len(told) if inner[-1] is Ellipsis else inner
        return tuple(_read(one, value) for one, value in zip(shapes, told, strict=True))
    if shape is Decimal:
        return Decimal(told)
    if shape is dt.date:
        return dt.date.fromisoformat(told)
    if is_dataclass(shape):
        made: Any = shape
        hints = _hints(made)
        return made(**{name: _read(hints[name], value) for name, value in told.items()})
    return _row(shape, told) if shape in KEPT else told


@cache
def _hints(shape: type) -> dict[str, Any]:
    """The members of a dataclass with their types; to read them out of the text of its annotations is dear."""
    return get_type_hints(shape)


def _row(model: type[Model], told: dict[str, Any]) -> Model:
    """A row as it was, for reading alone."""
    given = {}
    for name, value in told.items():
        field: Any = model._meta.get_field(name)
        is_other = field.is_relation and name == field.name and value is not None
        given[name] = _row(field.related_model, value) if is_other else field.to_python(value)
    return model(**given)
