"""Files of a case: known by their bytes, kept whole or not at all, part of what a decision is bound to."""

from __future__ import annotations

import errno
import io
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.core.exceptions import PermissionDenied
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import IntegrityError, transaction
from django.test import Client

from credit_rating.case_files import FileFault, kind_of, shown_name
from credit_rating.models import CaseCondition, CaseFile, CreditCase, Opinion
from credit_rating.services import cases
from crm_site.lib import files as disk
from crm_site.lib.errors import Conflict
from crm_site.lib.tenancy import bank
from tests.conftest import NOW, TODAY, House, Person
from tests.credit_rating import desk as tables
from tests.credit_rating.desk import LATER, Desk, a_case, say

PDF = b"%PDF-1.7\n1 0 obj\n"
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 20


@pytest.fixture
def folder(settings: object, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = tmp_path
    return tmp_path


@pytest.fixture
def desk(house: House, folder: Path) -> Iterator[Desk]:
    found = tables.staffed(house)
    with bank(house.id):
        yield tables.with_customer(found)


def _kept(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def _add(person: Person, case: CreditCase, *contents: bytes, name: str = "a.pdf") -> list[CaseFile]:
    uploads = [SimpleUploadedFile(name, content) for content in contents]
    return cases.add_files(person.actor, case_id=case.pk, uploads=uploads, now=NOW, today=TODAY)


def _office(member: str, *others: str) -> bytes:
    box = io.BytesIO()
    with zipfile.ZipFile(box, "w") as archive:
        for name in (member, *others):
            archive.writestr(name, "x")
    return box.getvalue()


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (PDF, "pdf"), (PNG, "png"), (b"\xff\xd8\xff\xe0" + b"\0" * 20, "jpeg"), (b"RIFF\0\0\0\0WEBPVP8 ", "webp"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "heic"), (_office("word/document.xml"), "docx"),
        (_office("xl/workbook.xml"), "xlsx"), (_office("xl/workbook.xml", "xl/vbaProject.bin"), ""),
        (_office("index.html"), ""), (b"<html><script>", ""), (b"MZ\x90\0", ""), (b"PK\x03\x04broken", ""), (b"", ""),
        (b"<svg xmlns='http://www.w3.org/2000/svg'>", ""),
    ],
)  # fmt: skip
def test_a_file_is_what_its_bytes_say(content: bytes, kind: str) -> None:
    if kind:
        assert kind_of(io.BytesIO(content)) == kind
    else:
        with pytest.raises(FileFault):
            kind_of(io.BytesIO(content))


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../etc/passwd", "passwd.pdf"), ("C:\\a\\合同.PDF", "合同.pdf"), ("x.html", "x.pdf"), ("a\r\nb.pdf", "ab.pdf"),
        ("..", "file.pdf"), ("n" * 300 + ".pdf", "n" * 156 + ".pdf"),
    ],
)  # fmt: skip
def test_a_name_leads_nowhere_and_ends_as_its_kind(given: str, kept: str) -> None:
    assert shown_name(given, "pdf") == kept


def test_a_file_voids_what_was_said_before_it_and_so_does_its_withdrawal(desk: Desk, folder: Path) -> None:
    case = a_case(desk)
    say(desk.manager, case)
    before = case.dossier_hash
    (file,) = _add(desk.rm, case, PDF)
    case.refresh_from_db()
    assert (case.status, case.dossier_hash == before) == ("branch", False)
    assert Opinion.objects.get().voided_at is not None
    say(desk.manager, case)
    cases.withdraw_file(desk.rm.actor, file_id=file.pk, now=LATER, today=TODAY)
    case.refresh_from_db()
    assert (case.status, Opinion.objects.filter(voided_at=None).count()) == ("branch", 0)
    assert len(_kept(folder)) == 1  # withdrawn, not gone
    cases.withdraw_file(desk.rm.actor, file_id=file.pk, now=LATER, today=TODAY)  # twice is once


def test_the_same_bytes_again_are_the_same_file(desk: Desk, folder: Path) -> None:
    case = a_case(desk)
    first, second = _add(desk.rm, case, PDF, PDF)
    (again,) = _add(desk.rm, case, PDF, name="other.pdf")
    assert {first.pk, second.pk, again.pk} == {first.pk}
    assert len(_kept(folder)) == 1


def test_who_adds_to_a_case_that_he_does_not_check_never_decides_it(desk: Desk) -> None:
    asked = tables.terms()
    case = cases.create_case(desk.rm.actor, customer=desk.customer, terms=asked, now=NOW)
    cases.edit_case(desk.rm.actor, case_id=case.pk, terms=asked, investigation="Fine.", now=NOW)
    _add(desk.manager, case, PDF)
    case = cases.submit_case(desk.rm.actor, case_id=case.pk, now=NOW, today=TODAY)
    assert case.route[0] == "headquarters"  # the branch's only manager has a hand in it
    _add(desk.reviewer, case, PNG)  # a reviewer who checks adds what he found, and may still decide
    say(desk.reviewer, case)
    with pytest.raises(PermissionDenied):
        _add(desk.president, case, PDF + b"2")


def test_all_or_none_and_nothing_is_left_of_what_fails(
    desk: Desk, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = a_case(desk)
    with pytest.raises(FileFault):
        _add(desk.rm, case, PDF, b"MZ\x90\0")
    with pytest.raises(FileFault):
        _add(desk.rm, case, b"")
    monkeypatch.setattr("credit_rating.services.cases.files.MOST_BYTES", 4)
    with pytest.raises(FileFault):
        _add(desk.rm, case, PDF)
    assert not CaseFile.objects.exists()
    assert _kept(folder) == []


def test_a_full_disk_is_said_and_leaves_nothing(
    house: House,
    desk: Desk,
    folder: Path,
    client_for: Callable[[Person], Client],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    case = a_case(desk)

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(disk.os, "fsync", full)
    answer = client_for(desk.rm).post(
        f"/credit/cases/{case.pk}/files/", {"files": SimpleUploadedFile("a.pdf", PDF)}
    )
    assert answer.status_code == 507
    assert "no room left" in answer.content.decode()
    assert _kept(folder) == []
    assert not CaseFile.objects.exists()


def test_a_file_is_opened_as_what_it_is_by_who_sees_the_case(
    desk: Desk, folder: Path, client_for: Callable[[Person], Client], rm_other_branch: Person
) -> None:
    case = a_case(desk)
    (file,) = _add(desk.rm, case, PNG, name="<b>.html")
    (book,) = _add(desk.rm, case, _office("xl/workbook.xml"), name="a.xlsx")
    reader = client_for(desk.reviewer)
    answer = reader.get(f"/credit/files/{file.pk}/")
    assert b"".join(answer.streaming_content) == PNG
    assert (answer.headers["Content-Type"], answer.headers["X-Content-Type-Options"]) == (
        "image/png",
        "nosniff",
    )
    saved = reader.get(f"/credit/files/{book.pk}/")
    assert saved.headers["Content-Disposition"].startswith("attachment")
    assert b"".join(saved.streaming_content)
    assert client_for(rm_other_branch).get(f"/credit/files/{file.pk}/").status_code == 404
    page = reader.get(f"/credit/cases/{case.pk}/").content.decode()
    assert f"/credit/files/{file.pk}/" in page
    assert "&lt;b&gt;.png" in page
    (folder / file.path).write_bytes(PNG + b"!")
    changed = reader.get(f"/credit/files/{file.pk}/")
    assert changed.status_code == 409
    assert "not what was uploaded" in changed.content.decode()


def test_the_database_keeps_files_and_the_second_person_of_evidence(desk: Desk) -> None:
    case = a_case(desk)
    (file,) = _add(desk.rm, case, PDF)
    with pytest.raises(IntegrityError), transaction.atomic():
        file.delete()
    with pytest.raises(IntegrityError), transaction.atomic():
        CaseFile.objects.filter(pk=file.pk).update(digest="0" * 64)
    say(desk.manager, case)
    say(desk.reviewer, case, "conditional")
    for member in desk.members:
        say(member, case)
    say(desk.president, case)
    with pytest.raises(Conflict):
        _add(desk.rm, case, PNG)
    condition = CaseCondition.objects.get()
    proof = [SimpleUploadedFile("policy.pdf", PDF)]
    cases.evidence_condition(
        desk.rm.actor, condition_id=condition.pk, evidence="Seen", now=LATER, uploads=proof
    )
    assert [f.name for f in condition.files.all()] == ["policy.pdf"]
    with pytest.raises(IntegrityError), transaction.atomic():
        CaseCondition.objects.filter(pk=condition.pk).update(
            evidenced_by=desk.manager.staff, accepted_by=desk.rm.staff, accepted_at=LATER
        )
    cases.accept_condition(desk.reviewer.actor, condition_id=condition.pk, now=LATER)
    with pytest.raises(Conflict):
        cases.withdraw_file(desk.rm.actor, file_id=condition.files.get().pk, now=LATER, today=TODAY)
