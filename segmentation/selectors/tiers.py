"""A customer's tiers: why this one, what it was before, and who moved."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils.translation import gettext as _

from crm_site.lib.money import money, to_minor
from crm_site.lib.permissions import Actor
from customers.conditions import sentence
from customers.facts import FACTS
from customers.models import Customer, MonthEnd, Standing
from segmentation.engine.policies import thresholds_of
from segmentation.models import TierHistory, TierPolicy
from segmentation.models.tiers import VALUE, WEALTH, tier_label
from segmentation.selectors.book import RANK_COLUMN, Scope, newest_day
from segmentation.selectors.policies import policies_on


@dataclass(frozen=True)
class Measure:
    """A figure against the line it is measured by."""

    label: str
    actual: Decimal
    threshold: Decimal

    @property
    def met(self) -> bool:
        return self.actual >= self.threshold

    @property
    def short(self) -> Decimal:
        """How much is missing to the line; 0 when it is reached."""
        return max(self.threshold - self.actual, Decimal(0))


@dataclass(frozen=True)
class Why:
    """Why a customer has its tier: the figures, the thresholds, the policy version and the date.

    `above`: the next better tier's name and lines, none of them reached where one would do; "" and none for the best
    tier, and where `measures` are those lines already, as for the lowest (not `is_reached`).
    """

    scheme: str
    scheme_label: str
    code: str
    label: str
    policy: TierPolicy
    as_of: dt.date
    since: dt.date | None
    measures: Sequence[Measure]
    words: str
    is_reached: bool
    above_label: str = ""
    above: Sequence[Measure] = ()

    @property
    def lines(self) -> list[Measure]:
        return [*self.measures, *self.above]


def seen_customer(actor: Actor, customer_id: int) -> Customer:
    """The customer, when the actor sees it. Raises Customer.DoesNotExist."""
    return Customer.objects.visible_to(actor).get(pk=customer_id)


def why(actor: Actor, customer_id: int, day: dt.date) -> list[Why]:
    """Why the customer is in the tiers it is in on the newest business date. Raises Customer.DoesNotExist."""
    seen_customer(actor, customer_id)
    standing = Standing.objects.get(customer_id=customer_id)
    policies = policies_on(day)
    found = []
    for scheme, rank, since in (
        (VALUE, standing.value_tier, standing.value_since),
        (WEALTH, standing.wealth_level, standing.wealth_since),
    ):
        by_kind = policies.get(scheme, {})
        policy = by_kind.get(standing.kind) or by_kind.get("")
        if rank and policy is not None:
            found.append(_why(standing, policy, rank, since, day))
    return found


def _why(standing: Standing, policy: TierPolicy, rank: int, since: dt.date | None, day: dt.date) -> Why:
    tiers = policy.tiers
    mine = next(tier for tier in tiers if tier["rank"] == rank)
    # The lowest tier has no line of its own: what counts is the line above that was not reached.
    measured = mine if mine["condition"] else tiers[-2]
    place = tiers.index(measured)
    above = tiers[place - 1] if measured is mine and place else None
    words = sentence(measured["condition"])
    if not mine["condition"]:
        words = _("Below “%(tier)s”: %(words)s") % {"tier": tier_label(measured), "words": words}
    return Why(
        policy.scheme.code,
        str(policy.scheme),
        mine["code"],
        tier_label(mine),
        policy,
        day,
        since,
        _measures(standing, measured),
        words,
        measured is mine,
        tier_label(above) if above else "",
        _measures(standing, above) if above else (),
    )


def _measures(standing: Standing, tier: Mapping[str, Any]) -> list[Measure]:
    """The customer's figures against a tier's amounts."""
    return [
        Measure(str(FACTS[fact].label), getattr(standing, fact), amount)
        for fact, amount in thresholds_of(tier["condition"]).items()
        if hasattr(standing, fact)
    ]


@dataclass(frozen=True)
class Period:
    """A customer's tier from a date until another (exclusive; None: still)."""

    row: TierHistory
    code: str
    label: str
    days: int


def tier_history(actor: Actor, customer_id: int, scheme: str, day: dt.date) -> list[Period]:
    """The customer's tiers in a scheme, oldest first, with the days each lasted until `day`."""
    rows = (
        TierHistory.objects.visible_to(actor)
        .filter(customer_id=customer_id, scheme=scheme)
        .select_related("policy")
        .order_by("from_date")
    )
    periods = []
    for row in rows:
        tier = next(tier for tier in row.policy.tiers if tier["rank"] == row.rank)
        days = max(((row.to_date or day) - row.from_date).days, 1)
        periods.append(Period(row, tier["code"], tier_label(tier), days))
    return periods


@dataclass(frozen=True, slots=True)
class OwnTier:
    """A customer's place in a scheme that the bank has added: since when, by which version."""

    scheme: str
    label: str
    since: dt.date
    policy: TierPolicy


def own_tiers(actor: Actor, customer_id: int) -> list[OwnTier]:
    """The customer's tiers in the bank's own schemes, in their order."""
    rows = (
        TierHistory.objects.visible_to(actor)
        .filter(customer_id=customer_id, to_date__isnull=True)
        .exclude(scheme__in=(VALUE, WEALTH))
        .select_related("policy__scheme")
        .order_by("policy__scheme__position", "policy__scheme_id")
    )
    found = []
    for row in rows:
        tier = next(tier for tier in row.policy.tiers if tier["rank"] == row.rank)
        found.append(OwnTier(str(row.policy.scheme), tier_label(tier), row.from_date, row.policy))
    return found


# -- movers ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class MoverQuery:
    """Who moved between two dates: from a rank to a rank (None: any), or up or down."""

    scheme: str
    as_of: dt.date
    before: dt.date
    scope: Scope
    from_rank: int | None = None
    to_rank: int | None = None
    direction: str = ""  # "up", "down" or "" for both


PAGE = 50


def movers(actor: Actor, query: MoverQuery, after: str = "") -> tuple[list[Any], str]:
    """A page of the movers, largest deposits first, and the key of the next page ("" at the end).

    Rows are Standing with `tier_before` and `tier_after`. Those whom the actor sees today.
    """
    found = _moved(actor, query).order_by("-deposits_adb", "customer_id")
    if key := _read_key(after):
        amount, customer_id = key
        found = found.filter(
            Q(deposits_adb__lt=money(amount)) | Q(deposits_adb=money(amount), customer_id__gt=customer_id)
        )
    rows = list(found.select_related("customer", "home_branch", "responsible")[: PAGE + 1])
    following = f"{rows[PAGE - 1].deposits_adb}:{rows[PAGE - 1].customer_id}" if len(rows) > PAGE else ""
    return rows[:PAGE], following


def _read_key(text: str) -> tuple[Decimal, int] | None:
    """Amount and customer of a page's key; None, the first page, for none or a broken one."""
    amount, _colon, customer_id = text.partition(":")
    try:
        key = Decimal(amount), int(customer_id)
        to_minor(key[0])
    except (ArithmeticError, ValueError):
        return None
    return key if abs(key[0]) < 10**15 and abs(key[1]) < 2**63 else None


def _moved(actor: Actor, query: MoverQuery) -> QuerySet[Standing]:
    column = RANK_COLUMN[query.scheme]
    found = Standing.objects.visible_to(actor).filter(customer__is_prospect=False)
    if query.scope.unit is not None:
        found = found.filter(
            home_branch__lft__gte=query.scope.unit.lft, home_branch__lft__lte=query.scope.unit.rgt
        )
    if query.scope.kind:
        found = found.filter(kind=query.scope.kind)

    def at(day: dt.date) -> QuerySet[MonthEnd]:
        return MonthEnd.objects.filter(month_end=day, customer_id=OuterRef("customer_id"))

    earlier = at(query.before)
    if query.as_of == newest_day():
        found = found.annotate(tier_after=F(column))
    else:
        found = found.annotate(tier_after=at(query.as_of).values(column)[:1])
    found = found.annotate(tier_before=earlier.values(column)[:1])
    if query.to_rank is not None:
        found = found.filter(tier_after=query.to_rank)
    if query.from_rank == 0:
        return found.filter(~Exists(earlier.exclude(**{column: 0})))
    if query.from_rank is not None:
        found = found.filter(tier_before=query.from_rank)
    if query.direction == "up":
        return found.filter(tier_before__gt=0, tier_after__gt=F("tier_before"))
    if query.direction == "down":
        return found.filter(tier_after__lt=F("tier_before"))
    if query.from_rank is None or query.to_rank is None:
        return found.filter(tier_before__gt=0).exclude(tier_after=F("tier_before"))
    return found
