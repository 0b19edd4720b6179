"""An examiner's morning: what was read or changed out of the ordinary, and until when the record is sealed."""

from __future__ import annotations

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from crm_site.accounts.models import OrgUnit
from crm_site.audit import examining
from crm_site.audit.engine import Acts, outliers
from crm_site.audit.models import Entry
from crm_site.audit.services import check, record, seal
from crm_site.lib.permissions import Role
from crm_site.lib.tenancy import act_as, bank
from tests.audit.test_record import _superuser as superuser
from tests.conftest import NOW, TODAY, build_house, hire
from tests.customers import factories

ZONE = ZoneInfo("Asia/Shanghai")


def test_who_reveals_more_than_colleagues_stands_out_and_alone_is_measured_by_the_least() -> None:
    roles = {"teller": [1, 2, 3], "president": [9]}
    found = outliers([Acts(1, revealed=12), Acts(2, revealed=3), Acts(9, revealed=5)], roles)
    assert [(one.acts.staff_id, one.usual, one.reasons) for one in found] == [
        (1, 1.5, ["revealed"]),
        (9, None, ["revealed"]),
    ]
    assert found[0].times == 8


def test_as_many_as_colleagues_or_few_is_nothing_to_see() -> None:
    busy = [Acts(one, revealed=20) for one in (1, 2, 3)]
    assert outliers([*busy, Acts(4, revealed=4)], {"teller": [1, 2, 3], "risk": [4, 5]}) == []


def test_who_has_more_reasons_comes_first() -> None:
    found = outliers(
        [Acts(1, revealed=90), Acts(2, revealed=6, rows=5_000, outside=6), Acts(3, locked=1)], {}
    )
    assert [one.acts.staff_id for one in found] == [2, 1, 3]
    assert found[0].reasons == ["revealed", "rows", "outside"]


@pytest.fixture
def morning(house: Any, rm: Any, teller: Any) -> Any:
    """One manager opened seven documents of a customer; a colleague did nothing."""
    hire(house, "colleague", Role.RELATIONSHIP_MANAGER, house.north)
    with bank(house.id):
        act_as(rm.actor)
        customer = factories.make_customer("Ye Lan", number="C77", responsible=rm.staff)
        for _each in range(7):
            record(rm.actor, "reveal", "customers_identifier", customer_id=customer.pk, reason="opened")
        record(rm.actor, "export", "customers_exportrecord", changes={"rows": 1_200})
    return customer


def table(client: Any, asked: dict[str, str]) -> str:
    html = client.get("/audit/", asked).content.decode()
    return str(html[html.index('id="entry-table"') : html.index("</main>")])


def main_part(html: str) -> str:
    return html[html.index("<main") : html.index("</main>")]


def test_an_examiner_comes_home_to_who_stands_out(
    morning: Any, auditor: Any, administrator: Any, rm: Any, teller: Any, client_for: Any
) -> None:
    page = main_part(client_for(auditor).get("/").content.decode())
    assert (
        rm.staff.name in page and "Nobody else of the role revealed any" in page and "Much exported" in page
    )
    assert f"person={teller.staff.number}" not in page
    assert f"&amp;person={rm.staff.number}&amp;action=reveal" in page
    # The bank's figures stay one press away; nobody else's home moved.
    assert 'href="/relationship/bank/"' in client_for(auditor).get("/").content.decode()
    assert "People who stand out" not in client_for(administrator).get("/").content.decode()


def test_each_figure_opens_the_entries_behind_it(
    morning: Any, auditor: Any, rm: Any, client_for: Any
) -> None:
    client = client_for(auditor)
    asked = {"since": "2026-01-01", "person": rm.staff.number, "action": "read"}
    assert table(client, asked).count("data-row-open") == 8
    assert table(client, {**asked, "action": "reveal"}).count("data-row-open") == 7
    rights = table(client, {"watch": "rights"})
    assert "Role granted" in rights and "Identity document" not in rights
    assert "data-row-open" not in table(client, {"watch": "moved"})


def test_hours_are_the_banks_own(house: Any, morning: Any, auditor: Any, rm: Any) -> None:
    """Friday 18:59 and 20:00 in Shanghai, and noon of the Saturday after."""
    with bank(house.id), connection.cursor() as cursor:
        since = dt.datetime(2026, 11, 1, tzinfo=ZONE)
        for at in ("2026-11-20 10:59+00", "2026-11-20 12:00+00", "2026-11-21 04:00+00"):
            cursor.execute(
                "insert into audit_entry (bank_id, at, tx, actor_kind, actor_id, actor_label, action, object_table) "
                "values (%s, %s, banyan_record_tx(), 'staff', %s, 'x', 'locate', 'customers_customer')",
                [house.id, at, rm.staff.pk],
            )
        now = dt.datetime(2026, 11, 22, tzinfo=ZONE)
        seen = examining.readings(auditor.actor, since=since, now=now, day=TODAY, zone=ZONE, shown=8)
    assert (seen.total.located, seen.total.outside) == (3, 2)


def test_nobody_stands_out_is_said_with_a_way_on(auditor: Any, client_for: Any) -> None:
    page = main_part(client_for(auditor).get("/audit/home/?days=30").content.decode())
    assert "Nobody stands out in this period." in page and "&amp;action=read" in page


def test_a_morning_costs_ten_statements(house: Any, morning: Any, auditor: Any) -> None:
    now, actor = dt.datetime.now(dt.UTC), auditor.actor
    since = now - dt.timedelta(days=7)
    with bank(house.id), CaptureQueriesContext(connection) as captured:
        examining.sealing(actor, now)
        examining.readings(actor, since=since, now=now, day=TODAY, zone=ZONE, shown=8)
        examining.sightings(actor, since)
        examining.rights(actor, since)
    assert len(captured) <= 9  # and the bell of the page's head


@pytest.mark.django_db(transaction=True)
def test_a_check_of_the_newest_seals_is_on_the_record_and_finds_what_was_changed(
    settings: Any, tmp_path: Any
) -> None:
    settings.DATA_DIR = tmp_path
    house = build_house("alpha")
    auditor = hire(house, "auditor", Role.AUDITOR, house.head_office)
    with bank(house.id):
        assert examining.sealing(auditor.actor, NOW).checked is None
    seal(house.id, NOW)
    with bank(house.id):
        OrgUnit.objects.filter(code="S").update(name="Southern")
        entry = Entry.objects.latest("id")
    seal(house.id, NOW)
    newest = check(auditor.actor, at_most=1)
    assert (newest.first, newest.seals, newest.entries, newest.broken) == (2, 2, 1, "")
    with bank(house.id):
        found = examining.sealing(auditor.actor, dt.datetime.now(dt.UTC))
    assert found.outcome == {"first_seal": 2, "last_seal": 2, "entries": 1}
    assert found.waiting == 1 and not found.is_late
    superuser(f"update audit_entry set reason = 'x' where bank_id = {house.id} and id = {entry.id}")
    assert check(auditor.actor, at_most=1).entry_id == entry.id
    with bank(house.id):
        assert examining.sealing(auditor.actor, NOW).outcome["entry"] == entry.id
    superuser(f"delete from audit_seal where bank_id = {house.id} and seq = 1")
    gone = check(auditor.actor, at_most=1)
    assert (gone.seals, gone.broken) == (0, "seal 1 is missing")


def test_a_check_is_asked_for_by_pressing(morning: Any, auditor: Any, client_for: Any) -> None:
    client = client_for(auditor)
    assert "nobody has verified this record yet" in main_part(client.get("/").content.decode())
    assert client.post("/audit/check/").status_code == 302
    assert "holds" in main_part(client.get("/").content.decode())
