"""Ratings of a demo bank at every stage: made through the services, by the people who would make them.

The same bank gets the same ratings: everything is drawn from the customers' numbers. What was collected of
people is this demo's own; the rest is the bank's (credit_book, balances, loans).
"""

from __future__ import annotations

import datetime as dt
import zlib
from collections.abc import Iterator
from decimal import Decimal

from django.db.models import Q

from credit_rating.models import CreditKind, Rating, Statement, credit_kind
from credit_rating.services import collection
from credit_rating.services.ratings import decide_rating, generate_rating, submit_rating
from crm_site.accounts.models import Bank, RoleGrant, Staff
from crm_site.accounts.selectors import actor_for
from crm_site.lib.permissions import Actor, Role
from crm_site.lib.tenancy import act_as, bank
from customers.models import Customer, Standing

RATED = 36
YEAR = 360  # days before that the older ratings are of
STAGES = (
    "approved",
    "renewed",
    "submitted",
    "approved",
    "expired",
    "returned",
    "renewed",
    "draft",
    "approved",
)
RECORDS = ("clean", "clean", "none", "clean", "short")


def make_ratings(of: Bank, *, day: dt.date, now: dt.datetime) -> int:
    """Rate some customers of a bank that has no rating yet; returns how many."""
    with bank(of.pk):
        if Rating.objects.exists():
            return 0
        reviewers = RoleGrant.objects.filter(role=Role.CREDIT_REVIEWER).select_related("staff")
        reviewer = reviewers.order_by("staff__number").first()
        if reviewer is None:
            return 0
        rated = list(_customers())
        for place, customer in enumerate(rated):
            maker = customer.responsible
            if maker is not None:
                _rate(customer, maker, reviewer.staff, STAGES[place % len(STAGES)], day, now)
    return len(rated)


def _customers() -> Iterator[Customer]:
    """Borrowers of every kind who have a relationship manager; companies whose statements are there (credit_book)."""
    managers = RoleGrant.objects.filter(role=Role.RELATIONSHIP_MANAGER).values("staff_id")
    owing = Standing.objects.filter(loans__gt=Decimal(0), responsible__in=managers)
    for kind in ("corporate", "personal", "household"):
        seen = Q(customer__in=Statement.objects.values("customer_id")) if kind == "corporate" else Q()
        keys = owing.filter(seen, kind=kind).order_by("customer_id").values_list("customer_id", flat=True)
        found = Customer.objects.filter(pk__in=list(keys[: RATED // 3]))
        yield from found.select_related("responsible", "home_branch").order_by("pk")


def _rate(
    customer: Customer, maker: Staff, reviewer: Staff, stage: str, day: dt.date, now: dt.datetime
) -> None:
    mine, theirs = actor_for(maker, day=day), actor_for(reviewer, day=day)
    before, back = day - dt.timedelta(days=YEAR), now - dt.timedelta(days=YEAR)
    dice = zlib.crc32(customer.number.encode())
    act_as(mine)
    if credit_kind(customer) in (CreditKind.PERSONAL, CreditKind.HOUSEHOLD):
        _collect(mine, customer, dice, before, back)
    if stage in ("renewed", "expired"):
        # Far enough back that an expired one ended a few days ago.
        past = day - dt.timedelta(days=372) if stage == "expired" else before
        _walk(mine, theirs, customer, "approved", past, now - (day - past))
    if stage != "expired":
        _walk(mine, theirs, customer, stage, day, now)


def _walk(mine: Actor, theirs: Actor, customer: Customer, stage: str, day: dt.date, now: dt.datetime) -> None:
    act_as(mine)
    made = generate_rating(mine, customer=customer, answers={}, day=day, now=now)
    if stage == "draft":
        return
    made = submit_rating(
        mine, rating_id=made.pk, seen=made.stamp, grade=made.model_grade, reason="", day=day, now=now
    )
    if stage == "submitted":
        return
    act_as(theirs)
    decide_rating(
        theirs, rating_id=made.pk, seen=made.stamp, approve=stage != "returned",
        note="请补充近期水电费单据" if stage == "returned" else "", day=day, now=now,
    )  # fmt: skip


def _collect(actor: Actor, customer: Customer, dice: int, day: dt.date, now: dt.datetime) -> None:
    kind = credit_kind(customer)
    said = {"record": RECORDS[dice % 5], "other_banks": str(dice % 7 * 50_000)}
    if kind == CreditKind.PERSONAL:
        income = 4000 + dice % 160 * 100
        said |= {
            "monthly_income": str(income), "monthly_debt_service": str(income * (10 + dice % 45) // 100),
            "job_years": str(dice % 14), "housing": ("own", "mortgaged", "rented", "family")[dice % 4],
        }  # fmt: skip
    else:
        income = 30_000 + dice % 120 * 1000
        said |= {
            "household_income": str(income), "household_costs": str(income * (30 + dice % 40) // 100),
            "household_members": str(2 + dice % 5), "household_assets": str(80_000 + dice % 600 * 1000),
            "household_debts": str(dice % 90 * 1000), "land_mu": str(dice % 35), "repute": ("good", "good", "fair")[dice % 3],
        }  # fmt: skip
    collection.save_draft(
        actor, customer=customer, typed=said, base={}, source="interview", now=now, today=day
    )
    collection.submit_form(actor, customer=customer, now=now)
