"""The command `nightly` as contract.md describes it."""

from __future__ import annotations

import datetime as dt
import io
import json

import pytest
from django.core.management import CommandError, call_command

from crm_site.accounts.models import Bank
from crm_site.jobs import services
from crm_site.jobs.management.commands import nightly
from crm_site.lib.commands import Meter
from crm_site.lib.registry import PIPELINES, STEPS, Counts, Pipeline, Step
from crm_site.lib.tenancy import bank
from tests.conftest import House

DAY = dt.date(2026, 3, 31)


@pytest.fixture
def night(monkeypatch: pytest.MonkeyPatch) -> list[dt.date]:
    """Two steps for the night; the list of dates that the second was run for."""
    seen: list[dt.date] = []

    def work(context, payload):
        seen.append(context.business_date)
        return Counts(7, 3)

    steps = [
        Step("feeds", "Feeds", lambda context, payload: Counts(1, 0)),
        Step("tiers", "Tiers", work, after=("feeds",)),
    ]
    monkeypatch.setattr(STEPS, "_items", {f"nightly:{step.name}": step for step in steps})
    known = PIPELINES._items | {
        "nightly": Pipeline("nightly", "Night run", serial=True, closes_day=True, first_date=lambda: DAY)
    }
    monkeypatch.setattr(PIPELINES, "_items", known)
    return seen


def run(*words: str) -> str:
    out = io.StringIO()
    call_command("nightly", *words, stdout=out, stderr=io.StringIO())
    return out.getvalue()


def test_one_line_a_step(house: House, night: list[dt.date]) -> None:
    lines = run("--bank", "alpha", "--date", "2026-03-31").splitlines()
    assert lines[0] == "alpha 2026-03-31"
    assert [line.split()[0] for line in lines[1:]] == ["feeds", "tiers"]
    assert lines[2].split()[1:4] == ["7", "in", "3"]


def test_json_is_one_document(house: House, night: list[dt.date]) -> None:
    result = json.loads(run("--bank", "alpha", "--date", "2026-03-31", "--json"))
    assert result["bank"] == "alpha"
    assert result["business_date"] == "2026-03-31"
    assert [set(step) for step in result["steps"]] == [{"step", "rows_in", "rows_changed", "seconds"}] * 2
    assert result["steps"][1]["rows_changed"] == 3


def test_the_first_night_is_what_the_data_says_and_the_next_follows(
    house: House, night: list[dt.date]
) -> None:
    run("--bank", "alpha")
    run("--bank", "alpha")
    assert night == [DAY, DAY + dt.timedelta(days=1)]
    assert Bank.objects.get(pk=house.id).business_date == DAY + dt.timedelta(days=1)


def test_a_range_runs_every_day_oldest_first(house: House, night: list[dt.date]) -> None:
    result = json.loads(run("--bank", "alpha", "--from", "2026-03-30", "--to", "2026-04-01", "--json"))
    assert night == [dt.date(2026, 3, 30), dt.date(2026, 3, 31), dt.date(2026, 4, 1)]
    assert [one["business_date"] for one in result["runs"]] == ["2026-03-30", "2026-03-31", "2026-04-01"]
    assert result["steps"][1]["rows_in"] == 21


def test_month_ends_alone_of_a_range(house: House, night: list[dt.date]) -> None:
    run("--bank", "alpha", "--from", "2026-01-15", "--to", "2026-03-31", "--month-ends")
    assert night == [dt.date(2026, 1, 31), dt.date(2026, 2, 28), dt.date(2026, 3, 31)]


def test_all_banks(house: House, other_house: House, night: list[dt.date]) -> None:
    result = json.loads(run("--all-banks", "--date", "2026-03-31", "--json"))
    assert [one["bank"] for one in result["banks"]] == ["alpha", "beta"]


def test_chosen_steps(house: House, night: list[dt.date]) -> None:
    run("--bank", "alpha", "--date", "2026-03-31", "--steps", "feeds")
    assert night == []
    assert Bank.objects.get(pk=house.id).business_date is None


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--bank", "nobody"), "There is no bank 'nobody'."),
        (("--bank", "alpha", "--date", "2026-03-31", "--steps", "moon"), "moon"),
    ],
)
def test_refusals_are_one_line_and_exit_1(
    house: House, night: list[dt.date], words: tuple[str, ...], why: str
) -> None:
    with pytest.raises(CommandError, match=why) as refused:
        run(*words)
    assert refused.value.returncode == 1
    assert "\n" not in str(refused.value)


def test_a_failed_step_is_exit_1_with_its_reason(house: House, night: list[dt.date], monkeypatch) -> None:
    def broken(context, payload):
        raise ValueError("no rate for JPY")

    monkeypatch.setattr("crm_site.jobs.executor.BACKOFF_SECONDS", (0, 0))
    monkeypatch.setitem(STEPS._items, "nightly:tiers", Step("tiers", "Tiers", broken, after=("feeds",)))
    with pytest.raises(CommandError, match="failed in tiers: ValueError: no rate for JPY"):
        run("--bank", "alpha", "--date", "2026-03-31")


@pytest.mark.parametrize(
    "words",
    [
        ["--bank", "alpha", "--date", "31.3.2026"],
        ["--bank", "alpha", "--date", "2026-03-31", "--from", "2026-03-01", "--to", "2026-03-02"],
        ["--bank", "alpha", "--from", "2026-03-01"],
        ["--bank", "alpha", "--from", "2026-03-02", "--to", "2026-03-01"],
        ["--bank", "alpha", "--month-ends"],
        ["--bank", "alpha", "--workers", "0"],
        ["--bank", "alpha", "--all-banks"],
        [],
    ],
)
def test_wrong_usage_is_exit_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        nightly.Command().run_from_argv(["manage.py", "nightly", *words])
    assert ended.value.code == 2


def test_a_killed_command_is_taken_up_by_the_next(house: House, night: list[dt.date]) -> None:
    """Started and never worked off: the same date again goes on with it."""
    from crm_site.jobs.models import Run
    from crm_site.lib.permissions import system_actor

    with bank(house.id):
        left = services.start_run(system_actor(house.id, "t"), pipeline="nightly", business_date=DAY)
    run("--bank", "alpha", "--date", "2026-03-31")
    with bank(house.id):
        assert Run.objects.get().pk == left.pk


def test_progress_is_a_line_every_few_seconds_where_there_is_no_terminal() -> None:
    now, out = [0.0], io.StringIO()
    meter = Meter(out, clock=lambda: now[0])
    for now[0] in (1.0, 4.9, 5.1, 6.0, 10.2):
        meter.show("tiers", now[0] / 20)
    assert out.getvalue() == "tiers: 26%\ntiers: 51%\n"
