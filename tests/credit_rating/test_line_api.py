"""Lines through the REST API, as a core-banking developer meets the contract."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest

from credit_rating.models import CreditLine, Reservation
from credit_rating.services import lines as services
from crm_site.lib.tenancy import bank
from tests.composition.test_api import caller
from tests.conftest import NOW, House, Person
from tests.credit_rating.lines import a_line, a_product

Call = Callable[..., Any]
BODY = {"amount": "600.00", "currency": "CNY", "reference": "P-1"}
LONG_AGO, FAR = dt.date(2020, 1, 1), dt.date(2099, 1, 1)  # the API asks the clock


@pytest.fixture
def line(house: House) -> CreditLine:
    with bank(house.id):
        bills = a_product("BILLS")
        return a_line(house, starts_on=LONG_AGO, expires_on=FAR, sub_limits={bills: 300})


@pytest.fixture
def call(house: House) -> Call:
    return caller(house, "lines:control")


def test_the_life_of_a_reservation_in_the_shapes_of_the_contract(call: Call, line: CreditLine) -> None:
    checked = call("post", f"lines/{line.pk}/check", BODY)
    assert checked.status_code == 200
    shown = checked.json()
    assert {k: shown[k] for k in ("id", "customer", "product", "currency", "limit", "reserved", "utilised",
                                  "available", "status", "expires_on")} == {
        "id": line.pk, "customer": "M-1", "product": "WC", "currency": "CNY", "limit": "1000.00",
        "reserved": "0.00", "utilised": "0.00", "available": "1000.00", "status": "active",
        "expires_on": "2099-01-01",
    }  # fmt: skip
    held = call("post", f"lines/{line.pk}/reservations", BODY)
    assert held.status_code == 201
    made = held.json()
    assert {k: made[k] for k in ("line", "amount", "status", "available")} == {
        "line": line.pk, "amount": "600.00", "status": "reserved", "available": "400.00",
    }  # fmt: skip
    assert dt.datetime.fromisoformat(made["expires_at"]) > NOW
    drawn = call("post", f"reservations/{made['id']}/commit", {"amount": "500.00"})
    assert (drawn.status_code, drawn.json()["status"], drawn.json()["available"]) == (
        200,
        "committed",
        "500.00",
    )
    paid = call("post", f"lines/{line.pk}/repayments", {**BODY, "amount": "100.00", "reference": "R-1"})
    assert (paid.status_code, paid.json()["available"], paid.json()["utilised"]) == (200, "600.00", "400.00")
    detail = call("get", f"lines/{line.pk}").json()
    assert detail["sub_limits"] == [
        {"product": "BILLS", "limit": "300.00", "reserved": "0.00", "utilised": "0.00", "available": "300.00"}
    ]


def test_a_commit_without_a_body_draws_all_and_a_release_gives_back(call: Call, line: CreditLine) -> None:
    first, second = (call("post", f"lines/{line.pk}/reservations", BODY | {"amount": "10.00"}).json()["id"]
                     for _ in range(2))  # fmt: skip
    assert call("post", f"reservations/{first}/commit").json()["committed"] == "10.00"
    assert call("post", f"reservations/{second}/release").json()["available"] == "990.00"
    refused = call("post", f"reservations/{second}/commit")
    assert (refused.status_code, refused.json()["code"]) == (409, "reservation_final")


def test_no_is_said_with_its_code(call: Call, line: CreditLine, house: House, hq_risk: Person) -> None:
    at = f"lines/{line.pk}/reservations"
    for path in (at, f"lines/{line.pk}/check"):
        answer = call("post", path, BODY | {"amount": "1000.01"})
        assert (answer.status_code, answer.json()["code"]) == (409, "insufficient_limit")
        assert answer["Content-Type"] == "application/problem+json"
    small = call("post", at, BODY | {"amount": "300.01", "product": "BILLS"}).json()
    assert (small["code"], "sub-limit has room for CNY 300.00" in small["detail"]) == (
        "insufficient_limit",
        True,
    )
    other = call("post", at, BODY | {"currency": "USD"})
    assert (other.status_code, other.json()["errors"][0]["pointer"]) == (422, "#/currency")
    for body, said in (
        (BODY, "Only CNY 0.00 is drawn."),
        (BODY | {"product": "BILLS"}, "drawn of the product"),
    ):
        much = call("post", f"lines/{line.pk}/repayments", body)
        assert (much.status_code, much.json()["code"]) == (409, "repayment_exceeds_utilised")
        assert said in much.json()["detail"]
    with bank(house.id):
        services.freeze_line(hq_risk.actor, line_id=line.pk, reason="Order", now=NOW)
    for path in (at, f"lines/{line.pk}/check"):
        frozen = call("post", path, BODY)
        assert (frozen.status_code, frozen.json()["code"]) == (409, "line_not_available")
    with bank(house.id):
        assert not Reservation.objects.exists()


@pytest.mark.parametrize(
    ("change", "pointer"),
    [({"amount": 600}, "#/amount"), ({"amount": "0.00"}, "#/amount"), ({"amount": "-1.00"}, "#/amount"),
     ({"amount": "1.005"}, "#/amount"), ({"amount": "NaN"}, "#/amount"), ({"currency": "cny"}, "#/currency"),
     ({"reference": ""}, "#/reference"), ({"note": "x"}, "#/note")],
)  # fmt: skip
def test_a_body_that_is_not_one_is_refused(
    call: Call, line: CreditLine, change: dict[str, Any], pointer: str
) -> None:
    answer = call("post", f"lines/{line.pk}/reservations", BODY | change)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["pointer"] == pointer


def test_the_same_key_acts_once(call: Call, line: CreditLine, house: House) -> None:
    for path, body in ((f"lines/{line.pk}/reservations", BODY | {"amount": "100.00"}),):
        first, again = call("post", path, body, key="k1"), call("post", path, body, key="k1")
        assert (first.status_code, again.status_code) == (201, 201)
        assert first.json() == again.json()
        assert call("post", path, body | {"amount": "101.00"}, key="k1").status_code == 422
    made = first.json()["id"]
    done = [call("post", f"reservations/{made}/commit", key="k2") for _ in range(2)]
    assert done[0].json() == done[1].json()
    paid = [
        call("post", f"lines/{line.pk}/repayments", BODY | {"amount": "50.00"}, key="k3") for _ in range(2)
    ]
    assert [p.json()["utilised"] for p in paid] == ["50.00", "50.00"]
    with bank(house.id):
        assert Reservation.objects.count() == 1


def test_a_refused_key_may_be_tried_again(
    call: Call, line: CreditLine, house: House, hq_risk: Person
) -> None:
    with bank(house.id):
        services.freeze_line(hq_risk.actor, line_id=line.pk, reason="Order", now=NOW)
    at = f"lines/{line.pk}/reservations"
    assert call("post", at, BODY, key="k").status_code == 409
    with bank(house.id):
        services.unfreeze_line(hq_risk.actor, line_id=line.pk, reason="Lifted", now=NOW)
    assert call("post", at, BODY, key="k").status_code == 201


def test_another_banks_line_is_not_there(call: Call, line: CreditLine, other_house: House) -> None:
    theirs = caller(other_house, "lines:control customers:read")
    assert theirs("get", f"lines/{line.pk}").status_code == 404
    for path in ("check", "reservations", "repayments"):
        assert theirs("post", f"lines/{line.pk}/{path}", BODY).status_code == 404
    made = call("post", f"lines/{line.pk}/reservations", BODY).json()["id"]
    for act in ("commit", "release"):
        assert theirs("post", f"reservations/{made}/{act}").status_code == 404
    assert call("get", "lines/999999999999999999999999").status_code == 404
    assert call("post", "lines/999999999999999999999999/check", BODY).status_code == 404
    assert call("post", "reservations/999999999999999999999999/commit").status_code == 404


def test_who_may_ask(call: Call, line: CreditLine, house: House) -> None:
    reader = caller(house, "customers:read")
    assert call("get", "lines").status_code == 403
    assert reader("get", f"lines/{line.pk}").status_code == 200
    assert reader("post", f"lines/{line.pk}/check", BODY).status_code == 403
    (row,) = reader("get", "lines").json()["results"]
    assert (row["id"], row["number"], row["available"]) == (line.pk, line.number, "1000.00")


def test_the_single_view_has_the_customers_lines(line: CreditLine, house: House) -> None:
    view = caller(house, "customers:read")("get", "customers/M-1/view").json()
    (row,) = view["lines"]
    assert (row["id"], row["available"], row["status"]) == (line.pk, "1000.00", "active")


def test_the_list_says_what_changed(house: House, line: CreditLine, call: Call) -> None:
    reader = caller(house, "customers:read")
    with bank(house.id):
        other = a_line(house, expires_on=dt.date(2099, 6, 1))
        CreditLine.objects.update(changed_at=NOW)
    held = call("post", f"lines/{line.pk}/reservations", BODY)
    assert held.status_code == 201
    after = (NOW + dt.timedelta(seconds=1)).isoformat().replace("+00:00", "Z")
    rows = reader("get", f"lines?changed_since={after}").json()["results"]
    assert [row["id"] for row in rows] == [line.pk]
    assert len(reader("get", "lines?customer=M-1&status=active").json()["results"]) == 2
    assert reader("get", "lines?customer=M-2").json()["results"] == []
    assert reader("get", "lines?status=open").status_code == 400
    first = reader("get", "lines?limit=1&sort=-expires_on").json()
    second = reader("get", f"lines?limit=1&sort=-expires_on&cursor={first['next']}").json()
    assert [first["results"][0]["id"], second["results"][0]["id"]] == [other.pk, line.pk]


def test_yen_have_no_decimals(house: House) -> None:
    """Money is a string with the currency's decimals, going out and coming in."""
    call = caller(house, "lines:control")
    with bank(house.id):
        line = a_line(
            house, currency="JPY", starts_on=LONG_AGO, expires_on=FAR, sub_limits={a_product("BILLS"): 300}
        )
    yen = {"amount": "600", "currency": "JPY", "reference": "P-1"}
    held = call("post", f"lines/{line.pk}/reservations", yen).json()
    assert (held["amount"], held["available"]) == ("600", "400")
    part = call("post", f"reservations/{held['id']}/commit", {"amount": "100.5"})
    assert (part.status_code, part.json()["errors"][0]["pointer"]) == (422, "#/amount")
    assert (
        call("post", f"reservations/{held['id']}/commit", {"amount": "100.00"}).json()["committed"] == "100"
    )
    assert call("post", f"lines/{line.pk}/check", {**yen, "amount": "0.5"}).status_code == 422
    detail = call("get", f"lines/{line.pk}").json()
    assert (detail["limit"], detail["sub_limits"][0]["limit"]) == ("1000", "300")
