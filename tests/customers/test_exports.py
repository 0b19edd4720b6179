"""Exports: permitted, with a purpose, on the record, masked, harmless in a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal
from typing import Any

import pytest
from openpyxl import load_workbook

from crm_site.audit.models import Entry
from crm_site.lib.tenancy import bank
from customers.models import ExportRecord
from customers.services.exports import harmless
from tests.customers import factories

RUN = "/customers/export/run/"
RESIDENT_ID = "11010519491231002X"
PHONE = "+8613812346021"


def rows_of(answer: Any) -> list[dict[str, str]]:
    text = b"".join(answer.streaming_content).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text)))


def typed(**more: Any) -> dict[str, Any]:
    return {"purpose": "Quarterly review", "format": "csv", **more}


def test_an_export_is_masked_and_on_the_record(
    portfolio: Any, branch_manager: Any, house: Any, client_for: Any
) -> None:
    with bank(house.id):
        factories.add_identifier(portfolio["lu"], RESIDENT_ID)
        factories.add_phone(portfolio["lu"], PHONE)
    answer = client_for(branch_manager).post(RUN, typed())
    assert answer["Content-Disposition"].startswith("attachment")
    rows = rows_of(answer)
    assert {row["Customer name"] for row in rows} == {"陆思远", "Acme Tools Ltd", "沈志强"}
    lu = next(row for row in rows if row["Customer name"] == "陆思远")
    assert (lu["Deposits, ADB"], lu["Tier"]) == ("1200000.00", "High")
    assert lu["Phone"].endswith("•6021")
    assert PHONE not in str(rows)
    assert RESIDENT_ID not in str(rows)
    with bank(house.id):
        record = ExportRecord.objects.get()
        assert (record.rows, record.purpose, record.staff_id) == (
            3,
            "Quarterly review",
            branch_manager.staff.pk,
        )
        entry = Entry.objects.get(action="export")
        assert (entry.reason, entry.changes["rows"]) == ("Quarterly review", 3)


def test_only_selected_and_only_seen(portfolio: Any, rm: Any, client_for: Any) -> None:
    ids = [portfolio["acme"].pk, portfolio["far"].pk]
    rows = rows_of(client_for(rm).post(RUN, typed(selected=ids)))
    assert [row["Customer name"] for row in rows] == ["Acme Tools Ltd"]


def test_the_lists_filter_applies(portfolio: Any, rm: Any, client_for: Any) -> None:
    condition = json.dumps({"fact": "value_tier", "op": "=", "value": "high"})
    assert [row["Customer name"] for row in rows_of(client_for(rm).post(RUN, typed(c=condition)))] == [
        "陆思远"
    ]


@pytest.mark.parametrize("sort", ["-deposits_adb", "deposits_adb", "name"])
def test_the_rows_stand_as_in_the_list(
    sort: str, portfolio: Any, branch_manager: Any, client_for: Any
) -> None:
    desk = client_for(branch_manager)
    names = [row["Customer name"] for row in rows_of(desk.post(RUN, typed(sort=sort)))]
    page = desk.get("/customers/", {"sort": sort}).content.decode()
    page = page[page.index("<tbody") :]
    assert names == sorted(names, key=page.index)
    assert len(names) == 3


@pytest.mark.parametrize("wrong", [{"purpose": ""}, {"purpose": "x"}, {"format": "pdf"}, {"c": "{"}])
def test_an_export_that_cannot_be_made_says_why(
    wrong: Any, portfolio: Any, rm: Any, house: Any, client_for: Any
) -> None:
    assert client_for(rm).post(RUN, typed(**wrong)).status_code == 422
    with bank(house.id):
        assert not ExportRecord.objects.exists()


@pytest.mark.parametrize(
    ("who", "status"),
    [("teller", 403), ("line_department", 403), ("president", 403), ("administrator", 403), ("marketing", 200), ("outsider", 200)],
)  # fmt: skip
def test_who_may_export(
    who: str, status: int, request: pytest.FixtureRequest, portfolio: Any, client_for: Any
) -> None:
    client = client_for(request.getfixturevalue(who))
    assert client.get("/customers/export/").status_code == status
    answer = client.post(RUN, typed())
    assert answer.status_code == status
    if who == "outsider":
        assert rows_of(answer) == []


def test_cells_cannot_run(portfolio: Any, rm: Any, house: Any, client_for: Any) -> None:
    with bank(house.id):
        for bad in ("=HYPERLINK(1)", "+1", "-1", "@sum", "\t=1", "\r=1"):
            factories.make_customer(bad, responsible=rm.staff)
    client = client_for(rm)
    names = [row["Customer name"] for row in rows_of(client.post(RUN, typed()))]
    assert len(names) == 8
    assert not [name for name in names if name.startswith(("=", "+", "-", "@", "\t", "\r"))]
    book = load_workbook(io.BytesIO(b"".join(client.post(RUN, typed(format="xlsx")).streaming_content)))
    cells = [cell for row in book.active.iter_rows() for cell in row]
    assert not [cell.value for cell in cells if cell.data_type == "f"]
    assert Decimal(str(book.active["H2"].value)) == Decimal(1_200_000)
    assert harmless(Decimal(-5)) == Decimal(-5)


def test_the_export_log(portfolio: Any, rm: Any, branch_manager: Any, auditor: Any, client_for: Any) -> None:
    b"".join(client_for(rm).post(RUN, typed(purpose="Mine alone")).streaming_content)
    for person, sees in ((rm, True), (branch_manager, False), (auditor, True)):
        assert ("Mine alone" in client_for(person).get("/customers/exports/").content.decode()) is sees
