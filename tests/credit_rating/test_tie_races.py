"""Two people at one tie at the same moment, over real connections: locks and constraints decide, in either order."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from decimal import Decimal
from functools import partial
from threading import Barrier
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction

from credit_rating.models import CaseStatus, CreditCase, TieCorrection
from credit_rating.services import cases
from crm_site.lib.errors import Conflict, DomainError
from crm_site.lib.permissions import Role
from crm_site.lib.tenancy import bank
from customers import services
from customers.models import Customer, RecordedTie, Relation
from customers.services import ties
from tests.conftest import NOW, TODAY, House, Person, hire
from tests.credit_rating import book
from tests.credit_rating import desk as tables
from tests.credit_rating.desk import Desk, a_case, say, terms
from tests.customers.factories import make_customer

MILLION = 1_000_000
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def desk(house: House) -> Desk:
    found = tables.staffed(house)
    hire(house, "second", Role.BRANCH_MANAGER, house.north)
    with bank(house.id):
        book.add_capital(net=200_000_000, tier1=200_000_000)
        return tables.with_customer(found)


def sister(desk: Desk, name: str, loans: int = 0) -> Customer:
    return make_customer(
        name, kind="corporate", home_branch=desk.house.north, responsible=desk.rm.staff, loans=Decimal(loans)
    )


def tie(who: Any, one: Customer, other: Customer, submission: uuid.UUID | None = None) -> RecordedTie:
    """`who`: an actor, read before threads begin."""
    return services.record_tie(
        who, customer=one, other=other.number, kind="common_control", is_from=True, evidence="register",
        submission=submission or uuid.uuid4(), now=NOW,
    )  # fmt: skip


def end(who: Any, record: RecordedTie) -> RecordedTie:
    return services.end_tie(who, record=record, ended_date=TODAY, reason="over", now=NOW)


def at_once(desk: Desk, *acts: Callable[[], Any]) -> list[str]:
    """Begin acts on a connection each at the same moment; what became of each: "done" or the code of its refusal."""
    start = Barrier(len(acts))

    def run(act: Callable[[], Any]) -> str:
        try:
            with bank(desk.house.id):
                start.wait()
                return code_of(act)
        finally:
            connection.close()

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(run, acts))


def code_of(act: Callable[[], Any]) -> str:
    """ "done", or the code of the refusal."""
    try:
        act()
    except DomainError as error:
        return error.code
    return "done"


def waits(desk: Desk, act: Callable[[], Any]) -> bool:
    """Whether an act on another connection waits for what this one has not committed; it is given up at once."""

    def run() -> bool:
        try:
            with bank(desk.house.id), transaction.atomic():
                with connection.cursor() as cursor:
                    cursor.execute("SET LOCAL lock_timeout = '50ms'")
                act()
        except OperationalError as error:
            return "lock timeout" in str(error)
        except Conflict as error:
            return error.code == "busy"  # the ties themselves say so in words
        else:
            return False
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(run).result()


def test_who_would_wait_long_for_cases_that_are_made_is_told_so(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A campaign makes its cases by the hundred in one transaction; whoever ends a tie stands in everybody's way."""
    monkeypatch.setattr(ties, "PATIENCE", "50ms")
    with bank(desk.house.id):
        record = tie(desk.rm.actor, sister(desk, "One"), sister(desk, "Other"))
    rm = desk.rm.actor
    with ThreadPoolExecutor(1) as pool:
        with bank(desk.house.id):
            a_case(desk, 15 * MILLION)
            assert pool.submit(at_once, desk, lambda: end(rm, record)).result() == ["busy"]
        assert pool.submit(at_once, desk, lambda: end(rm, record)).result() == ["done"]


def test_two_who_record_the_same_tie_record_it_once(desk: Desk) -> None:
    with bank(desk.house.id):
        one, other, rm, reviewer = (
            sister(desk, "One"),
            sister(desk, "Other"),
            desk.rm.actor,
            desk.reviewer.actor,
        )
    said = at_once(desk, lambda: tie(rm, one, other), lambda: tie(reviewer, other, one))
    assert sorted(said) == ["done", "on_record"]
    sent = uuid.uuid4()
    with bank(desk.house.id):
        third = sister(desk, "Third")
    assert (
        at_once(desk, *[lambda: tie(rm, one, third, sent)] * 3) == ["done"] * 3
    )  # a double click and a retry
    with bank(desk.house.id):
        assert (Relation.objects.count(), RecordedTie.objects.count()) == (2, 2)


def test_two_who_end_a_tie_and_one_who_records_it_anew(desk: Desk) -> None:
    with bank(desk.house.id):
        one, other, rm, reviewer = (
            sister(desk, "One"),
            sister(desk, "Other"),
            desk.rm.actor,
            desk.reviewer.actor,
        )
        record = tie(rm, one, other)
    said = at_once(
        desk, lambda: end(rm, record), lambda: end(reviewer, record), lambda: tie(reviewer, one, other)
    )
    assert said[:2] == ["done", "done"]
    assert said[2] in ("done", "on_record")
    with bank(desk.house.id):
        ended = RecordedTie.objects.get(pk=record.pk)
        assert ended.ended_at == NOW  # once: who was second found it ended so
        assert Relation.objects.count() == (1 if said[2] == "done" else 0)
        assert not Relation.objects.filter(record=record).exists()


def test_an_end_and_a_case_of_the_group_wait_for_each_other(desk: Desk) -> None:
    """The tie lies deeper than the customer's own, where no row is shared that either would lock."""
    with bank(desk.house.id):
        mother, aunt = sister(desk, "Mother"), sister(desk, "Aunt")
        rm = desk.rm.actor
        tie(rm, mother, desk.customer)
        record = tie(rm, mother, aunt)
        farther = tie(rm, aunt, sister(desk, "Farther"))

    def begin() -> CreditCase:
        return cases.create_case(rm, customer=desk.customer, terms=terms(), now=NOW)

    with bank(desk.house.id), transaction.atomic():
        end(rm, farther)
        assert waits(desk, begin)
        assert waits(desk, lambda: tie(rm, aunt, desk.customer))
    with bank(desk.house.id), transaction.atomic():
        begin()
        assert waits(desk, lambda: end(rm, record))
    with bank(desk.house.id), pytest.raises(Conflict, match="SX-"):
        end(rm, record)


def test_a_case_that_ends_while_a_correction_waits_for_it_stands_as_it_was_decided(desk: Desk) -> None:
    """Nothing says of it that what had been said is void."""
    risk = hire(desk.house, "risk", Role.RISK, desk.house.head_office).actor
    with bank(desk.house.id):
        wrong = tie(desk.rm.actor, sister(desk, "Mother"), desk.customer)
        case = a_case(desk, 15 * MILLION)

    def correct() -> str:
        try:
            with bank(desk.house.id):
                return code_of(
                    lambda: services.end_tie(
                        risk, record=wrong, ended_date=TODAY, reason="mistake", note="Another", now=NOW
                    )
                )
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        with bank(desk.house.id), transaction.atomic():
            cases.withdraw_case(desk.rm.actor, case_id=case.pk, now=NOW, today=TODAY)
            waiting = pool.submit(correct)
            until_it_waits(waiting)
        assert waiting.result() == "done"
    with bank(desk.house.id):
        assert not TieCorrection.objects.exists()
        assert not Relation.objects.filter(record=wrong).exists()


def until_it_waits(act: Future[str]) -> None:
    """Until an act on another connection waits for a row that this one has taken, or has failed before."""
    is_waiting = False
    while not is_waiting and not act.done():
        with connection.cursor() as cursor:
            cursor.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
            [is_waiting] = cursor.fetchone()


def test_a_tie_recorded_while_its_case_is_submitted_counts_and_its_recorder_does_not_decide(
    desk: Desk,
) -> None:
    """Whichever is first: the president decides, for the cap is broken, and nothing that was said before stands."""
    with bank(desk.house.id):
        big = sister(desk, "Big Sister", loans=25 * MILLION)
        rm, manager = desk.rm.actor, desk.manager.actor
        asked = terms(15 * MILLION)
        case = cases.create_case(rm, customer=desk.customer, terms=asked, now=NOW)
        cases.edit_case(rm, case_id=case.pk, terms=asked, investigation="Orders.", now=NOW)
    said = at_once(
        desk,
        lambda: cases.submit_case(rm, case_id=case.pk, now=NOW, today=TODAY),
        lambda: tie(manager, big, desk.customer),
    )
    assert said == ["done", "done"]
    second: Person = desk.house.people["second"]
    with bank(desk.house.id):
        said = [code_of(partial(say, who, case)) for who in (desk.manager, desk.manager, second)]
        assert said[0] in (
            "stale_dossier",
            "four_eyes_maker",
        )  # the first act may find that the case has changed
        assert said[1:] == ["four_eyes_maker", "done"]
        case.refresh_from_db()
        assert (case.status, case.route_why) == (CaseStatus.HEADQUARTERS, "breaks_cap")
        assert case.makers.filter(staff=desk.manager.staff, part="tie").exists()


def test_an_opinion_given_while_a_tie_is_recorded_falls_with_the_cap_that_it_did_not_see(desk: Desk) -> None:
    with bank(desk.house.id):
        case = a_case(desk, 15 * MILLION)
        big, rm = sister(desk, "Big Sister", loans=25 * MILLION), desk.rm.actor
    opinion, record = at_once(desk, lambda: say(desk.manager, case), lambda: tie(rm, big, desk.customer))
    assert (opinion in ("done", "stale_dossier"), record) == (True, "done")
    with bank(desk.house.id):
        if opinion == "done":
            assert code_of(lambda: say(desk.reviewer, case)) == "stale_dossier"
        case.refresh_from_db()
        assert (case.status, case.route_why) == (CaseStatus.BRANCH, "breaks_cap")
        assert not case.opinions.filter(voided_at=None).exists()
