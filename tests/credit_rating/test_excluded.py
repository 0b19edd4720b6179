"""A customer on the exclusion list: nothing new is put before anybody, and what is under way is the president's."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest
from django.test import Client

from credit_rating.engine.authority import Asked
from credit_rating.engine.campaigns import Rules, Seen, exceptions_of
from credit_rating.models import CaseStatus, CreditCase
from credit_rating.policies import read
from credit_rating.policies.authority import SHAPE, route_of
from credit_rating.policies.grades import GRADES
from credit_rating.services import cases
from credit_rating.services.cases import CaseFault, Stale
from crm_site.lib.tenancy import bank
from customers.models import Customer
from tests.conftest import NOW, TODAY, House, Person
from tests.credit_rating import desk as tables
from tests.credit_rating.desk import Desk, a_case, say

SignIn = Callable[[Person], Client]


@pytest.fixture
def desk(house: House) -> Desk:
    found = tables.staffed(house)
    with bank(house.id):
        return tables.with_customer(found)


def _bar(customer: Customer) -> None:
    Customer.objects.filter(pk=customer.pk).update(is_excluded=True)
    customer.refresh_from_db()


def test_no_case_is_submitted_for_it(desk: Desk) -> None:
    with bank(desk.house.id):
        _bar(desk.customer)
        with pytest.raises(CaseFault, match="exclusion list") as refused:
            a_case(desk)
        assert refused.value.code == "excluded"
        assert CreditCase.objects.get().status == CaseStatus.DRAFT


def test_what_waits_begins_again_on_the_way_to_the_president(
    desk: Desk, client_for: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("cases", "case_page"):
        monkeypatch.setattr(f"credit_rating.views.{module}.bank_today", lambda _bank: TODAY)
    with bank(desk.house.id):
        case = a_case(desk)
    inbox = client_for(desk.manager)
    assert "tag-risk" not in inbox.get("/credit/").content.decode()
    with bank(desk.house.id):
        say(desk.manager, case)
        _bar(desk.customer)
    for page in ("/credit/?tab=decided", "/credit/cases/waiting/"):
        assert '<span class="tag tag-risk">' in inbox.get(page).content.decode(), page
    with bank(desk.house.id):
        with pytest.raises(Stale):
            say(desk.reviewer, case)
        case.refresh_from_db()
        assert (case.status, case.route[-1], case.route_why) == (CaseStatus.BRANCH, "president", "excluded")
    shown = client_for(desk.manager).get(f"/credit/cases/{case.pk}/").content.decode()
    assert "notice-risk" in shown and "the case goes up to the president" in shown
    assert "the customer is on the exclusion list, so the president decides" in shown
    with bank(desk.house.id):
        say(desk.manager, case, "return")
        with pytest.raises(CaseFault, match="exclusion list"):
            cases.submit_case(desk.rm.actor, case_id=case.pk, now=NOW, today=TODAY)


def test_the_smallest_of_its_cases_is_the_presidents_and_no_batch_takes_it() -> None:
    small = Asked(Decimal(10_000), "AAA", "household", frozenset(), excluded=True)
    route = route_of(read(SHAPE, SHAPE.default("")), small)
    assert (route.decides, route.why) == ("president", "excluded")
    rules = Rules("BB", Decimal(200_000), 2, 30, frozenset())
    seen = Seen("AAA", Decimal(10_000), None, blocks=frozenset({"excluded"}))
    assert exceptions_of(seen, rules, GRADES, TODAY) == ("excluded",)
