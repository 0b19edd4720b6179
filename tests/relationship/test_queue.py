"""The branch's queue: who may decide, and that whatever happens twice or at once takes effect once."""

from __future__ import annotations

import datetime as dt
import threading

import pytest
from django.core.exceptions import PermissionDenied
from django.db import connection

from crm_site.accounts.models import GradeCapacity
from crm_site.lib.errors import Conflict, DomainError
from crm_site.lib.permissions import Role
from crm_site.lib.tenancy import bank
from crm_site.work.models import Notification, Task
from customers.models import Customer, Standing
from relationship.models import Assignment, AssignmentProposal, ManagerLoad
from relationship.services import (
    NotInQueue,
    approve_proposals,
    change_manager,
    propose_for_branch,
    reject_proposals,
)
from tests.conftest import NOW, TODAY, House, Person, hire
from tests.relationship.factories import customer

WHEN = {"effective_date": TODAY, "working_day": TODAY, "now": NOW}


def propose(house: House, branch_manager: Person) -> list[int]:
    propose_for_branch(branch_manager.actor, unit=house.north, working_day=TODAY)
    return list(AssignmentProposal.objects.open().values_list("pk", flat=True))


def test_approval_makes_the_manager_responsible_at_once(
    inside: House, rm: Person, teller: Person, branch_manager: Person
) -> None:
    one = customer(inside.north, teller.staff, tier=2, loans="500.00")
    Assignment.objects.create(
        customer=one, manager=teller.staff, from_date=dt.date(2026, 1, 1), rule="general", decided_at=NOW
    )
    task = Task.objects.create(
        reason="birthday",
        customer_id=one.pk,
        owner=teller.staff,
        created_at=NOW,
        due_date=TODAY,
        show_from=TODAY,
    )
    ids = propose(inside, branch_manager)
    outcome = approve_proposals(branch_manager.actor, proposals=ids, **WHEN)
    assert (outcome.approved, outcome.already, outcome.refused) == (1, 0, ())
    one.refresh_from_db()
    task.refresh_from_db()
    assert one.responsible_id == rm.staff.pk == Standing.objects.get(customer=one).responsible_id
    assert task.owner_id == rm.staff.pk
    old, new = Assignment.objects.filter(customer=one).order_by("from_date")
    assert (old.to_date, new.from_date, new.to_date) == (TODAY, TODAY, None)
    assert (new.rule, new.decided_by_id) == ("borrower", branch_manager.staff.pk)
    assert Notification.objects.get(code="assignment").staff_id == rm.staff.pk
    assert ManagerLoad.objects.get(manager=rm.staff, value_tier=2).customers == 1
    assert not ManagerLoad.objects.filter(manager=teller.staff).exists()


def test_a_double_click_approves_once(inside: House, rm: Person, branch_manager: Person) -> None:
    customer(inside.north, tier=2)
    ids = propose(inside, branch_manager)
    approve_proposals(branch_manager.actor, proposals=ids, **WHEN)
    again = approve_proposals(branch_manager.actor, proposals=ids, **WHEN)
    assert (again.approved, again.already) == (0, 1)
    assert Assignment.objects.count() == 1
    assert Notification.objects.count() == 1


def test_an_approval_for_a_later_day_waits_and_bars_another(
    inside: House, rm: Person, branch_manager: Person
) -> None:
    one = customer(inside.north, tier=2)
    ids = propose(inside, branch_manager)
    later = TODAY + dt.timedelta(days=10)
    approve_proposals(branch_manager.actor, proposals=ids, effective_date=later, working_day=TODAY, now=NOW)
    one.refresh_from_db()
    assert one.responsible_id is None
    assert Assignment.objects.get(customer=one).applied is False
    assert propose(inside, branch_manager) == []
    for wrong in (TODAY - dt.timedelta(days=1), TODAY + dt.timedelta(days=400)):
        with pytest.raises(DomainError) as refused:
            approve_proposals(
                branch_manager.actor, proposals=ids, effective_date=wrong, working_day=TODAY, now=NOW
            )
        assert "effective_date" in refused.value.fields


def test_bounds_of_the_grade_hold_at_approval(inside: House, rm: Person, branch_manager: Person) -> None:
    ones = [customer(inside.north, tier=2, name=f"N{i}") for i in range(2)]
    ids = propose(inside, branch_manager)
    GradeCapacity.objects.filter(grade="level_2").update(max_customers=1)
    outcome = approve_proposals(branch_manager.actor, proposals=ids, **WHEN)
    assert outcome.approved == 1
    assert [r.customer for r in outcome.refused] == [ones[1].name]
    assert AssignmentProposal.objects.open().count() == 1


def test_who_may_decide(
    inside: House, rm: Person, branch_manager: Person, hq_risk: Person, auditor: Person
) -> None:
    customer(inside.north, tier=2)
    ids = propose(inside, branch_manager)
    south = hire(inside, "south_manager", Role.BRANCH_MANAGER, inside.south)
    with pytest.raises(NotInQueue):
        approve_proposals(south.actor, proposals=ids, **WHEN)
    with pytest.raises(NotInQueue):
        approve_proposals(rm.actor, proposals=ids, **WHEN)
    for reader in (hq_risk, auditor):
        with pytest.raises(PermissionDenied):
            approve_proposals(reader.actor, proposals=ids, **WHEN)
    with pytest.raises(PermissionDenied):
        propose_for_branch(south.actor, unit=inside.north, working_day=TODAY)
    assert Assignment.objects.count() == 0


def test_another_person_may_be_chosen_from_the_branch_alone(
    inside: House, rm: Person, rm_other_branch: Person, branch_manager: Person
) -> None:
    second = hire(inside, "second", Role.RELATIONSHIP_MANAGER, inside.north_sub, grade="trainee")
    one = customer(inside.north, tier=2)
    (pk,) = propose(inside, branch_manager)
    common = {"proposal_id": pk, "day": TODAY, "now": NOW}
    with pytest.raises(DomainError):
        change_manager(branch_manager.actor, manager_id=rm_other_branch.staff.pk, **common)
    with pytest.raises(DomainError):
        change_manager(branch_manager.actor, manager_id=branch_manager.staff.pk, **common)
    other = {rm.staff.pk, second.staff.pk} - {AssignmentProposal.objects.get(pk=pk).manager_id}
    changed = change_manager(branch_manager.actor, manager_id=other.pop(), **common)
    assert changed.rule == "chosen"
    propose_for_branch(branch_manager.actor, unit=inside.north, working_day=TODAY)
    assert AssignmentProposal.objects.open().get().pk == pk  # the night respects the choice
    approve_proposals(branch_manager.actor, proposals=[pk], **WHEN)
    one.refresh_from_db()
    assert one.responsible_id == changed.manager_id
    with pytest.raises(Conflict):
        change_manager(branch_manager.actor, manager_id=rm.staff.pk, **common)


def test_a_refusal_needs_a_reason_and_the_customer_stays_in_the_queue(
    inside: House, rm: Person, branch_manager: Person
) -> None:
    one = customer(inside.north, tier=2)
    ids = propose(inside, branch_manager)
    with pytest.raises(DomainError):
        reject_proposals(branch_manager.actor, proposals=ids, comment="  ", working_day=TODAY, now=NOW)
    assert (
        reject_proposals(branch_manager.actor, proposals=ids, comment="Kin", working_day=TODAY, now=NOW) == 1
    )
    left = AssignmentProposal.objects.open().get()
    assert (left.customer_id, left.manager_id) == (one.pk, None)  # there is nobody else
    assert (
        reject_proposals(branch_manager.actor, proposals=ids, comment="Kin", working_day=TODAY, now=NOW) == 0
    )


@pytest.mark.django_db(transaction=True)
def test_two_managers_at_once_fill_a_place_once(house: House, rm: Person, branch_manager: Person) -> None:
    deputy = hire(house, "deputy", Role.BRANCH_MANAGER, house.north)
    with bank(house.id):
        GradeCapacity.objects.filter(grade="level_2").update(max_customers=3)
        for _ in range(4):
            customer(house.north, tier=2)
        propose_for_branch(branch_manager.actor, unit=house.north, working_day=TODAY)
        AssignmentProposal.objects.filter(manager=None).update(manager=rm.staff)
        ids = list(AssignmentProposal.objects.open().order_by("pk").values_list("pk", flat=True))
    barrier = threading.Barrier(2)
    results: list[int] = []

    def approve(person: Person, order: list[int]) -> None:
        actor = person.actor
        barrier.wait(timeout=10)
        with bank(house.id):
            results.append(approve_proposals(actor, proposals=order, **WHEN).approved)
        connection.close()

    threads = [
        threading.Thread(target=approve, args=(branch_manager, ids)),
        threading.Thread(target=approve, args=(deputy, ids[::-1])),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert sum(results) == 3
    with bank(house.id):
        assert Assignment.objects.count() == 3
        assert Customer.objects.filter(responsible=rm.staff).count() == 3
