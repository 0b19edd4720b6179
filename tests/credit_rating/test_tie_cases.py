"""Ties that staff record or end while credit is being decided: a case sees them, and nobody dodges a cap by them."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.test import Client

from credit_rating.models import CaseStatus, Opinion
from credit_rating.selectors.makers import hands_on
from credit_rating.services import cases
from crm_site.lib.errors import Conflict
from crm_site.lib.tenancy import bank
from customers import services
from customers.models import Customer, RecordedTie, Relation
from tests.conftest import NOW, TODAY, Person
from tests.credit_rating.desk import Desk, a_case, say
from tests.customers.factories import make_customer

SignIn = Callable[[Person], Client]
MILLION = 1_000_000
# 200 million: 20 may be lent to one customer, and credit of 30 is enough for one or a group
pytestmark = pytest.mark.usefixtures("capital", "the_pages_day")


def sister(desk: Desk, name: str = "Sister Works", loans: int = 0, kind: str = "corporate") -> Customer:
    return make_customer(
        name, kind=kind, home_branch=desk.house.north, responsible=desk.rm.staff, loans=Decimal(loans)
    )


def tie(
    who: Person, one: Customer, other: Customer, kind: str = "common_control", **more: Any
) -> RecordedTie:
    return services.record_tie(
        who.actor, customer=one, other=other.number, kind=kind, is_from=True, evidence="register",
        submission=uuid.uuid4(), now=NOW, **more,
    )  # fmt: skip


def end(who: Person, record: RecordedTie) -> RecordedTie:
    return services.end_tie(who.actor, record=record, ended_date=TODAY, reason="over", now=NOW)


def test_a_tie_recorded_on_the_way_is_shown_as_moved_and_voids_what_it_makes_break(
    desk: Desk, client_for: SignIn
) -> None:
    with bank(desk.house.id):
        case = a_case(desk, 15 * MILLION)
        say(desk.manager, case)
        tie(desk.reviewer, sister(desk, loans=1 * MILLION), desk.customer)
    page = client_for(desk.reviewer).get(f"/credit/cases/{case.pk}/").content.decode()
    told = page[page.index("Since the opinion of") :]
    assert "Has come to the group or connected customers: Sister Works" in told
    assert "Common control" in told[: told.index("</section>")]
    with bank(desk.house.id):
        assert Opinion.objects.filter(voided_at=None).exists()  # no cap is broken: what was said stands
        tie(desk.rm, sister(desk, "Big Sister", loans=25 * MILLION), desk.customer)
        with pytest.raises(Conflict, match="begins again"):
            say(desk.reviewer, case)
        case.refresh_from_db()
        assert (case.status, case.route_why) == (CaseStatus.BRANCH, "breaks_cap")
        assert not Opinion.objects.filter(voided_at=None).exists()


def test_no_tie_that_a_case_under_way_may_count_is_ended(desk: Desk) -> None:
    """Its own, one within its group, one of a relative, one of who depends on a member: none; another's is."""
    with bank(desk.house.id):
        mother, daughter, owner, wife, supplier = (
            sister(desk, f"N{n}", kind="personal" if n in (2, 3) else "corporate") for n in range(5)
        )
        own = tie(desk.rm, mother, desk.customer, "parent_company", share=Decimal("0.8"))
        within = tie(desk.rm, mother, daughter, "parent_company")
        by_owner = tie(desk.rm, owner, mother, "legal_representative")
        kin = tie(desk.rm, owner, wife, "family")
        trade = tie(desk.rm, supplier, daughter, "supplier", share=Decimal("0.7"))
        strangers = tie(desk.rm, sister(desk, "X1"), sister(desk, "X2"))
        case = a_case(desk, 15 * MILLION)
        for record in (own, within, by_owner, trade):
            with pytest.raises(Conflict, match=case.number):
                end(desk.reviewer, record)
        end(desk.rm, strangers)
        end(desk.rm, kin)  # whoever is kin of the wife is three steps away; and the owner controls nobody
        cases.withdraw_case(desk.rm.actor, case_id=case.pk, now=NOW, today=TODAY)
        for record in (own, within, by_owner, trade):
            end(desk.rm, record)
        assert not Relation.objects.exists()


def test_the_database_keeps_a_tie_of_who_has_a_case(desk: Desk) -> None:
    with bank(desk.house.id):
        record = tie(desk.rm, sister(desk), desk.customer)
        a_case(desk, 15 * MILLION)
        ended = {"ended_at": NOW, "ended_date": TODAY, "ended_by": desk.rm.staff, "end_reason": "over"}
        RecordedTie.objects.filter(pk=record.pk).update(**ended)
        with pytest.raises(IntegrityError, match="a case that counts this tie"), transaction.atomic():
            Relation.objects.filter(record=record).delete()


def test_who_ended_a_tie_does_not_decide_on_what_is_left(desk: Desk) -> None:
    with bank(desk.house.id):
        end(desk.manager, tie(desk.rm, sister(desk, loans=25 * MILLION), desk.customer))
        assert hands_on([desk.customer.pk], TODAY)[desk.customer.pk] == {(desk.manager.staff.pk, "tie")}
        assert not hands_on([desk.customer.pk], TODAY + dt.timedelta(days=400))[desk.customer.pk]
        case = a_case(desk, 15 * MILLION)
        assert case.status == CaseStatus.HEADQUARTERS  # nobody else may decide at the branch
