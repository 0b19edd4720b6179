"""Every row of the table "What becomes of a bad delivery" in docs/feeds.md, through the API."""

from __future__ import annotations

import errno
import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from crm_site.jobs.executor import drain
from crm_site.lib.tenancy import bank
from customers.ingest import spool, staging
from customers.ingest.services import process_batch
from customers.models import Batch, BatchError, BatchStatus, Customer

pytestmark = pytest.mark.django_db
HEADER = "number,name,kind\n"
GOOD = HEADER + "1,One,personal\n2,Two,personal\n"
Post = Callable[..., Any]


@pytest.fixture
def post(house: Any, api_client_for: Any) -> Post:
    """POST a body to a feed as a machine client of bank alpha."""
    client: Client = api_client_for(house, "ingest:write")

    def send(
        body: str | bytes, *, feed: str = "customers", kind: str = "text/csv", query: str = "", **headers: str
    ) -> Any:
        data = body.encode() if isinstance(body, str) else body
        return client.post(f"/api/v1/ingest/{feed}{query}", data=data, content_type=kind, **headers)

    send.client = client
    return send


def landed(house: Any) -> int:
    with bank(house.id):
        return Customer.objects.count()


def process(house: Any, answer: Any) -> Batch:
    """What the worker does with an accepted delivery."""
    assert answer.status_code == 202, answer.content
    with bank(house.id):
        return process_batch(answer.json()["id"])


def refusal(answer: Any) -> tuple[int, str]:
    assert answer["Content-Type"] == "application/problem+json"
    return answer.status_code, answer.json().get("code", "")


def test_the_list_of_imports_names_the_system_that_delivered(
    house: Any, post: Post, marketing: Any, client_for: Any
) -> None:
    batch = process(house, post(GOOD))
    desk = client_for(marketing)
    assert "<td>core</td>" in desk.get("/customers/imports/").content.decode()
    assert '<span class="sub">core · ' in desk.get(f"/customers/imports/{batch.pk}/").content.decode()


def test_a_delivery_from_post_to_error_rows(house: Any, post: Post) -> None:
    answer = post(HEADER + "1,One,personal\n2,,personal\n", query="?business_date=2026-01-31")
    assert answer.json()["status"] == "received"
    process(house, answer)
    state = post.client.get(f"/api/v1/ingest/{answer.json()['id']}").json()
    assert (state["status"], state["rows_received"], state["rows_inserted"], state["rows_rejected"]) == (
        "done",
        2,
        1,
        1,
    )
    rows = post.client.get(f"/api/v1/ingest/{answer.json()['id']}/errors")
    assert rows["Content-Type"] == "application/x-ndjson"
    assert [json.loads(line) for line in b"".join(rows.streaming_content).splitlines()] == [
        {
            "line": 3, "field": "name", "code": "required", "message": "A value is missing.",
            "row": {"number": "2", "name": "", "kind": "personal"},
        }
    ]  # fmt: skip


def test_no_file_is_left_behind(
    house: Any, post: Post, files: Path, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        process(house, post(GOOD))
    post("number;nonsense\n")
    assert [p for p in files.rglob("*") if p.is_file()] == []


@pytest.mark.parametrize(
    ("body", "kind", "status", "code"),
    [
        (HEADER.encode() + b"1,\xd5\xc5\xce\xb0,personal\n", "text/csv", 422, "encoding"),
        (gzip.compress(GOOD.encode())[:-6], "application/gzip", 422, "broken_gzip"),
        (b"\x1f\x8b" + b"nonsense" * 9, "application/gzip", 422, "broken_gzip"),
        ("", "text/csv", 422, "empty"),
        ("number,name,kind,shoe_size\n1,One,personal,43\n", "text/csv", 422, "unknown_column"),
        ("number,name,kind,name\n1,One,personal,Two\n", "text/csv", 422, "repeated_column"),
        ("number,name\n1,One\n", "text/csv", 422, "missing_column"),
        (HEADER + "1," + "x" * 10_000_000 + ",personal\n", "text/csv", 422, "line_too_long"),
        (HEADER + '1,"One,personal\n2,Two,personal\n', "text/csv", 422, "unclosed_quote"),
    ],
    ids=[
        "gb18030", "cut-off-gzip", "damaged-gzip", "empty", "unknown-column", "column-twice", "missing-column",
        "10-MB-line", "open-quote",
    ],
)  # fmt: skip
def test_refused_as_a_whole(
    house: Any, post: Post, body: str | bytes, kind: str, status: int, code: str
) -> None:
    assert refusal(post(body, kind=kind)) == (status, code)
    assert landed(house) == 0
    with bank(house.id):
        assert not Batch.objects.exists()


def test_a_wrong_encoding_is_told_with_its_place_and_the_way_out(post: Post) -> None:
    told = post(HEADER.encode() + b"1,\xd5\xc5\xce\xb0,personal\n").json()["detail"]
    assert "Line 2, byte 3 is not UTF-8" in told and "iconv -f GB18030" in told


@pytest.mark.parametrize(
    ("rows", "line"),
    [
        ('1,One,personal\n2,"Two,personal\n3,Three,personal\n', 3),
        # Later quotes would pair with it: the cell of line 3 ends in the middle of a word of line 5.
        ('1,"One ""the"" first",personal\n2,"Two,personal\n3,Three,personal\n4,"Four",personal\n', 3),
        ('1,"One\nand a half",personal\n2,"",personal\n3,"Three,personal\n', 5),
    ],
    ids=["alone", "before-others", "after-a-cell-of-two-lines"],
)
def test_an_open_quote_is_told_with_the_line_in_which_it_opens(post: Post, rows: str, line: int) -> None:
    for body, kind in (
        (HEADER + rows, "text/csv"),
        (gzip.compress((HEADER + rows).encode()), "application/gzip"),
    ):
        assert f"begins in line {line} " in post(body, kind=kind).json()["detail"]


def test_columns_are_named_in_the_refusal(post: Post) -> None:
    errors = post("number,name,shoe_size\n1,One,43\n").json()["errors"]
    assert errors[0]["pointer"] == "#/shoe_size"


def test_other_content_types_are_unsupported(post: Post) -> None:
    assert post(GOOD, kind="application/xml").status_code == 415
    assert post(GOOD, HTTP_CONTENT_ENCODING="br").status_code == 415


def test_unknown_feed(post: Post) -> None:
    assert post(GOOD, feed="gossip").status_code == 404


def test_a_gzip_bomb_is_stopped_early(house: Any, post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "RATIO_FROM", 1024 * 1024)
    bomb = gzip.compress(GOOD.encode() + b"3,Three,personal\n" * 2_000_000)
    assert refusal(post(bomb, kind="application/gzip")) == (413, "gzip_bomb")
    assert landed(house) == 0


def test_too_large(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "MOST_BYTES", 20)
    assert refusal(post(GOOD)) == (413, "too_large")


def test_no_room_on_the_disk(house: Any, post: Post, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_args: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert refusal(post(GOOD)) == (507, "disk_full")
    assert [p for p in files.rglob("*") if p.is_file()] == []
    assert landed(house) == 0


def test_marks_line_ends_and_quoted_breaks_are_fine(house: Any, post: Post) -> None:
    body = (
        "\ufeff" + 'number,name,kind,address\r\n1,"One\r\nand only",personal,"a ""b"""\r\n2,Two,personal,\r\n'
    )
    batch = process(house, post(body))
    assert (batch.rows_inserted, batch.rows_rejected) == (2, 0)
    with bank(house.id):
        assert Customer.objects.get(number="1").name == "One\nand only"


def test_one_in_a_hundred_bad(house: Any, post: Post) -> None:
    body = HEADER + "".join(f"{n},Name {n},{'personal' if n % 100 else 'alien'}\n" for n in range(1, 1001))
    batch = process(house, post(gzip.compress(body.encode()), kind="text/csv", HTTP_CONTENT_ENCODING="gzip"))
    assert (batch.rows_inserted, batch.rows_rejected) == (990, 10)
    with bank(house.id):
        assert list(BatchError.objects.values_list("line", flat=True)) == [
            n + 1 for n in range(100, 1001, 100)
        ]


def test_unknown_keys_and_broken_json_reject_their_rows(house: Any, post: Post) -> None:
    body = (
        '{"number": "1", "name": "One", "kind": "personal", "shoe_size": 43}\n{"number": \n[1]\n'
        '{"number": "2", "name": {"first": "Two"}, "kind": "personal"}\n'
        '{"number": "3", "name": "\\ud800", "kind": "personal"}\n'
        '{"number": 4, "name": "Four", "kind": "personal", "employees": 12, "is_excluded": false}\n'
    )
    batch = process(house, post(body, kind="application/x-ndjson"))
    assert batch.rows_inserted == 1
    with bank(house.id):
        found = list(BatchError.objects.values_list("line", "code"))
        assert found == [
            (1, "unknown_field"),
            (2, "bad_json"),
            (3, "bad_json"),
            (4, "bad_json"),
            (5, "bad_text"),
        ]


def test_protected_cells_of_bad_rows_are_not_kept_in_the_clear(house: Any, post: Post) -> None:
    answer = post("number,name,kind,resident_id\n1,One,alien,11010519491231002X\n")
    process(house, answer)
    with bank(house.id):
        assert "1949" not in json.dumps(BatchError.objects.get().row)
    rows = post.client.get(f"/api/v1/ingest/{answer.json()['id']}/errors")
    assert json.loads(b"".join(rows.streaming_content))["row"]["resident_id"] == "11010519491231002X"


def test_the_same_file_twice_at_once_and_later(house: Any, post: Post) -> None:
    first = post(GOOD)
    assert refusal(post(GOOD)) == (409, "under_way")
    process(house, first)
    again = process(house, post(GOOD))
    assert (again.rows_inserted, again.rows_updated, again.rows_unchanged) == (0, 0, 2)


def test_the_same_idempotency_key_gives_the_same_answer(house: Any, post: Post) -> None:
    first = post(GOOD, HTTP_IDEMPOTENCY_KEY="k1")
    assert post(GOOD, HTTP_IDEMPOTENCY_KEY="k1").json() == first.json()
    assert post(GOOD + "3,Three,personal\n", HTTP_IDEMPOTENCY_KEY="k1").status_code == 422


def test_another_banks_delivery_does_not_exist(house: Any, other_house: Any, post: Post) -> None:
    with bank(other_house.id):
        theirs = Batch.objects.create(
            feed="customers", source="api", content_format="csv", received_at="2026-01-01T00:00Z"
        )
    assert post.client.get(f"/api/v1/ingest/{theirs.pk}").status_code == 404
    assert post.client.get(f"/api/v1/ingest/{theirs.pk}/errors").status_code == 404


def test_a_key_in_two_parts_of_a_delivery_is_told(
    house: Any, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging, "PART_ROWS", 2)
    body = HEADER + "1,One,personal\n2,Two,personal\n3,Three,personal\n1,Again,personal\n5,Five,personal\n"
    batch = process(house, post(body))
    assert (batch.rows_received, batch.rows_inserted, batch.rows_rejected) == (5, 4, 1)
    with bank(house.id):
        error = BatchError.objects.get()
        assert (error.line, error.code, error.message) == (
            5,
            "duplicate",
            "The same key stands in line 2 already.",
        )
        assert Customer.objects.get(number="1").name == "One"


@pytest.mark.django_db(transaction=True)
def test_a_kill_in_the_middle_leaves_nothing_and_the_job_starts_again(
    house: Any, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker dies after the first of three parts (its transaction is gone); the next one lands all, once."""
    monkeypatch.setattr(staging, "PART_ROWS", 2)
    body = HEADER + "".join(f"{n},Name {n},personal\n" for n in range(5))
    batch_id = post(body).json()["id"]
    parts = []

    def die(done: int, _total: int) -> None:
        parts.append(done)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), bank(house.id):
        process_batch(batch_id, progress=die)
    assert parts == [2]
    assert landed(house) == 0
    drain()
    assert landed(house) == 5
    with bank(house.id):
        assert Batch.objects.get(pk=batch_id).status == BatchStatus.DONE
    drain()
    with bank(house.id):
        assert Batch.objects.get(pk=batch_id).rows_inserted == 5
