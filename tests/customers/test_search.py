"""Search: what finds whom, why, within three statements, and nothing out of sight but the card."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from crm_site.audit.models import Entry
from crm_site.lib.tenancy import bank
from customers.models import SearchToken
from customers.selectors.search import search_customers
from customers.tokens import name_tokens
from tests.customers import factories

RESIDENT_ID = "11010519491231002X"
PHONE = "+8613812346021"


@pytest.fixture
def found_by(house: Any, rm: Any, portfolio: Any) -> Any:
    """The portfolio with its tokens, as ingest writes them; Lu has an identifier, a phone and an account."""
    with bank(house.id):
        factories.add_identifier(portfolio["lu"], RESIDENT_ID)
        factories.add_phone(portfolio["lu"], PHONE)
        for customer in portfolio.values():
            tokens = name_tokens(customer.name) | {f"#{customer.number}"}
            SearchToken.objects.bulk_create(SearchToken(customer=customer, token=token) for token in tokens)
        SearchToken.objects.create(customer=portfolio["lu"], token="a:62100042")
    return portfolio


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        ("陆思", "name"), ("思远", "name"), ("陆思远", "name"), ("lusiyuan", "pinyin"), ("LSY", "pinyin"),
        ("6021", "phone"), (RESIDENT_ID, "identifier"), (RESIDENT_ID.lower(), "identifier"),
        ("110105 19491231 002x", "identifier"), ("62100042", "account"), ("  陆思远 lsy ", "name"),
    ],
)  # fmt: skip
def test_what_finds_lu_and_why(typed: str, why: str, found_by: Any, rm: Any, house: Any) -> None:
    with bank(house.id), CaptureQueriesContext(connection) as captured:
        found = search_customers(rm.actor, typed)
    assert [(hit.id, hit.why) for hit in found.hits] == [(found_by["lu"].pk, why)]
    assert len([q for q in captured.captured_queries if "customers_" in q["sql"]]) <= 3


def test_by_number_and_by_words(found_by: Any, rm: Any, house: Any) -> None:
    with bank(house.id):
        for typed in (found_by["acme"].number, "acme tools", "Tools", "acmetoolsltd"):
            assert [hit.id for hit in search_customers(rm.actor, typed).hits] == [found_by["acme"].pk], typed


@pytest.mark.parametrize("typed", ["lus", "lusiy", "lu s", "lu siy", "siyu", "ls"])
def test_a_name_is_found_by_how_it_begins(typed: str, found_by: Any, rm: Any, house: Any) -> None:
    """People stop typing as soon as the list below shows whom they mean."""
    with bank(house.id), CaptureQueriesContext(connection) as captured:
        hits = search_customers(rm.actor, typed).hits
    assert [(hit.id, hit.why) for hit in hits] == [(found_by["lu"].pk, "pinyin")]
    assert len([q for q in captured.captured_queries if "customers_" in q["sql"]]) <= 3


@pytest.mark.parametrize("typed", ["acm", "ACME to", "tool", "acmeto"])
def test_an_english_name_is_found_by_how_its_words_begin(
    typed: str, found_by: Any, rm: Any, house: Any
) -> None:
    with bank(house.id):
        assert [hit.id for hit in search_customers(rm.actor, typed).hits] == [found_by["acme"].pk]


def test_who_begins_so_stands_before_who_has_it_within(house: Any, rm: Any) -> None:
    """Wei Lan is poor, and still meant by "wei" before the rich who have a wei somewhere in their names."""
    with bank(house.id):
        for name, deposits in (("张伟明", 9_000_000), ("魏兰", 1_000), ("李维", 8_000_000)):
            one = factories.make_customer(name, responsible=rm.staff, deposits_adb=deposits)
            SearchToken.objects.bulk_create(SearchToken(customer=one, token=t) for t in name_tokens(name))
        assert [hit.name for hit in search_customers(rm.actor, "wei").hits] == ["魏兰", "张伟明", "李维"]


def test_digits_are_never_the_beginning_of_a_number(found_by: Any, rm: Any, house: Any) -> None:
    with bank(house.id):
        assert not search_customers(rm.actor, found_by["lu"].number[:-1]).hits
        assert not search_customers(rm.actor, "6210").hits


@pytest.mark.parametrize(
    "typed", ["", " ", "陆", "x", "思陆", "陆远", "%", "'; drop table", "周岚", "有限公司", "\u0000ab"]
)
def test_what_finds_nobody(typed: str, found_by: Any, rm: Any, client_for: Any) -> None:
    answer = client_for(rm).get("/search/", {"q": typed})
    assert answer.status_code == 200
    assert "search-hit" not in answer.content.decode()


@pytest.mark.parametrize(
    ("who", "sees"), [("rm", True), ("rm_other_branch", False), ("branch_manager", True), ("auditor", True), ("outsider", False)]
)  # fmt: skip
def test_only_what_one_may_see(
    who: str, sees: bool, found_by: Any, request: pytest.FixtureRequest, client_for: Any
) -> None:
    client = client_for(request.getfixturevalue(who))
    for typed in ("陆思远", "6021", found_by["lu"].number):
        assert (
            "陆思远" in client.get("/search/", {"q": typed}, headers={"HX-Request": "true"}).content.decode()
        ) == (
            sees or (typed == "陆思远")  # the typed words are echoed
        )
    assert client.get("/search/", {"q": "陆思"}).content.decode().count("search-hit") == int(sees)


def test_an_exact_identifier_elsewhere_gives_a_card_on_the_record(
    found_by: Any, rm_other_branch: Any, house: Any, client_for: Any
) -> None:
    html = client_for(rm_other_branch).get("/search/", {"q": RESIDENT_ID}).content.decode()
    assert "A customer with this identifier exists. Responsible: Rm, North." in html
    assert "陆思远" not in html
    assert found_by["lu"].number not in html
    with bank(house.id):
        entry = Entry.objects.get(action="locate")
        assert (entry.customer_id, entry.actor_id) == (found_by["lu"].pk, rm_other_branch.staff.pk)


def test_another_bank_learns_nothing(
    found_by: Any, outsider: Any, administrator: Any, client_for: Any
) -> None:
    assert "exists" not in client_for(outsider).get("/search/", {"q": RESIDENT_ID}).content.decode()
    assert client_for(administrator).get("/search/", {"q": RESIDENT_ID}).status_code == 403


def test_a_phone_elsewhere_gives_no_card(found_by: Any, rm_other_branch: Any, client_for: Any) -> None:
    assert "exists" not in client_for(rm_other_branch).get("/search/", {"q": PHONE}).content.decode()


def test_no_record_no_card(found_by: Any, rm_other_branch: Any, client_for: Any, monkeypatch: Any) -> None:
    def broken(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("the record is full")

    monkeypatch.setattr("customers.services.search.record", broken)
    client = client_for(rm_other_branch)
    client.raise_request_exception = False
    answer = client.get("/search/", {"q": RESIDENT_ID})
    assert answer.status_code == 500
    assert "Responsible" not in answer.content.decode()
