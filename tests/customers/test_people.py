"""The people at a company: who comes, who leaves, what is masked, who may write."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.test.utils import CaptureQueriesContext

from crm_site.audit.models import Entry
from crm_site.lib.errors import Conflict, DomainError
from crm_site.lib.tenancy import bank
from customers import services
from customers.conditions import Matches
from customers.models import ContactPerson, Standing
from customers.selectors.people import people_of
from customers.services.people import stored_words
from tests.composition.test_api import caller
from tests.conftest import NOW, TODAY
from tests.customers.test_list import own_statements

PHONE = "+8613812346021"


def days(n: int) -> dt.date:
    return TODAY + dt.timedelta(days=n)


def add(
    who: Any, customer: Any, name: str = "吴敏", post: str = "finance_director", **more: Any
) -> ContactPerson:
    return services.add_person(
        who.actor, customer=customer, name=name, post=post, now=NOW, submission=more.pop("submission", uuid.uuid4()), **more
    )  # fmt: skip


@pytest.fixture
def acme(portfolio: Any) -> Any:
    return portfolio["acme"]


def test_a_person_is_added_once_and_the_record_names_who_did_it(house: Any, rm: Any, acme: Any) -> None:
    with bank(house.id):
        sent = uuid.uuid4()
        first = add(rm, acme, phone="138 1234 6021", roles=["approver", "decider"], submission=sent)
        assert add(rm, acme, submission=sent) == first
        assert (first.roles, first.phone_masked) == (["decider", "approver"], "+86138••••6021")
        entry = Entry.objects.filter(object_table="customers_contactperson").get()
        assert (entry.customer_id, PHONE in json.dumps(entry.changes)) == (acme.pk, False)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": " "}, "name"), ({"post": "sweeper"}, "post"), ({"post": "other"}, "title"), ({"roles": ["boss"]}, "roles"),
        ({"phone": "12"}, "phone"), ({"from_date": days(1)}, "from_date"), ({"party": "none"}, "party"),
    ],
)  # fmt: skip
def test_a_fault_stands_beside_its_field(house: Any, rm: Any, acme: Any, fields: Any, field: str) -> None:
    with bank(house.id), pytest.raises(DomainError) as refused:
        add(rm, acme, **fields)
    assert list(refused.value.fields) == [field]


def test_only_a_company_has_contact_persons(house: Any, rm: Any, portfolio: Any, client_for: Any) -> None:
    lu = portfolio["lu"]
    with bank(house.id), pytest.raises(DomainError, match="Only a company"):
        add(rm, lu)
    client = client_for(rm)
    assert client.get(f"/customers/{lu.pk}/people/new/").status_code == 404
    assert "panels/people" not in client.get(f"/customers/{lu.pk}/").content.decode()
    assert "Only a company" in client.get(f"/customers/{lu.pk}/panels/people/").content.decode()


def test_one_legal_representative_at_a_time(house: Any, rm: Any, acme: Any) -> None:
    with bank(house.id):
        old = add(rm, acme, "周成", "legal_representative")
        with pytest.raises(Conflict, match="周成"):
            add(rm, acme, "吴敏", "legal_representative")
        services.person_left(rm.actor, person=old, left_date=TODAY, reason="left", now=NOW)
        add(rm, acme, "吴敏", "legal_representative")


def test_a_leaver_keeps_the_place_in_history(house: Any, rm: Any, acme: Any) -> None:
    with bank(house.id):
        old = add(rm, acme, from_date=days(-900))
        for day in (days(1), days(-901)):
            with pytest.raises(DomainError) as refused:
                services.person_left(rm.actor, person=old, left_date=day, reason="left", now=NOW)
            assert list(refused.value.fields) == ["left_date"]
        for _twice in range(2):
            services.person_left(rm.actor, person=old, left_date=days(-21), reason="left", now=NOW)
        with pytest.raises(Conflict):
            services.person_left(rm.actor, person=old, left_date=days(-20), reason="left", now=NOW)
        with pytest.raises(Conflict):
            services.change_person(rm.actor, person=old, base={}, typed={"note": "x"}, now=NOW)
        found = people_of(rm.actor, acme, day=TODAY)
        assert [(g.person.name, g.successor, g.lacks_successor) for g in found.key_gone] == [
            ("吴敏", "", True)
        ]
        add(rm, acme, "郑洁", from_date=days(-10))
        add(rm, acme, "误录", "chair")
        wrong = ContactPerson.objects.get(name="误录")
        services.person_left(rm.actor, person=wrong, left_date=TODAY, reason="mistake", now=NOW)
        found = people_of(rm.actor, acme, day=TODAY)
        assert [(g.person.name, g.successor) for g in found.gone] == [("吴敏", "郑洁")]
        assert [(p.person.name, p.is_new) for p in found.key] == [("郑洁", True)]
        services.person_left(rm.actor, person=found.key[0].person, left_date=TODAY, reason="left", now=NOW)
        found = people_of(rm.actor, acme, day=TODAY)
        assert [(g.person.name, g.successor) for g in found.gone] == [("郑洁", ""), ("吴敏", "郑洁")]
        assert not people_of(rm.actor, acme, day=days(400)).gone


def test_the_sheet_the_timeline_and_the_api_know_the_people(
    house: Any, rm: Any, acme: Any, client_for: Any
) -> None:
    with bank(house.id):
        old = add(rm, acme, "吴敏", from_date=days(-900))
        services.person_left(rm.actor, person=old, left_date=days(-21), reason="retired", now=NOW)
        add(rm, acme, "郑洁", phone=PHONE, roles=["decider"], from_date=days(-10))
    client = client_for(rm)
    sheet = client.get(f"/customers/{acme.pk}/print/").content.decode()
    assert "郑洁 Finance director" in sheet
    assert (PHONE[3:] in sheet, "吴敏" in sheet) == (False, False)
    told = client.get(f"/customers/{acme.pk}/panels/timeline/").content.decode()
    assert told.index("郑洁 took up a post: Finance director") < told.index("Finance director 吴敏: Retired")
    call = caller(house, "customers:read")
    assert call("get", f"customers/{acme.number}/view").json()["people"] == [
        {
            "name": "郑洁", "post": "finance_director", "title": "", "roles": ["decider"], "is_key": True,
            "phone": "+86138••••6021", "since": days(-10).isoformat(),
        }
    ]  # fmt: skip


def test_two_people_edit_one_person(house: Any, rm: Any, acme: Any, client_for: Any) -> None:
    with bank(house.id):
        person = add(rm, acme, phone=PHONE, roles=["user"])
        base = stored_words(person)
        services.change_person(
            rm.actor,
            person=person,
            base=base,
            typed={**base, "phone": "", "note": "上午", "roles": "buyer,user"},
            now=NOW,
        )
    url = f"/customers/{acme.pk}/people/{person.pk}/"
    sent = {"title": "CFO", "roles": ["user", "decider"], "note": "", "base": json.dumps(base)}
    answer = client_for(rm).post(url, sent)
    html = answer.content.decode()
    assert answer.status_code == 409
    assert "Changed meanwhile to: Buyer · User" in html
    again = client_for(rm).post(
        url, {**sent, "base": json.dumps({**base, "roles": "buyer,user", "note": "上午"}), "note": "上午"}
    )
    assert again.status_code == 302
    with bank(house.id):
        person.refresh_from_db()
        assert (person.title, person.roles, person.note) == ("CFO", ["decider", "user"], "上午")
        assert person.phone_masked == "+86138••••6021"


def test_the_phone_is_masked_and_shown_for_a_reason(
    house: Any, rm: Any, auditor: Any, acme: Any, client_for: Any
) -> None:
    with bank(house.id):
        person = add(rm, acme, phone=PHONE)
    client = client_for(rm)
    for url in ("panels/people/", f"people/{person.pk}/", f"reveal/person/{person.pk}/"):
        html = client.get(f"/customers/{acme.pk}/{url}").content.decode()
        assert "138••••6021" in html
        assert PHONE[3:] not in html
    url = f"/customers/{acme.pk}/reveal/person/{person.pk}/"
    assert client.post(url, {"reason": ""}).status_code == 422
    assert PHONE[3:] in client.post(url, {"reason": "call her back"}).content.decode()
    with bank(house.id):
        entry = Entry.objects.filter(action="reveal").get()
        assert (entry.object_table, entry.object_id, entry.reason) == (
            "customers_contactperson",
            person.pk,
            "call her back",
        )


@pytest.mark.parametrize(
    ("who", "panel", "write"),
    [("rm", 200, 200), ("rm_other_branch", 404, 404), ("branch_manager", 200, 200), ("hq_risk", 200, 403),
     ("auditor", 200, 403), ("outsider", 404, 404)],
)  # fmt: skip
def test_who_reads_and_who_writes(
    who: str,
    panel: int,
    write: int,
    request: pytest.FixtureRequest,
    house: Any,
    rm: Any,
    acme: Any,
    client_for: Any,
) -> None:
    with bank(house.id):
        person = add(rm, acme)
    client = client_for(request.getfixturevalue(who))
    assert client.get(f"/customers/{acme.pk}/panels/people/").status_code == panel
    for url in ("people/new/", f"people/{person.pk}/", f"people/{person.pk}/left/"):
        assert client.get(f"/customers/{acme.pk}/{url}").status_code == write, url


def test_a_reader_alone_cannot_write_past_the_page(house: Any, rm: Any, auditor: Any, acme: Any) -> None:
    with bank(house.id):
        person = add(rm, acme)
        for call in (
            lambda: add(auditor, acme),
            lambda: services.change_person(auditor.actor, person=person, base={}, typed={}, now=NOW),
            lambda: services.person_left(
                auditor.actor, person=person, left_date=TODAY, reason="left", now=NOW
            ),
        ):
            with pytest.raises(PermissionDenied):
                call()


def test_the_customer_row_of_a_person_is_for_those_who_see_it(house: Any, rm: Any, portfolio: Any) -> None:
    acme, far = portfolio["acme"], portfolio["far"]
    with bank(house.id):
        with pytest.raises(DomainError):
            add(rm, acme, party=far.number)
        with pytest.raises(DomainError):
            add(rm, acme, party=acme.number)
        person = add(rm, acme, party=portfolio["lu"].number)
        ContactPerson.objects.filter(pk=person.pk).update(party=far)
        assert [row.party_id for row in people_of(rm.actor, acme, day=TODAY).present] == [None]


def test_what_a_change_of_a_key_person_is(house: Any, rm: Any, acme: Any) -> None:
    def since(day: dt.date = TODAY) -> list[int]:
        return [
            n for n in range(61)
            if Standing.objects.filter(
                Matches({"fact": "key_person_change_days", "op": "=", "value": n}, as_of=day), customer=acme
            ).exists()
        ]  # fmt: skip

    with bank(house.id):
        add(rm, acme, "老人", from_date=days(-3000))
        add(rm, acme, "不明", "chair")
        add(rm, acme, "小王", "other", title="出纳", from_date=days(-2), roles=["buyer"])
        assert since() == []
        add(rm, acme, "新总", "general_manager", from_date=days(-9))
        assert since() == [9]
        gone = add(rm, acme, "采购总", "other", title="采购总监", roles=["approver"])
        services.person_left(rm.actor, person=gone, left_date=days(-3), reason="left", now=NOW)
        assert since() == [3]
        assert since(days(-5)) == [4]
        type(acme).objects.filter(pk=acme.pk).update(founded_date=days(-9))
        ContactPerson.objects.filter(pk=gone.pk).update(left_reason="mistake")
        assert since() == []


def test_the_panel_does_not_grow_its_sql(house: Any, rm: Any, portfolio: Any, client_for: Any) -> None:
    acme, client = portfolio["acme"], client_for(rm)
    url = f"/customers/{acme.pk}/panels/people/"
    with bank(house.id):
        add(rm, acme, "一", party=portfolio["lu"].number)
    with CaptureQueriesContext(connection) as few:
        client.get(url)
    with bank(house.id):
        for n in range(5):
            gone = add(rm, acme, f"人{n}", "other", title="x", party=portfolio["lu"].number)
        services.person_left(rm.actor, person=gone, left_date=TODAY, reason="left", now=NOW)
    with CaptureQueriesContext(connection) as many:
        html = client.get(url).content.decode()
    assert "人0" in html
    assert len(own_statements(many)) <= len(own_statements(few)) <= 2
