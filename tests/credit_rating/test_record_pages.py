"""An examiner comes from an entry of the record to what it is about."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from zoneinfo import ZoneInfo

from django.test import Client

from credit_rating.selectors.calculations import Terms
from credit_rating.services.calculations import save_calculation
from crm_site.audit.models import Entry
from crm_site.audit.services import record
from crm_site.lib import formats
from crm_site.lib.tenancy import bank
from tests.conftest import NOW, TODAY, House, Person
from tests.credit_rating import book
from tests.credit_rating import desk as tables
from tests.credit_rating.desk import Desk, a_case, say
from tests.credit_rating.lines import a_line, a_product

CASE_TABLES = [
    f"credit_rating_{name}"
    for name in (
        "creditcase",
        "opinion",
        "casecondition",
        "casecopy",
        "casedossier",
        "casefile",
        "casemaker",
        "caseseat",
    )
]
D = Decimal
SignIn = Callable[[Person], Client]


def test_an_entry_names_its_second_and_opens_what_it_is_about(
    house: House, auditor: Person, administrator: Person, client_for: SignIn
) -> None:
    with bank(house.id):
        line = a_line(house)
        for key in (line.pk, 10**9):
            record(auditor.actor, "decide", "credit_rating_creditline", key=key)
        entry, lost = Entry.objects.filter(action="decide", object_table="credit_rating_creditline").order_by(
            "id"
        )
    examiner = client_for(auditor)
    page = examiner.get(f"/audit/{entry.id}/").content.decode()
    assert f'href="/credit/lines/{line.pk}/"' in page
    at = entry.at.astimezone(ZoneInfo(house.bank.timezone))
    assert f"{formats.day(at)} {at:%H:%M:%S}" in page
    # Gone, or not for this reader: no link that leads nowhere.
    assert "/credit/lines/" not in examiner.get(f"/audit/{lost.id}/").content.decode()
    assert "/credit/lines/" not in client_for(administrator).get(f"/audit/{entry.id}/").content.decode()


def test_everything_of_one_case_is_found_by_its_number(
    house: House, desk: Desk, auditor: Person, administrator: Person, client_for: SignIn
) -> None:
    with bank(house.id):
        book.add_statements(desk.customer)
        book.collect(desk.rm.actor, desk.customer)
        first, second = (
            save_calculation(
                desk.rm.actor, customer=desk.customer, terms=Terms("A", 12, D(asked)), day=TODAY, now=NOW
            )
            for asked in (3_000_000, 2_000_000)
        )
        case = a_case(desk, calculation_id=first.pk)
        say(desk.manager, case, "conditional")
        other = a_case(desk, product=a_product("other"))
        entries = Entry.objects.exclude(object_id=None)
        of = {
            (e.object_table, e.object_id)
            for e in entries.filter(object_table__in=CASE_TABLES)
            if (e.object_table, e.object_id) == ("credit_rating_creditcase", case.pk)
            or (e.changes or {}).get("case_id") == case.pk
        }
    examiner = client_for(auditor)
    shown = examiner.get("/audit/", {"case": case.number.lower()})
    found = {(row.entry.object_table, row.entry.object_id) for row in shown.context["rows"]}
    assert {table for table, _key in of} >= {"credit_rating_opinion", "credit_rating_casecondition"}
    assert of | {("credit_rating_linecalculation", first.pk)} == found
    assert ("credit_rating_linecalculation", second.pk) not in found
    assert f'?case={case.number}"' in examiner.get(f"/credit/cases/{case.pk}/").content.decode()
    narrowed = examiner.get("/audit/", {"case": other.number, "object_table": "credit_rating_opinion"})
    assert list(narrowed.context["rows"]) == []  # nobody has said anything of it
    for reader, number in (
        (examiner, "SX-1999-0001"),
        (examiner, "x"),
        (client_for(administrator), case.number),
    ):
        refused = reader.get("/audit/", {"case": number})
        assert "No case that you may see has this number." in refused.content.decode()
        assert list(refused.context["rows"]) == []


def test_an_opinion_leads_to_its_case(house: House, auditor: Person, client_for: SignIn) -> None:
    desk = tables.staffed(house)
    with bank(house.id):
        desk = tables.with_customer(desk)
        case = a_case(desk)
        opinion = say(desk.manager, case)
        entry = Entry.objects.get(object_table="credit_rating_opinion", object_id=opinion.pk, action="insert")
    assert (
        f'href="/credit/cases/{case.pk}/"' in client_for(auditor).get(f"/audit/{entry.id}/").content.decode()
    )
