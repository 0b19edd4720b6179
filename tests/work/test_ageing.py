"""The night makes tasks more urgent while people work on them, over real connections: it waits for nobody."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from crm_site.lib.tenancy import bank
from crm_site.work import services
from crm_site.work.models import Task
from tests.conftest import NOW, TODAY, House, Person

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_night_leaves_a_task_alone_that_somebody_is_changing(house: House, rm: Person) -> None:
    """Who has one task and wants another that the night has by then would wait in a circle with it."""

    def age() -> int:
        try:
            with bank(house.id):
                with connection.cursor() as cursor:
                    cursor.execute("SET LOCAL lock_timeout = '5s'")
                return services.age_tasks(TODAY)
        finally:
            connection.close()

    before, actor = NOW - dt.timedelta(days=30), rm.actor
    with bank(house.id):
        mine, other = (
            services.create_task(actor, reason="manual", due_date=TODAY, owner_id=rm.staff.pk, now=before)
            for _n in range(2)
        )
    with ThreadPoolExecutor(1) as pool:
        with bank(house.id):
            services.postpone_task(actor, task_id=mine.pk, until=TODAY + dt.timedelta(days=1), as_of=TODAY)
            assert pool.submit(age).result() == 1
        with bank(house.id):
            urgency = dict(Task.objects.values_list("pk", "urgency"))
            assert urgency[other.pk] > urgency[mine.pk]
        assert pool.submit(age).result() == 1  # the next night, once he is done with it
