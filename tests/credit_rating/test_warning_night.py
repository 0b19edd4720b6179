"""The night's early warnings: what opens, what ends, whose turn it is, and what people answer."""

from __future__ import annotations

import uuid
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.utils import translation

from credit_rating import warning_nightly
from credit_rating.engine.classes import Level
from credit_rating.models import (
    CreditLine,
    CreditPolicy,
    Signal,
    SignalAct,
)
from credit_rating.policies import SHAPES, PolicyFault, read
from credit_rating.policies.warnings import Contagion, contagion_of, rules_of, say_contagion
from credit_rating.selectors.groups import groups_reached
from credit_rating.selectors.warnings import (
    member_names,
    rule_sentence,
)
from credit_rating.services import warnings as services
from credit_rating.warning_words import figures_of, say
from crm_site.lib import formats
from crm_site.lib.errors import Conflict, DomainError
from crm_site.lib.permissions import system_actor
from crm_site.lib.registry import WORK_REASONS, RunContext
from crm_site.work.models import Task
from crm_site.work.services import finish_task
from customers.models import ContactPerson, Customer, Loan, Relation, Standing
from customers.nightly import customer_ranges
from customers.services import person_left
from tests.conftest import NOW, House, Person
from tests.credit_rating import book
from tests.credit_rating import lines as tables
from tests.credit_rating.arrears import DAY, a_loan, in_days, night, set_days
from tests.credit_rating.test_ratings import COLLECTED, company, decide, make, owe, submit


def test_a_warning_opens_once_ends_by_itself_and_opens_anew(
    inside: House, debtor: Customer, rm: Person
) -> None:
    loan = a_loan(debtor, "L1")
    set_days(loan, 8)
    night(inside, step="warnings")
    assert night(inside, step="warnings") == 0
    (signal,) = Signal.objects.all()
    assert (signal.code, signal.level, signal.owner_id) == ("overdue", "risk", rm.staff.pk)
    assert (signal.figures, signal.due_on) == ({"days_past_due": "8"}, in_days(4))
    (task,) = Task.objects.open()
    assert (task.owner_id, task.customer_id, task.due_date) == (rm.staff.pk, debtor.pk, in_days(4))
    set_days(loan, 7)
    night(inside, in_days(1), step="warnings")
    signal.refresh_from_db()
    assert signal.ended_on == in_days(1)
    assert not Task.objects.open().exists()
    set_days(loan, 9)
    night(inside, in_days(2), step="warnings")
    assert Signal.objects.count() == 2
    assert Task.objects.open().count() == 1


def test_a_key_person_who_left_is_a_warning_with_a_task_for_a_month(
    inside: House, debtor: Customer, rm: Person
) -> None:
    set_days(a_loan(debtor, "L1"), 0)
    night(inside, step="warnings")
    assert not Signal.objects.filter(code="key_person")
    director = ContactPerson.objects.create(
        customer=debtor,
        name="吴敏",
        post="finance_director",
        from_date=in_days(-900),
        submission=uuid.uuid4(),
    )
    person_left(rm.actor, person=director, left_date=in_days(-21), reason="left", now=NOW)
    night(inside, step="warnings")
    signal = Signal.objects.get(code="key_person")
    assert (signal.level, signal.owner, signal.figures) == (
        "watch",
        rm.staff,
        {"key_person_change_days": "21"},
    )
    assert Task.objects.open().get().owner == rm.staff
    night(inside, in_days(9), step="warnings")
    signal.refresh_from_db()
    assert signal.ended_on is None
    night(inside, in_days(10), step="warnings")
    signal.refresh_from_db()
    assert signal.ended_on == in_days(10)


def test_an_answered_warning_is_not_asked_again_while_its_cause_lasts(
    inside: House, debtor: Customer, rm: Person, teller: Person, rm_other_branch: Person
) -> None:
    set_days(a_loan(debtor, "L1"), 8)
    night(inside, step="warnings")
    (signal,) = Signal.objects.all()
    assert WORK_REASONS["warning"].sentence(Task.objects.get().params) == (
        f"Overdue beyond a technical delay: Days past due 8 (> 7 days) · as of {formats.day(DAY)}"
    )
    given: dict[str, Any] = {"signal_id": signal.pk, "kind": "dealt", "day": DAY, "now": NOW}
    with pytest.raises(PermissionDenied):
        services.answer_warning(teller.actor, note="x", **given)
    with pytest.raises(Signal.DoesNotExist):
        services.answer_warning(rm_other_branch.actor, note="x", **given)
    with pytest.raises(DomainError):
        services.answer_warning(rm.actor, note=" ", **given)
    services.answer_warning(rm.actor, note="Pays on Friday", **given)
    services.answer_warning(rm.actor, note="Pays on Friday", **given)  # a double click
    with pytest.raises(Conflict):
        services.answer_warning(rm.actor, note="no", **{**given, "kind": "false_alarm"})
    assert SignalAct.objects.count() == 1
    assert not Task.objects.open().exists()
    assert night(inside, in_days(1), step="warnings") == 0
    assert Signal.objects.count() == 1


def test_ticking_the_task_off_deals_with_the_warning(inside: House, debtor: Customer, rm: Person) -> None:
    set_days(a_loan(debtor, "L1"), 8)
    night(inside, step="warnings")
    finish_task(rm.actor, task_id=Task.objects.get().pk, now=NOW, result="Called")
    night(inside, in_days(1), step="warnings")
    assert Signal.objects.get().state == "dealt"
    assert SignalAct.objects.get().note == "Called"


def test_passing_on_moves_the_task_and_the_night_leaves_it_there(
    inside: House, debtor: Customer, rm: Person, hq_risk: Person, rm_other_branch: Person
) -> None:
    set_days(a_loan(debtor, "L1"), 8)
    night(inside, step="warnings")
    signal = Signal.objects.get()
    given: dict[str, Any] = {"signal_id": signal.pk, "note": "Beyond me", "day": DAY, "now": NOW}
    with pytest.raises(DomainError):
        services.pass_on_warning(rm.actor, to_id=rm_other_branch.staff.pk, **given)
    services.pass_on_warning(rm.actor, to_id=hq_risk.staff.pk, **given)
    assert night(inside, in_days(1), step="warnings") == 0
    assert Task.objects.open().get().owner_id == hq_risk.staff.pk
    with pytest.raises(PermissionDenied):
        services.answer_warning(rm.actor, signal_id=signal.pk, kind="dealt", note="x", day=DAY, now=NOW)


def test_a_higher_room_raises_a_warning_that_ends_when_answered(
    inside: House, debtor: Customer, rm: Person
) -> None:
    given: dict[str, Any] = {
        "customer": debtor, "code": "unusual_activity", "level": "watch", "day": DAY, "now": NOW,
    }  # fmt: skip
    system = system_actor(inside.id, "night")
    with pytest.raises(PermissionDenied):
        services.raise_warning(rm.actor, params={}, **given)
    first = services.raise_warning(system, params={"transactions": 40}, **given)
    again = services.raise_warning(system, params={"transactions": 50}, **given)
    assert (first.pk, again.figures) == (again.pk, {"transactions": 50})
    assert Task.objects.open().get().owner_id == rm.staff.pk
    assert night(inside, step="warnings") == 0
    services.answer_warning(
        rm.actor, signal_id=first.pk, kind="false_alarm", note="Harvest", day=DAY, now=NOW
    )
    assert services.raise_warning(system, params={}, **given).pk != first.pk


def test_a_line_that_ended_but_is_drawn_is_a_warning_until_it_is_repaid(
    inside: House, debtor: Customer
) -> None:
    line = tables.a_line(inside, customer=debtor)
    CreditLine.objects.filter(pk=line.pk).update(utilised=Decimal("300.00"))
    night(inside, step="warnings")
    assert not Signal.objects.exists()
    CreditLine.objects.filter(pk=line.pk).update(status="expired", expires_on=DAY)
    night(inside, in_days(1), step="warnings")
    signal = Signal.objects.get()
    assert (signal.code, signal.level, signal.figures) == (
        "line_ended",
        "risk",
        {"lines_ended_used": "30000"},
    )
    assert Task.objects.get().params["level"] == "risk"
    CreditLine.objects.filter(pk=line.pk).update(utilised=Decimal(0))
    night(inside, in_days(2), step="warnings")
    signal.refresh_from_db()
    assert signal.ended_on == in_days(2)


def test_who_comes_onto_the_exclusion_list_is_a_warning_until_he_leaves_it(
    inside: House, debtor: Customer
) -> None:
    set_days(a_loan(debtor, "L1"), 0)
    night(inside, step="warnings")
    assert not Signal.objects.exists()
    Customer.objects.filter(pk=debtor.pk).update(is_excluded=True)
    night(inside, step="warnings")
    signal = Signal.objects.get()
    assert (signal.code, signal.level, signal.figures) == ("excluded", "risk", {"is_excluded": "true"})
    with translation.override("en"):
        said = WORK_REASONS["warning"].sentence(Task.objects.get().params)
    assert said.startswith("On the exclusion list: On the exclusion list yes")
    Customer.objects.filter(pk=debtor.pk).update(is_excluded=False)
    night(inside, in_days(1), step="warnings")
    assert Signal.objects.get().ended_on == in_days(1)


def test_a_rule_that_cannot_be_understood_is_refused() -> None:
    shape = SHAPES["warnings"]
    body: Any = shape.default("")
    read(shape, body)
    rows = body["tables"]["conditions"]
    rows[0] = rows[0] | {"value": "many"}
    rows.append({"rule": "nobody", "fact": "loans", "op": ">", "value": "1"})
    body["tables"]["rules"].append(
        {"code": "bare", "name": "", "level": "risk", "owner": "risk", "days": "1"}
    )
    with pytest.raises(PolicyFault) as fault:
        read(shape, body)
    assert set(fault.value.fields) == {
        "conditions-0-value", f"conditions-{len(rows) - 1}-rule", f"rules-{len(body['tables']['rules']) - 1}-code",
    }  # fmt: skip


def test_every_default_rule_runs_on_a_book(inside: House, debtor: Customer, hq_risk: Person) -> None:
    worse = a_loan(debtor, "L1")
    set_days(worse, 0)
    night(inside)
    set_days(worse, 100)
    night(inside, in_days(1))
    night(inside, in_days(1), step="warnings")
    opened = dict(Signal.objects.values_list("code", "owner_id"))
    assert set(opened) == {"overdue", "overdue_long", "class_worse"}
    assert opened["class_worse"] == hq_risk.staff.pk
    assert CreditPolicy.objects.filter(
        pk=Signal.objects.earliest("id").policy_id, subject="warnings"
    ).exists()


def test_a_lower_grade_than_before_is_a_warning(inside: House, rm: Person, hq_credit: Person) -> None:
    firm = company(inside, rm)
    book.add_statements(firm)
    book.collect(rm.actor, firm, COLLECTED)
    owe(firm, 0)
    before = decide(hq_credit, submit(rm, make(rm, firm)))
    night(inside, step="warnings")
    assert not Signal.objects.filter(code="grade_drop").exists()
    owe(firm, 100)
    after = decide(hq_credit, submit(rm, make(rm, firm)))
    assert after.grade_rank < before.grade_rank
    night(inside, step="warnings")
    signal = Signal.objects.get(code="grade_drop")
    assert signal.figures == {"grade_drop": str(before.grade_rank - after.grade_rank)}
    assert signal.owner_id == rm.staff.pk


def elsewhere(manager: Person, number: str) -> Customer:
    """A small company of another branch."""
    branch = manager.staff.unit
    made = Customer.objects.create(
        number=number, kind="corporate", size="small", name=f"Works {number}", name_sort=number, home_branch=branch,
        responsible=manager.staff,
    )  # fmt: skip
    Standing.objects.create(
        customer=made, kind="corporate", home_branch=branch, responsible=manager.staff, as_of=DAY
    )
    return made


# -- alternatives, groups -------------------------------------------------------------------------------------------


def test_of_alternatives_one_must_hold_and_all_else(inside: House, debtor: Customer) -> None:
    body: Any = SHAPES["warnings"].default("")
    body["tables"]["rules"] = [
        {"code": "mixed", "name": "", "level": "watch", "owner": "manager", "days": "5"}
    ]
    body["tables"]["conditions"] = [
        {"rule": "mixed", "fact": fact, "op": op, "value": value, "either": either}
        for fact, op, value, either in (
            ("days_past_due", ">", "60", "a"), ("loans", ">", "0", ""), ("deposits_adb", "<", "1.00", "a"),
        )
    ]  # fmt: skip
    (rule,) = rules_of(read(SHAPES["warnings"], body))
    assert [set(part) for part in rule.condition["all"]] == [{"any"}, {"fact", "op", "value"}]
    assert rule.facts == ["days_past_due", "deposits_adb", "loans"]
    CreditPolicy.objects.filter(subject="warnings").update(body=body)
    set_days(a_loan(debtor, "L1"), 0)
    Standing.objects.filter(customer=debtor).update(deposits_adb=Decimal(500))
    night(inside, step="warnings")
    assert not Signal.objects.exists()
    Standing.objects.filter(customer=debtor).update(deposits_adb=Decimal(0))
    night(inside, in_days(1), step="warnings")
    signal = Signal.objects.get()
    assert (signal.code, signal.figures) == (
        "mixed",
        {"days_past_due": "0", "deposits_adb": "0", "loans": "100000"},
    )
    with translation.override("en"):
        assert " or " in rule_sentence(signal)
    Standing.objects.filter(customer=debtor).update(loans=Decimal(0))
    night(inside, in_days(2), step="warnings")
    assert Signal.objects.get().ended_on == in_days(2)


def test_trouble_of_a_member_warns_the_group_and_names_it_to_who_sees_it(
    inside: House, debtor: Customer, rm: Person, rm_other_branch: Person
) -> None:
    sick, outside = (elsewhere(rm_other_branch, number) for number in ("M-2", "M-3"))
    for one in (debtor, sick, outside):
        a_loan(one, f"L{one.pk}")
        Standing.objects.filter(customer=one).update(loans=Decimal(1000))
    Relation.objects.create(customer=debtor, other=sick, kind="common_control")
    Relation.objects.create(customer=outside, other=sick, kind="supplier")
    night(inside)
    night(inside, step="warnings")
    assert not Signal.objects.exists()
    set_days(Loan.objects.get(customer=sick), 40)
    night(inside, in_days(1))
    night(inside, in_days(1), step="warnings")
    signal = Signal.objects.get(customer=debtor)
    assert (signal.code, signal.owner_id) == ("group_member", rm.staff.pk)
    assert signal.figures == {
        "member": sick.pk, "member_days": 40, "member_class": "special_mention", "tie": "common_control",
    }  # fmt: skip
    assert not Signal.objects.filter(customer__in=[sick, outside], code="group_member").exists()
    assert Task.objects.get(source_key=f"warning:{signal.pk}").customer_id == debtor.pk
    with translation.override("en"):
        assert rule_sentence(signal) == (
            "A member of its group or a connected customer is at least 8 days past due or in the class “Special mention” or worse."
        )
    assert member_names(rm.actor, [signal]) == {}
    assert member_names(rm_other_branch.actor, [signal]) == {sick.pk: sick.name}
    night(inside, in_days(1), step="warnings")
    assert Signal.objects.filter(code="group_member").count() == 1
    set_days(Loan.objects.get(customer=sick), 0)
    night(inside, in_days(2))
    night(inside, in_days(2), step="warnings")
    assert Signal.objects.get(customer=debtor).ended_on == in_days(2)


def test_a_group_across_chunks_is_whole_and_other_groups_are_not_read(
    inside: House, debtor: Customer, rm_other_branch: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The far end of a chain is in trouble: the debtor is three relations and three chunks away from it."""
    chain = [debtor, *(elsewhere(rm_other_branch, f"M-{n}") for n in range(2, 5))]
    stranger, its_owner, small_holder = (elsewhere(rm_other_branch, f"X-{n}") for n in range(3))
    for one, other in pairwise(chain):  # either end of a tie may be the nearer one
        pair = (one, other) if one.pk % 2 else (other, one)
        Relation.objects.create(customer=pair[0], other=pair[1], kind="common_control")
    Relation.objects.create(customer=its_owner, other=stranger, kind="parent_company")
    Relation.objects.create(customer=small_holder, other=debtor, kind="shareholder", share=Decimal("0.02"))
    assert groups_reached([debtor.pk], DAY) == [[one.pk for one in chain]]
    assert groups_reached([small_holder.pk], DAY) == []
    monkeypatch.setattr("credit_rating.selectors.groups.FEW", 0)  # as the many of a night are looked up
    assert groups_reached([debtor.pk], DAY) == [[one.pk for one in chain]]
    for one in (debtor, chain[-1]):
        a_loan(one, f"L{one.pk}")
        Standing.objects.filter(customer=one).update(loans=Decimal(1000))
    set_days(Loan.objects.get(customer=chain[-1]), 40)
    night(inside)
    ctx = RunContext(inside.id, 1, 1, DAY, True)
    for chunk in customer_ranges(inside.id, 1):
        warning_nightly.warnings(ctx, chunk)
    signal = Signal.objects.get(code="group_member")
    assert (signal.customer_id, signal.figures["member"]) == (debtor.pk, chain[-1].pk)


def test_who_depends_economically_is_warned_by_which_tie(
    inside: House, debtor: Customer, rm: Person, rm_other_branch: Person
) -> None:
    """A buyer of half of what the debtor sells is in trouble: it warns once one end has more credit than 5% of tier-1."""
    buyer, sister = (elsewhere(rm_other_branch, number) for number in ("M-2", "M-3"))
    for one in (debtor, buyer, sister):
        a_loan(one, f"L{one.pk}")
        Standing.objects.filter(customer=one).update(loans=Decimal(6_000_000))
    Relation.objects.create(customer=debtor, other=buyer, kind="supplier", share=Decimal("0.7"))
    Relation.objects.create(customer=sister, other=debtor, kind="common_control")
    set_days(Loan.objects.get(customer=buyer), 40)
    night(inside)
    night(inside, step="warnings")
    assert not Signal.objects.filter(code="group_member").exists()  # no capital: dependence is not asked
    book.add_capital(net=100_000_000, tier1=100_000_000)
    night(inside, in_days(1), step="warnings")
    own, sisters = (Signal.objects.get(code="group_member", customer=one) for one in (debtor, sister))
    assert own.figures == {
        "member": buyer.pk, "member_days": 40, "member_class": "special_mention", "tie": "supplier",
        "tie_share": "0.700000", "connected": True,
    }  # fmt: skip
    assert sisters.figures["via"] == debtor.pk
    with translation.override("en"):
        assert figures_of(own, {})[:2] == [
            ("Connected customer", "a connected customer"),
            ("Tie", "Sales to one buyer 70.0%"),
        ]
        seen = member_names(rm.actor, [sisters])
        assert figures_of(sisters, seen)[1][1] == f"Sales to one buyer 70.0% · through {debtor.name}"
        task = Task.objects.get(source_key=f"warning:{own.pk}")
        assert "Tie Sales to one buyer 70.0%" in say(task.params)
    policy = CreditPolicy.objects.get(subject="warnings")
    policy.body["params"]["group_reach"] = "group"
    CreditPolicy.objects.filter(pk=policy.pk).update(body=policy.body)
    night(inside, in_days(2), step="warnings")
    assert not Signal.objects.filter(code="group_member", ended_on=None).exists()


def test_a_policy_may_say_that_groups_never_warn(inside: House) -> None:
    body: Any = SHAPES["warnings"].default("")
    body["params"] = {"group_days": "0", "group_class": "never", "group_reach": "group"}
    found = read(SHAPES["warnings"], body)
    assert (contagion_of(found), say_contagion(found)) == (Contagion(0, None, connected=False), "")
    body["params"] = {}  # a policy of before the question
    assert contagion_of(read(SHAPES["warnings"], body)) == Contagion(8, Level.SPECIAL_MENTION)
    body["tables"]["rules"][0]["code"] = "group_member"
    with pytest.raises(PolicyFault):
        read(SHAPES["warnings"], body)
