"""What a customer owes to other banks by the newest report of it (C3)."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from decimal import Decimal

from django.db.models import Q, QuerySet

from credit_rating.engine.classes import NON_PERFORMING
from credit_rating.engine.classes import Elsewhere as Debts
from credit_rating.engine.elsewhere import counted, is_debt
from credit_rating.engine.steps import ZERO
from credit_rating.models import ExposureSource, ExternalExposure
from credit_rating.policies.classes import LEVELS
from credit_rating.selectors.at_stake import home_rates
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


def elsewhere_of_many(customers: Collection[int], day: dt.date) -> dict[int, Elsewhere]:
    """customer -> what `elsewhere_of` finds, read together."""
    return {customer: _report(rows, day) for customer, rows in newest_reports(customers, day).items()}


def newest_reports(customers: Collection[int], day: dt.date) -> dict[int, list[ExternalExposure]]:
    """customer -> what `newest_report` finds, read together; without those of whom none was ever delivered."""
    told: dict[int, list[ExternalExposure]] = defaultdict(list)
    found = ExternalExposure.objects.filter(customer_id__in=customers, report_date__lte=day)
    for row in found.order_by("-report_date", "lender", "reference", "id"):
        rows = told[row.customer_id]
        if not rows or rows[0].report_date == row.report_date:
            rows.append(row)
    return {customer: _preferred(rows) for customer, rows in told.items()}


def debts_of_many(customers: Collection[int], late_days: int, day: dt.date) -> dict[int, Debts]:
    """customer -> what he owes to other banks by the newest report, as the classes ask (C10). A debt whose days overdue
    the report does not tell is not taken for a late one."""
    return {
        customer: debts_in(rows, late_days, day) for customer, rows in newest_reports(customers, day).items()
    }


def debts_in(report: Iterable[ExternalExposure], late_days: int, day: dt.date) -> Debts:
    """The debts of a report: what is outstanding, what of it is late, whether one is non-performing there."""
    total: Decimal | None = ZERO
    late, has_bad = ZERO, False
    for row in report:
        if not is_debt(row.kind) or not row.outstanding:
            continue
        amount = at_home(row.outstanding, row.currency, day)
        has_bad = has_bad or LEVELS.get(row.level, 0) >= NON_PERFORMING
        total = None if total is None or amount is None else total + amount
        late += (amount or ZERO) if (row.days_past_due or 0) > late_days else ZERO
    return Debts(total, late, has_bad)


def told_bad(span: tuple[int, int], late_days: int) -> list[int]:
    """The customers of a range of whom any report, the newest or not, tells a late or non-performing debt elsewhere."""
    bad = [code for code, level in LEVELS.items() if level >= NON_PERFORMING]
    rows = ExternalExposure.objects.filter(customer_id__gte=span[0], customer_id__lte=span[1])
    found = rows.filter(Q(days_past_due__gt=late_days) | Q(level__in=bad)).order_by()
    return list(found.values_list("customer_id", flat=True).distinct())


def newest_report(of_customer: QuerySet[ExternalExposure], day: dt.date) -> list[ExternalExposure]:
    """The rows of a customer's newest report up to a day; of two of one date the credit bureau's."""
    told = of_customer.filter(report_date__lte=day)
    newest = told.order_by("-report_date").values("report_date")[:1]
    return _preferred(list(told.filter(report_date=newest)))


def _preferred(rows: list[ExternalExposure]) -> list[ExternalExposure]:
    return [row for row in rows if row.source == ExposureSource.CREDIT_BUREAU] or rows


def _report(rows: list[ExternalExposure], day: dt.date) -> Elsewhere:
    counts = [(row, _counts_for(row, day)) for row in rows]
    return Elsewhere(rows[0].source, rows[0].report_date, counts)


def _counts_for(row: ExternalExposure, day: dt.date) -> Decimal | None:
    amount = counted(row.kind, row.granted, row.outstanding)
    return at_home(amount, row.currency, day) if amount else ZERO


def at_home(amount: Decimal, currency: str, day: dt.date) -> Decimal | None:
    """An amount in the bank's currency; None without an exchange rate."""
    try:
        return round_cents(amount * home_rates({currency}, day)[currency])
    except DomainError:
        return None
