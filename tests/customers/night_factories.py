"""Customers with balances, loans and holdings, for tests of what the night computes. Amounts in minor units."""

from __future__ import annotations

import datetime as dt
import itertools
from typing import Any

from django.db import connection

from crm_site.lib.dates import month_ends
from crm_site.lib.money import from_minor
from crm_site.lib.tenancy import require_bank
from customers.models import (
    Account,
    AccountHolder,
    Customer,
    FxRate,
    Holding,
    Loan,
    LoanBalance,
    Product,
    Standing,
)

_numbers = itertools.count(1)


def next_number(prefix: str) -> str:
    return f"{prefix}{next(_numbers)}"


def customer(kind: str = "personal", **fields: Any) -> Customer:
    """A customer with its standing row; `standing` holds the standing's own fields."""
    standing = fields.pop("standing", {})
    number = fields.pop("number", next_number("C"))
    made = Customer.objects.create(number=number, kind=kind, name=fields.pop("name", number), **fields)
    Standing.objects.create(
        customer=made, kind=kind, home_branch=made.home_branch, responsible=made.responsible, **standing
    )
    return made


def account(owner: Customer, opened: dt.date, changes: dict[dt.date, int], **fields: Any) -> Account:
    """An account with its end-of-day balances (minor units) on the days they changed."""
    made = Account.objects.create(
        number=next_number("A"), owner=owner, opened_date=opened, **{"currency": "CNY", **fields}
    )
    AccountHolder.objects.create(account=made, customer=owner, role="owner")
    set_balances(made, changes)
    return made


def set_balances(account: Account, changes: dict[dt.date, int]) -> None:
    """Write balance changes with their running balance-days, as ingest does."""
    positive = negative = 0
    before: tuple[dt.date, int] | None = None
    with connection.cursor() as cursor:
        for day, balance in sorted(changes.items()):
            if before:
                days = (day - before[0]).days
                positive += days * max(before[1], 0)
                negative += days * max(-before[1], 0)
            cursor.execute("select banyan_ensure_month('customers_balancechange', %s)", [day])
            cursor.execute(
                "insert into customers_balancechange (bank_id, account_id, date, balance, positive_days, negative_days)"
                " values (%s, %s, %s, %s, %s, %s)",
                [require_bank(), account.pk, day, balance, positive, negative],
            )
            before = day, balance


def entry(account: Account, day: dt.date, amount: int) -> None:
    """A ledger entry of so many minor units."""
    with connection.cursor() as cursor:
        cursor.execute("select banyan_ensure_month('customers_transaction', %s)", [day])
        cursor.execute(
            "insert into customers_transaction (bank_id, account_id, booked_date, reference, amount)"
            " values (%s, %s, %s, %s, %s)",
            [require_bank(), account.pk, day, next_number("T"), amount],
        )


def loan(owner: Customer, rows: dict[dt.date, tuple[int, int, dt.date | None]], **fields: Any) -> Loan:
    """A loan with its history: day -> (outstanding, overdue amount, overdue since)."""
    first = min(rows)
    made = Loan.objects.create(
        number=next_number("L"), customer=owner, amount=from_minor(rows[first][0]),
        outstanding=from_minor(rows[first][0]), granted_date=first, maturity_date=first + dt.timedelta(days=3650),
        **{"currency": "CNY", **fields},
    )  # fmt: skip
    LoanBalance.objects.bulk_create(
        LoanBalance(
            loan=made,
            date=day,
            outstanding=from_minor(out),
            overdue_amount=from_minor(over),
            overdue_since=since,
        )
        for day, (out, over, since) in rows.items()
    )
    return made


def holding(owner: Customer, rows: dict[dt.date, int], currency: str = "CNY") -> str:
    """A wealth product held: day -> market value."""
    product, _ = Product.objects.get_or_create(code="W1", defaults={"name": "W1", "family": "wealth"})
    reference = next_number("H")
    Holding.objects.bulk_create(
        Holding(
            reference=reference,
            customer=owner,
            product=product,
            date=day,
            value=from_minor(v),
            currency=currency,
        )
        for day, v in rows.items()
    )
    return reference


def rate(currency: str, day: dt.date, value: str) -> None:
    FxRate.objects.create(currency=currency, rate_date=day, rate=value)


def months(first: dt.date, last: dt.date) -> None:
    """Make the partitions beforehand: examples that are rolled back would make them again and again."""
    with connection.cursor() as cursor:
        for day in month_ends(first, last):
            for table in ("customers_balancechange", "customers_transaction", "customers_monthend"):
                cursor.execute("select banyan_ensure_month(%s, %s)", [table, day])
