"""An examiner comes from an entry of the record to what it is about."""

from __future__ import annotations

from collections.abc import Callable
from zoneinfo import ZoneInfo

from django.test import Client

from crm_site.audit.models import Entry
from crm_site.audit.services import record
from crm_site.lib import formats
from crm_site.lib.tenancy import bank
from tests.conftest import House, Person
from tests.credit_rating import desk as tables
from tests.credit_rating.desk import a_case, say
from tests.credit_rating.lines import a_line

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
