"""The REST API as core banking meets it: a token of its own bank, exact answers, problems instead of pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from crm_site.accounts.services import create_api_client
from crm_site.lib.permissions import Actor, Grant, Role
from crm_site.lib.tenancy import bank
from tests.architecture.places import a_customer
from tests.conftest import House

Call = Callable[..., Any]


def caller(house: House, scopes: str) -> Call:
    """call(method, path, body=None, key="") with a fresh token of a client with these scopes."""
    with bank(house.id):
        actor = Actor(house.id, "test", grants=(Grant(Role.ADMINISTRATOR, 0, 99),))
        made = create_api_client(actor, name=f"core {scopes}", scopes=scopes.split())
    browser = Client(HTTP_HOST=house.bank.host)
    answer = browser.post(
        "/identity/o/api/token",
        {
            "grant_type": "client_credentials",
            "client_id": made.client_id,
            "client_secret": made.client_secret,
        },
    )
    token = answer.json()["access_token"]

    def call(method: str, path: str, body: Any = None, *, key: str = "", host: str = "") -> Any:
        headers = {"Authorization": f"Bearer {token}", **({"Idempotency-Key": key} if key else {})}
        extra = {"HTTP_HOST": host} if host else {}
        return getattr(browser, method)(
            f"/api/v1/{path}", body, content_type="application/json", headers=headers, **extra
        )

    return call


@pytest.fixture
def call(house: House) -> Call:
    with bank(house.id):
        a_customer(house, None)
    return caller(house, "customers:read customers:write")


def test_lists_have_results_and_a_cursor(call: Call) -> None:
    for path in ("customers", "tiers", "scores", "assignments"):
        answer = call("get", path)
        assert answer.status_code == 200, path
        assert set(answer.json()) == {"results", "next"}
    (row,) = call("get", "customers?limit=1").json()["results"]
    assert (row["number"], row["name"], row["identifiers"]) == ("M-1", "Matrix Works", [])


def test_the_single_view_says_money_as_strings(call: Call) -> None:
    view = call("get", "customers/M-1/view").json()
    assert view["deposits_adb"] == "0.00"
    assert view["customer"]["number"] == "M-1"


def test_a_missing_scope_is_named(call: Call) -> None:
    answer = call("get", "jobs")
    assert answer.status_code == 403
    assert answer["Content-Type"] == "application/problem+json"
    assert "jobs:run" in answer.json()["detail"]


def test_a_token_is_good_at_its_own_bank_alone(call: Call, other_house: House) -> None:
    assert call("get", "customers", host=other_house.bank.host).status_code == 401


def test_an_unknown_field_is_an_error_with_its_pointer(call: Call) -> None:
    answer = call("patch", "customers/M-1", {"name": "Renamed"})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["pointer"] == "#/name"


def test_the_same_key_and_body_act_once(call: Call) -> None:
    body = {"customer": "M-1", "channel": "call_centre", "result": "reached", "note": "Asked for a card"}
    first, again = call("post", "interactions", body, key="k1"), call("post", "interactions", body, key="k1")
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    other = call("post", "interactions", {**body, "note": "Something else"}, key="k1")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "cursor=abc", "sort=nothing", "changed_since=soon"])
def test_bad_parameters_are_problems(call: Call, query: str) -> None:
    answer = call("get", f"customers?{query}")
    assert answer.status_code == 400
    assert answer["Content-Type"] == "application/problem+json"
