"""A developer uploads a sample, a job makes the draft, another person publishes it, and ratings use it."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from openpyxl import Workbook

from credit_rating.models import Development, DevelopmentSample, Scorecard
from credit_rating.selectors.ratings import assess
from credit_rating.services import scorecards
from crm_site.jobs.executor import drain
from crm_site.jobs.models import Run
from crm_site.lib.tenancy import bank
from tests.conftest import NOW, TODAY, House, Person
from tests.customers.factories import make_customer

SignIn = Callable[[Person], Client]


@pytest.fixture(autouse=True)
def files(settings: Any, tmp_path: Path) -> Path:
    """Where this test's samples lie."""
    settings.MEDIA_ROOT = tmp_path / "files"
    return tmp_path / "files"


def applicants(number: int = 400) -> list[list[str]]:
    """Who asks for much and rents defaults more often; every row has a day and a running number."""
    rng = np.random.default_rng(3)
    amount = rng.integers(1, 100, number)
    home = rng.choice(["own", "rent"], number)
    bad = rng.random(number) < 0.05 + 0.004 * amount + 0.2 * (home == "rent")
    rows = (
        [str(i), f"2024-{i % 12 + 1:02}-11", str(amount[i]), str(home[i]), "bad" if bad[i] else "good"]
        for i in range(number)
    )
    return [["no", "day", "amount", "home", "outcome"], *rows]


def as_csv(rows: list[list[str]]) -> bytes:
    return "".join(",".join(row) + "\n" for row in rows).encode()


def as_workbook(rows: list[list[str]]) -> bytes:
    book, file = Workbook(), io.BytesIO()
    sheet = book.active
    assert sheet is not None
    for row in rows:
        sheet.append([int(cell) if cell.isdigit() else cell for cell in row])
    book.save(file)
    return file.getvalue()


def upload(client: Client, content: bytes, name: str = "loans.csv", **other: str) -> Any:
    given = {"file": SimpleUploadedFile(name, content), "has_header": "on", **other}
    return client.post(reverse("credit_rating:sample-new"), given)


def read_sample(house: House, client: Client, content: bytes, name: str = "loans.csv") -> DevelopmentSample:
    """Uploaded, and read by the job."""
    assert upload(client, content, name).status_code == 302
    drain(seconds=60)
    with bank(house.id):
        return DevelopmentSample.objects.latest("id")


def order(client: Client, sample: DevelopmentSample, target: str = "outcome", **given: str) -> Any:
    """Developed as the page proposes it: every column that can be used, the rarer value bad."""
    url = reverse("credit_rating:sample-develop", args=[sample.pk]) + f"?target={target}&kind=personal"
    page = client.get(url)
    form = page.context["form"]
    proposed = {name: form[name].value() for name in form.fields}
    data = {k: "on" if v is True else v for k, v in proposed.items() if v not in (None, False)}
    return client.post(url, {**data, "name": "lab", "window": "2024", **given})


@pytest.mark.parametrize("name", ["loans.csv", "loans.xlsx"])
def test_a_sample_becomes_a_draft_that_another_person_publishes_and_ratings_use(
    house: House, client_for: SignIn, hq_risk: Person, president: Person, rm: Person, name: str
) -> None:
    client = client_for(hq_risk)
    content = as_csv(applicants()) if name.endswith("csv") else as_workbook(applicants())
    sample = read_sample(house, client, content, name)
    assert (sample.status, sample.rows) == ("done", 400)
    assert {c["name"] for c in sample.columns if c["left_out"]} == {"no", "day"}
    answer = order(client, sample)
    assert answer.status_code == 302, answer.context["form"].errors
    assert b'hx-trigger="load delay:2s"' in client.get(answer.url).content
    drain(seconds=60)
    with bank(house.id):
        draft = Scorecard.objects.get(name="lab")
        assert (draft.origin, draft.status, draft.drafted_by_id) == ("developed", "draft", hq_risk.staff.pk)
        record = draft.record or {}
        assert (record["sample"], record["sha256"], record["window"]) == (name, sample.sha256, "2024")
        assert {f["name"] for f in (draft.card or {})["factors"]} == {"amount", "home"}
        run = Run.objects.get(pk=Development.objects.get().run_id)
        assert run.status == "done"
    page = client.get(answer.url)
    assert page.url == reverse("credit_rating:scorecard", args=[draft.pk])
    shown = client.get(page.url).content.decode()
    for word in ("KS", "Gini", "PSI", "2024", record["sha256"][:16]):
        assert word in shown
    changes = shown.split("Development and validation")[0]
    assert "Another card altogether: it shares no factor with the one before." in changes
    assert (
        re.search(r"2 factors new · \d+ factors dropped", changes) and "<details><summary>amount" in changes
    )
    assert shown.index("Grades against later defaults") < shown.index(
        "Publication"
    )  # seven columns need room
    with bank(house.id):
        scorecards.propose_scorecard(
            hq_risk.actor, scorecard_id=draft.pk, valid_from=TODAY, today=TODAY, now=NOW
        )
        with pytest.raises(scorecards.VersionError):  # its developer is no second person
            scorecards.publish_scorecard(hq_risk.actor, scorecard_id=draft.pk, today=TODAY, now=NOW)
        scorecards.publish_scorecard(president.actor, scorecard_id=draft.pk, today=TODAY, now=NOW)
        person = make_customer("Li", kind="personal", home_branch=house.north, responsible=rm.staff)
        safe = assess(rm.actor, person, {"amount": "3", "home": "own"}, day=TODAY)
        risky = assess(rm.actor, person, {"amount": "97", "home": "rent"}, day=TODAY)
        assert safe.scorecard.pk == draft.pk and safe.score > risky.score
