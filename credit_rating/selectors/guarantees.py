"""What secures a customer's debts, what it counts for, and what guarantors and things already carry."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from decimal import Decimal

from django.db.models import QuerySet, Sum

from credit_rating.engine.guarantees import (
    Claim,
    Commitment,
    Pledge,
    Usable,
    add_months,
    claims_before,
    next_order,
    object_key,
    usable_pledge,
)
from credit_rating.engine.steps import ZERO
from credit_rating.models import Collateral, Guarantee, GuarantorCapacity, Statement, Valuation
from credit_rating.models.guarantees import LIVE
from credit_rating.policies import Body
from credit_rating.policies.haircuts import rule_of
from credit_rating.selectors.policies import policy_on
from crm_site.lib.permissions import Actor
from customers.models import Customer


@dataclass(frozen=True, slots=True)
class Capacity:
    """What a guarantor can promise in all. `basis`: in words, or "statements" with the year they are of."""

    amount: Decimal
    as_of: dt.date
    basis: str


@dataclass(frozen=True, slots=True)
class GuaranteeRow:
    """A guarantee with its reckoning. `name`: the thing or the guarantor, "" for one that the reader does not see.

    `valued`: value of the thing, or the guarantor's capacity; `rate`: what of it counts; `before`: prior claims.
    """

    guarantee: Guarantee
    name: str
    usable: Usable
    rate: Decimal
    valued: Decimal | None
    valued_on: dt.date | None
    valuer: str
    before: Decimal
    commitment: Commitment | None
    level: str


def guarantees_of(actor: Actor, customer: Customer, *, day: dt.date) -> list[GuaranteeRow]:
    """The live guarantees of a customer in the order of the form, with what each counts for on a day."""
    return _reckoned(_live(Guarantee.objects.visible_to(actor), [customer.pk], day), actor, day)


Security = tuple[frozenset[str], Decimal]


def security_of(customers: Collection[int], day: dt.date) -> dict[int, Security]:
    """customer -> (kinds of its live guarantees, all that they count for together): the figures of `guarantees_of`."""
    rows = _live(Guarantee.objects.all(), customers, day)
    of: dict[int, list[GuaranteeRow]] = defaultdict(list)
    for row in _reckoned(rows, None, day) if rows else ():
        of[row.guarantee.customer_id].append(row)
    return {
        one: (
            frozenset(row.guarantee.kind for row in of[one]),
            sum((row.usable.amount for row in of[one]), ZERO),
        )
        for one in customers
    }


def _live(found: QuerySet[Guarantee], customers: Collection[int], day: dt.date) -> list[Guarantee]:
    found = found.filter(customer_id__in=customers, status__in=LIVE, from_date__lte=day).exclude(
        to_date__lt=day
    )
    return list(found.select_related("collateral", "guarantor").order_by("id"))


def _reckoned(rows: list[Guarantee], actor: Actor | None, day: dt.date) -> list[GuaranteeRow]:
    """What each counts for on a day. Without an actor guarantors stay without their names."""
    policy = policy_on("haircuts", day).body
    things = [g.collateral_id for g in rows if g.collateral_id]
    people = [g.guarantor_id for g in rows if g.guarantor_id]
    valuations, claims = newest_valuations(things, day), claims_on(things)
    capacities, promised = capacities_of(people, day, policy), promises_of(people)
    seen = _seen(actor, people) if actor else set()
    found = []
    for g in rows:
        if g.collateral is not None:
            found.append(
                _thing(g, g.collateral, valuations.get(g.collateral.pk), claims[g.collateral.pk], policy, day)
            )
        elif g.guarantor is not None:
            name = g.guarantor.name if g.guarantor.pk in seen else ""
            found.append(
                _promise(g, name, capacities.get(g.guarantor.pk), promised[g.guarantor.pk], policy, day)
            )
        else:
            unsecured = Usable(ZERO, None, False, ZERO)
            found.append(GuaranteeRow(g, "", unsecured, ZERO, None, None, "", ZERO, None, "ok"))
    return found


def _seen(actor: Actor, customers: list[int]) -> set[int]:
    return set(Customer.objects.visible_to(actor).filter(pk__in=customers).values_list("pk", flat=True))


def _thing(
    g: Guarantee,
    thing: Collateral,
    valuation: Valuation | None,
    claims: list[Claim],
    policy: Body,
    day: dt.date,
) -> GuaranteeRow:
    rate, months = rule_of(policy, thing.asset_type)
    before = claims_before(g.lien_order, claims, g.prior_liens)
    value, valued_on = (valuation.value, valuation.valued_on) if valuation else (ZERO, None)
    pledge = Pledge(value, valued_on, months, rate, policy.params["overdue_pct"], g.amount, before)
    usable = usable_pledge(pledge, day)
    soon = usable.due_on is not None and (usable.due_on - day).days <= policy.params["remind_days"]
    level = "breach" if usable.is_overdue else "warn" if soon else "ok"
    return GuaranteeRow(
        g, thing.name, usable, rate, valuation.value if valuation else None, valued_on,
        valuation.valuer if valuation else "", before, None, level,
    )  # fmt: skip


def _promise(
    g: Guarantee, name: str, capacity: Capacity | None, promised: Decimal, policy: Body, day: dt.date
) -> GuaranteeRow:
    rate = policy.params["guarantor_rate_pct"]
    commitment = Commitment(capacity.amount if capacity else ZERO, promised - g.amount, g.amount)
    due = add_months(capacity.as_of, policy.params["guarantor_months"]) if capacity else None
    overdue = due is None or day > due
    counted = ZERO if overdue else commitment.usable(rate)
    share = commitment.share
    level = "ok"
    if overdue or commitment.over:
        level = "breach"
    elif share is not None and share >= policy.params["warn_pct"]:
        level = "warn"
    return GuaranteeRow(
        g, name, Usable(counted, due, overdue, counted), rate, capacity.amount if capacity else None,
        capacity.as_of if capacity else None, capacity.basis if capacity else "", ZERO, commitment, level,
    )  # fmt: skip


def newest_valuations(things: Iterable[int], day: dt.date) -> dict[int, Valuation]:
    """thing -> its newest valuation up to a day."""
    found = Valuation.objects.filter(collateral_id__in=list(things), valued_on__lte=day)
    rows = found.order_by("collateral_id", "-valued_on", "-id").distinct("collateral_id")
    return {v.collateral_id: v for v in rows}


def claims_on(things: Iterable[int]) -> dict[int, list[Claim]]:
    """thing -> all live claims of the bank on it, whoever's debt they secure."""
    claims: dict[int, list[Claim]] = defaultdict(list)
    rows = Guarantee.objects.filter(collateral_id__in=list(things), status__in=LIVE)
    for thing, order, amount in rows.values_list("collateral_id", "lien_order", "amount"):
        claims[thing].append(Claim(order, amount))
    return claims


def promises_of(guarantors: Iterable[int]) -> dict[int, Decimal]:
    """guarantor -> all that it has promised in live guarantees, whoever's debt they secure."""
    rows = Guarantee.objects.filter(guarantor_id__in=list(guarantors), status__in=LIVE)
    sums = rows.order_by().values_list("guarantor_id").annotate(total=Sum("amount"))
    return defaultdict(lambda: ZERO, dict(sums))


def capacities_of(guarantors: Iterable[int], day: dt.date, policy: Body) -> dict[int, Capacity]:
    """guarantor -> its newest assessed capacity up to a day; else the policy's share of net assets by its statements."""
    ids = list(guarantors)
    statements = Statement.objects.filter(customer_id__in=ids, report_date__lte=day)
    found: dict[int, Capacity] = {}
    for s in statements.order_by("customer_id", "-year").distinct("customer_id"):
        amounts = s.amounts
        if "equity" in amounts:
            own = max(ZERO, amounts["equity"] - amounts.get("intangible_assets", ZERO))
            capacity = (own * policy.params["guarantor_capacity_pct"]).quantize(Decimal("0.01"))
            found[s.customer_id] = Capacity(capacity, s.report_date, f"statements {s.year}")
    for guarantor, c in newest_capacities(ids, day).items():
        found[guarantor] = Capacity(c.capacity, c.assessed_on, c.basis)
    return found


def newest_capacities(guarantors: Iterable[int], day: dt.date) -> dict[int, GuarantorCapacity]:
    """guarantor -> the newest assessment up to a day of what it can promise."""
    found = GuarantorCapacity.objects.filter(guarantor_id__in=list(guarantors), assessed_on__lte=day)
    rows = found.order_by("guarantor_id", "-assessed_on", "-id").distinct("guarantor_id")
    return {c.guarantor_id: c for c in rows}


@dataclass(frozen=True, slots=True)
class KnownThing:
    """A thing that secures something at the bank already."""

    collateral: Collateral
    claims: list[Claim]

    @property
    def next_order(self) -> int:
        return next_order(self.claims)

    @property
    def claimed(self) -> Decimal:
        return sum((c.amount for c in self.claims), ZERO)


def known_thing(registration_number: str) -> KnownThing | None:
    """The thing of a registration number, however it is written, with the claims on it: is it pledged already?"""
    thing = Collateral.objects.filter(object_key=object_key(registration_number)).first()
    return KnownThing(thing, claims_on([thing.pk])[thing.pk]) if thing else None


@dataclass(frozen=True, slots=True)
class DueValuation:
    """A guarantee whose thing or guarantor is to be valued again. `was_on` None: never valued."""

    guarantee: Guarantee
    name: str
    was_on: dt.date | None
    due_on: dt.date


def due_valuations(*, day: dt.date) -> list[DueValuation]:
    """Live guarantees of the bank whose valuation is due within the policy's days, oldest first."""
    policy = policy_on("haircuts", day).body
    rows = list(
        Guarantee.objects.filter(status__in=LIVE)
        .exclude(kind="credit")
        .select_related("customer", "collateral", "guarantor")
        .order_by("id")
    )
    valuations = newest_valuations({g.collateral_id for g in rows if g.collateral_id}, day)
    capacities = capacities_of({g.guarantor_id for g in rows if g.guarantor_id}, day, policy)
    until = day + dt.timedelta(days=policy.params["remind_days"])
    found: list[DueValuation] = []
    for g in rows:
        if g.collateral is not None:
            valuation = valuations.get(g.collateral.pk)
            was, months = (
                valuation.valued_on if valuation else None,
                rule_of(policy, g.collateral.asset_type)[1],
            )
            name = g.collateral.name
        elif g.guarantor is not None:
            capacity = capacities.get(g.guarantor.pk)
            was, months = capacity.as_of if capacity else None, policy.params["guarantor_months"]
            name = g.guarantor.name
        else:
            continue
        due = add_months(was, months) if was else g.from_date
        if due <= until:
            found.append(DueValuation(g, name, was, due))
    return sorted(found, key=lambda row: (row.due_on, row.guarantee.pk))
