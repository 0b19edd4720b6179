"""The pages under /jobs/ as an administrator, a reader and a stranger see them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest
from django.test import Client

from crm_site.accounts.banks import forget_banks
from crm_site.accounts.models import Bank
from crm_site.jobs import executor, services
from crm_site.jobs.models import Chunk, Run
from crm_site.lib.permissions import system_actor
from crm_site.lib.registry import PIPELINES, STEPS, Counts, Pipeline, Step
from crm_site.lib.tenancy import bank
from tests.conftest import House, Person

DAY = dt.date(2026, 3, 31)
SignIn = Callable[[Person], Client]


@pytest.fixture(autouse=True)
def night(monkeypatch: pytest.MonkeyPatch) -> dict[str, bool]:
    state = {"broken": False}

    def work(context, payload):
        if state["broken"]:
            raise RuntimeError("no space left on device")
        return Counts(1234567, 2)

    steps = {
        "nightly:feeds": Step("feeds", "Feeds", work),
        "nightly:tiers": Step("tiers", "Tiers", work, ("feeds",)),
    }
    monkeypatch.setattr(STEPS, "_items", steps)
    night = Pipeline("nightly", "Night run", serial=True, closes_day=True)
    monkeypatch.setattr(PIPELINES, "_items", {"nightly": night})
    return state


def start(client: Client, day: str = "2026-03-31") -> str:
    answer = client.post("/jobs/start/", {"business_date": day})
    assert answer.status_code == 302, answer.content.decode()
    return answer.url


def test_a_run_started_by_hand_shows_its_steps_and_its_end(
    house: House, administrator: Person, client_for: SignIn
) -> None:
    client = client_for(administrator)
    url = start(client)
    page = client.get(url).content.decode()
    assert 'hx-trigger="load delay:2s"' in page
    assert "Feeds" in page
    assert start(client) == url  # a double click
    executor.drain()
    page = client.get(url).content.decode()
    assert "load delay" not in page
    assert "1,234,567" in page
    assert "Night run" in client.get("/jobs/").content.decode()


def test_who_started_a_run_and_its_steps_are_words_and_not_code(
    house: House, administrator: Person, client_for: SignIn
) -> None:
    with bank(house.id):
        for day, label in ((29, "create_demo"), (30, "command nightly"), (31, "churn model 7")):
            run = services.start_run(
                system_actor(house.id, label), pipeline="nightly", business_date=dt.date(2026, 3, day)
            )
    client = client_for(administrator)
    page = client.get("/jobs/").content.decode()
    assert "create_demo" not in page
    for words in ("Demo data", "Command line nightly", "Churn model 7"):
        assert words in page
    page = client.get(f"/jobs/{run.pk}/").content.decode()
    assert '<div class="meta">feeds</div>' not in page
    assert "the steps add up to more" in page
    page = client.get(f"/jobs/{run.pk}/", headers={"Accept-Language": "zh-hans"}).content.decode()
    assert "流失模型 7" in page


def test_times_are_those_of_the_banks_place(house: House, administrator: Person, client_for: SignIn) -> None:
    """A bank in Prague reads 08:30 where one in Shanghai reads 14:30."""
    with bank(house.id):
        run = services.start_run(administrator.actor, pipeline="nightly", business_date=DAY)
        Run.objects.filter(pk=run.pk).update(
            requested_at=dt.datetime(2026, 3, 31, 6, 30, tzinfo=dt.UTC), started_at=None
        )
    client = client_for(administrator)
    assert "14:30" in client.get(f"/jobs/{run.pk}/").content.decode()
    Bank.objects.filter(pk=house.id).update(timezone="Europe/Prague")
    forget_banks()
    assert "08:30" in client.get(f"/jobs/{run.pk}/").content.decode()


def test_nothing_is_sent_anywhere_within_a_request(
    house: House, administrator: Person, client_for: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    def publish(*_args, **_options):
        raise AssertionError("a request published to the broker")

    monkeypatch.setattr("celery.app.task.Task.apply_async", publish)
    start(client_for(administrator))
    assert Chunk.objects.count() == 1


def test_a_poll_answers_the_partial_alone(house: House, administrator: Person, client_for: SignIn) -> None:
    client = client_for(administrator)
    url = start(client)
    part = client.get(url, headers={"HX-Request": "true"}).content.decode()
    assert part.lstrip().startswith('<div class="stack" id="run-state"')
    part = client.get("/jobs/", headers={"HX-Request": "true"}).content.decode()
    assert part.lstrip().startswith('<section class="card" id="run-table"')


def test_a_failed_step_says_why_and_can_be_retried(
    house: House,
    administrator: Person,
    client_for: SignIn,
    night: dict[str, bool],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(executor, "BACKOFF_SECONDS", (0, 0))
    night["broken"] = True
    client = client_for(administrator)
    url = start(client)
    executor.drain()
    logged = next(record for record in caplog.records if record.getMessage() == "chunk failed")
    assert vars(logged)["fields"]["where"][-1].startswith("tests/jobs/test_pages.py:")
    page = client.get(url).content.decode()
    assert "Feeds: RuntimeError: no space left on device" in page
    assert "A retry goes on with Feeds." in page  # from where, what stays, what the bank works with meanwhile
    assert "0 steps are done and are not repeated." in page
    assert "Feeds: RuntimeError" in client.get("/").content.decode()  # the administrator's morning check
    assert "RuntimeError" in client.get(f"{url}steps/feeds/").content.decode()
    night["broken"] = False
    assert client.post(f"{url}retry/").url == url
    executor.drain()
    with bank(house.id):
        assert Run.objects.get().status == "done"
    assert client.post(f"{url}retry/", follow=True).status_code == 200  # nothing to retry: said, not a crash


def test_a_date_to_come_and_no_date_are_refused_beside_the_field(
    house: House, administrator: Person, client_for: SignIn
) -> None:
    client = client_for(administrator)
    for day in ("2999-01-01", "", "soon"):
        answer = client.post("/jobs/start/", {"business_date": day})
        assert answer.status_code == 422
        assert "field-error" in answer.content.decode()
    with bank(house.id):
        assert not Run.objects.exists()


def test_who_reads_jobs_cannot_start_them_and_others_see_nothing(
    house: House, hq_risk: Person, rm: Person, outsider: Person, client_for: SignIn
) -> None:
    with bank(house.id):
        run = services.start_run(system_actor(house.id, "t"), pipeline="nightly", business_date=DAY)
    reader = client_for(hq_risk)
    page = reader.get("/jobs/").content.decode()
    assert "Start the night run" not in page
    assert reader.post("/jobs/start/", {"business_date": "2026-03-31"}).status_code == 403
    assert reader.post(f"/jobs/{run.pk}/retry/").status_code == 403
    assert client_for(rm).get("/jobs/").status_code == 403
    assert client_for(outsider).get(f"/jobs/{run.pk}/").status_code == 403
    assert Client(HTTP_HOST=house.bank.host).get("/jobs/").status_code == 302


def test_another_banks_run_is_not_found(
    house: House, other_house: House, administrator: Person, client_for: SignIn
) -> None:
    with bank(other_house.id):
        run = services.start_run(system_actor(other_house.id, "t"), pipeline="nightly", business_date=DAY)
    client = client_for(administrator)
    for address in ("", "steps/feeds/"):
        assert client.get(f"/jobs/{run.pk}/{address}").status_code == 404
    assert client.post(f"/jobs/{run.pk}/retry/").status_code == 404


def test_pages_of_the_list_go_by_key(
    house: House, administrator: Person, client_for: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crm_site.jobs.selectors.PAGE", 2)
    with bank(house.id):
        for n in range(3):
            services.start_run(
                system_actor(house.id, "t"), pipeline="nightly", business_date=DAY + dt.timedelta(days=n)
            )
    client = client_for(administrator)
    first = client.get("/jobs/")
    assert len(first.context["rows"]) == 2
    assert len(client.get("/jobs/" + first.context["next_url"]).context["rows"]) == 1


def test_a_run_is_cancelled_and_resumed_by_hand(
    house: House, administrator: Person, client_for: SignIn
) -> None:
    client = client_for(administrator)
    url = start(client)
    assert f'action="{url}cancel/"' in client.get(url).content.decode()
    client.post(f"{url}cancel/")
    page = client.get(url).content.decode()
    assert "Cancelled by Administrator" in page
    assert f'action="{url}cancel/"' not in page
    executor.drain()
    client.post(f"{url}retry/")
    executor.drain()
    assert "Resume" not in client.get(url).content.decode()
    with bank(house.id):
        assert Run.objects.get().status == "done"
