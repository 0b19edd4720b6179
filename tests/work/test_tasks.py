"""Tasks: made by causes and by people, done once, handed on, kept as people decided."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal

import pytest
from django.core.exceptions import PermissionDenied

from crm_site.lib.errors import Conflict, DomainError
from crm_site.lib.permissions import Role, system_actor
from crm_site.lib.registry import WORK_REASONS, WorkReason
from crm_site.lib.tenancy import bank
from crm_site.work import selectors, services
from crm_site.work.models import Notification, Task
from crm_site.work.services import TaskRow
from tests.conftest import NOW, TODAY, House, Person, hire

LATER = NOW + dt.timedelta(minutes=5)
TOMORROW = TODAY + dt.timedelta(days=1)


@pytest.fixture(autouse=True)
def reasons(monkeypatch: pytest.MonkeyPatch) -> None:
    overdue = WorkReason(
        "late", "Overdue", "alert-triangle", lambda params: "x", level="risk", needs_result=True
    )
    known = WORK_REASONS._items | {"late": overdue}
    monkeypatch.setattr(WORK_REASONS, "_items", known)


@pytest.fixture
def colleague(house: House) -> Person:
    return hire(house, "colleague", Role.RELATIONSHIP_MANAGER, house.north)


@pytest.fixture
def task(house: House, rm: Person) -> Iterator[Task]:
    """An open task of the RM, seen from inside the bank."""
    actor = rm.actor
    with bank(house.id):
        yield make(actor)


def make(actor, **options) -> Task:
    values = {"reason": "manual", "due_date": TODAY, "owner_id": actor.staff_id, "now": NOW} | options
    return services.create_task(actor, **values)


def row(key: str, rm: Person, **options) -> TaskRow:
    values = {
        "reason": "manual",
        "source_key": key,
        "due_date": TODAY,
        "customer_id": 7,
        "owner_id": rm.staff.pk,
        "unit_id": rm.staff.unit_id,
        "stake": Decimal("1000.50"),
        "urgency": 50,
    }
    return TaskRow(**(values | options))


def put(house: House, *rows: TaskRow, **options) -> tuple[int, int, int]:
    values = {"sources": ["m:"], "as_of": TODAY, "now": NOW} | options
    done = services.put_tasks(house.id, rows, **values)
    return done.given, done.changed, done.cancelled


# --- done ---


def test_done_by_its_owner_and_again_changes_nothing(task: Task, rm: Person) -> None:
    actor = rm.actor
    services.finish_task(actor, task_id=task.pk, now=NOW)
    again = services.finish_task(actor, task_id=task.pk, now=LATER)
    assert (again.status, again.closed_at, again.closed_by_id) == ("done", NOW, rm.staff.pk)


def test_the_second_person_is_told_who_was_first(task: Task, rm: Person, branch_manager: Person) -> None:
    services.finish_task(branch_manager.actor, task_id=task.pk, now=NOW)
    with pytest.raises(Conflict, match="Branch Manager"):
        services.finish_task(rm.actor, task_id=task.pk, now=LATER)


def test_a_reason_that_needs_a_result_is_not_done_without(rm: Person, inside: House) -> None:
    late = make(rm.actor, reason="late")
    with pytest.raises(DomainError) as refused:
        services.finish_task(rm.actor, task_id=late.pk, now=NOW, result="  ")
    assert "result" in refused.value.fields
    assert (
        services.finish_task(rm.actor, task_id=late.pk, now=NOW, result="Paid today").result == "Paid today"
    )


def test_undo_for_ten_seconds_by_the_same_person(task: Task, rm: Person, branch_manager: Person) -> None:
    services.finish_task(rm.actor, task_id=task.pk, now=NOW)
    with pytest.raises(Conflict):
        services.reopen_task(branch_manager.actor, task_id=task.pk, now=NOW)
    soon = NOW + dt.timedelta(seconds=10)
    assert services.reopen_task(rm.actor, task_id=task.pk, now=soon).status == "open"
    assert services.reopen_task(rm.actor, task_id=task.pk, now=soon).status == "open"
    services.finish_task(rm.actor, task_id=task.pk, now=NOW)
    with pytest.raises(Conflict):
        services.reopen_task(rm.actor, task_id=task.pk, now=LATER)


def test_others_neither_see_nor_touch_it(
    task: Task, colleague: Person, rm_other_branch: Person, hq_risk: Person
) -> None:
    for stranger in (colleague, rm_other_branch):
        with pytest.raises(Task.DoesNotExist):
            services.finish_task(stranger.actor, task_id=task.pk, now=NOW)
    with pytest.raises(PermissionDenied):  # headquarters sees it, and it is not theirs to do
        services.finish_task(hq_risk.actor, task_id=task.pk, now=NOW)


def test_who_covers_for_the_owner_may_do_it(task: Task, rm: Person, colleague: Person) -> None:
    import dataclasses

    cover = dataclasses.replace(colleague.actor, covers=(rm.staff.pk,))
    assert task in selectors.worklist(cover, TODAY)
    assert services.finish_task(cover, task_id=task.pk, now=NOW).closed_by_id == colleague.staff.pk


# --- later ---


def test_postponed_it_leaves_the_worklist_until_its_day(task: Task, rm: Person) -> None:
    actor = rm.actor
    services.postpone_task(actor, task_id=task.pk, until=TOMORROW, as_of=TODAY)
    assert task not in selectors.worklist(actor, TODAY)
    assert task in selectors.worklist(actor, TOMORROW)
    assert selectors.counts(actor, TODAY, NOW).later == 1


@pytest.mark.parametrize("days", [0, -1, 93])
def test_later_is_ahead_and_at_most_a_quarter(task: Task, rm: Person, days: int) -> None:
    with pytest.raises(DomainError) as refused:
        services.postpone_task(rm.actor, task_id=task.pk, until=TODAY + dt.timedelta(days=days), as_of=TODAY)
    assert "until" in refused.value.fields


def test_a_done_task_is_not_postponed_or_handed_over(task: Task, rm: Person, colleague: Person) -> None:
    actor = rm.actor
    services.finish_task(actor, task_id=task.pk, now=NOW)
    with pytest.raises(Conflict):
        services.postpone_task(actor, task_id=task.pk, until=TOMORROW, as_of=TODAY)
    with pytest.raises(Conflict):
        services.hand_over_task(actor, task_id=task.pk, to_id=colleague.staff.pk, now=NOW)


# --- handing over ---


def test_handed_over_it_is_the_colleagues_and_he_is_told_once(
    task: Task, rm: Person, colleague: Person
) -> None:
    actor = rm.actor
    for _twice in range(2):
        services.hand_over_task(actor, task_id=task.pk, to_id=colleague.staff.pk, now=NOW, note="please call")
    assert list(selectors.worklist(colleague.actor, TODAY)) == [task]
    assert not selectors.worklist(actor, TODAY)
    told = Notification.objects.get()
    assert told.staff_id == colleague.staff.pk
    assert "please call" in selectors.notice_rows([told])[0]["text"]


def test_work_is_given_within_reach_only(
    outsider: Person, task: Task, rm: Person, rm_other_branch: Person, hq_risk: Person
) -> None:
    actor = rm.actor
    for stranger in (rm_other_branch, outsider, hq_risk):
        with pytest.raises(DomainError) as refused:
            services.hand_over_task(actor, task_id=task.pk, to_id=stranger.staff.pk, now=NOW)
        assert "to" in refused.value.fields
    assert rm_other_branch.staff in selectors.possible_owners(hq_risk.actor)


def test_what_was_handed_over_cannot_be_handed_over_again_by_the_first(
    house: House, rm: Person, colleague: Person, branch_manager: Person
) -> None:
    other = hire(house, "other", Role.RELATIONSHIP_MANAGER, house.north)
    manager, actor = branch_manager.actor, rm.actor
    with bank(house.id):
        task = services.create_task(manager, reason="manual", due_date=TODAY, owner_id=rm.staff.pk, now=NOW)
        services.hand_over_task(actor, task_id=task.pk, to_id=colleague.staff.pk, now=NOW)
        with pytest.raises(Conflict):
            services.hand_over_task(actor, task_id=task.pk, to_id=other.staff.pk, now=NOW)


# --- made by people ---


def test_a_task_for_somebody_else_tells_him(inside: House, branch_manager: Person, rm: Person) -> None:
    task = make(branch_manager.actor, owner_id=rm.staff.pk, params={"text": "Call Mr Lu"})
    assert task.unit_id == rm.staff.unit_id
    assert selectors.unread(rm.actor) == 1
    assert services.mark_read(rm.actor, now=NOW) == 1
    assert services.mark_read(rm.actor, now=NOW) == 0
    assert selectors.unread(rm.actor) == 0


def test_the_same_cause_makes_one_task(inside: House, rm: Person) -> None:
    first, second = (make(rm.actor, source_key="promise:1") for _twice in range(2))
    assert first.pk == second.pk


# --- made by causes ---


def test_repeating_changes_nothing(inside: House, rm: Person) -> None:
    rows = [row("m:1", rm), row("m:2", rm, customer_id=8, urgency=90)]
    assert put(inside, *rows) == (2, 2, 0)
    before = list(Task.objects.order_by("pk").values())
    assert put(inside, *rows, now=LATER, run_id=9) == (2, 0, 0)
    assert list(Task.objects.order_by("pk").values()) == before
    assert [t.source_key for t in selectors.worklist(rm.actor, TODAY)] == ["m:2", "m:1"]
    assert selectors.worklist(rm.actor, TODAY)[0].stake == Decimal("1000.50")


def test_a_cause_that_is_gone_closes_its_task_and_one_that_is_back_opens_it(
    inside: House, rm: Person
) -> None:
    put(inside, row("m:1", rm), row("m:2", rm))
    assert put(inside, row("m:2", rm)) == (1, 0, 1)
    assert Task.objects.get(source_key="m:1").status == "cancelled"
    assert put(inside, row("m:1", rm), row("m:2", rm)) == (2, 1, 0)
    assert Task.objects.get(source_key="m:1").status == "open"


def test_other_sources_and_other_customers_are_left_alone(inside: House, rm: Person) -> None:
    put(inside, row("b:1", rm), sources=["b:"])
    by_hand = make(rm.actor)
    put(inside, row("m:1", rm, customer_id=7), row("m:2", rm, customer_id=500))
    assert put(inside, customers=(1, 100)) == (0, 0, 1)
    states = dict(Task.objects.exclude(pk=by_hand.pk).values_list("source_key", "status"))
    assert states == {"b:1": "open", "m:1": "cancelled", "m:2": "open"}


def test_what_is_done_is_not_reopened(inside: House, rm: Person) -> None:
    put(inside, row("m:1", rm))
    task = Task.objects.get()
    services.finish_task(rm.actor, task_id=task.pk, now=NOW)
    assert put(inside, row("m:1", rm, urgency=99)) == (1, 0, 0)
    assert Task.objects.get().status == "done"


def test_a_persons_decision_outlives_the_night(inside: House, rm: Person, colleague: Person) -> None:
    put(inside, row("m:1", rm), row("m:2", rm))
    one, two = Task.objects.order_by("source_key")
    services.postpone_task(rm.actor, task_id=one.pk, until=TOMORROW, as_of=TODAY)
    services.hand_over_task(rm.actor, task_id=two.pk, to_id=colleague.staff.pk, now=NOW)
    put(inside, row("m:1", rm, urgency=60), row("m:2", rm, urgency=60))
    one, two = Task.objects.order_by("source_key")
    assert (one.show_from, one.urgency) == (TOMORROW, 60)
    assert (two.owner_id, two.urgency) == (colleague.staff.pk, 60)


def test_tasks_go_along_to_the_new_manager(inside: House, rm: Person, colleague: Person) -> None:
    put(inside, row("m:1", rm), row("m:2", rm, customer_id=8))
    assert services.reassign_tasks(inside.id, {7: colleague.staff.pk}) == 1
    assert [t.customer_id for t in selectors.worklist(colleague.actor, TODAY)] == [7]


def test_a_key_outside_its_sources_is_a_mistake(inside: House, rm: Person) -> None:
    with pytest.raises(ValueError, match="belongs to none"):
        put(inside, row("x:1", rm))


def test_another_banks_tasks_stay_apart(
    house: House, other_house: House, rm: Person, outsider: Person
) -> None:
    with bank(house.id):
        put(house, row("m:1", rm))
    with bank(other_house.id):
        assert put(other_house) == (0, 0, 0)
        assert not Task.objects.exists()
        stranger = system_actor(other_house.id, "t")
        with pytest.raises(ValueError, match="not the active one"):
            services.put_tasks(house.id, [], sources=["m:"], as_of=TODAY)
        with pytest.raises(Task.DoesNotExist):
            services.finish_task(stranger, task_id=1, now=NOW)


def test_counts(inside: House, rm: Person) -> None:
    put(inside, row("m:1", rm), row("m:2", rm, customer_id=8, due_date=TODAY - dt.timedelta(days=1)))
    make(rm.actor)
    done = make(rm.actor)
    services.finish_task(rm.actor, task_id=done.pk, now=NOW)
    found = selectors.counts(rm.actor, TODAY, NOW - dt.timedelta(hours=1))
    assert (found.open, found.overdue, found.done_today, found.stake) == (3, 1, 1, Decimal("2001.00"))
    assert found.by_reason == {"manual": 3}
