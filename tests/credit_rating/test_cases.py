"""The way of a case: every stage by another person, hidden votes, returns, expiry, and the line that comes of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from credit_rating.evidence import Evidence
from credit_rating.forms_cases import CaseForm
from credit_rating.models import (
    CaseCondition,
    CaseStatus,
    CreditCase,
    CreditLine,
    Guarantee,
    LineStatus,
    Opinion,
)
from credit_rating.selectors import cases as selectors
from credit_rating.selectors.cases import dossier
from credit_rating.services import cases, lines
from credit_rating.services.cases import CaseFault, Stale
from crm_site.audit.models import Entry
from crm_site.lib.errors import Conflict, DomainError
from crm_site.lib.permissions import Actor, Grant, Role
from crm_site.lib.tenancy import bank
from crm_site.work.models import Notification, Task
from crm_site.work.selectors import task_row
from crm_site.work.services import age_tasks, finish_task
from customers.models import Product
from tests.conftest import NOW, TODAY, House
from tests.credit_rating import desk as tables
from tests.credit_rating.desk import LATER, Desk, a_case, say, to_committee, to_president
from tests.credit_rating.lines import a_line, a_product
from tests.customers.factories import make_customer

D = Decimal


@pytest.fixture
def desk(house: House) -> Iterator[Desk]:
    found = tables.staffed(house)
    with bank(house.id):
        yield tables.with_customer(found)


def test_a_case_goes_through_every_stage_to_a_line_that_waits_for_its_conditions(desk: Desk) -> None:
    case = a_case(desk)
    assert case.number == "SX-2026-0001"
    assert case.route == ["branch", "headquarters", "committee", "president"]
    assert case.status == CaseStatus.BRANCH
    task = Task.objects.open().get()
    assert task.owner_id == desk.manager.staff.pk
    row = task_row(task, None, TODAY)
    assert (row["open_url"], row["done_url"]) == (f"/credit/cases/{case.pk}/", "")
    with pytest.raises(Conflict, match="open it and decide"):  # a click on Done would leave the case waiting
        finish_task(desk.manager.actor, task_id=task.pk, now=NOW)
    say(desk.manager, case)
    assert [c.pk for c in selectors.inbox(desk.reviewer.actor, "todo", day=TODAY).rows] == [case.pk]
    assert selectors.inbox(desk.manager.actor, "todo", day=TODAY).rows == []
    assert [c.pk for c in selectors.inbox(desk.manager.actor, "decided", day=TODAY).rows] == [case.pk]
    say(desk.reviewer, case, "conditional")
    for member in desk.members:
        say(member, case)
    assert case.status == CaseStatus.PRESIDENT
    assert not CreditLine.objects.exists()
    say(desk.president, case)
    assert case.status == CaseStatus.APPROVED
    assert not Task.objects.open().exists()
    assert Notification.objects.filter(staff=desk.rm.staff, code="case.ended").count() == 1
    line = case.line
    assert line is not None
    assert (line.limit, line.status, line.case_id) == (D(20_000_000), LineStatus.PENDING, case.pk)
    with pytest.raises(Conflict) as refused:
        lines.activate_line(desk.reviewer.actor, line_id=line.pk, reason="met", now=LATER)
    assert refused.value.code == "conditions_open"
    with pytest.raises(IntegrityError), transaction.atomic():
        CreditLine.objects.filter(pk=line.pk).update(status="active")
    condition = CaseCondition.objects.get()
    with pytest.raises(Conflict):
        cases.accept_condition(desk.reviewer.actor, condition_id=condition.pk, now=LATER)
    cases.evidence_condition(desk.rm.actor, condition_id=condition.pk, evidence="Statement 11-19", now=LATER)
    cases.accept_condition(desk.reviewer.actor, condition_id=condition.pk, now=LATER)
    lines.activate_line(desk.reviewer.actor, line_id=line.pk, reason="met", now=LATER)
    assert CreditLine.objects.get().status == LineStatus.ACTIVE


def test_votes_are_hidden_until_all_are_in(desk: Desk) -> None:
    case = to_committee(desk, a_case(desk))
    first, second, *others = desk.members
    say(first, case, "conditional", text="secret", conditions=["hidden condition"])
    for reader in (second, desk.reviewer, desk.president, desk.rm):
        record = selectors.record_of(reader.actor, case)
        assert record.hidden_votes == 1
        assert all(o.text != "secret" for o in record.opinions)
        assert selectors.conditions_of(case) == []
    assert selectors.record_of(first.actor, case).hidden_votes == 0
    for member in (second, *others):
        say(member, case)
    assert any(o.text == "secret" for o in selectors.record_of(desk.rm.actor, case).opinions)


@pytest.mark.parametrize(
    ("verdicts", "ends"),
    [
        (["approve", "approve", "approve", "reject"], CaseStatus.PRESIDENT),
        (["approve", "approve", "reject", "abstain"], CaseStatus.REJECTED),
        (["approve", "return", "return", "reject"], CaseStatus.RETURNED),
    ],
)
def test_the_committee_decides_by_its_majority(desk: Desk, verdicts: list[str], ends: CaseStatus) -> None:
    case = to_committee(desk, a_case(desk))
    for member, verdict in zip(desk.members, verdicts, strict=True):
        say(member, case, verdict)
    assert case.status == ends
    assert not CreditLine.objects.exists()


def test_whoever_still_has_to_vote_is_pressed_by_the_deadline_however_others_act(desk: Desk) -> None:
    case = to_committee(desk, a_case(desk))
    assert case.deadline is not None
    eve = case.deadline - dt.timedelta(days=1)
    age_tasks(eve)
    say(desk.members[0], case, today=eve)
    assert {task.urgency for task in Task.objects.open()} == {85}


def test_at_the_deadline_votes_count_with_a_quorum_and_everything_else_expires(desk: Desk) -> None:
    case = to_committee(desk, a_case(desk))
    for member in desk.members[:3]:
        say(member, case)
    over = case.deadline + dt.timedelta(days=1)
    assert cases.close_due(now=LATER, today=over) == 1
    case.refresh_from_db()
    assert case.status == CaseStatus.PRESIDENT
    moved = Entry.objects.filter(object_table="credit_rating_creditcase", object_id=case.pk).latest("id")
    assert moved.reason == case.number  # the night's rows stand in the record like everybody's
    later = case.deadline + dt.timedelta(days=1)
    with pytest.raises(Conflict) as late:
        say(desk.president, case, today=later)
    assert late.value.code == "deadline_passed"
    case.refresh_from_db()
    assert case.status == CaseStatus.EXPIRED
    assert cases.close_due(now=LATER, today=later) == 0
    assert not CreditLine.objects.exists()


def test_without_a_quorum_the_committee_approves_nothing(desk: Desk) -> None:
    case = to_committee(desk, a_case(desk))
    for member in desk.members[:2]:
        say(member, case)
    cases.close_due(now=LATER, today=case.deadline + dt.timedelta(days=1))
    case.refresh_from_db()
    assert case.status == CaseStatus.EXPIRED


def test_a_change_voids_what_was_decided_and_the_form_says_what_changed(desk: Desk) -> None:
    case = a_case(desk)
    say(desk.manager, case)
    shown = case.dossier_hash
    Guarantee.objects.create(
        customer=desk.customer, kind="credit", amount=D(1), from_date=TODAY, entered_at=NOW, status="active"
    )
    with pytest.raises(Stale) as stale:
        say(desk.reviewer, case, dossier_hash=shown)
    assert any(place.startswith("guarantees 1") for place, _b, _a in stale.value.changed)
    case.refresh_from_db()
    assert case.status == CaseStatus.BRANCH
    assert case.dossier_hash != shown
    assert Opinion.objects.get().voided_at is not None
    say(desk.manager, case)
    with pytest.raises(Stale):
        say(desk.reviewer, case, dossier_hash=shown)
    say(desk.reviewer, case)
    assert case.status == CaseStatus.COMMITTEE


def test_a_returned_case_is_changed_and_begins_a_new_round_by_a_route_of_its_own(desk: Desk) -> None:
    case = a_case(desk)
    say(desk.manager, case, "return")
    assert case.status == CaseStatus.RETURNED
    assert [t.owner_id for t in Task.objects.open()] == [desk.rm.staff.pk]
    cases.edit_case(
        desk.rm.actor, case_id=case.pk, terms=tables.terms(10_000_000), investigation="Halved.", now=LATER
    )
    cases.submit_case(desk.rm.actor, case_id=case.pk, now=LATER, today=TODAY)
    case.refresh_from_db()
    assert (case.round, case.status, case.amount) == (2, CaseStatus.BRANCH, D(10_000_000))
    say(desk.manager, case)
    assert case.status == CaseStatus.HEADQUARTERS


def test_a_stage_waits_for_the_signer_it_has_added(desk: Desk) -> None:
    case = a_case(desk)
    say(desk.manager, case)
    signer = desk.members[0]
    cases.add_signer(desk.reviewer.actor, case_id=case.pk, staff_id=signer.staff.pk, now=LATER, today=TODAY)
    with pytest.raises(Conflict) as waits:
        say(desk.reviewer, case)
    assert waits.value.code == "signer_missing"
    say(signer, case)
    assert case.status == CaseStatus.HEADQUARTERS
    say(desk.reviewer, case)
    assert case.status == CaseStatus.COMMITTEE
    assert signer.staff.pk not in selectors.stage_people(case, TODAY)


def test_who_is_away_is_stood_in_for_between_the_dates(desk: Desk) -> None:
    case = a_case(desk)
    deputy = desk.reviewer
    cases.delegate(
        desk.manager.actor, to_id=deputy.staff.pk, from_date=TODAY, to_date=TODAY, now=NOW, today=TODAY
    )
    said = say(deputy, case)
    assert said.on_behalf_of_id == desk.manager.staff.pk
    assert case.status == CaseStatus.HEADQUARTERS


def test_a_batch_decides_what_it_can_and_lists_the_rest(desk: Desk) -> None:
    first = a_case(desk)
    desk.customer = tables.make_customer(
        "Other", kind="corporate", home_branch=desk.house.north, responsible=desk.rm.staff
    )
    second = a_case(desk)
    done = cases.decide_batch(
        desk.manager.actor,
        items=[(first.pk, first.dossier_hash), (second.pk, "0" * 64), (999_999, "")],
        verdict="approve", text="All in order.", now=LATER, today=TODAY,
    )  # fmt: skip
    assert done.done == [first.number]
    assert [number for number, _why in done.exceptions] == [second.number, "999999"]
    second.refresh_from_db()
    assert second.status == CaseStatus.BRANCH


def test_asking_in_pieces_adds_up(desk: Desk) -> None:
    a_case(desk)
    other = tables.terms(1_000_000, product=tables.a_product("FX"))
    second = cases.create_case(desk.rm.actor, customer=desk.customer, terms=other, now=NOW)
    assert selectors.asked_of(second, TODAY).amount == D(21_000_000)


@pytest.mark.parametrize(
    ("more", "kind", "why"),
    [
        ("0.00", "new", "president_sees"),
        ("0.01", "new", "above_limit"),
        ("9.00", "decrease", "president_sees"),
    ],
)
def test_two_lines_within_the_calculated_limit_are_not_within_it_together(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, more: str, kind: str, why: str
) -> None:
    shelf = Shelf(monkeypatch)
    shelf.put("rating", Evidence(77, "PJ-1", "f" * 64, TODAY, "A", ()))
    shelf.put("calculation", Evidence(5, "CS-1", "e" * 64, TODAY, "A", (), D(30_000_000)))
    a_line(desk.house, customer=desk.customer, limit=D(15_000_000))
    line = a_line(desk.house, customer=desk.customer, limit=D(16_000_000), product=a_product("FX"))
    asked = {"line": line, "product": line.product} if kind == "decrease" else {"product": a_product("TR")}
    if kind == "new":
        lines.close_line(hire_risk(desk), line_id=line.pk, reason="not needed", now=LATER)
    case = a_case(desk, 15_000_000 + D(more), kind=kind, calculation_id=5, **asked)
    assert case.route_why == why


def test_repaying_what_an_ended_line_carries_voids_nothing_and_drawing_on_it_does(desk: Desk) -> None:
    line = a_line(desk.house, customer=desk.customer, limit=Decimal(5_000_000))
    ended = CreditLine.objects.filter(pk=line.pk)
    ended.update(status="expired", utilised=Decimal(3_000_000))
    case = a_case(desk)
    say(desk.manager, case)
    ended.update(utilised=Decimal(2_900_000))
    say(desk.reviewer, case)
    assert case.status == CaseStatus.COMMITTEE and not case.opinions.filter(voided_at__isnull=False).exists()
    ended.update(utilised=Decimal(3_100_000))
    with pytest.raises(Stale):
        say(desk.members[0], case)


def test_a_withdrawn_case_is_over(desk: Desk) -> None:
    case = to_president(desk, a_case(desk))
    cases.withdraw_case(desk.rm.actor, case_id=case.pk, now=LATER, today=TODAY)
    with pytest.raises(Conflict):
        say(desk.president, case)
    with pytest.raises(IntegrityError), transaction.atomic():
        CreditCase.objects.filter(pk=case.pk).update(status="approved")


def test_an_increase_changes_its_line_instead_of_opening_another(desk: Desk) -> None:
    case = to_president(desk, a_case(desk))
    say(desk.president, case)
    line = case.line
    assert line is not None
    assert line.status == LineStatus.ACTIVE
    with pytest.raises(CaseFault):
        a_case(desk, 1_000_000, kind="increase", line=line)
    more = to_president(desk, a_case(desk, 30_000_000, kind="increase", line=line))
    say(desk.president, more)
    assert CreditLine.objects.get().limit == D(30_000_000)


def test_a_product_for_others_is_neither_offered_nor_taken_but_its_line_lives_on(desk: Desk) -> None:
    case = to_president(desk, a_case(desk))
    say(desk.president, case)
    Product.objects.update(customer_kinds="personal;household")
    other = a_product("other")  # said to be for nobody: for all
    offered: Any = CaseForm(desk.customer).fields["product"]
    assert set(offered.queryset) == {*Product.objects.filter(pk=case.product_id), other}
    offered = CaseForm(make_customer("Newcomer", kind="corporate")).fields["product"]
    assert set(offered.queryset) == {other}
    with pytest.raises(CaseFault) as refused:
        a_case(desk)
    assert list(refused.value.fields) == ["product"]
    assert a_case(desk, 30_000_000, kind="increase", line=case.line).line == case.line


def test_the_inbox_says_what_each_case_says_of_each_person(desk: Desk) -> None:
    people = [desk.rm, desk.manager, desk.reviewer, desk.president, *desk.members]
    found = [a_case(desk)]
    for name in ("Second", "Third", "Fourth"):
        desk.customer = tables.make_customer(
            name, kind="corporate", home_branch=desk.house.north, responsible=desk.rm.staff
        )
        found.append(a_case(desk))
    guarantor = tables.make_customer("Guarantor", kind="corporate", home_branch=desk.house.north)
    Guarantee.objects.create(
        customer=found[2].customer, kind="guarantor", guarantor=guarantor, amount=D(1), from_date=TODAY,
        entered_at=NOW, status="active",
    )  # fmt: skip
    cases.record_relation(
        hire_risk(desk),
        staff_id=desk.manager.staff.pk,
        customer=guarantor,
        basis="sister",
        from_date=TODAY,
        now=NOW,
    )
    to_committee(desk, found[0])
    say(desk.members[0], found[0])
    say(desk.manager, found[1])
    cases.recuse(desk.reviewer.actor, case_id=found[3].pk, reason="friend", now=LATER, today=TODAY)
    cases.delegate(
        desk.president.actor, to_id=desk.members[1].staff.pk, from_date=TODAY, to_date=TODAY, now=NOW, today=TODAY
    )  # fmt: skip
    cases.delegate(
        desk.manager.actor,
        to_id=desk.president.staff.pk,
        from_date=TODAY,
        to_date=TODAY,
        now=NOW,
        today=TODAY,
    )
    seen = 0
    for person in people:
        actor = person.actor
        shown = {case.pk for case in selectors.inbox(actor, "todo", day=TODAY).rows}
        for case in found:
            case.refresh_from_db()
            stands = selectors.capacity(actor, case, TODAY)
            assert (case.pk in shown) == (stands is not None and not stands.objections), (
                person.staff.number,
                case,
            )
            seen += case.pk in shown
    assert seen > 5


def hire_risk(desk: Desk) -> Actor:
    return Actor(desk.house.id, "risk", staff_id=desk.reviewer.staff.pk, grants=(Grant(Role.RISK, 0, 99),))


class Shelf:
    """The evidence of a customer, in place of saved ratings and calculations: `now` is what is in force."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.kept: dict[tuple[str, int], Evidence] = {}
        self.now: dict[str, Evidence] = {}
        monkeypatch.setattr(
            dossier,
            "find_evidence_of",
            lambda name, keys: {
                customer: found
                for customer, key in keys.items()
                if (found := self.kept.get((name, key)) if key else self.now.get(name))
            },
        )

    def put(self, name: str, evidence: Evidence) -> Evidence:
        self.kept[name, evidence.id] = self.now[name] = evidence
        return evidence


def test_the_rating_in_force_gives_the_grade_and_its_makers_never_decide(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = Shelf(monkeypatch)
    shelf.put("rating", Evidence(77, "PJ-1", "f" * 64, TODAY, "A", (desk.reviewer.staff.pk,)))
    shelf.put("calculation", Evidence(5, "CS-1", "e" * 64, TODAY, "A", (), D(30_000_000)))
    case = a_case(desk, calculation_id=5)
    assert case.rating_id == 77
    assert case.route_why == "president_sees"
    say(desk.manager, case)
    with pytest.raises(CaseFault) as refused:
        say(desk.reviewer, case)
    assert refused.value.code == "four_eyes_maker"
    shelf.kept.clear()
    with pytest.raises(DomainError) as gone:
        say(desk.president, case)
    assert gone.value.code == "evidence"


def test_another_rating_voids_what_was_said_and_gives_its_own_grade(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = Shelf(monkeypatch)
    shelf.put("rating", Evidence(77, "PJ-1", "f" * 64, TODAY, "A", ()))
    shelf.put("calculation", Evidence(5, "CS-1", "e" * 64, TODAY, "A", (), D(30_000_000)))
    case = a_case(desk, calculation_id=5)
    say(desk.manager, case)
    shelf.put("rating", Evidence(78, "PJ-2", "d" * 64, TODAY, "B", ()))
    with pytest.raises(Stale):
        say(desk.reviewer, case)
    case.refresh_from_db()
    assert (case.status, case.rating_id) == ("branch", 78)
    assert not case.opinions.filter(voided_at__isnull=True).exists()
    # Expired: nobody is stuck, the case goes on as one of somebody unrated.
    del shelf.now["rating"]
    with pytest.raises(Stale):
        say(desk.manager, case)
    case.refresh_from_db()
    assert (case.rating_id, case.route_why) == (None, "no_row")
    say(desk.manager, case, "return")
    assert case.status == "returned"


@pytest.mark.parametrize(
    ("rated", "calculated", "why"),
    [
        ("A", ("A", 0), "president_sees"),
        ("A", ("BBB", 90), "president_sees"),  # reckoned as somebody worse, and just recent enough
        ("A", ("A", 91), "uncalculated"),
        ("A", ("AA", 0), "uncalculated"),
        ("A", None, "uncalculated"),
        ("", ("AAA", 0), "no_row"),  # what the maker typed into the calculation is no rating
    ],
)
def test_a_case_without_a_fitting_calculation_is_an_exception(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, rated: str, calculated: tuple[str, int] | None, why: str
) -> None:
    shelf = Shelf(monkeypatch)
    if rated:
        shelf.put("rating", Evidence(77, "PJ-1", "f" * 64, TODAY, rated, ()))
    if calculated:
        grade, age = calculated
        made = TODAY - dt.timedelta(days=age)
        shelf.put("calculation", Evidence(5, "CS-1", "e" * 64, made, grade, (), D(30_000_000)))
    case = a_case(desk, calculation_id=5 if calculated else None)
    assert case.route_why == why
    assert case.route[-1] == "president"
