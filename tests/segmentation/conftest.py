"""A small book that the pages of segmentation are tried on."""

from __future__ import annotations

import datetime as dt

import pytest

from crm_site.accounts.models import Bank
from crm_site.lib.tenancy import bank
from segmentation.models import TierPolicy
from segmentation.services import ensure_default_policies
from tests.conftest import House
from tests.customers import night_factories as make
from tests.segmentation.test_statistics import count
from tests.segmentation.test_tiers import night

OCTOBER, NOVEMBER = dt.date(2026, 10, 31), dt.date(2026, 11, 19)
LONG_AGO = dt.date(2026, 9, 20)


@pytest.fixture
def booked(house: House) -> House:
    """Two nights over a small book: October's month-end and 19 November."""
    with bank(house.id):
        for i in range(16):
            owner = make.customer(
                ["personal", "corporate"][i % 2],
                home_branch=[house.north, house.south, house.north_sub, None][i % 4],
            )
            make.account(
                owner,
                LONG_AGO,
                {LONG_AGO: i * 90_000_00, OCTOBER + dt.timedelta(days=1): ((i * 7) % 16) * 300_000_00},
            )
        make.customer(is_prospect=True, home_branch=house.north)
        for day in (OCTOBER, NOVEMBER):
            night(day)
            count(day)
    Bank.objects.filter(pk=house.id).update(business_date=NOVEMBER)
    return house


@pytest.fixture
def policy(booked: House) -> TierPolicy:
    with bank(booked.id):
        ensure_default_policies()
        return TierPolicy.objects.get(scheme__code="value")
