"""People and cases of an approval, for tests. Call inside the bank, but for `staffed`."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from credit_rating.models import CreditCase, Opinion
from credit_rating.services import cases
from credit_rating.services.cases import Terms
from crm_site.lib.permissions import Role
from customers.models import Customer
from tests.conftest import NOW, TODAY, House, Person, hire
from tests.credit_rating.lines import a_product
from tests.customers.factories import make_customer

D = Decimal
LATER = NOW + dt.timedelta(hours=1)


@dataclass
class Desk:
    """Everybody a case needs, and the customer it is about."""

    house: House
    rm: Person
    manager: Person
    reviewer: Person
    members: list[Person]
    president: Person
    customer: Customer

    @property
    def members_all(self) -> list[Person]:
        return self.members


def staffed(house: House) -> Desk:
    rm = hire(house, "maker", Role.RELATIONSHIP_MANAGER, house.north)
    return Desk(
        house,
        rm,
        hire(house, "manager", Role.BRANCH_MANAGER, house.north),
        hire(house, "reviewer", Role.CREDIT_REVIEWER, house.head_office),
        [hire(house, f"member_{i}", Role.COMMITTEE_MEMBER, house.head_office) for i in range(4)],
        hire(house, "chief", Role.PRESIDENT, house.head_office),
        Customer(),
    )


def with_customer(desk: Desk) -> Desk:
    desk.customer = make_customer(
        "Silian Precision", kind="corporate", size="medium", home_branch=desk.house.north, responsible=desk.rm.staff
    )  # fmt: skip
    return desk


def terms(amount: int | Decimal = 20_000_000, **changed: Any) -> Terms:
    given: dict[str, Any] = {
        "kind": "new", "product": a_product(), "currency": "CNY", "amount": D(amount), "term_months": 12,
        "purpose": "Working capital", **changed,
    }  # fmt: skip
    return Terms(**given)


def a_case(desk: Desk, amount: int | Decimal = 20_000_000, **changed: Any) -> CreditCase:
    """Submitted, at the branch; not rated, so it goes to the president."""
    asked = terms(amount, **changed)
    case = cases.create_case(desk.rm.actor, customer=desk.customer, terms=asked, now=NOW)
    cases.edit_case(desk.rm.actor, case_id=case.pk, terms=asked, investigation="Orders are there.", now=NOW)
    return cases.submit_case(desk.rm.actor, case_id=case.pk, now=NOW, today=TODAY)


def say(person: Person, case: CreditCase, verdict: str = "approve", **changed: Any) -> Opinion:
    """An opinion on the case as it stands now."""
    case.refresh_from_db()
    given: dict[str, Any] = {
        "case_id": case.pk, "verdict": verdict, "text": "Seen and weighed.", "dossier_hash": case.dossier_hash,
        "now": LATER, "today": TODAY,
        "conditions": ["Settlement share 65%"] if verdict == "conditional" else (),
        "cap_ground": "Its deposits secure what is above.", **changed,
    }  # fmt: skip
    found = cases.decide(person.actor, **given)
    case.refresh_from_db()
    return found


def to_committee(desk: Desk, case: CreditCase) -> CreditCase:
    say(desk.manager, case)
    say(desk.reviewer, case)
    return case


def to_president(desk: Desk, case: CreditCase) -> CreditCase:
    to_committee(desk, case)
    for member in desk.members:
        say(member, case)
    return case
