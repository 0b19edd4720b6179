"""What several files of tests about cases, classes and warnings begin with."""

from __future__ import annotations

import pytest

from crm_site.lib.tenancy import bank
from customers.models import Customer
from tests.architecture.places import a_customer
from tests.conftest import TODAY, House, Person
from tests.credit_rating import book
from tests.credit_rating import desk as tables
from tests.credit_rating.desk import Desk


@pytest.fixture
def desk(house: House) -> Desk:
    """Everybody a case needs, and its customer; the bank is left again."""
    found = tables.staffed(house)
    with bank(house.id):
        return tables.with_customer(found)


@pytest.fixture
def capital(house: House) -> None:
    """The bank's net and tier-1 capital: 200 million."""
    with bank(house.id):
        book.add_capital(net=200_000_000, tier1=200_000_000)


@pytest.fixture
def the_pages_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pages of cases ask the clock; here it is TODAY."""
    for module in ("cases", "case_page", "case_desk"):
        monkeypatch.setattr(f"credit_rating.views.{module}.bank_today", lambda _bank: TODAY)


@pytest.fixture
def debtor(inside: House, rm: Person) -> Customer:
    """A customer of the relationship manager; what is owed is up to the test."""
    return a_customer(inside, rm.staff)
