"""The registers of related parties and of colleagues' relatives: figures that add up, pages by key, a fixed cost."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from decimal import Decimal

import pytest
from django.db import connection
from django.db.models import F
from django.test import Client
from django.test.utils import CaptureQueriesContext

from credit_rating.models import CreditLine, StaffRelation
from credit_rating.selectors import registers
from credit_rating.selectors.at_stake import credits_of, stakes_of
from credit_rating.selectors.registers import PartyQuery, register_page
from crm_site.lib.errors import DomainError
from crm_site.lib.permissions import system_actor
from crm_site.lib.tenancy import bank
from customers.models import Customer, FxRate, Relation
from tests.conftest import NOW, TODAY, House, Person
from tests.credit_rating import book
from tests.credit_rating.lines import a_line
from tests.customers.factories import make_customer

D = Decimal
ADDRESS = "/credit/registers/"
SignIn = Callable[[Person], Client]


@pytest.fixture
def book_of(house: House, monkeypatch: pytest.MonkeyPatch) -> House:
    """Seven related parties; the first two of one group, with a daughter who is none herself; capital 200 million."""
    monkeypatch.setattr("credit_rating.views.registers.bank_today", lambda _bank: TODAY)
    with bank(house.id):
        book.add_capital(net=200_000_000, tier1=200_000_000)
        made = [
            make_customer(
                f"Insider {n}", kind="corporate", home_branch=house.north, is_related_party=True,
                loans=D(1_000_000 * n),
            )
            for n in range(7)
        ]  # fmt: skip
        daughter = make_customer("Daughter", kind="corporate", home_branch=house.north, loans=D(9_000_000))
        for other in (made[1], daughter):
            Relation.objects.create(customer=made[0], other=other, kind="parent_company", share=1)
    return house


def test_own_credit_and_that_of_the_group_add_up(book_of: House, hq_risk: Person, client_for: SignIn) -> None:
    with bank(book_of.id):
        found = register_page(system_actor(book_of.id, "t"), PartyQuery(), TODAY)
        rows = {party.customer.name: party for party in found.rows}
        assert found.own == sum(party.own or 0 for party in found.rows) == 21_000_000
        assert (
            found.together == found.use.together.amount == 30_000_000
        )  # each once: the daughter's nine beside
        first = rows["Insider 0"]
        assert (first.own, first.others, first.together, first.others_count) == (0, 10_000_000, 10_000_000, 2)
        assert (rows["Insider 6"].own, rows["Insider 6"].others_count) == (6_000_000, 0)
        assert {party.customer.name for party in found.rows[:2]} == {
            "Insider 0",
            "Insider 1",
        }  # nearest a cap
    page = client_for(hq_risk).get(ADDRESS).content.decode()
    assert "2 other members: 10.0<" in page and "7 customers · CNY M" in page  # the unit once, in the head
    assert "All 7 listed together" in page


def test_pages_follow_one_another_by_key_and_cost_the_same(
    book_of: House, hq_risk: Person, client_for: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registers, "PAGE", 3)
    client, seen, address = client_for(hq_risk), [], ADDRESS
    costs = []
    client.get(ADDRESS)
    while address:
        with CaptureQueriesContext(connection) as caught:
            page = client.get(address).content.decode()
        costs.append(len(caught))
        seen += re.findall(r"data-row-open[^>]*>([^<]+)</a>", page)
        assert "All 7 listed together" in page  # totals of all pages
        [address] = re.findall(r'rel="next" href="([^"]+)"', page) or [""]
        address = address.replace("&amp;", "&")
        if len(seen) == 3:  # somebody of the page before leaves the register: nobody is skipped
            with bank(book_of.id):
                Customer.objects.filter(name=seen[2]).update(is_related_party=False)
                make_customer("Insider 9", kind="corporate", is_related_party=True, loans=D(99_000_000))
    assert sorted(seen) == [f"Insider {n}" for n in range(7)]
    assert len(set(costs[:2])) == 1
    with bank(book_of.id):
        for n in range(12):
            make_customer(f"More {n}", kind="corporate", is_related_party=True, loans=D(n))
    with CaptureQueriesContext(connection) as caught:
        client.get(ADDRESS)
    assert len(caught) == costs[0]
    assert (
        client.get(f"{ADDRESS}?after=x:y:z").status_code
        == client.get(f"{ADDRESS}?after=1:2").status_code
        == 200
    )


def test_credit_of_many_is_that_of_each(book_of: House) -> None:
    """The statement says what the engine says: drawn beyond lines, foreign lines, raises that wait."""
    with bank(book_of.id):
        FxRate.objects.create(currency="USD", rate_date=TODAY - dt.timedelta(days=3), rate=D("7.123456"))
        first, second, third = Customer.objects.filter(name__startswith="Insider").order_by("pk")[:3]
        for customer, currency in ((first, "CNY"), (second, "USD"), (third, "CNY")):
            line = a_line(book_of)
            CreditLine.objects.filter(pk=line.pk).update(customer=customer, currency=currency)
        CreditLine.objects.filter(customer=third).update(
            waiting_limit=D("5000000.55"), waiting_until=F("expires_on"), waiting_case_id=1, status="expired"
        )
        ids = list(Customer.objects.values_list("pk", flat=True))
        assert credits_of(ids, TODAY) == {one: stake.credit for one, stake in stakes_of(ids, TODAY).items()}
        FxRate.objects.all().delete()
        with pytest.raises(DomainError, match="USD"):
            credits_of(ids, TODAY)


def test_relatives_of_colleagues_are_paged(
    book_of: House, hq_risk: Person, client_for: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registers, "PAGE", 2)
    with bank(book_of.id):
        for n, customer in enumerate(Customer.objects.order_by("pk")[:5]):
            StaffRelation.objects.create(
                staff=hq_risk.staff, customer=customer, basis=f"basis {n}", from_date=TODAY, entered_at=NOW
            )
    client, seen, address = client_for(hq_risk), [], ADDRESS
    while address:
        page = client.get(address).content.decode()
        part = page[page.index('id="relatives"') :]
        assert "5 entries" in part
        seen += re.findall(r"basis (\d)", part)
        [address] = re.findall(r'rel="next" href="([^"#]+)#relatives"', part) or [""]
    assert seen == ["4", "3", "2", "1", "0"]
