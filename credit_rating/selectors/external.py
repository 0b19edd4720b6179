"""What a customer owes to other banks by the newest report of it (C3)."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.db.models import QuerySet

from credit_rating.engine.elsewhere import counted
from credit_rating.engine.steps import ZERO
from credit_rating.models import ExposureSource, ExternalExposure
from credit_rating.selectors.exposure import home_rates
from crm_site.lib.errors import DomainError
from crm_site.lib.money import round_cents
from crm_site.lib.permissions import Actor
from customers.models import Customer


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A report: its rows with what each counts for in the bank's currency (None where no exchange rate is known)."""

    source: str
    report_date: dt.date
    rows: list[tuple[ExternalExposure, Decimal | None]]

    @property
    def total(self) -> Decimal | None:
        """All that counts; None while a row cannot be converted: what is not known is not nothing."""
        amounts = [amount for _row, amount in self.rows]
        return None if None in amounts else sum((a for a in amounts if a is not None), ZERO)

    @property
    def lenders(self) -> int:
        """How many banks have something at stake."""
        return len({row.lender for row, amount in self.rows if amount is None or amount > 0})


def elsewhere_of(actor: Actor, customer: Customer, day: dt.date) -> Elsewhere | None:
    """The newest report up to a day. None where none was ever delivered."""
    rows = newest_report(ExternalExposure.objects.visible_to(actor).filter(customer=customer), day)
    return _report(rows, day) if rows else None


def elsewhere_of_many(customers: Sequence[int], day: dt.date) -> dict[int, Elsewhere]:
    """customer -> what `elsewhere_of` finds, read together."""
    told: dict[int, list[ExternalExposure]] = defaultdict(list)
    found = ExternalExposure.objects.filter(customer_id__in=customers, report_date__lte=day)
    for row in found.order_by("-report_date", "id"):
        rows = told[row.customer_id]
        if not rows or rows[0].report_date == row.report_date:
            rows.append(row)
    return {customer: _report(_preferred(rows), day) for customer, rows in told.items()}


def newest_report(of_customer: QuerySet[ExternalExposure], day: dt.date) -> list[ExternalExposure]:
    """The rows of a customer's newest report up to a day; of two of one date the credit bureau's."""
    told = of_customer.filter(report_date__lte=day)
    newest = told.order_by("-report_date").values("report_date")[:1]
    return _preferred(list(told.filter(report_date=newest)))


def _preferred(rows: list[ExternalExposure]) -> list[ExternalExposure]:
    return [row for row in rows if row.source == ExposureSource.CREDIT_BUREAU] or rows


def _report(rows: list[ExternalExposure], day: dt.date) -> Elsewhere:
    return Elsewhere(rows[0].source, rows[0].report_date, [(row, _counts_for(row, day)) for row in rows])


def _counts_for(row: ExternalExposure, day: dt.date) -> Decimal | None:
    amount = counted(row.kind, row.granted, row.outstanding)
    if not amount:
        return ZERO
    try:
        return round_cents(amount * home_rates({row.currency}, day)[row.currency])
    except DomainError:
        return None
