"""What a run goes through, seen from outside: order, repetition, failure, retry, dates."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import pytest
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.db.models import F
from django.utils import timezone

from crm_site.accounts.models import Bank
from crm_site.jobs import executor, selectors, services
from crm_site.jobs.models import Chunk, Outbox, Run, Step
from crm_site.lib.errors import Conflict, DomainError
from crm_site.lib.permissions import system_actor
from crm_site.lib.registry import Counts
from crm_site.lib.tenancy import bank, current_bank
from tests.conftest import House, Person
from tests.jobs import toy
from tests.jobs.toy import DAY


def start(house: House, day: dt.date = DAY, **options: object) -> Run:
    with bank(house.id):
        return services.start_run(
            system_actor(house.id, "test"), pipeline="toy", business_date=day, **options
        )


def again(run: Run) -> Run:
    with bank(run.bank_id):
        return Run.objects.get(pk=run.pk)


def make_due() -> None:
    Chunk.objects.filter(done_at__isnull=True, due_at__isnull=False).update(
        due_at=timezone.now() - dt.timedelta(hours=1), claimed_until=None
    )


@pytest.fixture
def three_steps() -> Iterator[list[str]]:
    seen: list[str] = []

    def note(context, payload):
        seen.append(f"{context.step_id and ''}{payload.get('from', 'all')}")
        return Counts(10, 2)

    with toy.pipeline(
        toy.step("last", after=("middle",), work=note),
        toy.step("first", work=note),
        toy.step("middle", chunks=3, after=("first",), work=note),
    ):
        yield seen


def test_steps_run_in_order_and_their_counts_add_up(house: House, three_steps: list[str]) -> None:
    run = services.run_to_end(start(house))
    assert run.status == "done"
    assert three_steps == ["all", "0", "1", "2", "all"]
    assert (run.rows_in, run.rows_changed) == (50, 10)
    with bank(house.id):
        views = selectors.step_views(run)
    assert [(v.name, v.status, v.rows_in, v.chunks, v.share) for v in views] == [
        ("first", "done", 10, 1, 1.0),
        ("middle", "done", 30, 3, 1.0),
        ("last", "done", 10, 1, 1.0),
    ]


def test_a_step_left_out_does_not_let_those_behind_it_run_first(house: House) -> None:
    """The back-filled month-ends leave the worklists out: their summaries still come after the tiers."""
    seen: list[str] = []

    def told(name: str):
        return lambda _context, _payload: seen.append(name) or Counts(1, 1)

    with toy.pipeline(
        toy.step("summaries", after=("worklists",), work=told("summaries")),
        toy.step("tiers", after=("balances",), work=told("tiers")),
        toy.step("balances", work=told("balances")),
        toy.step("worklists", after=("proposals",)),
        toy.step("proposals", after=("tiers",)),
    ):
        run = start(house, steps=["balances", "tiers", "summaries"])
        with bank(house.id):
            waits = {step.name: step.status for step in run.steps.all()}
        assert waits == {"balances": "ready", "tiers": "waiting", "summaries": "waiting"}
        services.run_to_end(run)
    assert seen == ["balances", "tiers", "summaries"]


def test_a_double_click_starts_one_run(house: House, three_steps: list[str]) -> None:
    assert start(house).pk == start(house).pk
    with pytest.raises(Conflict):
        start(house, steps=["first"])


def test_two_batches_of_one_date_run_side_by_side(house: House, three_steps: list[str]) -> None:
    one, two = start(house, key="batch:1"), start(house, key="batch:2")
    assert one.pk != two.pk
    assert {one.status, two.status} == {"running"}


def test_a_finished_date_can_be_run_again(house: House, three_steps: list[str]) -> None:
    first = services.run_to_end(start(house))
    second = services.run_to_end(start(house))
    assert second.pk != first.pk
    assert second.status == "done"


def test_only_who_may_start_does(rm: Person, house: House, three_steps: list[str]) -> None:
    actor = rm.actor
    with bank(house.id), pytest.raises(PermissionDenied):
        services.start_run(actor, pipeline="toy", business_date=DAY)


def test_unknown_pipeline_and_step_are_refused(house: House, three_steps: list[str]) -> None:
    with pytest.raises(DomainError, match="tiers"):
        start(house, steps=["tiers"])
    with bank(house.id), pytest.raises(DomainError):
        services.start_run(system_actor(house.id, "t"), pipeline="none", business_date=DAY)


def test_some_steps_alone_leave_the_business_date(house: House) -> None:
    with toy.pipeline(toy.step("a"), toy.step("b", after=("a",)), closes_day=True):
        services.run_to_end(start(house, steps=["b"]))
        assert Bank.objects.get(pk=house.id).business_date is None
        services.run_to_end(start(house))
        assert Bank.objects.get(pk=house.id).business_date == DAY


def test_an_older_date_is_not_the_newest_and_does_not_move_the_date_back(house: House) -> None:
    seen = []

    def note(context, payload):
        seen.append((context.business_date, context.is_newest))
        return Counts()

    earlier = DAY - dt.timedelta(days=1)
    with toy.pipeline(toy.step("a", work=note), closes_day=True, serial=True):
        for day in (DAY, earlier, DAY):
            services.run_to_end(start(house, day))
    assert seen == [(DAY, True), (earlier, False), (DAY, True)]
    assert Bank.objects.get(pk=house.id).business_date == DAY


def test_runs_of_a_serial_pipeline_wait_for_each_other(house: House) -> None:
    seen = []

    def note(context, payload):
        seen.append(context.business_date)
        return Counts()

    days = [DAY + dt.timedelta(days=n) for n in range(3)]
    with toy.pipeline(toy.step("a", work=note), serial=True):
        runs = [start(house, days[0]), start(house, days[2]), start(house, days[1])]
        assert [run.status for run in runs] == ["running", "queued", "queued"]
        services.run_to_end(runs[1])  # works off those before it as well
    assert seen == days


def test_a_step_without_chunks_is_done_and_its_finish_runs_once(house: House) -> None:
    finished = []
    with toy.pipeline(
        toy.step("a", chunks=0, finish=lambda context: finished.append("a")),
        toy.step("b", chunks=2, after=("a",), finish=lambda context: finished.append("b") or Counts(0, 7)),
    ):
        run = services.run_to_end(start(house))
    assert finished == ["a", "b"]
    assert run.rows_changed == 9


def test_an_error_rolls_back_and_is_tried_three_times(house: House) -> None:
    tries = []

    def break_down(context, payload):
        tries.append(1)
        Step.objects.filter(pk=context.step_id).update(rows_in=99)
        raise ValueError("no such rate\nDETAIL: name of a customer")

    with toy.pipeline(toy.step("a", work=break_down), toy.step("b", after=("a",))):
        run = start(house)
        for attempt in range(1, 4):
            assert executor.work_once()
            assert len(tries) == attempt
            assert not executor.work_once()  # it waits before the next try
            make_due()
        run = again(run)
        assert run.status == "failed"
        assert run.error == "a: ValueError: no such rate"
        with bank(house.id):
            states = list(run.steps.values_list("name", "status", "rows_in"))
        assert states == [("a", "failed", 0), ("b", "waiting", 0)]
        assert not executor.work_once()
        assert Chunk.objects.get().error == "ValueError"  # the global table quotes no message
    assert Outbox.objects.get().topic == "run.finished"


def test_retry_goes_on_from_the_failed_step(house: House, administrator: Person, rm: Person) -> None:
    broken, done = [True], []

    def work(context, payload):
        if broken[0] and payload["from"] == 1:
            raise RuntimeError("disk full")
        done.append(payload["from"])
        return Counts(1, 1)

    with toy.pipeline(
        toy.step("a"), toy.step("b", chunks=3, after=("a",), work=work), toy.step("c", after=("b",))
    ):
        run = start(house)
        while again(run).status == "running":
            make_due()
            executor.work_once()
        assert done == [0]  # what had not begun is parked
        broken[0] = False
        stranger, boss = rm.actor, administrator.actor
        with bank(house.id):
            day = dt.timedelta(days=1)
            Step.objects.filter(run=run, name="b").update(
                started_at=F("started_at") - day, finished_at=F("finished_at") - day
            )
            Run.objects.filter(pk=run.pk).update(
                started_at=F("started_at") - day, finished_at=F("finished_at") - day
            )
            with pytest.raises(Run.DoesNotExist):
                services.retry_run(stranger, run_id=run.pk)
            services.retry_run(boss, run_id=run.pk)
            assert services.retry_run(boss, run_id=run.pk).status == "running"  # twice: the same
        run = services.run_to_end(run)
        assert run.status == "done"
        assert sorted(done) == [0, 1, 2]
        with bank(house.id):
            assert (
                0 < Step.objects.get(run=run, name="b").seconds < 3600
            )  # the day it lay broken is not its time
            assert (run.standstill > day - dt.timedelta(hours=1), 0 < run.seconds < 3600) == (True, True)
        with bank(house.id), pytest.raises(Conflict):
            services.retry_run(boss, run_id=run.pk)


def test_a_replaced_failed_run_is_not_retried(house: House, administrator: Person) -> None:
    broken = [True]

    def work(context, payload):
        if broken[0]:
            raise RuntimeError
        return Counts()

    with toy.pipeline(toy.step("a", work=work)):
        failed = start(house)
        while again(failed).status == "running":
            make_due()
            executor.work_once()
        broken[0] = False
        services.run_to_end(start(house))
        boss = administrator.actor
        with bank(house.id), pytest.raises(Conflict):
            services.retry_run(boss, run_id=failed.pk)


def test_a_failed_run_tells_its_pipeline_and_lets_the_next_begin(house: House) -> None:
    told = []

    def work(context, payload):
        if context.business_date == DAY:
            raise RuntimeError("bad file")
        return Counts()

    with toy.pipeline(
        toy.step("a", work=work),
        serial=True,
        on_failure=lambda context, error: told.append((current_bank(), error)),
    ):
        failed, following = start(house), start(house, DAY + dt.timedelta(days=1))
        while again(failed).status == "running":
            make_due()
            executor.work_once()
        assert told == [(house.id, "RuntimeError: bad file")]
        assert again(following).status == "running"


def test_a_chunk_that_kills_its_workers_is_given_up(house: House) -> None:
    with toy.pipeline(toy.step("a")):
        run = start(house)
        for _unused in range(executor.MAX_TRIES):
            assert executor.claim() is not None  # and never comes back
            Chunk.objects.update(claimed_until=None)
        assert again(run).status == "running"
        executor.work_once()
        assert again(run).status == "failed"
        assert "none came back" in again(run).error


def test_a_claimed_chunk_is_leased(house: House) -> None:
    with toy.pipeline(toy.step("a")):
        start(house)
        assert executor.claim() is not None
        assert executor.claim() is None


def test_a_late_worker_does_not_do_what_another_has_taken(house: House, three_steps: list[str]) -> None:
    start(house)
    late = executor.claim()
    Chunk.objects.update(claimed_until=None)
    assert executor.work_once()  # another takes it and ticks it off
    executor._work(late, None)
    assert three_steps == ["all"]


def test_work_runs_inside_the_bank_of_its_chunk(house: House, other_house: House) -> None:
    seen = []

    def note(context, payload):
        seen.append((current_bank(), context.bank_id))
        return Counts()

    with toy.pipeline(toy.step("a", work=note)):
        start(house)
        start(other_house)
        executor.drain()
    assert sorted(seen) == sorted([(house.id, house.id), (other_house.id, other_house.id)])
    assert current_bank() is None


def test_a_step_reads_its_cursors_to_the_end(house: House) -> None:
    """Planned for all rows: for the first tenth of them the planner would walk through the whole bank."""
    seen = []

    def note(context, payload):
        with connection.cursor() as cursor:
            cursor.execute("SHOW cursor_tuple_fraction")
            seen.append(cursor.fetchone())
        return Counts()

    with toy.pipeline(toy.step("a", work=note)):
        start(house)
        executor.drain()
    assert seen == [("1",)]


def test_another_banks_runs_are_not_seen(house: House, outsider: Person, other_house: House) -> None:
    with toy.pipeline(toy.step("a")):
        run = start(house)
        with bank(other_house.id):
            assert not Run.objects.filter(pk=run.pk).exists()
            assert selectors.step_views(run) == []


def cancel(run: Run) -> Run:
    with bank(run.bank_id):
        return services.cancel_run(system_actor(run.bank_id, "test"), run_id=run.pk)


def resume(run: Run) -> Run:
    with bank(run.bank_id):
        return services.retry_run(system_actor(run.bank_id, "test"), run_id=run.pk)


def test_a_cancelled_night_leaves_its_date_to_be_run_again(house: House) -> None:
    with toy.pipeline(toy.step("one", chunks=3), serial=True, closes_day=True):
        first, second = start(house), start(house, DAY + dt.timedelta(days=1))
        assert cancel(first).status == "cancelled"
        assert again(second).status == "running"  # it waited for the first
        assert cancel(second).status == "cancelled"
        with bank(house.id):
            assert Bank.objects.get(pk=house.id).business_date is None
        new = services.run_to_end(start(house))
        assert (new.status, new.pk != first.pk) == ("done", True)
        with pytest.raises(Conflict):
            resume(first)
        with pytest.raises(Conflict):
            cancel(new)


def test_a_cancelled_run_goes_on_where_it_stopped(house: House) -> None:
    seen: list[int] = []

    def work(context, payload):
        seen.append(payload["from"])
        return Counts(10, 2)

    with toy.pipeline(toy.step("one", chunks=3, work=work), toy.step("two", after=("one",))):
        run = start(house)
        assert executor.work_once()  # the plan
        assert executor.work_once()
        assert cancel(cancel(run)).status == "cancelled"
        assert (again(run).rows_in, executor.work_once()) == (10, False)
        with bank(house.id):
            assert [v.status for v in selectors.step_views(again(run))] == ["cancelled", "waiting"]
        day = dt.timedelta(days=1)
        with bank(house.id):
            Run.objects.filter(pk=run.pk).update(
                started_at=F("started_at") - day, finished_at=F("finished_at") - day
            )
        resume(run)
        executor.drain(run_ids=[run.pk])
        assert (again(run).status, again(run).rows_in, sorted(seen)) == ("done", 31, [0, 1, 2])
        assert again(run).seconds < 3600  # without the day it lay cancelled


def test_who_may_not_start_a_run_does_not_cancel_it(house: House, rm: Person) -> None:
    with toy.pipeline(toy.step("one")):
        run = start(house)
        actor = rm.actor
        with bank(house.id), pytest.raises((PermissionDenied, Run.DoesNotExist)):
            services.cancel_run(actor, run_id=run.pk)
        assert again(run).status == "running"
