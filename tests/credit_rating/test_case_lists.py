"""What a list of cases tells who decides: grade, the cap that comes nearest, how long it waits (home and inbox)."""

from __future__ import annotations

import datetime as dt
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from urllib.parse import urljoin

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from credit_rating.models import BankCapital, CreditCase, CreditLine
from credit_rating.selectors import cases as selectors
from credit_rating.selectors.calculations import Terms
from credit_rating.services.calculations import save_calculation
from credit_rating.services.cases import edit_case, withdraw_case
from crm_site.lib import formats
from crm_site.lib.tenancy import bank
from customers.models import FxRate, Relation, Standing
from tests.conftest import NOW, TODAY, House, Person
from tests.credit_rating import book
from tests.credit_rating import desk as tables
from tests.credit_rating.desk import Desk, a_case, say, terms, to_committee
from tests.credit_rating.lines import a_line
from tests.credit_rating.test_ratings import decide, make, submit
from tests.customers.factories import make_customer

SignIn = Callable[[Person], Client]


@pytest.fixture
def desk(house: House) -> Desk:
    """A bank of 200 million; the customer asks for 31 million: half as much again as one may owe."""
    found = tables.staffed(house)
    with bank(house.id):
        found = tables.with_customer(found)
        book.add_statements(found.customer)
        book.collect(found.rm.actor, found.customer)
        book.add_capital(net=200_000_000, tier1=200_000_000)
    return found


def _asked(desk: Desk) -> CreditCase:
    asked = Terms("A", 12, Decimal(31_000_000))
    saved = save_calculation(desk.rm.actor, customer=desk.customer, terms=asked, day=TODAY, now=NOW)
    return a_case(desk, 31_000_000, calculation_id=saved.pk)


@pytest.mark.parametrize(("above", "flagged"), [(-1, True), (0, False)])
def test_the_rate_asked_for_stands_beside_the_suggested_one(
    desk: Desk, client_for: SignIn, above: int, flagged: bool
) -> None:
    with bank(desk.house.id):
        asked = Terms("A", 12, Decimal(31_000_000))
        saved = save_calculation(desk.rm.actor, customer=desk.customer, terms=asked, day=TODAY, now=NOW)
        assert saved.rate_bp is not None
        case = a_case(desk, 31_000_000, calculation_id=saved.pk, rate_bp=saved.rate_bp + above)
    client = client_for(desk.manager)
    suggested = f"suggested {saved.rate_bp / 100:.2f}%"
    for address in (f"/credit/cases/{case.pk}/", f"/credit/cases/{case.pk}/print/"):
        text = client.get(address).content.decode()
        assert "Rate asked for" in text and suggested in text
        assert ("below the suggested rate" in text) is flagged
    text = client.get(f"/credit/cases/{case.pk}/").content.decode()
    assert ("below what the calculation suggests" in text) is flagged


def test_a_case_that_breaks_a_cap_says_so_before_it_is_opened(desk: Desk, client_for: SignIn) -> None:
    with bank(desk.house.id):
        case = _asked(desk)
        day = TODAY + dt.timedelta(days=3)
        one = selectors.listed([case], day)[0]
    assert one.use is not None
    assert (one.age, one.use.level) == (3, "breach")
    # 31 of the 20 million that may be lent to one customer of a net capital of 200 million.
    assert one.use.share == Decimal("1.55")
    assert one.cap == "Loans to one customer, of net capital"
    assert one.above_limit
    page = client_for(desk.manager).get("/credit/").content.decode()
    assert "155%" in page
    assert "above the calculated limit" in page


def test_the_page_holds_all_that_the_customer_then_has_against_the_calculated_limit(
    desk: Desk, client_for: SignIn
) -> None:
    """And says what the manager did to the grade, and why."""
    with bank(desk.house.id):
        made = make(desk.rm, desk.customer)
        decide(desk.reviewer, submit(desk.rm, made, grade="BB", reason="The lease of its hall ends."))
        a_line(desk.house, customer=desk.customer, limit=Decimal(2_000_000))
        asked = Terms("BB", 12, Decimal(1_000_000))
        saved = save_calculation(desk.rm.actor, customer=desk.customer, terms=asked, day=TODAY, now=NOW)
        assert saved.limit is not None and 2_000_000 < saved.limit < 6_000_000
        case = a_case(desk, saved.limit - 1_000_000, calculation_id=saved.pk)
        assert case.dossiers.get().content["authority"]["above_limit"]
    in_all = saved.limit + 1_000_000
    for address in (f"/credit/cases/{case.pk}/", f"/credit/cases/{case.pk}/print/"):
        text = client_for(desk.manager).get(address).content.decode()
        assert f"{formats.money(in_all, 'CNY')} with all other lines and cases" in text
        assert "CNY 1.0 M above the calculated limit" in text
        assert f"{made.model_grade} changed to BB" in text and "The lease of its hall ends." in text
    # The form of the next calculation leaves as much room as the line and the case under way do: 1 million too little.
    terms = {"grade": "BB", "term_months": "12", "requested": "500000", "discount": "none"}
    form = client_for(desk.rm).get(f"/credit/customers/{desk.customer.pk}/calculation/", terms)
    assert (form.context["beside"], form.context["room"]) == (in_all, Decimal(-1_500_000))
    assert "Other lines and cases under way" in form.content.decode()


def test_what_is_drawn_on_a_line_that_has_ended_is_held_against_the_limit_and_counted_once(
    desk: Desk, client_for: SignIn
) -> None:
    """The authority is asked about it too. The caps count it as a loan that no line carries: once."""
    with bank(desk.house.id):
        BankCapital.objects.create(
            as_of=TODAY, net_capital=100_000_000, tier1_net_capital=100_000_000, source="x",
            entered_by=desk.reviewer.staff, entered_at=NOW,
        )  # fmt: skip
        decide(desk.reviewer, submit(desk.rm, make(desk.rm, desk.customer)))
        asked = Terms("BBB", 12, Decimal(1_000_000))
        saved = save_calculation(desk.rm.actor, customer=desk.customer, terms=asked, day=TODAY, now=NOW)
        assert saved.limit is not None
        line = a_line(desk.house, customer=desk.customer, limit=saved.limit)
        CreditLine.objects.filter(pk=line.pk).update(status="expired", utilised=saved.limit - 100_000)
        Standing.objects.filter(customer=desk.customer).update(loans=saved.limit - 100_000)
        case = a_case(desk, 300_000, calculation_id=saved.pk)
        told = case.dossiers.get().content
        assert told["authority"]["amount"] == str(saved.limit + 200_000)
        assert told["authority"]["above_limit"]
        assert told["lines"] == []
        use = selectors.listed(selectors.inbox(desk.manager.actor, "todo", day=TODAY).rows, TODAY)[0].use
        assert use is not None and use.amount == saved.limit + 200_000
    text = client_for(desk.manager).get(f"/credit/cases/{case.pk}/").content.decode()
    assert "CNY 200.0 K above the calculated limit" in text
    assert line.number in text  # beside the case, though it has ended


def test_what_is_above_the_limit_is_said_of_the_terms_as_they_are(desk: Desk, client_for: SignIn) -> None:
    """Of a returned case as its maker has changed it, and of one in dollars without a word of lines that are not there."""
    with bank(desk.house.id):
        FxRate.objects.create(currency="USD", rate_date=TODAY, rate=Decimal(7))
        asked = Terms("A", 12, Decimal(1_000_000))
        saved = save_calculation(desk.rm.actor, customer=desk.customer, terms=asked, day=TODAY, now=NOW)
        case = a_case(desk, 5_000_000, calculation_id=saved.pk, currency="USD")
        page = client_for(desk.rm).get(f"/credit/cases/{case.pk}/").content.decode()
        assert "above the calculated limit" in page
        assert "with all other lines and cases" not in page
        say(desk.manager, case, "return")
        less = terms(100_000, calculation_id=saved.pk, currency="USD")
        edit_case(desk.rm.actor, case_id=case.pk, terms=less, investigation="Less is enough.", now=NOW)
    page = client_for(desk.rm).get(f"/credit/cases/{case.pk}/").content.decode()
    assert "above the calculated limit" not in page
    assert "with all other lines and cases" not in page


def test_the_list_and_the_page_of_a_case_name_the_same_figure(desk: Desk) -> None:
    """Without a calculation too, and with a group: what the page counts live."""
    with bank(desk.house.id):
        book.mortgage(desk.rm.actor, desk.customer)
        daughter = make_customer("Daughter", kind="corporate", home_branch=desk.house.north)
        Relation.objects.create(customer=daughter, other=desk.customer, kind="parent_company", share=1)
        a_line(desk.house, customer=daughter, limit=Decimal(14_000_000))
        case = a_case(desk, 18_000_000)
        one = selectors.listed([case], TODAY)[0]
        whole = selectors.whole_of(desk.manager.actor, case, TODAY)
    assert whole.group is not None
    page = {use.code: use for use in whole.group.concentration.uses}
    assert one.use == page["single_group"]
    assert one.use.amount == Decimal(32_000_000)


def test_without_capital_on_record_no_case_is_called_fine(desk: Desk) -> None:
    with bank(desk.house.id):
        BankCapital.objects.all().delete()
        one = selectors.listed([a_case(desk)], TODAY)[0]
    assert (one.use, one.cap) == (None, "")


def test_a_members_home_says_what_to_decide(desk: Desk, client_for: SignIn) -> None:
    member = client_for(desk.members[0])
    assert "Nothing waits for you." in member.get("/relationship/bank/").content.decode()
    with bank(desk.house.id):
        case = _asked(desk)
        to_committee(desk, case)
    page = member.get("/relationship/bank/").content.decode()
    for part in (f"/credit/cases/{case.pk}/", case.number, "31.0", "155%", "Days there"):
        assert part in page, part


def test_a_longer_list_costs_no_more_statements(desk: Desk) -> None:
    with bank(desk.house.id):
        _asked(desk)
        other = make_customer(
            "Second", kind="corporate", home_branch=desk.house.north, responsible=desk.rm.staff
        )
        a_case(replace(desk, customer=other), 1_000_000)
        costs = []
        for length in (1, 2):
            # Read anew: with just the columns that the page asks for, none of them fetched one by one before.
            cases = list(selectors.inbox(desk.manager.actor, "todo", day=TODAY).rows)[:length]
            assert len(cases) == length
            with CaptureQueriesContext(connection) as caught:
                selectors.listed(cases, TODAY)
            costs.append(len(caught.captured_queries))
    assert costs[0] == costs[1]


def test_the_paper_of_a_case_can_be_read_years_later(desk: Desk, client_for: SignIn) -> None:
    """As of which day, and printed when: with the year."""
    with bank(desk.house.id):
        case = a_case(desk)
    paper = client_for(desk.manager).get(f"/credit/cases/{case.pk}/print/").content.decode()
    assert f"As of {formats.day(TODAY)}" in paper  # with its year, as the reader's language writes it
    assert re.search(r"Printed by .+ on \d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d", paper)


def test_an_examiner_finds_a_case_that_ended_without_a_part_in_it(
    desk: Desk, auditor: Person, rm_other_branch: Person, client_for: SignIn
) -> None:
    """Whoever sees a customer finds what was decided of it; of others' customers he finds nothing."""
    with bank(desk.house.id):
        case = a_case(desk)
    address = "/credit/?tab=ended"
    assert case.number not in client_for(auditor).get(address).content.decode()  # it still waits
    with bank(desk.house.id):
        withdraw_case(desk.rm.actor, case_id=case.pk, now=NOW, today=TODAY)
    for person, sees in ((auditor, True), (rm_other_branch, False)):
        assert (case.number in client_for(person).get(address).content.decode()) is sees


def test_the_heading_counts_the_whole_list_and_not_its_page(
    desk: Desk, client_for: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages of one case each: every page says two, leads to the other, and a case opened from it knows its place."""
    monkeypatch.setattr("credit_rating.selectors.waiting.PAGE", 1)
    monkeypatch.setattr(sys.modules[selectors.inbox.__module__], "INBOX_PAGE", 1)
    with bank(desk.house.id):
        first = a_case(desk)
        other = make_customer(
            "Second", kind="corporate", home_branch=desk.house.north, responsible=desk.rm.staff
        )
        second = a_case(replace(desk, customer=other), 1_000_000)
        assert selectors.todo_count(desk.manager.actor, TODAY) == 2
    lists = (
        (desk.manager, "/credit/"),
        (desk.rm, "/credit/?tab=mine"),
        (desk.manager, "/credit/cases/waiting/"),
    )
    for person, begin in lists:
        client, shown, onward = client_for(person), [], begin
        while onward:
            page = client.get(onward).content.decode()
            assert ">2 cases<" in page, onward
            shown += [n for n in (first.number, second.number) if n in page]
            found = re.search(r'href="([^"]*after=[^"]*)"', page)
            onward = urljoin(begin, found[1].replace("&amp;", "&")) if found else ""
        assert sorted(shown) == sorted([first.number, second.number])
    manager = client_for(desk.manager)
    assert "case 2 of 2" in manager.get(f"/credit/cases/{second.pk}/?list=todo").content.decode()
    assert "case 1 of 2" in client_for(desk.rm).get(f"/credit/cases/{second.pk}/?list=mine").content.decode()
