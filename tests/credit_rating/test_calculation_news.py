"""What is newer than the calculation of a case, and what is above it: said to who decides, kept for who asks later."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal

import pytest
from django.test import Client

from credit_rating.models import ExternalExposure, LineCalculation
from credit_rating.selectors.calculation_news import GUARANTEES, news_now
from credit_rating.selectors.calculations import Terms
from credit_rating.selectors.external import elsewhere_of
from credit_rating.selectors.guarantees import guarantees_of
from credit_rating.services.calculations import save_calculation
from crm_site.lib.tenancy import bank
from tests.conftest import NOW, TODAY, House, Person
from tests.credit_rating import book
from tests.credit_rating.desk import Desk, a_case, say

SignIn = Callable[[Person], Client]
D = Decimal

pytestmark = pytest.mark.usefixtures("the_pages_day", "capital")


def _calculated(desk: Desk) -> LineCalculation:
    book.add_statements(desk.customer)
    book.collect(desk.rm.actor, desk.customer)  # 500,000 at other banks, said on TODAY
    asked = Terms("A", 12, D(3_000_000))
    return save_calculation(desk.rm.actor, customer=desk.customer, terms=asked, day=TODAY, now=NOW)


def _report(desk: Desk, outstanding: int, day: dt.date = TODAY, currency: str = "CNY") -> None:
    ExternalExposure.objects.create(
        customer=desk.customer, source="credit_bureau", report_date=day, lender="Bank A", reference=f"A-{outstanding}",
        kind="loan", currency=currency, granted=D(0), outstanding=D(outstanding), overdue=D(0), level="normal",
        source_as_of=NOW,
    )  # fmt: skip


def _news(desk: Desk, saved: LineCalculation) -> list[tuple[str, Decimal, Decimal | None]]:
    report = elsewhere_of(desk.rm.actor, desk.customer, TODAY)
    rows = guarantees_of(desk.rm.actor, desk.customer, day=TODAY)
    return [(n.code, n.was, n.now) for n in news_now(desk.rm.actor, desk.customer, saved, report, rows)]


@pytest.mark.parametrize(
    ("outstanding", "age", "currency", "told"),
    [
        (2_000_000, 0, "CNY", [("other_banks", D(500_000), D(2_000_000))]),
        (500_000, 0, "CNY", []),  # of a later hand, and the same
        (2_000_000, 1, "CNY", []),  # older than what was said
        (
            2_000_000,
            0,
            "USD",
            [("other_banks", D(500_000), None)],
        ),  # no exchange rate: not known, and not nothing
    ],
)
def test_another_figure_of_the_same_or_a_later_day_is_news(
    house: House, desk: Desk, outstanding: int, age: int, currency: str,
    told: list[tuple[str, Decimal, Decimal | None]],
) -> None:  # fmt: skip
    with bank(house.id):
        saved = _calculated(desk)
        assert _news(desk, saved) == []
        _report(desk, outstanding, TODAY - dt.timedelta(days=age), currency)
        assert _news(desk, saved) == told


def test_a_guarantee_that_came_later_is_news(house: House, desk: Desk) -> None:
    with bank(house.id):
        saved = _calculated(desk)
        book.mortgage(desk.rm.actor, desk.customer)
        assert _news(desk, saved) == [(GUARANTEES, D(0), D(2_400_000))]


def test_the_page_tells_who_decides_and_keeps_it_as_it_was_seen(
    house: House, desk: Desk, client_for: SignIn
) -> None:
    with bank(house.id):
        saved = _calculated(desk)
        _report(desk, 2_000_000)
        case = a_case(desk, calculation_id=saved.pk)
    page, paper = f"/credit/cases/{case.pk}/", f"/credit/cases/{case.pk}/print/"
    client = client_for(desk.manager)
    for address in (page, paper):
        text = client.get(address).content.decode()
        assert "Newer since the calculation:" in text
        assert "above the calculated limit" in text  # 20 million are asked for
    text = client.get(page).content.decode()
    again = text.partition("calculation/?grade=A")[2].partition('"')[0].replace("&amp;", "&")
    shown = client.get(f"/credit/customers/{desk.customer.pk}/calculation/?grade=A{again}").content.decode()
    assert "Credit reference report" in shown
    with bank(house.id):
        case.refresh_from_db()
        say(desk.manager, case, "reject")
        _report(desk, 9_000_000)
    text = client.get(page).content.decode()
    assert "Was newer than the calculation when it was decided:" in text
    assert "Newer since the calculation:" not in text
