"""Customers with a standing, as the night run leaves them. Call inside a bank."""

from __future__ import annotations

import datetime as dt
import itertools
from decimal import Decimal
from typing import Any

from crm_site.accounts.models import OrgUnit, Staff
from customers.models import Account, Customer, Standing

_numbers = itertools.count(1)
DAY = dt.date(2026, 11, 19)


def customer(
    home: OrgUnit | None,
    responsible: Staff | None = None,
    *,
    tier: int = 1,
    wealth: int = 1,
    deposits: str = "10000.00",
    loans: str = "0.00",
    kind: str = "personal",
    standing: dict[str, Any] | None = None,
    **fields: Any,
) -> Customer:
    """A customer of a branch; `standing` sets further figures of the standing row."""
    number = f"C{next(_numbers):07d}"
    made = Customer.objects.create(
        number=number,
        name=fields.pop("name", f"Customer {number}"),
        kind=kind,
        home_branch=home,
        responsible=responsible,
        **fields,
    )
    Standing.objects.create(
        customer=made,
        kind=kind,
        home_branch=home,
        responsible=responsible,
        as_of=DAY,
        deposits_adb=Decimal(deposits),
        deposits_balance=Decimal(deposits),
        loans=Decimal(loans),
        aum=Decimal(deposits),
        value_tier=tier,
        wealth_level=wealth,
        **(standing or {}),
    )
    return made


def account(owner: Customer, branch: OrgUnit | None, **fields: Any) -> Account:
    return Account.objects.create(
        **{
            "number": f"A{next(_numbers):07d}",
            "owner": owner,
            "branch": branch,
            "currency": "CNY",
            "opened_date": dt.date(2020, 1, 1),
            **fields,
        }
    )
