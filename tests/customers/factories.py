"""Customers, accounts and loans for tests. Call inside the bank; every default can be overridden."""

from __future__ import annotations

import datetime as dt
import itertools
from decimal import Decimal
from typing import Any

from crm_site.accounts.banks import vault_of
from crm_site.lib.crypto import mask
from crm_site.lib.tenancy import require_bank
from customers.models import (
    Account,
    AccountHolder,
    ContactPoint,
    Customer,
    Identifier,
    Interaction,
    Loan,
    Product,
    Relation,
    SearchToken,
    Standing,
)

AS_OF = dt.date(2026, 11, 19)
SOURCE_AS_OF = dt.datetime(2026, 11, 19, 14, 40, tzinfo=dt.UTC)
_numbers = itertools.count(10_001)


def make_customer(name: str = "", **fields: Any) -> Customer:
    """A customer with its standing. Fields of Standing (deposits_adb, value_tier, …) are taken out of `fields`."""
    number = str(fields.pop("number", next(_numbers)))
    standing = {key: fields.pop(key) for key in list(fields) if key in STANDING_FIELDS}
    customer = Customer.objects.create(
        number=number,
        name=name or f"Customer {number}",
        name_sort=fields.pop("name_sort", (name or f"customer {number}").lower()),
        kind=fields.pop("kind", "personal"),
        source_as_of=SOURCE_AS_OF,
        **fields,
    )
    Standing.objects.create(
        customer=customer,
        kind=customer.kind,
        home_branch=customer.home_branch,
        responsible=customer.responsible,
        as_of=standing.pop("as_of", AS_OF),
        **standing,
    )
    return customer


STANDING_FIELDS = frozenset(
    {
        "as_of", "deposits_adb", "deposits_balance", "loans", "aum", "overdue_amount", "days_past_due", "value_tier",
        "value_since", "wealth_level", "wealth_since", "churn_bp", "adb_previous", "deposits_13", "last_contact_date",
    }
)  # fmt: skip


def make_account(customer: Customer, number: str = "", **fields: Any) -> Account:
    """A deposit account that the customer owns."""
    account = Account.objects.create(
        number=number or f"6210{next(_numbers):08d}",
        owner=customer,
        currency=fields.pop("currency", "CNY"),
        opened_date=fields.pop("opened_date", dt.date(2024, 3, 1)),
        source_as_of=SOURCE_AS_OF,
        **fields,
    )
    AccountHolder.objects.create(account=account, customer=customer, role="owner")
    return account


def make_loan(customer: Customer, **fields: Any) -> Loan:
    return Loan.objects.create(
        number=fields.pop("number", f"L{next(_numbers)}"),
        customer=customer,
        currency="CNY",
        amount=fields.pop("amount", Decimal(100_000)),
        outstanding=fields.pop("outstanding", Decimal(80_000)),
        granted_date=fields.pop("granted_date", dt.date(2025, 6, 1)),
        maturity_date=fields.pop("maturity_date", dt.date(2027, 6, 1)),
        as_of=AS_OF,
        source_as_of=SOURCE_AS_OF,
        **fields,
    )


def make_product(code: str = "CURRENT", name: str = "Current account", family: str = "deposit") -> Product:
    return Product.objects.get_or_create(code=code, defaults={"name": name, "family": family})[0]


def add_identifier(customer: Customer, value: str, scheme: str = "resident_id") -> Identifier:
    """An identifier as ingest stores it: encrypted, indexed blindly, masked; found by its token."""
    vault = vault_of(require_bank())
    index = vault.blind_index(scheme, value)
    SearchToken.objects.create(customer=customer, token=f"x:{index.hex()}")
    return Identifier.objects.create(
        customer=customer,
        scheme=scheme,
        value=vault.encrypt(value, place="identifier.value", row=f"{customer.number}|{scheme}"),
        blind_index=index,
        masked=mask(value),
        source_as_of=SOURCE_AS_OF,
    )


def add_phone(customer: Customer, value: str, position: int = 1) -> ContactPoint:
    vault = vault_of(require_bank())
    SearchToken.objects.create(customer=customer, token=f"t:{value[-4:]}")
    return ContactPoint.objects.create(
        customer=customer,
        kind="phone",
        position=position,
        value=vault.encrypt(value, place="contactpoint.value", row=f"{customer.number}|phone|{position}"),
        blind_index=vault.blind_index("phone", value),
        masked=mask(value, head=3),
        tail=value[-4:],
        source_as_of=SOURCE_AS_OF,
    )


def make_interaction(customer: Customer, **fields: Any) -> Interaction:
    return Interaction.objects.create(
        customer=customer,
        channel=fields.pop("channel", "call"),
        at=fields.pop("at", dt.datetime(2026, 11, 18, 2, 0, tzinfo=dt.UTC)),
        **fields,
    )


def relate(customer: Customer, other: Customer, kind: str, **fields: Any) -> Relation:
    return Relation.objects.create(customer=customer, other=other, kind=kind, **fields)
