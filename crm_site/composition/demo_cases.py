"""Approval cases of a demo bank, at every stage of their way, each step by the person whose step it is."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from credit_rating.models import CreditCase
from credit_rating.selectors.cases import role_holders
from credit_rating.services import cases
from credit_rating.services.cases import Terms
from crm_site.accounts.models import Bank, Staff
from crm_site.accounts.selectors import actor_for, bank_today
from crm_site.lib.errors import DomainError
from crm_site.lib.permissions import Actor, Role
from crm_site.lib.tenancy import act_as, bank
from customers.models import Customer, Product

WORKING_CAPITAL = "L201"
AMOUNT = Decimal(3_400_000)  # within the caps of so small a bank
# How far each case has come: stages that have agreed, and what the next one says ("" for nothing yet).
WAYS = (
    (None, ""), (0, ""), (0, "return"), (1, ""), (1, "reject"), (2, ""), (2, "vote"), (3, ""), (4, ""),
)  # fmt: skip
REASON = "经营正常，用途合理，还款来源可覆盖。"
CONDITION = "结算归行率半年内不低于 65%"


@dataclass(frozen=True, slots=True)
class _People:
    """Who decides in the demo bank."""

    reviewers: list[Actor]
    members: list[Actor]
    presidents: list[Actor]


def make_cases(of: Bank, *, now: dt.datetime) -> int:
    """Give a demo bank a case at each stage; returns how many. Does nothing in a bank that has cases.

    Customers are the first companies, by number, that have a manager, a branch manager and no kinship with either.
    """
    with bank(of.pk):
        day = bank_today(of, now)
        loans = Product.objects.filter(family="loan").order_by("code")
        product = loans.filter(code=WORKING_CAPITAL).first() or loans.first()
        if product is None or CreditCase.objects.exists():
            return 0
        people = _People(
            *(
                [_actor(key, day) for key in role_holders(role, day)]
                for role in (Role.CREDIT_REVIEWER, Role.COMMITTEE_MEMBER, Role.PRESIDENT)
            )
        )
        if not (people.reviewers and people.presidents):
            return 0
        companies = Customer.objects.customers().filter(
            kind="corporate", responsible__isnull=False, home_branch__isnull=False
        )
        made = 0
        for customer in companies.select_related("home_branch", "responsible").order_by("number")[:60]:
            if made == len(WAYS):
                break
            made += _make(customer, product, people, WAYS[made], now, day)
    return made


def _actor(staff_id: int, day: dt.date) -> Actor:
    return actor_for(Staff.objects.get(pk=staff_id), day=day)


def _make(
    customer: Customer,
    product: Product,
    people: _People,
    way: tuple[int | None, str],
    now: dt.datetime,
    day: dt.date,
) -> bool:
    """One case as far as it is to come; False for a customer that nobody's authority fits."""
    maker = _actor(customer.responsible_id or 0, day)
    act_as(maker)
    managers = [key for key in role_holders(Role.BRANCH_MANAGER, day, customer) if key != maker.staff_id]
    if not managers:
        return False
    terms = Terms("new", product, "CNY", AMOUNT, 12, "流动资金周转", rate_bp=435)
    try:
        case = cases.create_case(maker, customer=customer, terms=terms, now=now)
    except DomainError:
        return False
    cases.edit_case(maker, case_id=case.pk, terms=terms, investigation="在手订单充足，回款正常。", now=now)
    agreed, then = way
    if agreed is None:
        return True
    cases.submit_case(maker, case_id=case.pk, now=now, today=day)
    branch = _actor(managers[0], day)
    stages = ([branch], people.reviewers[:1], people.members, people.presidents[:1])

    def say(actor: Actor, verdict: str) -> None:
        case.refresh_from_db()
        act_as(actor)
        cases.decide(
            actor, case_id=case.pk, verdict=verdict, text=REASON, dossier_hash=case.dossier_hash, now=now, today=day,
            conditions=[CONDITION] if verdict == "conditional" else (),
        )  # fmt: skip

    try:
        _walk(stages, agreed, then, say)
    except DomainError:
        return True  # a committee too small for its quorum: the case stays with the headquarters review
    return True


def _walk(stages: tuple[list[Actor], ...], agreed: int, then: str, say: Callable[[Actor, str], None]) -> None:
    for place, actors in enumerate(stages[:agreed]):
        for actor in actors:
            say(actor, "conditional" if place == 1 else "approve")
    if then == "vote":
        for actor in stages[agreed][:-1]:
            say(actor, "approve")
    elif then:
        say(stages[agreed][0], then)
