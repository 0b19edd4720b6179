"""Customers written through the API by the feeds' rules, and read back as changes without missing one."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from crm_site.lib.tenancy import bank
from customers.api import CustomerOut
from customers.ingest import single
from customers.models import Customer, Identifier, Standing
from customers.selectors.search import search_customers
from tests.composition.test_api import Call, caller
from tests.conftest import House, Person
from tests.customers import factories

RESIDENT_ID = "11010519491231002X"
PERSON = {"number": "C-1", "name": "张伟明", "kind": "personal"}


@pytest.fixture
def call(house: House, settings: Any, tmp_path: Path) -> Call:
    settings.MEDIA_ROOT = tmp_path
    return caller(house, "customers:read customers:write")


def codes(answer: Any) -> dict[str, str]:
    return {error["pointer"]: error["code"] for error in answer.json()["errors"]}


class TestCreate:
    def test_a_customer_is_there_whole_at_once(self, house: House, call: Call, president: Person) -> None:
        body = {
            **PERSON, "resident_id": RESIDENT_ID, "phone": "138 1234 5678", "region": "浙江省", "address": "清泰街12号",
            "branch": "N", "occupation": "教师", "birth_date": "1949-12-31",
        }  # fmt: skip
        answer = call("post", "customers", body)
        assert (answer.status_code, answer["Location"]) == (201, "/api/v1/customers/C-1")
        told = answer.json()
        assert told == call("get", "customers/C-1").json()
        assert (told["home_branch"], told["occupation"], told["is_prospect"]) == ("N", "教师", False)
        assert told["addresses"] == [{"kind": "home", "region": "浙江省", "line": "清泰街12号"}]
        assert RESIDENT_ID not in answer.text and "12345678" not in answer.text
        with bank(house.id):
            assert Standing.objects.get(customer__number="C-1").kind == "personal"
            found = search_customers(president.actor, RESIDENT_ID)
            assert [hit.number for hit in found.hits] == ["C-1"]

    def test_a_number_is_given_once(self, call: Call) -> None:
        call("post", "customers", PERSON)
        again = call("post", "customers", PERSON)
        assert (again.status_code, again.json()["code"]) == (409, "number_taken")
        assert again["Content-Type"] == "application/problem+json"

    def test_a_number_that_cannot_be_one_is_refused_before_it_is_looked_for(self, call: Call) -> None:
        answer = call("post", "customers", {**PERSON, "number": "C\x00"})
        assert (answer.status_code, codes(answer)) == (400, {"#/number": "bad_text"})

    def test_the_feeds_rules_hold_and_say_where(self, house: House, call: Call) -> None:
        body = {**PERSON, "resident_id": RESIDENT_ID[:-1] + "1", "phone": "12", "branch": "nowhere"}
        answer = call("post", "customers", body)
        assert answer.status_code == 400
        assert codes(answer) == {"#/resident_id": "bad_check_digit", "#/phone": "bad_phone"}
        unknown = call("post", "customers", {**PERSON, "branch": "nowhere"})
        assert codes(unknown) == {"#/branch": "unknown_reference"}
        assert codes(call("post", "customers", {**PERSON, "nmae": "x"})) == {"#/nmae": "unknown_field"}
        several = {**PERSON, "nmae": "x", "phone": "12", "employees": "5", "occupation": 7}  # all at once
        assert codes(call("post", "customers", several)) == {
            "#/nmae": "unknown_field", "#/phone": "bad_phone", "#/employees": "invalid", "#/occupation": "invalid",
        }  # fmt: skip
        assert codes(call("post", "customers", {**PERSON, "employees": "5"})) == {"#/employees": "invalid"}
        assert codes(call("post", "customers", {"name": "x", "kind": "personal"})) == {"#/number": "required"}
        with bank(house.id):
            assert not Customer.objects.exists()

    def test_a_prospect_needs_no_number_and_no_second_file(self, call: Call) -> None:
        call("post", "customers", {**PERSON, "resident_id": RESIDENT_ID})
        prospect = {"name": "李静", "kind": "personal", "is_prospect": True, "source": "website"}
        first = call("post", "customers", prospect, key="k")
        again = call("post", "customers", prospect, key="k")
        assert first.status_code == again.status_code == 201
        assert (first["Location"], first.json()) == (again["Location"], again.json())
        assert first.json()["is_prospect"] and first.json()["number"].startswith("P")
        known = call("post", "customers", {**prospect, "resident_id": RESIDENT_ID})
        assert (known.status_code, codes(known)) == (409, {"#/resident_id": "identifier_known"})

    def test_a_number_with_a_slash_is_found(self, call: Call) -> None:
        answer = call("post", "customers", {**PERSON, "number": "A/7"})
        assert answer["Location"] == "/api/v1/customers/A%2F7"
        assert call("get", "customers/A%2F7").json()["number"] == "A/7"
        assert call("get", "customers/A%2F7/view").json()["customer"]["number"] == "A/7"

    def test_while_a_delivery_lands_it_says_when_to_try_again(
        self, house: House, call: Call, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(single, "PATIENCE", "20ms")
        with _second_session() as other:
            other.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))",
                [f"ingest|{house.id}|customers_customer"],
            )
            answer = call("post", "customers", PERSON)
        assert (answer.status_code, answer["Retry-After"]) == (503, "30")
        assert call("post", "customers", PERSON).status_code == 201


class TestChange:
    @pytest.fixture(autouse=True)
    def _known(self, call: Call) -> None:
        call("post", "customers", {**PERSON, "phone": "13812345678", "source_as_of": "2026-11-01T00:00:00Z"})

    def test_what_is_given_changes_and_null_clears(self, house: House, call: Call) -> None:
        body = {"name": "张三丰", "phone": None, "resident_id": RESIDENT_ID, "employer": "Wudang"}
        told = call("patch", "customers/C-1", body).json()
        assert (told["name"], told["employer"], told["contact_points"]) == ("张三丰", "Wudang", [])
        assert [row["kind"] for row in told["identifiers"]] == ["resident_id"]
        with bank(house.id):
            assert Identifier.objects.count() == 1

    def test_older_never_overwrites_newer(self, call: Call) -> None:
        older = {"name": "Old", "source_as_of": "2026-10-31T00:00:00Z", "employer": "CRM-owned"}
        told = call("patch", "customers/C-1", older).json()
        assert (told["name"], told["employer"]) == (PERSON["name"], "CRM-owned")
        newer = {"name": "New", "source_as_of": "2026-11-02T00:00:00Z"}
        assert call("patch", "customers/C-1", newer).json()["name"] == "New"

    def test_the_number_stays(self, call: Call) -> None:
        assert codes(call("patch", "customers/C-1", {"number": "C-2"})) == {"#/number": "unknown_field"}
        assert codes(call("patch", "customers/C-1", {"name": ""})) == {"#/name": "required"}

    def test_a_prospect_becomes_a_customer_and_never_back(self, call: Call) -> None:
        prospect = {"number": "P-1", "name": "李静", "kind": "personal", "is_prospect": True}
        call("post", "customers", prospect)
        refused = call("patch", "customers/P-1", {"status": "active"})
        assert codes(refused) == {"#/status": "unknown_field"}
        assert call("patch", "customers/P-1", {"is_prospect": False}).json()["is_prospect"] is False
        back = call("patch", "customers/P-1", {"is_prospect": True})
        assert codes(back) == {"#/number": "already_customer"}

    def test_another_banks_customer_is_not_there(self, other_house: House, call: Call) -> None:
        elsewhere = caller(other_house, "customers:write")
        answer = elsewhere("patch", "customers/C-1", {"name": "x"})
        assert (answer.status_code, answer["Content-Type"]) == (404, "application/problem+json")


class TestChanges:
    def changed(self, call: Call, since: str) -> list[str]:
        answer = call("get", f"customers?changed_since={since.replace('+', '%2B')}")
        return [row["number"] for row in answer.json()["results"]]

    def test_the_crms_own_changes_count(self, house: House, call: Call) -> None:
        old = "2026-01-01T00:00:00Z"
        for number in ("C-1", "C-2", "C-3"):
            call("post", "customers", {**PERSON, "number": number, "source_as_of": old})
        with connection.cursor() as cursor, bank(house.id):
            for change in (
                "update customers_customer set changed_at = '2026-01-01'",
                "update customers_customer set employer = 'x' where number = 'C-1'",
                "update customers_customer set source_as_of = now() where number = 'C-3'",
            ):
                cursor.execute(change)
        assert self.changed(call, "2026-01-02T00:00:00Z") == ["C-1"]
        # Each the same moment; the last two with a plus that nobody escaped, which arrives as a blank.
        for since in (
            "2026-01-02 08:00:00%2B08:00",
            "2026-01-02T08:00:00+08:00",
            "2026-01-02T08:00:00.5+0800",
        ):
            answer = call("get", f"customers?changed_since={since}")
            assert [row["number"] for row in answer.json()["results"]] == ["C-1"]
        assert call("get", "customers?changed_since=2026-01-02+soon").status_code == 400
        call("patch", "customers/C-2", {"phone": "13812345678", "source_as_of": "2026-01-03T00:00:00Z"})
        assert self.changed(call, "2026-01-02T00:00:00Z") == ["C-1", "C-2"]

    def test_the_same_again_changes_nobody(self, house: House, call: Call) -> None:
        call("post", "customers", PERSON)
        with connection.cursor() as cursor, bank(house.id):
            cursor.execute("update customers_customer set changed_at = '2026-01-01'")
        call("patch", "customers/C-1", {"name": PERSON["name"], "source_as_of": "2027-01-01T00:00:00Z"})
        assert self.changed(call, "2026-01-02T00:00:00Z") == []

    def test_what_commits_late_lies_after_the_moment_that_was_handed_out(self, call: Call) -> None:
        with _second_session() as other:
            begun = other.execute("select now()").fetchone()
            assert begun is not None
            first = call("get", "customers?limit=1")
        until = dt.datetime.fromisoformat(first["Changes-Until"])
        assert until <= begun[0]
        assert "Changes-Until" not in call("get", "scores?cursor=WyJpZCIsIDEsIDFd")

    def test_every_column_but_the_as_of_is_watched(self, db: None) -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "select a.attname from pg_trigger t join pg_attribute a on a.attrelid = t.tgrelid "
                "and a.attnum = any (t.tgattr) where t.tgrelid = 'customers_customer'::regclass and t.tgname = 'changed'"
            )
            watched = {name for (name,) in cursor.fetchall()}
        columns = {field.column for field in Customer._meta.local_concrete_fields}
        assert columns - watched == {"id", "bank_id", "source_as_of", "changed_at"}


class TestRead:
    def test_the_list_tells_of_each_what_the_schema_says(self, call: Call) -> None:
        body = {
            **PERSON,
            "resident_id": RESIDENT_ID,
            "phone": "13812345678",
            "birth_date": "1949-12-31",
            "branch": "N",
        }
        told = call("post", "customers", body).json()
        del told["addresses"]
        (listed,) = call("get", "customers").json()["results"]
        assert listed == told
        assert list(listed) == list(CustomerOut().fields)
        assert (listed["birth_date"], listed["employees"], listed["manager"]) == ("1949-12-31", None, None)
        assert dt.datetime.fromisoformat(listed["source_as_of"]).utcoffset() is not None
        assert listed["identifiers"] == [{"kind": "resident_id", "masked": "1101••••••••••002X"}]
        assert [point["kind"] for point in listed["contact_points"]] == ["phone"]

    def test_statements_do_not_grow_with_rows(self, house: House, call: Call) -> None:
        used = []
        for more in (1, 20):
            with bank(house.id):
                for n in range(more):
                    factories.make_customer(f"{more}-{n}")
            with CaptureQueriesContext(connection) as captured:
                assert call("get", "customers").status_code == 200
            used.append(len([query for query in captured if "SAVEPOINT" not in query["sql"]]))
        assert used[0] == used[1] <= 6


def _second_session() -> psycopg.Connection[Any]:
    """Another session of the application's role, in a transaction."""
    given = connection.settings_dict
    return psycopg.connect(
        host=given["HOST"],
        port=given["PORT"],
        dbname=given["NAME"],
        user=given["USER"],
        password=given["PASSWORD"],
    )
