"""What several files of tests about approval cases begin with."""

from __future__ import annotations

import pytest

from crm_site.lib.tenancy import bank
from tests.conftest import TODAY, House
from tests.credit_rating import desk as tables
from tests.credit_rating.desk import Desk


@pytest.fixture
def desk(house: House) -> Desk:
    """Everybody a case needs, and its customer; the bank is left again."""
    found = tables.staffed(house)
    with bank(house.id):
        return tables.with_customer(found)


@pytest.fixture
def the_pages_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pages of cases ask the clock; here it is TODAY."""
    for module in ("cases", "case_page", "case_desk"):
        monkeypatch.setattr(f"credit_rating.views.{module}.bank_today", lambda _bank: TODAY)
