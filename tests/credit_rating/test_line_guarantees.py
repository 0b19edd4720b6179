"""No line is drawn on before the guarantees that its approval rests on are in force."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import pytest
from django.db import IntegrityError, transaction

from credit_rating.models import CreditLine, Guarantee, LineStatus
from credit_rating.services import guarantees, lines
from crm_site.lib.errors import Conflict
from crm_site.lib.tenancy import bank
from tests.conftest import NOW, TODAY, House
from tests.credit_rating import book
from tests.credit_rating import desk as tables
from tests.credit_rating.desk import LATER, Desk, a_case, say, to_president


@pytest.fixture
def desk(house: House) -> Iterator[Desk]:
    found = tables.staffed(house)
    with bank(house.id):
        yield tables.with_customer(found)


def approved(desk: Desk) -> CreditLine:
    case = to_president(desk, a_case(desk))
    say(desk.president, case)
    assert case.line is not None
    return case.line


def activate(desk: Desk, line: CreditLine) -> CreditLine:
    return lines.activate_line(desk.reviewer.actor, line_id=line.pk, reason="signed", now=LATER)


def test_the_line_waits_until_the_guarantee_is_put_in_force(desk: Desk) -> None:
    pledged = book.mortgage(desk.rm.actor, desk.customer)
    line = approved(desk)
    assert line.status == LineStatus.PENDING
    with pytest.raises(Conflict) as refused:
        activate(desk, line)
    assert refused.value.code == "guarantees_open"
    assert "Factory 388 Sizhuan Road (Proposed)" in refused.value.message
    with pytest.raises(IntegrityError, match="not in force"), transaction.atomic():
        CreditLine.objects.filter(pk=line.pk).update(status="active")
    book.put_in_force(desk.reviewer.actor, pledged)
    assert activate(desk, line).status == LineStatus.ACTIVE


def test_what_was_in_force_and_is_let_go_or_has_ended_keeps_the_line_waiting(desk: Desk) -> None:
    kept = book.mortgage(desk.rm.actor, desk.customer)
    line = approved(desk)
    guarantees.withdraw(desk.rm.actor, guarantee=kept, now=NOW)
    with pytest.raises(Conflict, match=r"Factory 388 Sizhuan Road \(Released\)"):
        activate(desk, line)
    Guarantee.objects.filter(pk=kept.pk).update(
        status="active", to_date=TODAY - dt.timedelta(days=1), from_date=TODAY - dt.timedelta(days=9)
    )
    with pytest.raises(Conflict, match=r"Factory 388 Sizhuan Road \(ended\)"):
        activate(desk, line)
    Guarantee.objects.filter(pk=kept.pk).update(to_date=TODAY)
    assert activate(desk, line).status == LineStatus.ACTIVE


def test_a_line_whose_guarantees_are_in_force_is_active_at_once_and_no_other_is(desk: Desk) -> None:
    pledged = book.mortgage(desk.rm.actor, desk.customer)
    book.put_in_force(desk.reviewer.actor, pledged)
    line = approved(desk)
    assert line.status == LineStatus.ACTIVE
    # Past the services: another line by the same approval, its guarantee released.
    guarantees.release(desk.reviewer.actor, guarantee=pledged, now=NOW)
    with pytest.raises(IntegrityError, match="not in force"), transaction.atomic():
        CreditLine.objects.create(
            year=2030, serial=1, customer=desk.customer, product=line.product, currency="CNY", limit=line.limit, reserved=0,
            utilised=0, starts_on=TODAY, expires_on=line.expires_on, case_id=line.case_id, status="active", opened_at=NOW,
            changed_at=NOW,
        )  # fmt: skip
