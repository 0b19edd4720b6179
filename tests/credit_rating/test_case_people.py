"""Who is too near to a case to decide it, over the whole graph of relations; and what becomes of a branch with nobody left."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import IntegrityError, transaction

from credit_rating.models import CaseStatus, CreditCase, Guarantee, Opinion, StaffRelation
from credit_rating.selectors import cases as selectors
from credit_rating.services import cases
from crm_site.lib.permissions import Role
from crm_site.lib.tenancy import bank
from customers.models import Customer, Relation
from tests.conftest import NOW, TODAY, House, Person, hire
from tests.credit_rating import desk as tables
from tests.credit_rating.desk import LATER, Desk, a_case, say
from tests.customers.factories import make_customer


@pytest.fixture
def desk(house: House) -> Iterator[Desk]:
    found = tables.staffed(house)
    with bank(house.id):
        yield tables.with_customer(found)


def _related(person: Person, customer: Customer) -> None:
    StaffRelation.objects.create(
        staff=person.staff, customer=customer, basis="brother", from_date=TODAY, entered_at=NOW
    )


def _somebody(desk: Desk, name: str) -> Customer:
    return make_customer(name, kind="personal", home_branch=desk.house.north, responsible=desk.rm.staff)


def _straight_into_the_table(desk: Desk, case: CreditCase, person: Person) -> None:
    case.refresh_from_db()
    with transaction.atomic():
        Opinion.objects.create(
            case=case, round=case.round, stage=case.status, part="decision", staff=person.staff, verdict="approve",
            text="x", dossier_hash=case.dossier_hash, at=LATER, day=TODAY,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("kinds", "is_near"),
    [
        ((), True),
        (("family",), True),
        (("family", "shareholder"), True),
        (("legal_representative", "common_control"), True),
        (("family", "family", "shareholder"), False),
        (("supplier",), False),
        (("guarantor", "family"), False),
    ],
)
def test_page_inbox_and_database_agree_on_who_is_a_relative(
    desk: Desk, kinds: tuple[str, ...], is_near: bool
) -> None:
    """The reviewer's registered relative is so many relations away from the borrower."""
    case = a_case(desk)
    say(desk.manager, case)
    chain = [_somebody(desk, f"Kin {n}") for n in range(len(kinds))] + [desk.customer]
    _related(desk.reviewer, chain[0])
    for n, kind in enumerate(kinds):
        one, other = (chain[n], chain[n + 1]) if n % 2 else (chain[n + 1], chain[n])  # both directions count
        Relation.objects.create(customer=one, other=other, kind=kind)
    assert ("relative" in selectors.objections(case, desk.reviewer.staff.pk, TODAY)) is is_near
    inbox = selectors.inbox(desk.reviewer.actor, "todo", day=TODAY).rows
    assert ([c.pk for c in inbox] == [case.pk]) is not is_near
    if is_near:
        with pytest.raises(cases.CaseFault) as refused:
            say(desk.reviewer, case)
        assert refused.value.code == "four_eyes_relative"
        with pytest.raises(IntegrityError, match="relative"):
            _straight_into_the_table(desk, case, desk.reviewer)
    else:
        say(desk.reviewer, case)


def test_a_relative_of_a_guarantor_counts_and_the_policy_says_how_far(desk: Desk) -> None:
    case = a_case(desk)
    guarantor, wife = _somebody(desk, "Guarantor"), _somebody(desk, "Wife")
    Guarantee.objects.create(
        customer=desk.customer, guarantor=guarantor, kind="guarantor", amount=1, from_date=TODAY, entered_at=NOW,
        status="active",
    )  # fmt: skip
    Relation.objects.create(customer=wife, other=guarantor, kind="family")
    _related(desk.manager, wife)
    assert selectors.objections(case, desk.manager.staff.pk, TODAY) == ["relative"]
    CreditCase.objects.filter(pk=case.pk).update(kin_steps=0)
    case.refresh_from_db()
    assert selectors.objections(case, desk.manager.staff.pk, TODAY) == []


def _by_the_manager(desk: Desk) -> CreditCase:
    asked = tables.terms()
    case = cases.create_case(desk.manager.actor, customer=desk.customer, terms=asked, now=NOW)
    cases.edit_case(desk.manager.actor, case_id=case.pk, terms=asked, investigation="Fine.", now=NOW)
    return cases.submit_case(desk.manager.actor, case_id=case.pk, now=NOW, today=TODAY)


def test_headquarters_takes_the_place_of_a_branch_manager_who_made_the_case(desk: Desk) -> None:
    case = _by_the_manager(desk)
    assert (case.status, case.route) == ("headquarters", ["headquarters", "committee", "president"])
    assert [c.pk for c in selectors.inbox(desk.reviewer.actor, "todo", day=TODAY).rows] == [case.pk]
    with pytest.raises(cases.CaseFault) as refused:
        say(desk.manager, case)
    assert refused.value.code == "four_eyes_maker"
    say(desk.reviewer, case)
    assert case.status == CaseStatus.COMMITTEE


def test_with_a_second_manager_the_branch_keeps_its_say(desk: Desk, house: House) -> None:
    second = hire(house, "second", Role.BRANCH_MANAGER, house.north)
    case = _by_the_manager(desk)
    assert case.route[0] == case.status == "branch"
    say(second, case)
    assert case.status == CaseStatus.HEADQUARTERS


def test_a_manager_appointed_later_voids_nothing(desk: Desk, house: House) -> None:
    case = _by_the_manager(desk)
    say(desk.reviewer, case)
    hire(house, "newcomer", Role.BRANCH_MANAGER, house.north)
    say(desk.members[0], case)
    assert case.route[0] == "headquarters"
    assert not Opinion.objects.filter(voided_at__isnull=False).exists()


def test_when_the_only_manager_takes_no_part_headquarters_goes_on(desk: Desk) -> None:
    case = a_case(desk)
    cases.recuse(desk.manager.actor, case_id=case.pk, reason="A friend", now=LATER, today=TODAY)
    case.refresh_from_db()
    assert (case.status, case.route[0]) == ("headquarters", "headquarters")
    say(desk.reviewer, case)
    assert case.status == CaseStatus.COMMITTEE


def test_in_the_night_headquarters_takes_what_nobody_at_the_branch_may_decide_any_more(desk: Desk) -> None:
    case = a_case(desk)
    assert cases.close_due(now=LATER, today=TODAY) == 0
    _related(desk.manager, desk.customer)
    assert cases.close_due(now=LATER, today=TODAY) == 1
    case.refresh_from_db()
    assert (case.status, case.route[0]) == ("headquarters", "headquarters")
    assert cases.close_due(now=LATER, today=TODAY) == 0


def test_only_who_sees_the_same_customers_stands_in(desk: Desk, house: House) -> None:
    elsewhere = hire(house, "elsewhere", Role.BRANCH_MANAGER, house.south)
    beside = hire(house, "beside", Role.BRANCH_MANAGER, house.north)
    offered = set(selectors.stand_ins(desk.manager.actor, TODAY))
    assert {beside.staff, desk.reviewer.staff, desk.president.staff} <= offered
    assert not {elsewhere.staff, desk.manager.staff, desk.rm.staff} & offered
    assert desk.manager.staff not in selectors.stand_ins(desk.reviewer.actor, TODAY)
    with pytest.raises(cases.CaseFault) as refused:
        cases.delegate(
            desk.manager.actor, to_id=elsewhere.staff.pk, from_date=TODAY, to_date=TODAY, now=NOW, today=TODAY
        )
    assert set(refused.value.fields) == {"to"}
