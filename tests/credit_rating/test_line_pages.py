"""Pages of credit lines: who sees which, what the filters find, and what a click does."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal

import pytest
from django.test import Client

from credit_rating.models import CreditLine
from credit_rating.selectors import lines as selectors
from credit_rating.services import control
from crm_site.lib.tenancy import bank
from customers.models import Customer
from tests.conftest import NOW, TODAY, House, Person
from tests.credit_rating.lines import a_line, core_banking

SignIn = Callable[[Person], Client]
FAR = dt.date(2099, 1, 1)  # pages ask the clock


@pytest.fixture
def line(house: House, rm: Person) -> CreditLine:
    with bank(house.id):
        found = a_line(house, expires_on=FAR)
        Customer.objects.update(responsible=rm.staff)
        return found


def use(house: House, line: CreditLine, amount: str) -> None:
    core = core_banking(house)
    held = control.reserve(core, line_id=line.pk, amount=Decimal(amount), currency="CNY", reference="FK-1",
                           day=TODAY, now=NOW)  # fmt: skip
    control.commit(core, reservation_id=held.id, now=NOW)


def test_the_list_opens_the_line_and_shows_its_figures(
    line: CreditLine, house: House, rm: Person, client_for: SignIn
) -> None:
    with bank(house.id):
        use(house, line, "250.00")
    page = client_for(rm).get("/credit/lines/")
    text = page.content.decode()
    assert f"/credit/lines/{line.pk}/" in text
    assert "25%" in text and "Matrix Works" in text
    shown = client_for(rm).get(f"/credit/lines/{line.pk}/").content.decode()
    assert "FK-1" in shown and "750.00" in shown and "Opened" in shown
    assert 'name="act"' not in shown  # a relationship manager controls nothing
    assert "ED-2026-000001" in client_for(rm).get(f"/credit/lines/{line.pk}/print/").content.decode()
    assert (
        "ED-2026-000001"
        in client_for(rm).get(f"/credit/customers/{line.customer_id}/lines/").content.decode()
    )


def test_a_colleague_of_another_branch_sees_nothing(
    line: CreditLine, rm_other_branch: Person, client_for: SignIn
) -> None:
    client = client_for(rm_other_branch)
    assert "Matrix Works" not in client.get("/credit/lines/").content.decode()
    for path in ("", "print/"):
        assert client.get(f"/credit/lines/{line.pk}/{path}").status_code == 404


def test_filters_find_and_what_is_no_filter_is_passed_over(
    line: CreditLine, house: House, hq_risk: Person, client_for: SignIn
) -> None:
    client = client_for(hq_risk)
    north, south = house.north.pk, house.south.pk
    for query, there in (
        ("status=active", True), ("status=frozen", False), ("status=all", True), ("use=unused", True), ("use=low", False),
        ("within=30", False), (f"unit={north}", True), (f"unit={south}", False), ("q=ED-2026-000001", True),
        ("q=2026-1", True), ("q=M-1", True), ("q=ED-2026-000002", False), ("status=nonsense&within=x&unit=9", True),
        ("after=nonsense", True),
    ):  # fmt: skip
        page = client.get(f"/credit/lines/?{query}")
        assert page.status_code == 200
        assert (f"/credit/lines/{line.pk}/" in page.content.decode()) is there, query


def test_only_the_first_page_adds_everything_up(
    line: CreditLine, hq_risk: Person, client_for: SignIn
) -> None:
    client = client_for(hq_risk)
    first = client.get("/credit/lines/").content.decode()
    later = client.get("/credit/lines/?after=2020-01-01:1").content.decode()
    assert "% in use" in first
    assert "% in use" not in later
    assert all(f"/credit/lines/{line.pk}/" in page for page in (first, later))


def test_the_list_begins_with_what_lives_or_is_still_in_use(inside: House, hq_risk: Person) -> None:
    past = {"starts_on": TODAY - dt.timedelta(days=90), "expires_on": TODAY - dt.timedelta(days=1)}
    lives, over, owing = a_line(inside), a_line(inside, **past), a_line(inside, **past)
    CreditLine.objects.filter(pk=owing.pk).update(utilised=Decimal(1))

    def shown(**query: object) -> set[int]:
        page = selectors.line_page(hq_risk.actor, selectors.LineQuery(**query), day=TODAY)
        return {row.pk for row in page.rows}

    assert shown() == {lives.pk, owing.pk}
    assert shown(everything=True) == {lives.pk, over.pk, owing.pk}
    assert shown(status="expired") == {over.pk, owing.pk}


def test_bands_of_use_and_rungs_of_the_ladder_are_exact(inside: House, hq_risk: Person) -> None:
    used = {
        "0.00": "unused",
        "0.01": "low",
        "499.99": "low",
        "500.00": "mid",
        "899.99": "mid",
        "900.00": "high",
    }
    for amount, band in used.items():
        line = a_line(inside)
        if amount != "0.00":
            use(inside, line, amount)
        for name in selectors.BANDS:
            found = selectors.line_page(hq_risk.actor, selectors.LineQuery(band=name), day=TODAY)
            assert (line.pk in {row.pk for row in found.rows}) is (name == band), (amount, name)
    for days, rung in ((0, 30), (30, 30), (31, 90), (365, 365)):
        line = a_line(inside, expires_on=TODAY + dt.timedelta(days=days))
        for within in selectors.LADDER:
            found = selectors.line_page(hq_risk.actor, selectors.LineQuery(within=within), day=TODAY)
            assert (line.pk in {row.pk for row in found.rows}) is (within == rung), (days, within)


def test_pages_follow_one_another_without_gap(
    inside: House, hq_risk: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selectors, "PAGE", 3)
    wanted = [a_line(inside, expires_on=FAR + dt.timedelta(days=n // 3)).pk for n in range(8)]
    seen: list[int] = []
    after = ""
    while True:
        page = selectors.line_page(hq_risk.actor, selectors.LineQuery(), day=TODAY, after=after)
        seen += [row.pk for row in page.rows]
        after = page.following
        if not after:
            break
    assert seen == wanted
    totals = selectors.line_totals(hq_risk.actor, selectors.LineQuery(), day=TODAY)
    assert totals is not None
    assert [(total.count, total.limit, total.used) for total in totals] == [(8, 8000, 0)]


def test_more_lines_than_are_added_up_say_so(
    line: CreditLine, house: House, hq_risk: Person, client_for: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    with bank(house.id):
        a_line(house, expires_on=FAR)
    client = client_for(hq_risk)
    assert "2 lines ·" in client.get("/credit/lines/").content.decode()
    monkeypatch.setattr(selectors, "MOST_SUMMED", 1)
    page = client.get("/credit/lines/").content.decode()
    assert "more than 1 lines; filtered to fewer, they are added up" in page and line.number in page


def test_freezing_needs_a_reason_and_is_told(
    line: CreditLine, house: House, hq_risk: Person, client_for: SignIn
) -> None:
    client = client_for(hq_risk)
    without = client.post(f"/credit/lines/{line.pk}/act/", {"act": "freeze", "reason": " "})
    assert without.status_code == 422
    assert 'id="id_reason_error"' in without.content.decode()
    done = client.post(
        f"/credit/lines/{line.pk}/act/", {"act": "freeze", "reason": "Court order"}, follow=True
    )
    text = done.content.decode()
    assert "The line is frozen." in text and "Court order" in text
    again = client.post(f"/credit/lines/{line.pk}/act/", {"act": "freeze", "reason": "Twice"})
    assert again.status_code == 409  # a double click freezes once
    assert client.post(f"/credit/lines/{line.pk}/act/", {"act": "explode", "reason": "x"}).status_code == 422


def test_lowering_says_beside_the_field_what_is_wrong(
    line: CreditLine, house: House, hq_credit: Person, client_for: SignIn
) -> None:
    with bank(house.id):
        use(house, line, "250.00")
    client, address = client_for(hq_credit), f"/credit/lines/{line.pk}/act/"
    for limit in ("", "249.99", "1000.01", "x"):
        answer = client.post(address, {"act": "lower", "reason": "Cut", "limit": limit})
        assert answer.status_code == 422
        assert 'id="id_limit_error"' in answer.content.decode()
    assert client.post(address, {"act": "lower", "reason": "Cut", "limit": "250.00"}).status_code == 302
    with bank(house.id):
        assert CreditLine.objects.get(pk=line.pk).limit == 250
