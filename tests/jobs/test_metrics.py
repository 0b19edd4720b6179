"""/metrics: for the machine itself or with the token, and without a name in it."""

from __future__ import annotations

import datetime as dt

import pytest
from django.test import Client, override_settings

from crm_site.jobs import outbox, services
from crm_site.lib.permissions import system_actor
from crm_site.lib.tenancy import bank
from tests.conftest import House, Person
from tests.jobs import toy


@pytest.mark.django_db
def test_it_is_not_for_the_outside() -> None:
    assert Client(REMOTE_ADDR="10.0.0.9").get("/metrics").status_code == 404
    behind = {"X-Forwarded-For": "10.0.0.9"}
    assert Client().get("/metrics", headers=behind).status_code == 404
    with override_settings(METRICS_TOKEN="t0ken"):
        far = Client(REMOTE_ADDR="10.0.0.9")
        assert far.get("/metrics", headers={"Authorization": "Bearer t0ken"}).status_code == 200
        assert far.get("/metrics", headers={"Authorization": "Bearer other"}).status_code == 404


def test_it_counts_requests_runs_chunks_and_messages(house: House, rm: Person, client_for) -> None:
    client_for(rm).get("/tasks/")
    with toy.pipeline(toy.step("a")), bank(house.id):
        services.start_run(system_actor(house.id, "t"), pipeline="toy", business_date=dt.date(2026, 3, 31))
        outbox.put("nothing", {})
    text = Client().get("/metrics").content.decode()
    assert 'banyan_requests_total{method="GET",route="work:task-list",status="200"}' in text
    assert 'banyan_request_seconds_bucket{le="0.01",route="work:task-list"}' in text
    assert 'banyan_runs{bank="alpha",pipeline="toy",status="running"} 1.0' in text
    assert "banyan_chunks_due 1.0" in text
    assert "banyan_outbox_backlog 1.0" in text
    assert rm.staff.name not in text
