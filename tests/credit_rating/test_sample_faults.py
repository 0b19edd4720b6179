"""What goes wrong with a sample is said beside its field, or in a line; nobody sees or uses what is not his."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from credit_rating.default_cards import default_body
from credit_rating.engine import development
from credit_rating.models import CreditKind, Development, DevelopmentSample, Scorecard
from credit_rating.sample_words import FAULTS
from credit_rating.services import samples as services
from credit_rating.services import scorecards
from credit_rating.services.developing import Order
from crm_site.accounts.models import RoleGrant
from crm_site.audit.models import Entry
from crm_site.jobs import services as jobs
from crm_site.jobs.executor import drain
from crm_site.jobs.models import Chunk, Run
from crm_site.lib.errors import Conflict, DomainError
from crm_site.lib.permissions import system_actor
from crm_site.lib.tenancy import bank
from customers.models import ExportRecord
from tests.conftest import NOW, House, Person
from tests.credit_rating.test_samples import (
    SignIn,
    applicants,
    as_csv,
    as_workbook,
    files,
    order,
    read_sample,
    upload,
)

__all__ = ["files"]
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(200)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "The file is empty."),
        (b"\xef\xbb\xbf  \n", "The file is empty."),
        (PNG, "The file is no text"),
        (b"PK\x03\x04 not a workbook", "Not an Excel workbook"),
        (b"a,a\n" + b"1,2\n" * 60, "Two columns are called a."),
        (b"1,2\n" + b"3,4\n" * 60, "The first line holds values"),
        (as_workbook([["1", "2"], ["3", "4"]]), "The first line holds values"),
        (b"A11 6 A34 1169 1\n" + b"A12 48 A32 5951 2\n" * 60, "clear \u201cThe first line holds the names"),
    ],
)
def test_a_file_that_cannot_be_a_sample_is_refused_beside_its_field(
    house: House, client_for: SignIn, hq_risk: Person, content: bytes, said: str, files: Any
) -> None:
    answer = upload(client_for(hq_risk), content)
    assert answer.status_code == 422
    assert any(said in text for text in answer.context["form"].errors["file"])
    assert not [f for f in files.rglob("*") if f.is_file()]


def test_names_that_are_years_beside_others_are_names(
    house: House, client_for: SignIn, hq_risk: Person
) -> None:
    rows = b"region,size,age,2025,outcome\n" + b"north,3,41,17,good\n" * 60
    assert upload(client_for(hq_risk), rows).status_code == 302
    bare = b"A11 6 A34 1169 1\n" + b"A12 48 A32 5951 2\n" * 60
    assert upload(client_for(hq_risk), bare, has_header="").status_code == 302


def test_a_file_over_200_mb_is_refused(house: House, hq_risk: Person) -> None:
    file = SimpleUploadedFile("big.csv", b"a,b\n")
    file.size = 200 * 1024**2 + 1
    with bank(house.id), pytest.raises(DomainError) as caught:
        services.upload_sample(hq_risk.actor, file=file, has_header=True, now=NOW)
    assert caught.value.fields == {"file": "A sample has at most 200 MB."}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (as_csv(applicants(20)), "20 rows with an outcome are too few; 50 are needed."),
        (b"a,b\n", "The file has no rows."),
    ],
    ids=["few", "no rows"],
)
def test_what_only_reading_finds_is_said_on_the_samples_page(
    house: House, client_for: SignIn, hq_risk: Person, content: bytes, said: str
) -> None:
    client = client_for(hq_risk)
    sample = read_sample(house, client, content)
    page = client.get(reverse("credit_rating:sample", args=[sample.pk]))
    assert sample.status == "failed" and said in page.content.decode()
    with bank(house.id), pytest.raises(Conflict):
        services.order_development(
            hq_risk.actor, sample_id=sample.pk, order=Order(kind="personal", name="x", target="a"), now=NOW
        )


def test_an_order_is_refused_beside_what_is_wrong_with_it(
    house: House, client_for: SignIn, hq_risk: Person
) -> None:
    client = client_for(hq_risk)
    sample = read_sample(house, client, as_csv(applicants()))
    labels = [label for label, _cases in next(c["labels"] for c in sample.columns if c["name"] == "outcome")]
    one_class = {f"label-{n}": "bad" for n in range(len(labels))}
    assert "target" in order(client, sample, **one_class).context["form"].beside
    assert "window" in order(client, sample, window=" ").context["form"].errors
    assert "name" in order(client, sample, name="").context["form"].errors
    # columns: 0 no, 1 day, 2 amount, 3 home; a source of numbers for words, and of other words
    assert "columns" in order(client, sample, **{"source-3": "monthly_income"}).context["form"].beside
    other_words = order(client, sample, **{"source-3": "housing"}).context["form"].beside["columns"]
    assert "home holds other values" in other_words
    wrong = client.get(
        reverse("credit_rating:sample-develop", args=[sample.pk]) + "?target=moon&kind=personal"
    )
    assert wrong.url == reverse("credit_rating:sample", args=[sample.pk])
    with bank(house.id):
        assert not Development.objects.exists()
        with pytest.raises(DomainError) as caught:
            services.order_development(
                hq_risk.actor, sample_id=sample.pk, now=NOW,
                order=Order(kind="personal", name="x", target="moon", bad=("bad",), good=("good",), window="w"),
            )  # fmt: skip
        assert "target" in caught.value.fields


def test_too_few_cases_of_the_rarer_outcome(house: House, client_for: SignIn, hq_risk: Person) -> None:
    rows = [["x", "outcome"], *([str(i % 7), "bad" if i < 9 else "good"] for i in range(200))]
    client = client_for(hq_risk)
    sample = read_sample(house, client, as_csv(rows))
    assert order(client, sample).context["form"].beside["target"].startswith("9 cases of the rarer outcome")


def test_a_job_that_finds_nothing_says_so_in_a_line_and_is_not_repeated(
    house: House, client_for: SignIn, hq_risk: Person
) -> None:
    rows = [["x", "outcome"], *(["abcd"[i // 2 % 4], "bad" if i % 2 else "good"] for i in range(400))]
    client = client_for(hq_risk)
    answer = order(client, read_sample(house, client, as_csv(rows)))
    drain(seconds=60)
    page = client.get(answer.url).content.decode()
    assert "No column of the sample says enough to be a factor." in page
    with bank(house.id):
        assert not Scorecard.objects.filter(name="lab").exists()
        run = Run.objects.get(pk=Development.objects.get().run_id)
        assert (run.status, run.rows_changed) == ("done", 0)


def test_every_fault_has_its_words() -> None:
    room = Path(scorecards.__file__).parents[1]
    raised = {
        code
        for path in [*(room / "engine").glob("*.py"), room / "services" / "developing.py"]
        for code in re.findall(r'SampleError\(\s*"(\w+)"', path.read_text())
    }
    assert raised and raised <= set(FAULTS)


def test_a_killed_worker_starts_over_and_one_draft_comes_of_it(
    house: House, client_for: SignIn, hq_risk: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = client_for(hq_risk)
    sample = read_sample(house, client, as_csv(applicants()))
    order(client, sample)

    class Killed(BaseException):
        """What no handler catches, as when the process is gone: its transaction is rolled back by the server."""

    whole = development._held_back

    def die(*_given: Any) -> Any:
        raise Killed

    monkeypatch.setattr(development, "_held_back", die)
    with pytest.raises(Killed):
        drain(seconds=60)
    with bank(house.id):
        assert (
            Development.objects.get().status == "waiting"
            and not Scorecard.objects.filter(name="lab").exists()
        )
    Chunk.objects.filter(done_at__isnull=True).update(claimed_until=None)
    monkeypatch.setattr(development, "_held_back", whole)
    drain(seconds=60)
    with bank(house.id):
        assert Development.objects.get().status == "done"
        assert Scorecard.objects.filter(name="lab").count() == 1


def test_a_double_click_orders_once_and_a_cancelled_job_is_said(
    house: House, client_for: SignIn, hq_risk: Person
) -> None:
    client = client_for(hq_risk)
    sample = read_sample(house, client, as_csv(applicants()))
    first, second = order(client, sample), order(client, sample)
    assert first.url == second.url
    with bank(house.id):
        ordered = Development.objects.get()
        with pytest.raises(Conflict):
            services.delete_sample_file(hq_risk.actor, sample_id=sample.pk)
        jobs.cancel_run(system_actor(house.id, "test"), run_id=ordered.run_id or 0, now=NOW)
    assert "was cancelled" in client.get(first.url).content.decode()
    with bank(house.id):
        services.delete_sample_file(hq_risk.actor, sample_id=sample.pk)


def test_an_experts_draft_is_not_overwritten(house: House, client_for: SignIn, hq_risk: Person) -> None:
    client = client_for(hq_risk)
    sample = read_sample(house, client, as_csv(applicants()))
    with bank(house.id):
        scorecards.draft_expert_card(
            hq_risk.actor,
            kind="personal",
            name="lab",
            body=default_body(CreditKind.PERSONAL),
            note="",
            now=NOW,
        )
    assert "draft made by experts" in order(client, sample).context["form"].errors["name"][0]


def test_files_are_private_leave_by_record_and_expire(
    house: House, other_house: House, client_for: SignIn, hq_risk: Person, line_department: Person, rm: Person,
    files: Any,
) -> None:  # fmt: skip
    client = client_for(hq_risk)
    content = as_csv(applicants())
    sample = read_sample(house, client, content)
    stored = files / sample.path
    assert stored.stat().st_mode & 0o777 == 0o600 and stored.parent.stat().st_mode & 0o777 == 0o700
    url = reverse("credit_rating:sample-download", args=[sample.pk])
    assert client.post(url, {"purpose": ""}).status_code == 422
    assert client_for(rm).post(url, {"purpose": "curious"}).status_code == 403
    sent = client.post(url, {"purpose": "validation"})
    assert b"".join(sent.streaming_content) == content
    with bank(house.id):
        logged = ExportRecord.objects.get()
        assert (logged.rows, logged.purpose, logged.sentence) == (400, "validation", "loans.csv")
        assert (
            Entry.objects.filter(action="export", object_table="credit_rating_developmentsample").count() == 1
        )
        assert services.forget_expired(NOW) == 0
    with bank(house.id):
        assert services.forget_expired(sample.expires_at + dt.timedelta(seconds=1)) == 1
        with pytest.raises(DomainError):
            services.export_sample(hq_risk.actor, sample_id=sample.pk, purpose="again", now=NOW)
    with bank(house.id):
        DevelopmentSample.objects.filter(pk=sample.pk).update(origin="outcomes")
        with pytest.raises(DevelopmentSample.DoesNotExist):
            services.export_sample(line_department.actor, sample_id=sample.pk, purpose="mine", now=NOW)
        with pytest.raises(PermissionDenied):
            services.sample_of_outcomes(line_department.actor, as_of=NOW.date(), today=NOW.date(), now=NOW)


def test_a_right_taken_away_is_not_used_by_a_job(house: House, client_for: SignIn, hq_risk: Person) -> None:
    client = client_for(hq_risk)
    answer = order(client, read_sample(house, client, as_csv(applicants())))
    with bank(house.id):
        RoleGrant.objects.filter(staff=hq_risk.staff).update(to_date=dt.date(2020, 1, 2))
    drain(seconds=60)
    with bank(house.id):
        assert Development.objects.get().fault == "not_allowed"
        assert not Scorecard.objects.filter(name="lab").exists()
    assert answer.status_code == 302
