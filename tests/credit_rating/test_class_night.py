"""The night's five-level classes: what changes, what stays, and what decided it."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest
from django.core.exceptions import PermissionDenied
from django.utils import translation

from credit_rating.models import (
    LoanClass,
)
from credit_rating.selectors.warnings import (
    all_debts,
    say_class_figure,
    say_class_rule,
)
from credit_rating.services import warnings as services
from crm_site.lib import formats
from crm_site.lib.errors import Conflict, DomainError
from customers.conditions import Matches
from customers.models import Customer, Loan, LoanBalance, Standing
from tests.conftest import NOW, House, Person
from tests.credit_rating.arrears import DAY, a_loan, in_days, levels, night, owes, set_days, told_loss


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
