"""A small portfolio: customers of three people in two branches."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from crm_site.lib.tenancy import bank
from tests.customers import factories


@pytest.fixture
def portfolio(house: Any, rm: Any, rm_other_branch: Any) -> dict[str, Any]:
    """Customers by name: "lu" and "acme" of rm, "far" of the other branch, "queue" of nobody, "prospect" of rm."""
    north, south = house.north, house.south
    with bank(house.id):
        make = factories.make_customer
        lu = make(
            "陆思远", home_branch=north, responsible=rm.staff, value_tier=3, wealth_level=4, churn_bp=4200,
            deposits_adb=Decimal("1200000.00"), deposits_balance=Decimal("1100000.00"), aum=Decimal("1100000.00"),
            adb_previous=Decimal(1_300_000), deposits_13=[100_000_00, 120_000_000],
        )  # fmt: skip
        acme = make(
            "Acme Tools Ltd", kind="corporate", home_branch=north, responsible=rm.staff, value_tier=2,
            deposits_adb=Decimal(300_000), loans=Decimal(80_000), days_past_due=12, overdue_amount=Decimal(4_000),
        )  # fmt: skip
        far = make(
            "周岚",
            home_branch=south,
            responsible=rm_other_branch.staff,
            value_tier=1,
            deposits_adb=Decimal(50_000),
        )
        queue = make("沈志强", home_branch=north, value_tier=2, deposits_adb=Decimal(150_000))
        prospect = make("目标甲", home_branch=north, responsible=rm.staff, is_prospect=True)
    return {"lu": lu, "acme": acme, "far": far, "queue": queue, "prospect": prospect}
