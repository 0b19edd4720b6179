"""Ratings and scorecards in a browser and through the API: reckoned, confirmed, decided, printed, kept apart."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from credit_rating.default_cards import default_body
from credit_rating.factors import SOURCES
from credit_rating.models import CreditKind, Rating, Scorecard
from crm_site.lib.tenancy import bank
from customers.models import Customer
from tests.conftest import House, Person
from tests.credit_rating.test_line_api import caller
from tests.credit_rating.test_ratings import COLLECTED, book, company

Browse = Callable[[Person], Client]


@pytest.fixture
def firm(house: House, rm: Person) -> Customer:
    with bank(house.id):
        found = company(house, rm)
        book.add_statements(found)
        book.collect(rm.actor, found, COLLECTED)
    return found


def newest(house: House) -> Rating:
    with bank(house.id):
        return Rating.objects.latest("id")


def text(response: Any) -> str:
    return str(response.content.decode())


def test_a_rating_walks_from_the_data_to_a_grade_in_force(
    house: House, firm: Customer, rm: Person, branch_manager: Person, hq_credit: Person, client_for: Browse
) -> None:
    browser, reviewer = client_for(rm), client_for(branch_manager)
    form = f"/credit/customers/{firm.pk}/rating/"
    assert "Debt ratio" in text(browser.get(form))
    assert browser.post(form).status_code == 302
    assert browser.post(form).status_code == 302  # a double click
    made = newest(house)
    address = f"/credit/ratings/{made.pk}/"
    shown = text(browser.get(address))
    assert "statements of 2025" in shown and "50%–60%" in shown and "Confirm or depart" in shown
    given = {"seen": made.stamp, "grade": made.model_grade, "reason": ""}
    over = browser.post(f"{address}submit/", given | {"grade": "AAA", "reason": "we like them"})
    assert over.status_code == 422 and "at most 1 up" in text(over)
    assert browser.post(f"{address}submit/", given).status_code == 302
    # Four eyes: the maker's role does not decide, and a stale page is told what happened.
    assert browser.post(f"{address}decide/", {"seen": made.stamp, "act": "approve"}).status_code == 403
    assert "another person decides" in text(browser.get(address))
    stale = reviewer.post(f"{address}decide/", {"seen": "x", "act": "approve"})
    assert stale.status_code == 409 and "no longer what you looked at" in text(stale)
    assert firm.name in text(reviewer.get("/credit/ratings/"))
    done = newest(house)
    assert reviewer.post(f"{address}decide/", {"seen": done.stamp, "act": "approve"}).status_code == 302
    late = client_for(hq_credit).post(
        f"{address}decide/", {"seen": done.stamp, "act": "return", "note": "no"}
    )
    assert late.status_code == 409 and "Branch Manager" in text(late)
    assert newest(house).status == "approved"
    for page in (
        f"{address}print/",
        f"{form}panel/",
        form,
        "/credit/ratings/?list=all",
        "/credit/ratings/?list=due",
    ):
        assert reviewer.get(page).status_code == 200
    assert "Credit rating form" in text(reviewer.get(f"{address}print/"))
    assert 'class="grade grade-' in text(reviewer.get(f"{form}panel/", HTTP_HX_REQUEST="true"))


def test_a_manager_does_not_decide_what_he_made(
    house: House, firm: Customer, branch_manager: Person, client_for: Browse
) -> None:
    browser = client_for(branch_manager)
    assert browser.post(f"/credit/customers/{firm.pk}/rating/").status_code == 302
    made = newest(house)
    address = f"/credit/ratings/{made.pk}/"
    given = {"seen": made.stamp, "grade": made.grade, "reason": ""}
    assert browser.post(f"{address}submit/", given).status_code == 302
    refused = browser.post(f"{address}decide/", {"seen": made.stamp, "act": "approve"})
    assert refused.status_code == 422
    assert "You made this rating" in text(browser.get(address))
    assert newest(house).status == "submitted"


def test_other_systems_read_decided_ratings_and_decide_none(
    house: House, firm: Customer, rm: Person, branch_manager: Person, client_for: Browse
) -> None:
    reader = caller(house, "customers:read")
    client_for(rm).post(f"/credit/customers/{firm.pk}/rating/")
    made = newest(house)
    given = {"seen": made.stamp, "grade": made.grade, "reason": ""}
    client_for(rm).post(f"/credit/ratings/{made.pk}/submit/", given)
    assert reader("get", "ratings").json()["results"] == []
    client_for(branch_manager).post(
        f"/credit/ratings/{made.pk}/decide/", {"seen": made.stamp, "act": "approve"}
    )
    (row,) = reader("get", f"ratings?customer={firm.number}&grade={made.grade}").json()["results"]
    assert (row["number"], row["grade"], row["status"]) == (made.number, made.grade, "approved")
    assert row["content_hash"] == made.content_hash
    assert reader("get", f"customers/{firm.number}/view").json()["ratings"][0]["number"] == made.number
    assert reader("get", "ratings?changed_since=2099-01-01T00:00:00Z").json()["results"] == []
    assert reader("get", "ratings?grade=X").status_code == 400
    assert reader("post", "ratings", {"grade": "AAA"}).status_code == 405
    assert caller(house, "lines:control")("get", "ratings").status_code == 403


def posted(kind: CreditKind) -> dict[str, str]:
    body = default_body(kind)
    data = dict(body["params"]) | {"name": "standard", "note": "sharper"}
    for table, rows in body["tables"].items():
        data[f"{table}-rows"] = str(len(rows))
        data |= {f"{table}-{i}-{name}": v for i, row in enumerate(rows) for name, v in row.items()}
    return data


def test_a_card_is_made_in_a_page_and_published_by_another(
    house: House, hq_risk: Person, president: Person, client_for: Browse
) -> None:
    with bank(house.id):
        first = Scorecard.objects.get(kind="sme")
    maker, second = client_for(hq_risk), client_for(president)
    assert "Standard small business scorecard" in text(maker.get("/credit/scorecards/"))
    address = f"/credit/scorecards/{first.pk}/"
    assert "Worst arrears" in text(maker.get(address))
    form = maker.get(f"{address}edit/").content.decode()
    said = str(dict(SOURCES["record"].choices)["clean"])
    assert f'<span class="cell-second">{said}</span>' in form  # the code is written, its name is read
    wrong = maker.post(f"{address}edit/", posted(CreditKind.SME) | {"factors-0-weight": "13"})
    assert wrong.status_code == 422 and "they must be 100" in text(wrong)
    sharper = posted(CreditKind.SME)
    sharper["factors-0-neutral"] = str(int(sharper["factors-0-neutral"]) - 1)
    saved = maker.post(f"{address}edit/", sharper)
    draft = saved.headers["Location"]
    told = text(maker.get(draft))
    assert f"against {first}, which is in force before it" in told
    changes = told[told.index("What it changes") : told.index("Publication")]
    assert "1 factor changed · 9 factors as before" in re.sub(r"\d+ factors as", "9 factors as", changes)
    assert "Points when missing" in changes and "Another card" not in changes
    assert maker.post(f"{draft}propose/", {"valid_from": "2099-01-01"}).status_code == 302
    maker.post(f"{draft}publish/")
    assert "you cannot publish it" in text(maker.get(draft))
    with bank(house.id):
        assert Scorecard.objects.latest("id").status == "proposed"
    assert "Who publishes it says why" in text(second.get(draft))
    second.post(f"{draft}publish/", {"reason": "nobody has been rated yet"})
    with bank(house.id):
        assert Scorecard.objects.latest("id").status == "published"
    assert "President" in text(second.get("/credit/scorecards/"))
