"""What the page of a case costs the database: the same whatever stands on it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from credit_rating.models import CreditCase
from credit_rating.services import cases
from credit_rating.services.guarantees import Thing
from crm_site.lib.tenancy import bank
from customers.models import ContactPerson, Relation
from tests.conftest import NOW, TODAY, House, Person
from tests.credit_rating import book
from tests.credit_rating import desk as tables
from tests.credit_rating.desk import Desk, a_case, say, to_committee
from tests.customers.factories import make_customer

SignIn = Callable[[Person], Client]
PNG = b"\x89PNG\r\n\x1a\n"
SQL_BUDGET = 41  # everything, who is asking and whose turn it is included; four more where a rating and a calculation go with it


@pytest.fixture(autouse=True)
def _day(monkeypatch: pytest.MonkeyPatch, settings: object, tmp_path: Path) -> None:
    """Pages ask the clock; here it is NOW."""
    settings.MEDIA_ROOT = tmp_path
    for module in ("cases", "case_page"):
        monkeypatch.setattr(f"credit_rating.views.{module}.bank_today", lambda _bank: TODAY)


def _statements(client: Client, case: CreditCase) -> list[str]:
    with CaptureQueriesContext(connection) as caught:
        assert client.get(f"/credit/cases/{case.pk}/").status_code == 200
    # Without the savepoints of the test's transaction and the bank of the host, which a process keeps for seconds.
    apart = ("SAVEPOINT", "RELEASE", 'SELECT "accounts_bank"')
    return [query["sql"] for query in caught.captured_queries if not query["sql"].startswith(apart)]


def _grown(desk: Desk, case: CreditCase, first: int) -> None:
    """A member of the group, files of the case, a key person and a guarantee more. Call inside the bank."""
    for n in range(first, first + 4):
        daughter = make_customer(f"Daughter {n}", kind="corporate", home_branch=desk.house.north)
        Relation.objects.create(customer=daughter, other=desk.customer, kind="parent_company", share=1)
        upload = SimpleUploadedFile(f"{n}.png", PNG + bytes([n]) * 20)
        cases.add_files(desk.rm.actor, case_id=case.pk, uploads=[upload], now=NOW, today=TODAY)
        ContactPerson.objects.create(
            customer=desk.customer, name=f"Chair {n}", post="chair", submission=uuid.uuid4()
        )
        thing = Thing("residence", f"D-{n}", f"Flat {n}")
        book.mortgage(desk.rm.actor, desk.customer, thing=thing)


@pytest.mark.parametrize("stage", ["branch", "committee"])
def test_the_page_costs_the_same_whatever_stands_on_it(house: House, client_for: SignIn, stage: str) -> None:
    desk = tables.staffed(house)
    with bank(house.id):
        desk = tables.with_customer(desk)
        book.add_statements(desk.customer)
        book.collect(desk.rm.actor, desk.customer)
        book.add_capital()
        case = a_case(desk)
        if stage == "committee":
            to_committee(desk, case)
        else:
            _grown(desk, case, 0)
    client = client_for(desk.members[0] if stage == "committee" else desk.manager)
    few = _statements(client, case)
    with bank(house.id):
        if stage == "committee":
            for member in desk.members[1:3]:
                say(member, case, "conditional")
        else:
            _grown(desk, case, 4)
    many = _statements(client, case)

    assert len(many) == len(few) <= SQL_BUDGET, "\n".join(many)
