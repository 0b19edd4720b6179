"""Which colleagues may see a customer: as the lists of each say, in one statement that does not grow with them."""

from __future__ import annotations

from typing import Any

from django.db import connection
from django.test.utils import CaptureQueriesContext

from crm_site.accounts.models import Staff
from crm_site.accounts.selectors import actors_for
from crm_site.lib.permissions import Role
from crm_site.lib.tenancy import bank
from customers.models import Customer
from customers.subjects import sight
from tests.conftest import TODAY, House, hire
from tests.customers.factories import make_customer


def test_who_may_see_a_customer_is_who_finds_it_in_his_lists(house: House, portfolio: dict[str, Any]) -> None:
    places = (house.head_office, house.north, house.south)
    for role in Role:
        for place in places:
            hire(house, f"{role}_{place.code}", role, place, line_department="corporate")
    with bank(house.id):
        make_customer("Nowhere", kind="corporate", home_branch=None)
        actors = actors_for(Staff.objects.all(), day=TODAY)
        asked = []
        for customer in Customer.objects.all():
            seeing = {a.staff_id for a in actors if Customer.objects.visible_to(a).filter(pk=customer.pk)}
            with CaptureQueriesContext(connection) as captured:
                assert sight(actors, customer.pk) == seeing
            asked += [len(captured), len(captured[0]["sql"])]
            with CaptureQueriesContext(connection) as captured:
                sight(actors[:1], customer.pk)
            assert [len(captured), len(captured[0]["sql"])] == asked[-2:]
        assert sight(actors, 0) == set()
