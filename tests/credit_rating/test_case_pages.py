"""Approval cases in a browser: the inbox, deciding from the record itself, and cheats through page and API."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest
from django.test import Client

from credit_rating.models import CaseStatus, CreditCase, CreditLine, Opinion, StaffRelation
from credit_rating.services import cases
from crm_site.lib import formats
from crm_site.lib.permissions import Role
from crm_site.lib.tenancy import bank
from customers.models import Customer
from tests.conftest import NOW, PASSWORD, TODAY, House, Person, hire
from tests.credit_rating import book
from tests.credit_rating import desk as tables
from tests.credit_rating.desk import Desk, a_case, say, to_committee

SignIn = Callable[[Person], Client]
pytestmark = pytest.mark.usefixtures("the_pages_day")


def confirmed(client: Client) -> Client:
    """Somebody who has just proved who he is."""
    assert client.post("/accounts/reauthenticate/", {"password": PASSWORD}).status_code == 302
    return client


def opinion(case: CreditCase, verdict: str = "approve", **changed: str) -> dict[str, str]:
    return {
        "verdict": verdict,
        "text": "Seen.",
        "conditions": "",
        "dossier_hash": case.dossier_hash,
        **changed,
    }


def test_a_case_is_written_submitted_and_decided_in_the_browser(
    house: House, desk: Desk, client_for: SignIn
) -> None:
    maker = client_for(desk.rm)
    with bank(house.id):
        product = tables.a_product()
    url = f"/credit/customers/{desk.customer.pk}/cases/new/"
    given = {
        "kind": "new", "product": str(product.pk), "amount": "20000000", "currency": "CNY", "term_months": "12",
        "purpose": "Working capital", "investigation": "Orders are there.",
    }  # fmt: skip
    assert maker.get(url).status_code == 200
    assert maker.post(url, given | {"amount": "0"}).status_code == 422
    made = maker.post(url, given)
    assert made.status_code == 302
    page = made.headers["Location"]
    assert "Submit for approval" in maker.get(page).content.decode()
    assert maker.get(f"{page}edit/").status_code == 200
    assert maker.post(f"{page}act/", {"act": "submit"}).status_code == 302
    with bank(house.id):
        case = CreditCase.objects.get()
    decider = client_for(desk.manager)
    inbox = decider.get("/credit/").content.decode()
    assert case.number in inbox
    assert f"{case.pk}:{case.dossier_hash}" in inbox
    assert "My opinion" in decider.get(page).content.decode()
    asked = decider.post(f"{page}decide/", opinion(case))
    assert asked.status_code == 302
    assert "reauthenticate" in asked.headers["Location"]
    with bank(house.id):
        assert not Opinion.objects.exists()
    confirmed(decider)
    assert decider.post(f"{page}decide/", opinion(case, text="")).status_code == 422
    stale = decider.post(f"{page}decide/", opinion(case, dossier_hash="0" * 64))
    assert (stale.status_code, stale.headers["Location"]) == (302, page)
    again = decider.get(page).content.decode()
    assert "The case is not what you were shown." in again
    assert f'value="{case.dossier_hash}"' in again
    assert opinion(case)["text"] in again  # what was typed is not lost
    assert decider.post(f"{page}decide/", opinion(case)).status_code == 302
    with bank(house.id):
        case.refresh_from_db()
    assert case.status == CaseStatus.HEADQUARTERS
    emptied = decider.get("/credit/").content.decode()
    assert case.number not in emptied
    assert 'class="btn" href="/credit/?tab=decided"' in emptied  # where to go on
    begins = maker.get("/credit/").content.decode()  # who never decides begins with what he has made
    assert case.number in begins
    assert '<a class="tabbar-item" href="/credit/" aria-current="page">' in begins
    assert case.number not in maker.get("/credit/?tab=todo").content.decode()
    assert case.number in decider.get("/credit/?tab=decided").content.decode()
    assert case.number in maker.get("/credit/?tab=mine").content.decode()
    paper = maker.get(f"{page}print/").content.decode()
    assert case.dossier_hash in paper


def test_the_paper_lists_the_guarantees_with_their_proof_as_the_page_does(
    house: House, desk: Desk, client_for: SignIn
) -> None:
    with bank(house.id):
        pledged = book.mortgage(desk.rm.actor, desk.customer)
        case = a_case(desk)
    reader = client_for(desk.manager)
    addresses = (f"/credit/cases/{case.pk}/", f"/credit/cases/{case.pk}/print/")
    for address in addresses:
        page = reader.get(address).content.decode()
        table = page[page.index("Thing or guarantor") :]
        table = table[: table.index("</table>")]
        assert "Factory 388 Sizhuan Road" in table and "Zhongjing Valuers" in table
        assert '<span class="tag">Proposed</span>' in table
        assert all(f'data-label="{cell}"' in table for cell in ("Value or capacity", "Counts for", "Usable"))
    with bank(house.id):
        book.put_in_force(desk.reviewer.actor, pledged, number="T-98")
    proof = f"certificate T-98, registered on {formats.day(TODAY)}"
    assert all(proof in reader.get(address).content.decode() for address in addresses)
    paper = reader.get(addresses[1]).content.decode()
    assert '<span class="tag">In force</span>' in paper


def test_the_page_of_a_changed_case_says_what_changed(house: House, desk: Desk, client_for: SignIn) -> None:
    with bank(house.id):
        case = a_case(desk)
        CreditCase.objects.filter(pk=case.pk).update(purpose="Something else")
    page, decider = f"/credit/cases/{case.pk}/", confirmed(client_for(desk.manager))
    answer = decider.post(f"{page}decide/", opinion(case))
    assert (answer.status_code, answer.headers["Location"]) == (302, page)
    told = decider.get(page).content.decode()
    assert "Approval case · Purpose: Working capital" in told
    assert "Something else" in told
    with bank(house.id):
        assert not Opinion.objects.exists()


def test_nobody_reads_another_members_vote_on_page_or_paper(
    house: House, desk: Desk, client_for: SignIn
) -> None:
    with bank(house.id):
        case = to_committee(desk, a_case(desk))
        say(desk.members[0], case, "reject", text="secret words")
    for reader in (desk.members[1], desk.president, desk.rm):
        client = client_for(reader)
        for address in (f"/credit/cases/{case.pk}/", f"/credit/cases/{case.pk}/print/"):
            assert "secret words" not in client.get(address).content.decode()


def test_the_very_same_opinion_goes_on_after_the_person_has_proved_who_he_is(
    house: House, desk: Desk, client_for: SignIn
) -> None:
    with bank(house.id):
        case = a_case(desk)
    client = client_for(desk.manager)
    asked = client.post(f"/credit/cases/{case.pk}/decide/", opinion(case))
    assert client.post(asked.headers["Location"], {"password": "wrong"}).status_code == 200
    with bank(house.id):
        assert not Opinion.objects.exists()
    gone_on = client.post(asked.headers["Location"], {"password": PASSWORD})
    assert gone_on.headers["Location"] == f"/credit/cases/{case.pk}/"
    with bank(house.id):
        assert Opinion.objects.get().staff_id == desk.manager.staff.pk


def test_a_batch_lists_what_it_could_not_decide(house: House, desk: Desk, client_for: SignIn) -> None:
    with bank(house.id):
        case = a_case(desk)
    chosen = {"selected": [f"{case.pk}:{case.dossier_hash}", "999999:x"], "text": "In order."}
    client = client_for(desk.manager)
    assert "reauthenticate" in client.post("/credit/cases/batch/", chosen).headers["Location"]
    answer = confirmed(client).post("/credit/cases/batch/", chosen)
    assert "Agreed with 1 case." in answer.content.decode()
    assert "999999" in answer.content.decode()


def test_conditions_signers_copies_and_delegations_have_their_forms(
    house: House, desk: Desk, client_for: SignIn
) -> None:
    with bank(house.id):
        case = a_case(desk)
        say(desk.manager, case)
    reviewer = client_for(desk.reviewer)
    act = f"/credit/cases/{case.pk}/act/"
    assert reviewer.post(act, {"act": "signer", "number": "member_0"}).status_code == 302
    assert reviewer.post(act, {"act": "signer", "number": "maker"}).status_code == 422
    assert reviewer.post(act, {"act": "copy", "number": "chief"}).status_code == 302
    assert case.number in client_for(desk.president).get("/credit/?tab=copied").content.decode()
    assert "member_0".replace("_", " ").title() in reviewer.get(f"/credit/cases/{case.pk}/").content.decode()
    with bank(house.id):
        stand_in = desk.members[1].staff.pk
    day = TODAY.isoformat()
    away = {"to": str(stand_in), "from_date": day, "to_date": day}
    assert reviewer.post("/credit/delegations/", away).status_code == 302
    assert reviewer.get("/credit/delegations/").status_code == 200


def test_who_would_decide_is_answered_with_every_rows_reason(desk: Desk, client_for: SignIn) -> None:
    given = {"amount": "300000.01", "grade": "A", "kind": "household"}
    page = client_for(desk.rm).get("/credit/authority/", given).content.decode()
    assert "Headquarters review" in page
    assert "decides finally" in page
    excluded = client_for(desk.rm).get("/credit/authority/", given | {"excluded": "on"}).content.decode()
    assert "on the exclusion list, so the president decides" in excluded
    assert client_for(desk.rm).get("/credit/authority/").status_code == 200


@pytest.mark.parametrize("who", ["maker", "jumper", "own", "relative", "other"])
def test_cheats_through_the_page(house: House, desk: Desk, client_for: SignIn, who: str) -> None:
    hire(house, "second", Role.BRANCH_MANAGER, house.north)  # so that the branch still has somebody who may
    with bank(house.id):
        case = a_case(desk)
        if who == "own":
            Customer.objects.filter(pk=desk.customer.pk).update(responsible=desk.manager.staff)
        if who == "relative":
            StaffRelation.objects.create(
                staff=desk.manager.staff, customer=desk.customer, basis="b", from_date=TODAY, entered_at=NOW
            )
    person = {"maker": desk.rm, "jumper": desk.president, "other": desk.members[0]}.get(who, desk.manager)
    answer = confirmed(client_for(person)).post(f"/credit/cases/{case.pk}/decide/", opinion(case))
    assert answer.status_code in (403, 422)
    with bank(house.id):
        assert not Opinion.objects.exists()
        assert CreditCase.objects.get().status == CaseStatus.BRANCH


def test_cheats_over_http(house: House, desk: Desk, client_for: SignIn) -> None:
    with bank(house.id):
        case = a_case(desk)
    manager = confirmed(client_for(desk.manager))
    forms = [
        ("get", f"/credit/cases/{case.pk}/decide/", {}, 405),
        ("put", f"/credit/cases/{case.pk}/decide/", {}, 405),
        ("post", f"/credit/cases/{case.pk}/act/", {"act": "approve"}, 422),
        ("post", f"/credit/cases/{case.pk}/act/", {"act": "withdraw"}, 403),
        ("post", f"/credit/cases/{case.pk}/act/", {"act": "submit"}, 403),
        ("post", f"/credit/cases/{case.pk}/edit/", {"amount": "1"}, 422),
        ("post", f"/credit/cases/{case.pk}/decide/", opinion(case, verdict="approved"), 422),
        ("post", f"/credit/cases/{case.pk}/decide/", opinion(case, verdict="abstain"), 422),
        ("post", f"/api/v1/credit/cases/{case.pk}/decide/", opinion(case), 404),
    ]
    for method, address, data, status in forms:
        assert getattr(manager, method)(address, data).status_code == status, address
    stranger = Client(HTTP_HOST=house.bank.host)
    assert stranger.post(f"/credit/cases/{case.pk}/decide/", opinion(case)).status_code == 302
    with_csrf = Client(HTTP_HOST=house.bank.host, enforce_csrf_checks=True)
    with bank(house.id):
        with_csrf.force_login(
            desk.manager.staff, backend="allauth.account.auth_backends.AuthenticationBackend"
        )
    assert with_csrf.post(f"/credit/cases/{case.pk}/decide/", opinion(case)).status_code == 403
    with bank(house.id):
        assert not Opinion.objects.exists()
        assert not CreditLine.objects.exists()


def test_another_bank_sees_nothing(house: House, desk: Desk, outsider: Person, client_for: SignIn) -> None:
    with bank(house.id):
        case = a_case(desk)
    client = confirmed(client_for(outsider))
    assert client.get(f"/credit/cases/{case.pk}/").status_code == 404
    assert client.post(f"/credit/cases/{case.pk}/decide/", opinion(case)).status_code == 404


def test_the_inbox_says_which_cases_come_from_somebody_who_is_away(
    house: House, desk: Desk, client_for: SignIn
) -> None:
    beside = hire(house, "beside", Role.BRANCH_MANAGER, house.north)
    with bank(house.id):
        case = a_case(desk)
        until = TODAY + dt.timedelta(days=5)
        cases.delegate(
            desk.reviewer.actor, to_id=desk.president.staff.pk, from_date=TODAY, to_date=until, now=NOW, today=TODAY
        )  # fmt: skip
        cases.delegate(
            desk.manager.actor, to_id=beside.staff.pk, from_date=TODAY, to_date=until, now=NOW, today=TODAY
        )
    mark = f"for {desk.manager.staff.name}, absent until {formats.day(until)}"
    # Who holds the role himself decides in his own name, delegation or not.
    own = client_for(beside).get("/credit/").content.decode()
    assert case.number in own and mark not in own
    with bank(house.id):
        say(desk.manager, case)
    chief = client_for(desk.president)
    mark = f"for {desk.reviewer.staff.name}, absent until {formats.day(until)}"
    told = chief.get("/credit/").content.decode()
    assert case.number in told and mark in told
    away = f"/credit/?tab=todo&whose={desk.reviewer.staff.pk}"
    assert away.replace("&", "&amp;") in told
    assert case.number in chief.get(away).content.decode()
    assert case.number not in chief.get("/credit/?tab=todo&whose=own").content.decode()
    assert case.number in chief.get("/credit/?tab=todo&whose=999999").content.decode()


def test_stand_ins_are_told_apart_by_their_roles(desk: Desk, client_for: SignIn) -> None:
    page = client_for(desk.manager).get("/credit/delegations/").content.decode()
    unit = desk.house.head_office.name
    assert f"{desk.president.staff.name} · {unit} · President" in page
    assert f"{desk.reviewer.staff.name} · {unit} · Credit reviewer" in page
