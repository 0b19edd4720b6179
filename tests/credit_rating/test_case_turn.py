"""What the page of a case tells who opens it: whose turn it is, what happened last, and where it stands in the inbox."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from django.test import Client

from credit_rating.models import CreditCase, Opinion, StaffRelation
from credit_rating.services import cases
from crm_site.lib.permissions import Role
from crm_site.lib.tenancy import bank
from tests.conftest import NOW, PASSWORD, TODAY, House, Person, hire
from tests.credit_rating.desk import LATER, Desk, a_case, say, to_committee, to_president
from tests.customers.factories import make_customer

SignIn = Callable[[Person], Client]
pytestmark = pytest.mark.usefixtures("the_pages_day")


def shown(client: Client, case: CreditCase, query: str = "") -> str:
    """The page as a reader sees it: without tags, spaces run together."""
    html = client.get(f"/credit/cases/{case.pk}/{query}").content.decode()
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def test_everybody_reads_whose_turn_it_is(house: House, desk: Desk, client_for: SignIn) -> None:
    second = hire(house, "second", Role.BRANCH_MANAGER, house.north)
    maker = client_for(desk.rm)
    with bank(house.id):
        case = a_case(desk)
    page = shown(maker, case)
    assert f"Waits for: {desk.manager.staff.name} , {second.staff.name}" in page

    with bank(house.id):
        StaffRelation.objects.create(
            staff=second.staff, customer=desk.customer, basis="brother", from_date=TODAY, entered_at=NOW
        )
        cases.delegate(
            desk.manager.actor, to_id=desk.reviewer.staff.pk, from_date=TODAY, to_date=TODAY, now=NOW, today=TODAY
        )  # fmt: skip
    page = shown(maker, case)
    assert f"Waits for: {desk.manager.staff.name} away, {desk.reviewer.staff.name} decides" in page
    assert second.staff.name not in page.partition("Waits for:")[2][:80]

    with bank(house.id):
        say(desk.manager, case, "return", text="The 2025 statements are missing.")
    page = shown(maker, case)
    assert f"Returned for more information by {desk.manager.staff.name} (Branch)" in page
    assert "“The 2025 statements are missing.”" in page  # what follows is nobody's words
    assert "Complete it and submit it again by" in page
    assert f"It is with {desk.rm.staff.name}" in shown(client_for(desk.reviewer), case)

    with bank(house.id):
        cases.submit_case(desk.rm.actor, case_id=case.pk, now=LATER, today=TODAY)
        cases.withdraw_case(desk.rm.actor, case_id=case.pk, now=LATER, today=TODAY)
    assert f"Withdrawn by {desk.rm.staff.name}" in shown(maker, case)


def test_the_president_vetoes_and_is_not_offered_a_second_return(desk: Desk, client_for: SignIn) -> None:
    with bank(desk.house.id):
        case = to_president(desk, a_case(desk))
    president = client_for(desk.president)
    first = president.get(f"/credit/cases/{case.pk}/").content.decode()
    assert "Veto" in first
    assert 'value="return"' in first
    assert "Agree 4" in shown(president, case)
    with bank(desk.house.id):
        say(desk.president, case, "return")
        cases.submit_case(desk.rm.actor, case_id=case.pk, now=LATER, today=TODAY)
        to_president(desk, case)
    again = president.get(f"/credit/cases/{case.pk}/").content.decode()
    assert 'value="return"' not in again
    assert "has returned this case once already" in again
    with bank(desk.house.id):
        say(desk.president, case, "reject", text="Too much of one trade.")
    page = shown(president, case)
    assert f"Vetoed by {desk.president.staff.name}" in page
    assert "Too much of one trade." in page


def test_a_double_click_is_one_opinion_and_no_error(desk: Desk, client_for: SignIn) -> None:
    with bank(desk.house.id):
        case = a_case(desk)
    manager = client_for(desk.manager)
    manager.post("/accounts/reauthenticate/", {"password": PASSWORD})
    given = {"verdict": "approve", "text": " Seen. ", "conditions": "", "dossier_hash": case.dossier_hash}
    for _click in range(2):
        assert manager.post(f"/credit/cases/{case.pk}/decide/", given).status_code == 302
    page = shown(manager, case)
    assert "Your opinion is on the record. The case is with: Headquarters review." in page
    assert manager.post(f"/credit/cases/{case.pk}/decide/", {**given, "verdict": "reject"}).status_code == 422
    with bank(desk.house.id):
        assert Opinion.objects.get().verdict == "approve"


def test_a_case_says_its_place_in_the_inbox_and_leads_on(desk: Desk, client_for: SignIn) -> None:
    found = []
    with bank(desk.house.id):
        for name in ("First", "Second", "Third"):
            desk.customer = make_customer(
                name, kind="corporate", home_branch=desk.house.north, responsible=desk.rm.staff
            )
            found.append(a_case(desk))
    manager = client_for(desk.manager)
    first, second, third = found
    page = manager.get(f"/credit/cases/{second.pk}/?list=todo").content.decode()
    assert "case 2 of 3" in page
    assert f'data-key="k" href="/credit/cases/{first.pk}/?list=todo"' in page
    assert f'data-key="j" href="/credit/cases/{third.pk}/?list=todo"' in page
    assert f'href="/credit/cases/{second.pk}/?list=todo"' in manager.get("/credit/").content.decode()

    manager.post("/accounts/reauthenticate/", {"password": PASSWORD})
    given = {"verdict": "approve", "text": "Seen.", "dossier_hash": second.dossier_hash, "list": "todo"}
    answer = manager.post(f"/credit/cases/{second.pk}/decide/", given)
    assert answer.headers["Location"] == f"/credit/cases/{second.pk}/?list=todo"
    page = manager.get(answer.headers["Location"]).content.decode()
    assert "2 left" in page
    assert f'data-key="j" href="/credit/cases/{first.pk}/?list=todo"' in page
    assert manager.get(f"/credit/cases/{second.pk}/?list=elsewhere").status_code == 200


def test_a_closed_vote_is_told_as_it_came_out(desk: Desk, client_for: SignIn) -> None:
    with bank(desk.house.id):
        case = to_committee(desk, a_case(desk))
        cases.recuse(desk.members[3].actor, case_id=case.pk, reason="friend", now=LATER, today=TODAY)
        for member, verdict in zip(desk.members, ("approve", "approve", "abstain"), strict=False):
            say(member, case, verdict)
    assert "Agree 2 · Abstain 1" in shown(client_for(desk.rm), case)


def test_a_stand_in_is_named_from_today_in_chinese_as_well(desk: Desk, client_for: SignIn) -> None:
    """The browser's field for a day shows 2026/11/20 as empty, and an empty field is not sent."""
    page = client_for(desk.manager).get("/credit/delegations/", HTTP_ACCEPT_LANGUAGE="zh-hans")
    assert f'name="from_date" value="{TODAY.isoformat()}"' in page.content.decode()
