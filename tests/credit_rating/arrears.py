"""Loans in arrears and the nights that class and warn of them."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from credit_rating import warning_nightly
from credit_rating.models import (
    ExternalExposure,
    Impairment,
    LoanClass,
)
from crm_site.lib.registry import RunContext
from customers.models import Customer, Loan, Standing
from customers.nightly import customer_ranges
from tests.conftest import NOW, TODAY, House

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


def told_loss(loan: Loan, loss: str, stage: str = "2", day: dt.date = DAY) -> None:
    Impairment.objects.update_or_create(
        loan=loan,
        defaults={
            "report_date": day, "stage": stage, "balance": "1000.00", "expected_loss": loss, "source_as_of": NOW,
        },
    )  # fmt: skip


def owes(customer: Customer, reference: str, outstanding: str, days: int | None, **more: Any) -> None:
    ExternalExposure.objects.create(
        customer=customer, source="credit_bureau", report_date=more.pop("told_on", DAY), lender="Other", currency="CNY",
        reference=reference, kind=more.pop("kind", "loan"), outstanding=outstanding, days_past_due=days, source_as_of=NOW,
        **more,
    )  # fmt: skip
