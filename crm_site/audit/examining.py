"""An examiner's morning: until when the record is sealed, who stands out, what changed out of the ordinary."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import or_
from typing import Any

from django.db.models import BigIntegerField, Case, Count, Max, Min, Q, QuerySet, Sum, Value, When
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast

from crm_site.accounts.models import GrantStatus, RoleGrant, Staff
from crm_site.audit.engine import Acts, Outlier, outliers
from crm_site.audit.hours import OUTSIDE, with_hours
from crm_site.audit.models import KEPT_OUT, READ, Action, Entry, Seal
from crm_site.audit.selectors import seal_state, watched
from crm_site.lib.permissions import ROLE_LABELS, Actor, Role, require
from crm_site.lib.registry import WATCHES, Watch

PERIODS = (1, 7, 30)  # days before today
SHOWN = 8
STANDS_STILL = dt.timedelta(minutes=5)  # an entry that waits longer for its seal: the sealer does not run
COUNTED = 10_000  # of waiting entries no more are counted


@dataclass(frozen=True, slots=True)
class Sealing:
    """Until when the record is sealed. `waiting`: entries without a seal yet (COUNTED + 1: more), the oldest of
    `waits_since`. `checked`: the entry of the newest verification, None: never verified."""

    seal: Seal | None
    waiting: int
    waits_since: dt.datetime | None
    checked: Entry | None
    is_late: bool

    @property
    def outcome(self) -> Mapping[str, Any]:
        """first_seal, last_seal, entries; broken and entry where the chain does not hold."""
        return (self.checked.changes or {}) if self.checked else {}


def sealing(actor: Actor, now: dt.datetime) -> Sealing:
    """How far the record is sealed and verified: three statements."""
    seal = seal_state(actor)
    loose = Entry.objects.filter(tx__gte=seal.tx_to if seal else 0).order_by("tx", "id").values("at")
    waits = loose[: COUNTED + 1].aggregate(count=Count("at"), since=Min("at"))
    checked = Entry.objects.filter(action=Action.CHECK).order_by("-id").first()
    is_late = waits["since"] is not None and now - waits["since"] > STANDS_STILL
    return Sealing(seal, waits["count"], waits["since"], checked, is_late)


@dataclass(frozen=True, slots=True)
class Suspect:
    """One who stands out, by name."""

    outlier: Outlier
    staff: Staff
    roles: str


@dataclass(frozen=True, slots=True)
class Readings:
    """What people read, took out and tried since a day. `total`: of all people, machines and jobs together; `before`: of
    as many days before. `readers`: people who revealed anything. `found`: who stands out, `hidden` more are not shown."""

    total: Acts
    before: Acts
    readers: int
    found: list[Suspect]
    hidden: int


def readings(
    actor: Actor, *, since: dt.datetime, now: dt.datetime, day: dt.date, zone: dt.tzinfo, shown: int | None
) -> Readings:
    """Three statements, whatever the bank's size; `shown`: at most so many who stand out, None: all."""
    require(actor, "audit.read")
    named = with_hours(Entry.objects.filter(action__in=[*READ, *KEPT_OUT]), zone)
    rows = named.filter(at__gte=since - (now - since), at__lt=now).values("actor_id", is_new=_is_new(since))
    counted = list(rows.annotate(**_counts()).order_by())
    acts = [_acts(row) for row in counted if row["is_new"]]
    held: dict[str, list[int]] = {}
    for role, staff_id in RoleGrant.objects.in_force(day).values_list("role", "staff_id").order_by("role"):
        held.setdefault(role, []).append(staff_id)
    found = outliers([one for one in acts if one.staff_id], held)
    first = found if shown is None else found[:shown]
    people = Staff.objects.select_related("unit").in_bulk([one.acts.staff_id for one in first])
    suspects = [
        Suspect(one, people[one.acts.staff_id], _role_words(one.acts.staff_id, held))
        for one in first
        if one.acts.staff_id in people
    ]
    return Readings(
        _total(acts),
        _total([_acts(row) for row in counted if not row["is_new"]]),
        sum(1 for one in acts if one.staff_id and one.revealed),
        suspects,
        len(found) - len(first),
    )


def _is_new(since: dt.datetime) -> Any:
    return Case(When(at__gte=since, then=Value(True)), default=Value(False))


def _counts() -> dict[str, Any]:
    def of(*actions: Action) -> Q:
        return Q(action__in=actions)

    rows = Cast(KeyTextTransform("rows", "changes"), BigIntegerField())
    return {
        "revealed": Count("id", filter=of(Action.REVEAL)),
        "customers": Count("customer_id", distinct=True, filter=of(Action.REVEAL)),
        "located": Count("id", filter=of(Action.LOCATE)),
        "outside": Count("id", filter=of(*READ) & OUTSIDE),
        "exports": Count("id", filter=of(Action.EXPORT)),
        "rows": Sum(rows, filter=of(Action.EXPORT), default=0),
        "failed": Count("id", filter=of(Action.SIGN_IN_FAILED)),
        "locked": Count("id", filter=of(Action.LOCK_OUT)),
    }


def _acts(row: Mapping[str, Any]) -> Acts:
    return Acts(row["actor_id"] or 0, **{name: row[name] for name in _counts()})


def _total(acts: Sequence[Acts]) -> Acts:
    return replace(Acts(0), **{name: sum(getattr(one, name) for one in acts) for name in _counts()})


def _role_words(staff_id: int, held: Mapping[str, Sequence[int]]) -> str:
    return ", ".join(str(ROLE_LABELS[Role(role)]) for role, people in held.items() if staff_id in people)


@dataclass(frozen=True, slots=True)
class Sighting:
    """What was seen of a watch in a period. `by_jobs`: of `count` by jobs and commands; `people`: how many others."""

    watch: Watch
    count: int
    by_jobs: int
    people: int
    last_at: dt.datetime


def sightings(actor: Actor, since: dt.datetime) -> list[Sighting]:
    """What changed out of the ordinary since then, in the order of the watches: one statement."""
    require(actor, "audit.read")
    watches = list(WATCHES)
    tables = {table for watch in watches for table in watch.tables}
    cases = [When(watched(watch), then=Value(watch.name)) for watch in watches]
    seen = (
        Entry.objects.filter(
            reduce(or_, map(watched, watches)), at__gte=since, object_table__in=sorted(tables)
        )
        .annotate(name=Case(*cases, default=Value("")))
        .values("name")
        .annotate(
            count=Count("id"),
            by_jobs=Count("id", filter=Q(actor_kind="system")),
            people=Count("actor_id", distinct=True),
            last_at=Max("at"),
        )
        .order_by()
    )
    by_name = {row.pop("name"): row for row in seen}
    return [Sighting(watch, **by_name[watch.name]) for watch in watches if watch.name in by_name]


def rights(actor: Actor, since: dt.datetime) -> tuple[list[RoleGrant], int]:
    """Rights given or taken since then, the newest first, at most SHOWN; how many there are."""
    require(actor, "audit.read")
    done = (GrantStatus.EFFECTIVE, GrantStatus.REVOKED)
    grants: QuerySet[RoleGrant] = RoleGrant.objects.filter(
        Q(decided_at__gte=since) | Q(revoked_at__gte=since), status__in=done
    )
    people = grants.select_related("staff", "unit", "proposed_by", "decided_by", "revoked_by")
    newest = list(people.order_by("-id")[:SHOWN])
    return newest, len(newest) if len(newest) < SHOWN else grants.count()
