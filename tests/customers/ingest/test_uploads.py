"""People's imports, from the file to its undo."""

from __future__ import annotations

import io
import re
from typing import Any

import openpyxl
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import translation

from crm_site.lib.errors import Conflict
from crm_site.lib.form_addresses import nearest_page
from crm_site.lib.permissions import system_actor
from crm_site.lib.tenancy import bank
from customers.ingest import services
from customers.ingest.feeds import FEEDS
from customers.ingest.selectors import message_of, rejected_csv, safe_cell
from customers.ingest.services import process_batch, receive
from customers.ingest.spool import Refused
from customers.ingest.uploads import (
    UndoRefused,
    choices,
    import_tried,
    map_again,
    suggest,
    try_out,
    undo_import,
    upload,
)
from customers.models import Batch, ColumnMapping, ContactPoint, Customer, Interaction, SearchToken, Standing
from segmentation.models import TierHistory, TierPolicy
from segmentation.services import ensure_default_policies
from tests.customers.ingest.conftest import NOW, Deliver, counts

pytestmark = pytest.mark.django_db
FILE = "客户号,姓名,客户类型,手机号,备注\n1,张伟明,personal,13812345678,x\n2,李娜,personal,123,x\n"


def as_file(content: str | bytes, name: str = "customers.csv") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content.encode() if isinstance(content, str) else content)


def imported(actor: Any, content: str | bytes, feed: str = "customers", name: str = "customers.csv") -> Batch:
    """Upload, take the suggested mapping, try out, import."""
    tried = upload(actor, feed=FEEDS[feed], file=as_file(content, name), now=NOW)
    try_out(actor, batch_id=tried.pk, mapping={c.header: c.column for c in choices(tried)})
    process_batch(tried.pk)
    return process_batch(import_tried(actor, batch_id=tried.pk, now=NOW).pk)


class TestMapping:
    def test_chinese_and_english_headers_are_understood(self) -> None:
        mapping = suggest(
            FEEDS["customers"], ["客户号", "Full Name", "客户类型", "birth_date", "Shoe size"], {}
        )
        assert mapping == {
            "客户号": "number",
            "Full Name": "name",
            "客户类型": "kind",
            "birth_date": "birth_date",
        }

    def test_first_values_of_protected_columns_stay_masked(self, inside: Any, marketing: Any) -> None:
        tried = upload(marketing.actor, feed=FEEDS["customers"], file=as_file(FILE), now=NOW)
        shown = {c.header: c.samples for c in choices(tried)}
        assert shown["姓名"] == ["张伟明", "李娜"]
        assert shown["手机号"][0] == "1381•••5678"

    def test_the_last_choice_is_remembered(self, inside: Any, marketing: Any) -> None:
        tried = upload(marketing.actor, feed=FEEDS["customers"], file=as_file(FILE), now=NOW)
        mapping = {c.header: c.column for c in choices(tried)} | {"手机号": "", "备注": "address"}
        try_out(marketing.actor, batch_id=tried.pk, mapping=mapping)
        assert ColumnMapping.objects.get(header="备注").column == "address"
        again = upload(marketing.actor, feed=FEEDS["customers"], file=as_file(FILE), now=NOW)
        assert {c.header: c.column for c in choices(again)} == {
            "客户号": "number", "姓名": "name", "客户类型": "kind", "手机号": "", "备注": "address",
        }  # fmt: skip

    def test_a_needed_column_must_be_mapped(self, inside: Any, marketing: Any) -> None:
        tried = upload(marketing.actor, feed=FEEDS["customers"], file=as_file(FILE), now=NOW)
        with pytest.raises(Refused) as refusal:
            try_out(marketing.actor, batch_id=tried.pk, mapping={"客户号": "number", "姓名": "name"})
        assert refusal.value.code == "missing_column"


class TestFiles:
    def test_trying_out_writes_nothing_and_tells_what_would_happen(self, inside: Any, marketing: Any) -> None:
        tried = upload(marketing.actor, feed=FEEDS["customers"], file=as_file(FILE), now=NOW)
        try_out(marketing.actor, batch_id=tried.pk, mapping={c.header: c.column for c in choices(tried)})
        assert counts(process_batch(tried.pk)) == (2, 1, 0, 0, 1)
        assert not Customer.objects.exists()
        assert [(e.line, e.code) for e in tried.errors.all()] == [(3, "bad_phone")]

    def test_a_wrong_mapping_is_changed_without_another_upload(self, inside: Any, marketing: Any) -> None:
        wrong = FILE.replace("备注", "别名")
        tried = upload(marketing.actor, feed=FEEDS["customers"], file=as_file(wrong), now=NOW)
        try_out(marketing.actor, batch_id=tried.pk, mapping={c.header: c.column for c in choices(tried)})
        process_batch(tried.pk)
        again = map_again(marketing.actor, batch_id=tried.pk, now=NOW)
        mapping = {c.header: c.column for c in choices(again)} | {"手机号": ""}
        try_out(marketing.actor, batch_id=again.pk, mapping=mapping)
        assert counts(process_batch(again.pk)) == (2, 2, 0, 0, 0)
        with pytest.raises(Conflict):
            map_again(marketing.actor, batch_id=tried.pk, now=NOW)
        assert counts(process_batch(import_tried(marketing.actor, batch_id=again.pk, now=NOW).pk))[1] == 2

    def test_the_same_file_under_way_leaves_the_other_upload_its_file(
        self, inside: Any, marketing: Any
    ) -> None:
        first, second = (
            upload(marketing.actor, feed=FEEDS["customers"], file=as_file(FILE), now=NOW) for _time in "12"
        )
        for tried in (first, second):
            try_out(marketing.actor, batch_id=tried.pk, mapping={c.header: c.column for c in choices(tried)})
            process_batch(tried.pk)
        landing = import_tried(marketing.actor, batch_id=first.pk, now=NOW)
        with pytest.raises(Conflict):
            import_tried(marketing.actor, batch_id=second.pk, now=NOW)
        process_batch(landing.pk)
        late = process_batch(import_tried(marketing.actor, batch_id=second.pk, now=NOW).pk)
        assert counts(late) == (2, 0, 0, 1, 1)

    def test_import_and_its_error_file(self, inside: Any, marketing: Any) -> None:
        batch = imported(marketing.actor, FILE)
        assert counts(batch) == (2, 1, 0, 0, 1)
        assert "3,phone,bad_phone,Not a telephone number.,2,李娜" in "".join(rejected_csv(batch))

    def test_the_error_file_speaks_the_readers_language(
        self, house: Any, marketing: Any, client_for: Any
    ) -> None:
        with bank(house.id):
            batch = imported(marketing.actor, FILE)
        page = client_for(marketing).get(
            f"/customers/imports/{batch.pk}/errors/", headers={"accept-language": "zh-CN"}
        )
        said = b"".join(page.streaming_content).decode()
        assert "bad_phone" in said and "Not a telephone number." not in said

    def test_a_wrong_choice_is_answered_with_the_words_that_would_do(self) -> None:
        with translation.override("zh-hans"):
            said = message_of("bad_choice", {"choices": "personal, corporate, household"})
        assert "个人、公司、农户" in said

    def test_the_form_names_missing_columns_as_it_shows_them(self, inside: Any, marketing: Any) -> None:
        tried = upload(marketing.actor, feed=FEEDS["customers"], file=as_file(FILE), now=NOW)
        with translation.override("zh-hans"), pytest.raises(Refused) as refusal:
            try_out(marketing.actor, batch_id=tried.pk, mapping={"客户号": "number", "姓名": "name"})
        assert "客户类型" in str(refusal.value)

    def test_two_columns_of_one_header_are_told_apart_and_mapped(self, inside: Any, marketing: Any) -> None:
        file = "客户号,姓名,客户类型,手机号,手机号\n1,张伟明,personal,13812345678,13987654321\n"
        tried = upload(marketing.actor, feed=FEEDS["customers"], file=as_file(file), now=NOW)
        *_others, first, second = choices(tried)
        assert [(c.title, c.letter, c.column) for c in (first, second)] == [
            ("手机号", "D", "phone"),
            ("手机号", "E", ""),
        ]
        assert "13987654321" not in second.samples  # a telephone number, whatever becomes of it
        mapping = {c.header: c.column for c in choices(tried)} | {
            first.header: "phone_2",
            second.header: "phone",
        }
        try_out(marketing.actor, batch_id=tried.pk, mapping=mapping)
        process_batch(tried.pk)
        process_batch(import_tried(marketing.actor, batch_id=tried.pk, now=NOW).pk)
        phones = ContactPoint.objects.order_by("pk").values_list("tail", "position")
        assert sorted(phones) == [("4321", 1), ("5678", 2)]

    def test_gb18030_as_spreadsheets_save_it(self, inside: Any, marketing: Any) -> None:
        imported(marketing.actor, FILE.encode("gb18030"))
        assert Customer.objects.get().name == "张伟明"

    def test_a_workbook_with_dates_and_a_formula(self, inside: Any, marketing: Any) -> None:
        book = openpyxl.Workbook()
        book.active.append(["number", "name", "类型", "birth_date", "of no concern"])
        book.active.append([1001, "One", "personal", NOW.date(), "=A2*2"])
        book.active.append([1002, "=A1", "personal", None, ""])
        saved = io.BytesIO()
        book.save(saved)
        batch = imported(marketing.actor, saved.getvalue(), name="customers.xlsx")
        assert counts(batch) == (2, 1, 0, 0, 1)
        assert Customer.objects.get(number="1001").birth_date == NOW.date()
        refused = batch.errors.get()
        assert (refused.code, refused.field) == ("formula", "name")

    @pytest.mark.parametrize(
        ("content", "name", "code"),
        [
            (b"\xff\xfe\x00\x81\xff", "x.csv", "encoding"),
            (b"PK\x03\x04 not a zip", "x.xlsx", "not_xlsx"),
            (b"\n\n", "x.csv", "empty"),
        ],
        ids=["neither-encoding", "no-workbook", "empty"],
    )
    def test_refused(self, inside: Any, marketing: Any, content: bytes, name: str, code: str) -> None:
        with pytest.raises(Refused) as refusal:
            upload(marketing.actor, feed=FEEDS["customers"], file=as_file(content, name), now=NOW)
        assert refusal.value.code == code

    def test_a_file_of_two_encodings_is_told_where_it_is_neither(self, inside: Any, marketing: Any) -> None:
        mixed = FILE.encode("gb18030") + b"9,\xff,personal\n"
        with pytest.raises(Refused, match="Line 1, byte 1 is not UTF-8, and line 4, byte 3 is not GB18030"):
            upload(marketing.actor, feed=FEEDS["customers"], file=as_file(mixed, "x.csv"), now=NOW)

    def test_what_a_spreadsheet_would_run_is_disarmed(self) -> None:
        assert safe_cell("=1+1") == "'=1+1"
        assert safe_cell("@SUM(A1)") == "'@SUM(A1)"
        assert safe_cell("-12.50") == "-12.50"
        assert safe_cell("+8613812345678") == "+8613812345678"


class TestUndo:
    def test_new_rows_go_and_changed_ones_come_back(
        self, inside: Any, marketing: Any, deliver: Deliver
    ) -> None:
        deliver("customers", "number,name,kind,phone\n1,张大明,personal,13911112222\n")
        before = set(SearchToken.objects.values_list("token", flat=True))
        batch = imported(marketing.actor, FILE.replace("2,李娜,personal,123", "2,李娜,personal,13800001111"))
        assert counts(batch)[1:3] == (1, 1)
        undo_import(marketing.actor, batch_id=batch.pk, now=NOW)
        one = Customer.objects.get()
        assert (one.name, one.name_sort) == ("张大明", "zhang da ming")
        assert ContactPoint.objects.get().tail == "2222"
        assert set(SearchToken.objects.values_list("token", flat=True)) == before
        assert Standing.objects.count() == 1
        batch.refresh_from_db()
        assert batch.status == "undone"

    def test_refused_with_the_list_when_rows_changed_since(
        self, inside: Any, marketing: Any, deliver: Deliver
    ) -> None:
        batch = imported(marketing.actor, FILE)
        deliver("customers", "number,name,kind\n1,王小明,personal\n")
        with pytest.raises(UndoRefused) as refusal:
            undo_import(marketing.actor, batch_id=batch.pk, now=NOW)
        assert [(row.what, row.why) for row in refusal.value.rows] == [("1 张伟明", "changed since")]
        assert Customer.objects.get().name == "王小明"

    def test_refused_when_rows_are_in_use(self, inside: Any, marketing: Any, deliver: Deliver) -> None:
        batch = imported(marketing.actor, FILE)
        deliver("accounts", "number,owner,currency,opened_date\nA1,1,CNY,2020-01-01\n")
        with pytest.raises(UndoRefused) as refusal:
            undo_import(marketing.actor, batch_id=batch.pk, now=NOW)
        assert ("1 张伟明", "in use by Account") in [(row.what, row.why) for row in refusal.value.rows]

    def test_refused_when_history_refers_to_a_customer(self, inside: Any, marketing: Any) -> None:
        """Tier history's keys are no constraints of the catalogue: triggers check them (decision record 0007)."""
        batch = imported(marketing.actor, FILE)
        ensure_default_policies()
        TierHistory.objects.create(
            customer=Customer.objects.get(number="1"), policy=TierPolicy.objects.all()[0], scheme="value", rank=1,
            from_date=NOW.date(), **dict.fromkeys(("deposits_adb", "deposits_balance", "loans", "aum"), 0),
        )  # fmt: skip
        with pytest.raises(UndoRefused) as refusal:
            undo_import(marketing.actor, batch_id=batch.pk, now=NOW)
        customer = Customer.objects.get()
        assert [(row.what, row.why, row.customer_id) for row in refusal.value.rows] == [
            ("1 张伟明", "in use by what has been worked out since", customer.pk)
        ]

    @pytest.mark.parametrize(
        ("column", "what"),
        [("phone", "1 张伟明 · Phone or e-mail"), ("phone_2", "1 张伟明")],
        ids=["corrected", "added"],
    )
    def test_refused_when_a_new_customer_is_reached_otherwise_by_now(
        self, column: str, what: str, inside: Any, marketing: Any, deliver: Deliver
    ) -> None:
        """The customer's own row is as imported, but undoing would lose what somebody has learnt since."""
        batch = imported(marketing.actor, FILE)
        deliver("customers", f"number,name,kind,{column}\n1,张伟明,personal,13911112222\n")
        with pytest.raises(UndoRefused) as refusal:
            undo_import(marketing.actor, batch_id=batch.pk, now=NOW)
        assert (what, "changed since") in [(row.what, row.why) for row in refusal.value.rows]
        assert "2222" in ContactPoint.objects.values_list("tail", flat=True)

    def test_imported_contacts(self, inside: Any, marketing: Any, deliver: Deliver) -> None:
        deliver("customers", "number,name,kind\n1,张大明,personal\n")
        rows = "客户号,渠道,时间,客户经理,内容\n1,visit,2024-06-01 10:00,老王,谈了贷款\n"
        batch = imported(marketing.actor, rows, feed="interactions")
        contact = Interaction.objects.get()
        assert (contact.author_name, contact.at.isoformat()) == ("老王", "2024-06-01T02:00:00+00:00")
        undo_import(marketing.actor, batch_id=batch.pk, now=NOW)
        assert not Interaction.objects.exists()


def test_a_trial_lists_every_rejected_row_and_says_how_far_it_is(
    house: Any, marketing: Any, client_for: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "WATCHED_ROWS", 100)
    body = "number,name,kind\n" + "".join(f"{n},,personal\n" for n in range(150))
    heard: list[tuple[int, int]] = []
    with bank(house.id):
        batch = upload(marketing.actor, feed=FEEDS["customers"], file=as_file(body), now=NOW)
        try_out(marketing.actor, batch_id=batch.pk, mapping={n: n for n in ("number", "name", "kind")})
        process_batch(batch.pk, progress=lambda done, total: heard.append((done, total)))
    assert [done for done, _total in heard] == [20, 150]
    desk = client_for(marketing)
    file = b"".join(desk.get(f"/customers/imports/{batch.pk}/errors/").streaming_content).decode()
    assert len(file.splitlines()) == 1 + 150
    assert "of this trial" not in desk.get(f"/customers/imports/{batch.pk}/").content.decode()
    monkeypatch.setattr("customers.ingest.selectors.FIRST_ERRORS", 150)
    assert "of this trial" in desk.get(f"/customers/imports/{batch.pk}/").content.decode()


def test_the_walk_through_the_pages(house: Any, marketing: Any, client_for: Any) -> None:
    desk: Client = client_for(marketing)
    page = desk.get("/customers/imports/").content.decode()
    assert re.findall('rail-item" href="([^"]+)" aria-current', page) == ["/customers/imports/"]
    answer = desk.post("/customers/imports/new/", {"feed": "customers", "file": as_file(FILE)})
    assert answer.status_code == 302
    page = desk.get(answer.url).content.decode()
    assert "客户号" in page
    fields = {
        "header": ["客户号", "姓名", "客户类型", "手机号", "备注"],
        "column": ["number", "name", "kind", "phone", ""],
    }
    assert desk.post(f"{answer.url}try/", {**fields, "column": ["number", "", "", "", ""]}).status_code == 422
    assert desk.post(f"{answer.url}try/", fields).status_code == 302
    assert desk.post(f"{answer.url}try/", fields).status_code == 409
    assert "hx-get" in desk.get(f"{answer.url}progress/").content.decode()
    with bank(house.id):
        process_batch(Batch.objects.get().pk)
    assert desk.get(f"{answer.url}progress/")["HX-Refresh"] == "true"
    assert "Not a telephone number." in desk.get(answer.url).content.decode()
    run = desk.post(f"{answer.url}run/")
    assert desk.post(f"{answer.url}run/").status_code == 409
    with bank(house.id):
        process_batch(Batch.objects.latest("id").pk)
    assert "bad_phone" in b"".join(desk.get(f"{run.url}errors/").streaming_content).decode()
    assert desk.post(f"{run.url}undo/").status_code == 302
    assert desk.post(f"{run.url}undo/").status_code == 409
    with bank(house.id):
        assert not Customer.objects.exists()


def test_uploads_ask_for_the_permission(house: Any, rm: Any, client_for: Any) -> None:
    assert client_for(rm).get("/customers/imports/").status_code == 403


def test_the_same_rules_as_the_api(inside: Any, marketing: Any) -> None:
    content = "number,name,kind,birth_date\n1,One,personal,1990-02-30\n2,Two,alien,\n"
    by_api = receive(
        actor=system_actor(inside.id, "test"),
        feed=FEEDS["customers"],
        chunks=[content.encode()],
        source="api",
        now=NOW,
    )
    process_batch(by_api.pk)
    by_page = imported(marketing.actor, content)
    assert list(by_api.errors.values_list("line", "field", "code")) == list(
        by_page.errors.values_list("line", "field", "code")
    )


def test_an_address_of_a_form_leads_back_to_its_page(house: Any, marketing: Any, client_for: Any) -> None:
    answer = client_for(marketing).get("/customers/imports/7/try/")
    assert (answer.status_code, answer["Allow"]) == (405, "POST")
    assert 'href="/customers/imports/7/"' in answer.content.decode()
    assert (
        client_for(marketing).get("/customers/imports/7/try/", headers={"HX-Request": "true"}).status_code
        == 405
    )


@pytest.mark.parametrize(
    ("path", "above"),
    [("/settings/me/sessions/3/end/", "/settings/me/"), ("/jobs/start/", "/jobs/"), ("/preferences/", "/")],
)
def test_the_nearest_page(path: str, above: str) -> None:
    assert nearest_page(path) == above
