"""Ties that staff record: who may name whom, what contradicts the record, how a tie ends, what the core takes over."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from crm_site.audit.models import Entry
from crm_site.lib.errors import Conflict, DomainError
from crm_site.lib.permissions import Role
from crm_site.lib.tenancy import bank
from customers import services
from customers.models import Customer, RecordedTie, Relation, SearchToken
from customers.selectors.ties import past_ties, relations_of
from customers.tokens import name_tokens
from tests.conftest import NOW, TODAY, hire
from tests.customers.factories import make_customer
from tests.customers.ingest.conftest import counts, deliver, files
from tests.customers.test_list import own_statements

__all__ = ["deliver", "files"]  # the fixtures
HALF, MOST = Decimal("0.5"), Decimal("0.6")


def tie(
    who: Any, customer: Any, other: Any, kind: str = "shareholder", is_from: bool = True, **more: Any
) -> RecordedTie:
    return services.record_tie(
        who.actor, customer=customer, other=other if isinstance(other, str) else other.number, kind=kind, is_from=is_from,
        evidence=more.pop("evidence", "articles of association"), submission=more.pop("submission", uuid.uuid4()),
        now=NOW, **more,
    )  # fmt: skip


def end(who: Any, record: RecordedTie, **more: Any) -> RecordedTie:
    return services.end_tie(
        who.actor,
        record=record,
        ended_date=more.pop("ended_date", TODAY),
        reason=more.pop("reason", "over"),
        now=NOW,
    )


@pytest.fixture
def firms(house: Any, rm: Any, portfolio: Any) -> dict[str, Customer]:
    """Three companies of rm beside the portfolio."""
    with bank(house.id):
        made = {
            n: make_customer(f"{n} Ltd", kind="corporate", home_branch=house.north, responsible=rm.staff)
            for n in "ABC"
        }
        for customer in (*made.values(), portfolio["acme"], portfolio["queue"]):
            tokens = name_tokens(customer.name) | {f"#{customer.number}"}
            SearchToken.objects.bulk_create(SearchToken(customer=customer, token=token) for token in tokens)
    return {**portfolio, **made}  # fmt: skip


def test_a_tie_is_recorded_once_and_seen_from_both_ends(
    house: Any, rm: Any, firms: Any, client_for: Any
) -> None:
    lu, acme, sent = firms["lu"], firms["acme"], uuid.uuid4()
    with bank(house.id):
        first = tie(rm, lu, acme, share=MOST, from_date=TODAY, submission=sent)
        assert tie(rm, lu, acme, share=MOST, submission=sent) == first
        assert Relation.objects.get().record == first
        told = Entry.objects.filter(object_table__in=("customers_recordedtie", "customers_relation"))
        assert sorted(told.values_list("object_table", flat=True)) == [
            "customers_recordedtie",
            "customers_relation",
        ]
    client = client_for(rm)
    panel = client.get(f"/customers/{acme.pk}/panels/relations/").content.decode()
    assert "Shareholder 60%" in panel  # on the line of the graph
    assert f"recorded by {rm.staff.name}" in panel
    assert "articles of association" in panel
    told = client.get(f"/customers/{lu.pk}/panels/timeline/").content.decode()
    assert "Tie recorded: 陆思远 holds 60% of Acme Tools Ltd" in told


@pytest.mark.parametrize(
    ("one", "other", "kind", "more", "field"),
    [
        ("lu", "lu", "family", {}, "other"),
        ("lu", "nobody", "family", {}, "other"),
        ("lu", "far", "family", {}, "other"),  # another branch's
        ("lu", "acme", "family", {}, "tie"),  # a company has no family
        ("acme", "lu", "parent_company", {}, "tie"),
        ("lu", "acme", "friend", {}, "tie"),
        ("lu", "acme", "guarantor", {"share": HALF}, "share"),
        ("lu", "acme", "shareholder", {"share": Decimal("1.01")}, "share"),
        ("lu", "acme", "shareholder", {"evidence": " "}, "evidence"),
        ("lu", "acme", "shareholder", {"from_date": TODAY + dt.timedelta(days=1)}, "from_date"),
    ],
)
def test_a_fault_stands_beside_its_field(
    house: Any, rm: Any, firms: Any, one: str, other: str, kind: str, more: Any, field: str
) -> None:
    with bank(house.id), pytest.raises(DomainError) as refused:
        tie(rm, firms[one], firms.get(other, other), kind, **more)
    assert list(refused.value.fields) == [field]


def test_whom_somebody_may_name(
    house: Any, other_house: Any, rm: Any, teller: Any, firms: Any, client_for: Any
) -> None:
    """Whom he sees by name; a colleague's customer of his branch by the whole number and without the name; nobody else."""
    lu, queue, far = firms["lu"], firms["queue"], firms["far"]
    reviewer = hire(house, "reviewer", Role.CREDIT_REVIEWER, house.head_office)
    with bank(other_house.id):
        make_customer("Elsewhere", number="B-1")
    client = client_for(rm)
    asked = f"/customers/{lu.pk}/ties/new/"
    assert "Acme Tools Ltd" in client.get(f"{asked}?q=acme").content.decode()
    assert queue.number not in client.get(f"{asked}?q={queue.name}").content.decode()
    beside = client.get(f"{asked}?q={queue.number}").content.decode()
    assert "a colleague looks after" in beside
    assert queue.name not in client.get(f"{asked}?other={queue.number}").content.decode()
    for number in (far.number, "B-1"):
        assert client.get(f"{asked}?other={number}").status_code == 422
    with bank(house.id):
        tie(rm, lu, queue, "family")
        assert [(p.name, p.customer_id) for p in relations_of(rm.actor, lu)] == [("", queue.pk)]
        tie(reviewer, lu, far, "family")
        tie(rm, lu, firms["prospect"], "family")
        with pytest.raises(PermissionDenied):
            tie(teller, lu, queue, "guarantor")


def test_what_contradicts_the_record(house: Any, rm: Any, firms: Any) -> None:
    a, b, c, lu = (firms[n] for n in ("A", "B", "C", "lu"))
    with bank(house.id):
        tie(rm, a, b, "common_control")
        with pytest.raises(Conflict, match="on record already"):
            tie(rm, b, a, "common_control")
        tie(rm, a, b, "parent_company", share=MOST)
        tie(rm, a, b, "shareholder", share=MOST)  # the same holding, told twice
        with pytest.raises(DomainError, match="40") as refused:
            tie(rm, lu, b, share=HALF)
        assert list(refused.value.fields) == ["share"]
        tie(rm, lu, b, share=Decimal("0.4"))
        tie(rm, b, c, share=MOST)
        for kind, share in (("parent_company", None), ("shareholder", Decimal("0.51"))):
            with pytest.raises(DomainError, match="opposite"):
                tie(rm, c, a, kind, share=share)
        tie(rm, c, a, share=Decimal("0.1"))  # a cross-holding


def test_a_tie_ends_once_with_date_and_reason(house: Any, rm: Any, firms: Any, client_for: Any) -> None:
    lu, acme = firms["lu"], firms["acme"]
    with bank(house.id):
        record = tie(rm, lu, acme, share=HALF, from_date=TODAY - dt.timedelta(days=9))
        for day in (TODAY + dt.timedelta(days=1), TODAY - dt.timedelta(days=10)):
            with pytest.raises(DomainError) as refused:
                end(rm, record, ended_date=day)
            assert list(refused.value.fields) == ["ended_date"]
        for _twice in range(2):
            end(rm, record)
        with pytest.raises(Conflict):
            end(rm, record, reason="mistake")
        assert not Relation.objects.exists()
        tie(rm, lu, acme, share=Decimal("0.3"))  # recorded anew
    client = client_for(rm)
    page = client.get(f"/customers/{acme.pk}/ties/").content.decode()
    assert "陆思远 holds 50% of Acme Tools Ltd" in page
    assert f"ended by {rm.staff.name}" in page
    assert "It no longer holds" in client.get(f"/customers/{lu.pk}/panels/timeline/").content.decode()
    assert client.get(f"/customers/{lu.pk}/ties/{record.pk}/end/").status_code == 404


def test_the_database_lets_nobody_delete_or_change_a_recorded_tie(house: Any, rm: Any, firms: Any) -> None:
    with bank(house.id):
        record = tie(rm, firms["lu"], firms["acme"], share=HALF)
        for break_it in (
            lambda: Relation.objects.all().delete(),
            lambda: Relation.objects.update(share=Decimal("0.1")),
            lambda: RecordedTie.objects.update(share=None),
        ):
            with pytest.raises(IntegrityError, match="recorded tie"), transaction.atomic():
                break_it()
        end(rm, record)
        with pytest.raises(IntegrityError, match="never deleted"), transaction.atomic():
            record.delete()
        with pytest.raises(IntegrityError, match="never changes"), transaction.atomic():
            RecordedTie.objects.update(end_note="x")


def test_the_core_takes_over_and_ends_its_own_alone(
    house: Any,
    rm: Any,
    firms: Any,
    client_for: Any,
    deliver: Any,
) -> None:
    lu, acme, a, b = (firms[n] for n in ("lu", "acme", "A", "B"))
    row = "customer,other,kind,share,removed\n{},{},{},{},{}\n"
    with bank(house.id):
        record = tie(rm, lu, acme, share=HALF)
        turned = tie(rm, a, b, "common_control")
        key = Relation.objects.get(record=turned).pk
        gone = row.format(lu.number, acme.number, "shareholder", "", "true")
        assert counts(deliver("relations", gone)) == (1, 0, 0, 1, 0)
        assert Relation.objects.filter(record=record).exists()
        assert (
            counts(deliver("relations", row.format(lu.number, acme.number, "shareholder", "0.45", "")))[2]
            == 1
        )
        assert counts(deliver("relations", row.format(b.number, a.number, "common_control", "", "")))[2] == 1
        assert (Relation.objects.count(), Relation.objects.get(pk=key).record) == (2, None)
        party = relations_of(rm.actor, acme)[0]
        assert (party.is_core, party.relation.share, party.record) == (True, Decimal("0.45"), record)
        assert relations_of(rm.actor, a)[0].record == turned
        with pytest.raises(Conflict, match="only core banking ends it"):
            end(rm, record)
        assert counts(deliver("relations", gone))[2] == 1
        assert not Relation.objects.filter(customer=lu).exists()
        assert [(past.record, past.is_seen) for past in past_ties(rm.actor, lu)] == [(record, True)]
        with pytest.raises(Conflict, match="and has ended it"):
            end(rm, record)
    page = client_for(rm).get(f"/customers/{lu.pk}/ties/").content.decode()
    assert "Core banking had taken this tie over and has ended it." in page


def test_the_pages_take_a_tie_and_its_end(house: Any, rm: Any, firms: Any, client_for: Any) -> None:
    lu, acme, client = firms["lu"], firms["acme"], client_for(rm)
    sent = {
        "other": acme.number,
        "tie": "shareholder:from",
        "share": "150",
        "evidence": "",
        "submission": uuid.uuid4(),
    }
    refused = client.post(f"/customers/{lu.pk}/ties/new/", sent)
    assert (refused.status_code, "This field is required" in refused.content.decode()) == (422, True)
    taken = client.post(
        f"/customers/{lu.pk}/ties/new/", {**sent, "share": "60", "evidence": "register"}, follow=True
    )
    assert "On record: 陆思远 holds 60% of Acme Tools Ltd." in taken.content.decode()
    with bank(house.id):
        record = RecordedTie.objects.get()
    asked = client.get(
        f"/customers/{lu.pk}/ties/{record.pk}/end/", headers={"accept-language": "zh-hans"}
    ).content.decode()
    assert re.search(
        r'name="ended_date" value="\d{4}-\d\d-\d\d"', asked
    )  # as a browser's field of a day wants it
    ended = {"ended_date": "2020-02-01", "reason": "mistake", "note": "another Lu"}
    page = client.post(f"/customers/{lu.pk}/ties/{record.pk}/end/", ended, follow=True).content.decode()
    assert "It was recorded by mistake · another Lu" in page


def test_the_list_of_ties_costs_the_same_whatever_their_number(
    house: Any, rm: Any, firms: Any, client_for: Any
) -> None:
    acme, client = firms["acme"], client_for(rm)
    client.get(f"/customers/{acme.pk}/ties/")

    def cost() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert client.get(f"/customers/{acme.pk}/ties/").status_code == 200
        return len(own_statements(captured))

    with bank(house.id):
        tie(rm, firms["lu"], acme)
        end(rm, tie(rm, firms["A"], acme))
    few = cost()
    with bank(house.id):
        for kind in ("supplier", "guarantor"):
            for name in "ABC":
                tie(rm, firms[name], acme, kind)
    assert (cost(), few <= 12) == (few, True)
