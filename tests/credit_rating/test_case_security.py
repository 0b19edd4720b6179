"""A guarantee secures a case for the authority matrix by what it counts for, and only when all that is asked is covered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest
from django.test import Client

from credit_rating.models import CreditCase
from credit_rating.selectors import cases as selectors
from credit_rating.selectors.guarantees import guarantees_of
from crm_site.lib.tenancy import bank
from customers.models import Customer
from tests.conftest import TODAY, House, Person
from tests.credit_rating import book
from tests.credit_rating import desk as tables
from tests.credit_rating.desk import Desk, a_case, say

D = Decimal
SignIn = Callable[[Person], Client]
ASKED = D(800_000)


@pytest.fixture
def desk(house: House) -> Desk:
    found = tables.staffed(house)
    with bank(house.id):
        found = tables.with_customer(found)
        Customer.objects.filter(pk=found.customer.pk).update(size="small")
        found.customer.refresh_from_db()
    return found


def _decides(case: CreditCase) -> str:
    """Who would decide the case of a customer with a good grade and a calculation."""
    asked = selectors.asked_of(case, TODAY)
    return selectors.who_would_decide(replace(asked, grade="A", uncalculated=False), TODAY)[0].decides


@pytest.mark.parametrize(
    ("change", "decides"),
    [
        ({"amount": D(1)}, "headquarters"),
        ({"amount": ASKED}, "branch"),
        ({"amount": ASKED - D("0.01")}, "headquarters"),
        # The thing is worth 4 million and its type counts for a part: what others have on it first decides.
        ({"amount": D(3_000_000), "value": ASKED}, "headquarters"),
        ({"amount": D(3_000_000), "prior_liens": D(3_900_000)}, "headquarters"),
    ],
)
def test_the_branch_decides_what_is_covered_and_no_less(
    desk: Desk, change: dict[str, D], decides: str
) -> None:
    with bank(desk.house.id):
        book.mortgage(desk.rm.actor, desk.customer, **change)
        case = a_case(desk, ASKED)
        shown = sum(row.usable.amount for row in guarantees_of(desk.rm.actor, desk.customer, day=TODAY))
        assert selectors.asked_of(case, TODAY).usable == shown
        assert _decides(case) == decides


def test_all_that_the_customer_then_has_must_be_covered(desk: Desk) -> None:
    """A second case under way asks for more of the same thing."""
    with bank(desk.house.id):
        book.mortgage(desk.rm.actor, desk.customer, amount=ASKED)
        first = a_case(desk, ASKED)
        assert _decides(first) == "branch"
        a_case(desk, D(1_000), product=tables.a_product("WC-2"))
        assert _decides(first) == "headquarters"


def test_the_route_says_how_much_is_covered(
    desk: Desk, client_for: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("cases", "case_page"):
        monkeypatch.setattr(f"credit_rating.views.{module}.bank_today", lambda _bank: TODAY)
    with bank(desk.house.id):
        book.mortgage(desk.rm.actor, desk.customer, amount=ASKED * 2 / 5)
        case = a_case(desk, ASKED)
    address = f"/credit/cases/{case.pk}/"
    assert (
        "guarantees cover 40%: counts as unsecured" in client_for(desk.manager).get(address).content.decode()
    )
    with bank(
        desk.house.id
    ):  # more of it is pledged: the dossier is another one, opinions on the old one do not count
        book.mortgage(desk.rm.actor, desk.customer, amount=ASKED * 3 / 5, lien_order=2)
        with pytest.raises(Exception, match="has changed"):
            say(desk.manager, case)
    assert "counts as unsecured" not in client_for(desk.manager).get(address).content.decode()
