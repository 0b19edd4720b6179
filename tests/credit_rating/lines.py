"""Lines for tests: a customer's line, open and empty, and a machine client that controls it."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from credit_rating.models import CreditLine
from credit_rating.services.lines import open_line
from crm_site.lib.permissions import SYSTEM_GRANT, Actor, Grant, Role
from customers.models import Product
from tests.architecture.places import a_customer
from tests.conftest import NOW, TODAY, House

LIMIT = Decimal("1000.00")


def core_banking(house: House) -> Actor:
    return Actor(house.id, "core", client_id="core", grants=SYSTEM_GRANT)


def a_product(code: str = "WC") -> Product:
    return Product.objects.get_or_create(code=code, defaults={"name": f"Loan {code}", "family": "loan"})[0]


def a_line(house: House, **terms: Any) -> CreditLine:
    """An active line of 1,000.00 CNY from yesterday for a year. Call inside the bank."""
    decider = Actor(house.id, "committee", grants=(Grant(Role.PRESIDENT, 0, 2_147_483_647),))
    given: dict[str, Any] = {
        "customer": a_customer(house, None), "product": a_product(), "currency": "CNY", "limit": LIMIT,
        "starts_on": TODAY - dt.timedelta(days=1), "expires_on": TODAY + dt.timedelta(days=365), "now": NOW,
        **terms,
    }  # fmt: skip
    return open_line(decider, **given)
