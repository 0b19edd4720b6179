"""The REST API as core banking meets it: a token of its own bank, exact answers, problems instead of pages."""

from __future__ import annotations

import base64
import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import pytest
from allauth.idp.oidc.models import Token
from django.test import Client

from crm_site.accounts.clients import ClientThrottle
from crm_site.accounts.models import Bank
from crm_site.accounts.services import create_api_client
from crm_site.lib.permissions import Actor, Grant, Role
from crm_site.lib.tenancy import bank
from tests.architecture.places import a_customer
from tests.conftest import House

Call = Callable[..., Any]


def token_of(house: House, scopes: str, *, name: str = "") -> str:
    """A token of a new client with these scopes."""
    with bank(house.id):
        actor = Actor(house.id, "test", grants=(Grant(Role.ADMINISTRATOR, 0, 99),))
        made = create_api_client(actor, name=name or f"core {scopes}", scopes=scopes.split())
    answer = Client(HTTP_HOST=house.bank.host).post(
        "/identity/o/api/token",
        {
            "grant_type": "client_credentials",
            "client_id": made.client_id,
            "client_secret": made.client_secret,
        },
    )
    return str(answer.json()["access_token"])


def caller(house: House, scopes: str) -> Call:
    """call(method, path, body=None, key="") with a fresh token of a client with these scopes."""
    browser, token = Client(HTTP_HOST=house.bank.host), token_of(house, scopes)

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


def test_a_runaway_client_is_told_when_to_come_back_and_holds_up_no_other(
    call: Call, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ClientThrottle, "rate", "3/min")
    other = caller(house, "customers:read jobs:run")
    assert [call("get", "customers").status_code for _ in range(4)] == [200, 200, 200, 429]
    refused = call("get", "customers")
    assert refused["Content-Type"] == "application/problem+json"
    assert (refused.json()["status"], refused.json()["code"]) == (429, "throttled")
    assert 0 < int(refused["Retry-After"]) <= 61
    assert other("get", "customers").status_code == 200


def test_a_missing_scope_is_named(call: Call) -> None:
    answer = call("get", "jobs")
    assert answer.status_code == 403
    assert answer["Content-Type"] == "application/problem+json"
    assert "jobs:run" in answer.json()["detail"]


def test_a_token_is_good_at_its_own_bank_alone(call: Call, other_house: House) -> None:
    assert call("get", "customers", host=other_house.bank.host).status_code == 401


def test_an_unknown_field_is_an_error_with_its_pointer(call: Call) -> None:
    answer = call("patch", "customers/M-1", {"nmae": "Renamed"})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["pointer"] == "#/nmae"
    # Beside every other fault of the body, and not before them.
    several = call("post", "interactions", {"customer": "M-1", "channel": "smoke", "nmae": "x"})
    assert {e["pointer"]: e["code"] for e in several.json()["errors"]} == {
        "#/channel": "invalid_choice", "#/nmae": "unknown_field",
    }  # fmt: skip


def test_the_same_key_and_body_act_once(call: Call) -> None:
    body = {"customer": "M-1", "channel": "call_centre", "result": "reached", "note": "Asked for a card"}
    first, again = call("post", "interactions", body, key="k1"), call("post", "interactions", body, key="k1")
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    other = call("post", "interactions", {**body, "note": "Something else"}, key="k1")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


NUL_CURSOR = base64.urlsafe_b64encode(b'["name", "\\u0000", 1]').decode()


@pytest.mark.parametrize(
    "query",
    [
        "limit=0", "limit=501", "limit=x", "limit=%D9%A3", "cursor=abc", f"sort=name&cursor={NUL_CURSOR}", "sort=nothing",
        "changed_since=soon", "changed_since=", "changed_sinc=2026-01-01T00:00:00Z", "kind=%FF%FE", "kind=nobody",
    ],
)  # fmt: skip
def test_bad_parameters_are_problems(call: Call, query: str) -> None:
    answer = call("get", f"customers?{query}")
    assert answer.status_code == 400
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["errors"][0]["pointer"].startswith("#/")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("get", "nothing", 404), ("get", "customers/", 404), ("get", "customers/a%00b", 404),
        ("get", "customers/%FF", 404), ("get", "ingest/none", 405),
        ("put", "customers", 405), ("delete", "customers/M-1", 405), ("get", "tiers?customer=%00", 400),
        ("get", "tiers?scheme=nothing", 400), ("get", "jobs?pipeline=%00", 403),
    ],
)  # fmt: skip
def test_wherever_it_goes_wrong_the_answer_is_a_problem(
    call: Call, method: str, path: str, status: int
) -> None:
    answer = call(method, path)
    assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json")
    body = answer.json()
    assert (body["status"], body["type"]) == (status, "about:blank")
    assert body["detail"]
    assert "{" not in body["title"]


@pytest.mark.parametrize("body", ["[" * 100_000, "{", "null", "[1]", '"text"', b'{"employer": "\xff"}'])
def test_what_is_no_json_object_is_refused(call: Call, body: Any) -> None:
    answer = call("patch", "customers/M-1", body)
    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")


@pytest.mark.parametrize("key", ["", "k1"])
def test_a_body_is_bounded(call: Call, key: str) -> None:
    answer = call("patch", "customers/M-1", '"' + "x" * 6_000_000 + '"', key=key)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


def test_a_host_of_no_bank_is_a_problem_too(call: Call) -> None:
    for path in ("/api/v1/customers", "/identity/o/api/token", "/.well-known/openid-configuration"):
        answer = Client(HTTP_HOST="nobody.localhost").get(path)
        assert (answer.status_code, answer["Content-Type"]) == (404, "application/problem+json"), path


def test_a_defect_of_ours_shows_nothing_of_itself(
    call: Call, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("customers.api.shown", lambda *_args: 1 / 0)
    token = token_of(house, "customers:read", name="second")
    quiet = Client(HTTP_HOST=house.bank.host, raise_request_exception=False)
    answer = quiet.get("/api/v1/customers/M-1", headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, answer["Content-Type"]) == (500, "application/problem+json")
    assert "division" not in answer.content.decode()


def test_an_expired_token_is_401(call: Call) -> None:
    with bank(Bank.objects.get(code="alpha").pk):
        Token.objects.update(expires_at=dt.datetime(2020, 1, 1, tzinfo=dt.UTC))
    answer = call("get", "customers")
    assert (answer.status_code, answer["WWW-Authenticate"]) == (401, 'Bearer realm="banyan"')


def test_a_night_ahead_of_the_calendar_is_refused(house: House) -> None:
    answer = caller(house, "jobs:run")("post", "jobs", {"business_date": "2199-12-31"})
    assert (answer.status_code, answer.json()["code"]) == (422, "future_date")
    assert answer.json()["errors"][0]["pointer"] == "#/business_date"


def test_the_schema_names_every_parameter_and_no_other(call: Call) -> None:
    schema = call("get", "schema/?format=json").json()
    named = {p["name"] for p in schema["paths"]["/api/v1/customers"]["get"]["parameters"]}
    assert named == {"limit", "cursor", "sort", "kind", "is_prospect", "changed_since"}


def test_the_schema_is_whole(call: Call) -> None:
    """What a generator of clients stumbles over: schemes that are named and not there, defaults out of their enum."""
    schema = call("get", "schema/?format=json").json()
    flow = schema["components"]["securitySchemes"]["oauth2"]["flows"]["clientCredentials"]
    operations = [operation for path in schema["paths"].values() for operation in path.values()]
    refusals = {
        json.dumps(o["responses"][code]["content"]) for o in operations for code in ("401", "404", "500")
    }
    assert refusals == {
        '{"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}'
    }  # one type for every refusal: what a generated client catches
    asked = {scope for operation in operations for way in operation["security"] for scope in way["oauth2"]}
    assert asked <= set(flow["scopes"])
    for name, part in schema["components"]["schemas"].items():
        for field, said in part.get("properties", {}).items():
            if "enum" in said and "default" in said:
                assert said["default"] in said["enum"], (name, field)
