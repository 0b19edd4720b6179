"""The night's classes and early warnings: what changes, what stays, whose turn it is, and what people answer."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.utils import translation

from credit_rating import warning_nightly
from credit_rating.contagion import groups_reached
from credit_rating.engine.classes import Level
from credit_rating.models import (
    CreditLine,
    CreditPolicy,
    ExternalExposure,
    Impairment,
    LoanClass,
    Signal,
    SignalAct,
)
from credit_rating.policies import SHAPES, PolicyFault, read
from credit_rating.policies.warnings import Contagion, contagion_of, rules_of, say_contagion
from credit_rating.selectors.warnings import (
    all_debts,
    member_names,
    rule_sentence,
    say_class_figure,
    say_class_rule,
)
from credit_rating.services import warnings as services
from crm_site.lib import formats
from crm_site.lib.errors import Conflict, DomainError
from crm_site.lib.permissions import system_actor
from crm_site.lib.registry import WORK_REASONS, RunContext
from crm_site.work.models import Task
from crm_site.work.services import finish_task
from customers.conditions import Matches
from customers.models import ContactPerson, Customer, Loan, LoanBalance, Relation, Standing
from customers.nightly import customer_ranges
from customers.services import person_left
from tests.architecture.places import a_customer
from tests.conftest import NOW, TODAY, House, Person
from tests.credit_rating import book
from tests.credit_rating import lines as tables
from tests.credit_rating.test_ratings import COLLECTED, company, decide, make, owe, submit

DAY = TODAY


def in_days(days: int) -> dt.date:
    return DAY + dt.timedelta(days=days)


def a_loan(customer: Customer, number: str, days: int = 0, amount: str = "1000.00", **more: Any) -> Loan:
    return Loan.objects.create(
        number=number, customer=customer, currency="CNY", amount=Decimal(amount), outstanding=Decimal(amount),
        granted_date=in_days(-900), maturity_date=in_days(900), days_past_due=days,
        overdue_amount=Decimal(10 if days else 0), **more,
    )  # fmt: skip


def set_days(loan: Loan, days: int) -> None:
    Loan.objects.filter(pk=loan.pk).update(days_past_due=days, overdue_amount=Decimal(10 if days else 0))
    Standing.objects.filter(customer_id=loan.customer_id).update(
        days_past_due=days, loans=Decimal("1000.00"), overdue_amount=Decimal(10 if days else 0)
    )


def night(house: House, day: dt.date = DAY, *, step: str = "classes", is_newest: bool = True) -> int:
    ctx = RunContext(house.id, 1, 1, day, is_newest)
    work = getattr(warning_nightly, step)
    return sum(work(ctx, chunk).rows_changed for chunk in customer_ranges(house.id))


def levels() -> dict[str, tuple[int, str]]:
    rows = LoanClass.objects.filter(until__isnull=True).select_related("loan")
    return {r.loan.number: (r.level, r.reason) for r in rows}


@pytest.fixture
def debtor(inside: House, rm: Person) -> Customer:
    return a_customer(inside, rm.staff)


# -- classes --------------------------------------------------------------------------------------------------------


def test_a_row_for_a_change_alone_and_the_second_night_changes_nothing(
    inside: House, debtor: Customer
) -> None:
    debtor.size = "small"
    debtor.save()
    loan = a_loan(debtor, "L1", 7)
    assert night(inside) == 1
    assert night(inside) == 0
    assert levels() == {"L1": (1, "none")}
    set_days(loan, 8)
    assert night(inside, in_days(1)) == 1
    assert night(inside, in_days(1)) == 0
    set_days(loan, 60)
    assert night(inside, in_days(52)) == 0  # the figures move, the class does not
    first, second = LoanClass.objects.order_by("from_date")
    assert (first.until, second.from_date, second.before, second.level) == (in_days(1), in_days(1), 1, 2)
    assert second.figures["days_past_due"] == 8
    assert second.policy.subject == "classes"
    Loan.objects.update(status="repaid")
    assert night(inside, in_days(60)) == 1
    assert levels() == {}


def test_an_older_date_leaves_the_current_classes_alone(inside: House, debtor: Customer) -> None:
    loan = a_loan(debtor, "L1", 100)
    night(inside)
    set_days(loan, 0)
    assert night(inside, in_days(-30), is_newest=False) == 0
    assert night(inside, in_days(-30), step="warnings", is_newest=False) == 0
    assert levels() == {"L1": (3, "overdue")}


def test_all_claims_of_a_large_company_follow_but_not_those_of_a_small_one(
    inside: House, debtor: Customer
) -> None:
    a_loan(debtor, "bad", 91, "200.00")
    a_loan(debtor, "good", 0, "800.00")
    debtor.size = "micro"
    debtor.save()
    night(inside)
    assert levels() == {"bad": (3, "overdue"), "good": (1, "none")}
    debtor.size = "large"
    debtor.save()
    night(inside)
    assert levels() == {"bad": (3, "overdue"), "good": (3, "contagion")}
    assert LoanClass.objects.count() == 2  # the same day's row is corrected


def test_repaid_arrears_do_not_heal_a_non_performing_loan_at_once(inside: House, debtor: Customer) -> None:
    loan = a_loan(debtor, "L1", 100)
    LoanBalance.objects.create(loan=loan, date=in_days(-100), outstanding=1, overdue_amount=1)
    night(inside)
    set_days(loan, 0)
    LoanBalance.objects.create(loan=loan, date=dt.date(2026, 11, 22), outstanding=1, overdue_amount=0)
    night(inside, dt.date(2027, 5, 21))
    assert levels() == {"L1": (3, "cure")}
    night(inside, dt.date(2027, 5, 22))
    assert levels() == {"L1": (1, "none")}


def test_risk_lowers_with_a_reason_and_never_raises(
    inside: House, debtor: Customer, hq_risk: Person, rm: Person
) -> None:
    loan = a_loan(debtor, "L1", 8)
    night(inside)
    with pytest.raises(PermissionDenied):
        services.lower_class(rm.actor, loan_id=loan.pk, level=4, reason="x", now=NOW)
    for level, reason in ((4, " "), (2, "x"), (1, "x"), (6, "x")):
        with pytest.raises(DomainError):
            services.lower_class(hq_risk.actor, loan_id=loan.pk, level=level, reason=reason, now=NOW)
    services.lower_class(hq_risk.actor, loan_id=loan.pk, level=4, reason="Expected loss 60%", now=NOW)
    night(inside, in_days(1))
    assert levels() == {"L1": (4, "by_hand")}
    set_days(loan, 361)
    night(inside, in_days(2))
    assert levels() == {"L1": (5, "overdue")}
    set_days(loan, 8)
    services.lift_downgrade(hq_risk.actor, loan_id=loan.pk, reason="Collateral sold", now=NOW)
    with pytest.raises(Conflict):
        services.lift_downgrade(hq_risk.actor, loan_id=loan.pk, reason="again", now=NOW)
    night(inside, in_days(3))
    assert levels() == {"L1": (3, "cure")}


def test_lists_may_ask_for_classes(inside: House, debtor: Customer, hq_risk: Person) -> None:
    def found(fact: str, op: str, value: object) -> bool:
        matches = Matches({"fact": fact, "op": op, "value": value}, as_of=in_days(5), actor=hq_risk.actor)
        return Standing.objects.filter(matches).exists()

    assert not found("loan_class", ">=", "normal")
    a_loan(debtor, "L1", 0)
    worse = a_loan(debtor, "L2", 0)
    night(inside)
    set_days(worse, 10)
    night(inside, in_days(2))
    assert found("loan_class", "=", "special_mention")
    assert not found("loan_class", ">=", "substandard")
    assert found("loan_class_worse_days", "=", 3)


def told_loss(loan: Loan, loss: str, stage: str = "2", day: dt.date = DAY) -> None:
    Impairment.objects.update_or_create(
        loan=loan,
        defaults={
            "report_date": day, "stage": stage, "balance": "1000.00", "expected_loss": loss, "source_as_of": NOW,
        },
    )  # fmt: skip


def test_the_expected_loss_that_the_books_tell_classes_a_loan_and_says_its_figure(
    inside: House, debtor: Customer
) -> None:
    loan = a_loan(debtor, "L1")
    told_loss(loan, "499.99")
    night(inside)
    assert levels() == {"L1": (1, "none")}
    told_loss(loan, "500.00", day=in_days(2))
    night(inside, in_days(1))
    assert levels() == {"L1": (1, "none")}  # told of a later day
    night(inside, in_days(2))
    assert levels() == {"L1": (4, "loss")}
    row = LoanClass.objects.get(until__isnull=True)
    with translation.override("en"):
        assert say_class_figure(row) == f"500.00 of 1,000.00, 50.0%, on {formats.day(in_days(2))}"
        assert say_class_rule(row, loan) == "expected loss of 50% of the balance or more"
    told_loss(loan, "10.00", stage="3", day=in_days(3))
    night(inside, in_days(3))
    assert levels() == {"L1": (3, "impaired")}
    told_loss(loan, "10.00", stage="1", day=in_days(4))
    night(inside, in_days(4))
    assert levels() == {"L1": (1, "none")}
    assert night(inside, in_days(5)) == 0


def owes(customer: Customer, reference: str, outstanding: str, days: int | None, **more: Any) -> None:
    ExternalExposure.objects.create(
        customer=customer, source="credit_bureau", report_date=more.pop("told_on", DAY), lender="Other", currency="CNY",
        reference=reference, kind=more.pop("kind", "loan"), outstanding=outstanding, days_past_due=days, source_as_of=NOW,
        **more,
    )  # fmt: skip


def test_more_than_a_fifth_late_at_all_banks_makes_a_large_company_substandard(
    inside: House, debtor: Customer, rm: Person
) -> None:
    debtor.size = "small"
    debtor.save()
    a_loan(debtor, "L1", 0, "1000.00")
    night(inside)
    owes(debtor, "A", "200.01", 91)
    owes(debtor, "B", "800.04", None, overdue="800.04")  # how long is not told
    owes(debtor, "C", "9000.00", 400, kind="promise")  # another's debt
    night(inside, in_days(1))
    assert levels() == {"L1": (1, "none")}  # a small business counts as retail
    debtor.size = "large"
    debtor.save()
    night(inside, in_days(1))
    assert levels() == {"L1": (1, "none")}  # 200.01 of 2,000.05 is no more than 20%
    found = all_debts(rm.actor, debtor, DAY)
    assert found is not None
    assert (found.late, found.elsewhere, found.is_over) == (Decimal("200.01"), Decimal("1000.05"), False)
    owes(debtor, "A", "250.01", 91, told_on=in_days(2))
    owes(debtor, "D", "250.00", 91, told_on=in_days(2))
    night(inside, in_days(2))
    assert levels() == {"L1": (3, "all_banks")}
    row = LoanClass.objects.get(until__isnull=True)
    with translation.override("en"):
        assert say_class_figure(row) == "33.3% of the debts at all banks"
    owes(debtor, "A", "1.00", 0, told_on=in_days(3), level="doubtful")
    night(inside, in_days(3))
    assert levels() == {"L1": (2, "bad_debt")}
    owes(debtor, "A", "1.00", 0, told_on=in_days(4))
    night(inside, in_days(4))
    assert levels() == {"L1": (1, "none")}


# -- early warning --------------------------------------------------------------------------------------------------


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
        f"Overdue beyond a technical delay: Days past due 8 days (> 7 days) · as of {formats.day(DAY)}"
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
    assert signal.figures == {"member": sick.pk, "member_days": 40, "member_class": "special_mention"}
    assert not Signal.objects.filter(customer__in=[sick, outside], code="group_member").exists()
    assert Task.objects.get(source_key=f"warning:{signal.pk}").customer_id == debtor.pk
    with translation.override("en"):
        assert rule_sentence(signal) == (
            "A member of its group is at least 8 days past due or in the class “Special mention” or worse."
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
    inside: House, debtor: Customer, rm_other_branch: Person
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


def test_a_policy_may_say_that_groups_never_warn(inside: House) -> None:
    body: Any = SHAPES["warnings"].default("")
    body["params"] = {"group_days": "0", "group_class": "never"}
    found = read(SHAPES["warnings"], body)
    assert (contagion_of(found), say_contagion(found)) == (Contagion(0, None), "")
    body["params"] = {}  # a policy of before the question
    assert contagion_of(read(SHAPES["warnings"], body)) == Contagion(8, Level.SPECIAL_MENTION)
    body["tables"]["rules"][0]["code"] = "group_member"
    with pytest.raises(PolicyFault):
        read(SHAPES["warnings"], body)
