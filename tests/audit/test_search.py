"""The record is searched in the words people have: customer numbers, staff numbers, names of things."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.apps import apps
from django.db.models import Model

from crm_site.accounts.models import RoleGrant, Staff
from crm_site.accounts.services import create_api_client, revoke_api_client
from crm_site.audit import column_names
from crm_site.audit.models import Entry
from crm_site.audit.selectors import changed_fields, object_url
from crm_site.audit.services import record
from crm_site.audit.subjects import NAMES
from crm_site.audit.triggers import audited_tables
from crm_site.lib.tenancy import act_as, bank
from customers.models import Customer, ExportRecord
from tests.conftest import NOW
from tests.customers import factories


def test_every_audited_table_has_a_name_for_the_reader() -> None:
    assert not [table for table in audited_tables() if table not in NAMES]


@pytest.fixture
def seen(house: Any, rm: Any) -> Model:
    """A customer whose identity document the manager read."""
    with bank(house.id):
        act_as(rm.actor)
        customer = factories.make_customer(
            "Ye Lan", number="C77", responsible=rm.staff, home_branch=house.north
        )
        record(rm.actor, "reveal", "customers_identifier", key=7, customer_id=customer.pk, reason="opened")
    return customer


def test_who_saw_this_customers_document_is_found_by_the_customers_number(
    seen: Any, auditor: Any, rm: Any, client_for: Any
) -> None:
    page = client_for(auditor).get("/audit/", {"customer": "C77", "action": "reveal"}).content.decode()
    assert rm.staff.name in page and "opened" in page and "Identity document" in page
    assert f"/customers/{seen.pk}/" in page


def test_an_entry_leads_to_the_page_of_what_it_is_about(
    house: Any, administrator: Any, rm: Any, client_for: Any
) -> None:
    """A role granted: to the person who holds it. Only who may open that page gets the link."""
    with bank(house.id):
        act_as(administrator.actor)
        grant = RoleGrant.objects.filter(staff=rm.staff)[0]
        record(administrator.actor, "decide", "accounts_rolegrant", key=grant.pk)
        entry = Entry.objects.get(action="decide", object_table="accounts_rolegrant", object_id=grant.pk)
        address = f"/settings/staff/{rm.staff.pk}/"
        assert object_url(administrator.actor, entry) == address
        assert object_url(rm.actor, entry) == ""
    assert address in client_for(administrator).get(f"/audit/{entry.id}/").content.decode()


def test_an_entry_of_a_machine_client_or_an_export_leads_into_its_list(
    house: Any, administrator: Any, auditor: Any, rm: Any, client_for: Any
) -> None:
    with bank(house.id):
        act_as(rm.actor)
        log = [ExportRecord.objects.create(staff=rm.staff, at=NOW, what="customers", rows=n) for n in (7, 8)]
        record(rm.actor, "export", "customers_exportrecord", key=log[0].pk)
        act_as(administrator.actor)
        made = create_api_client(administrator.actor, name="core", scopes=["customers:read"])
        entry = Entry.objects.get(object_table="allauth_idp_oidc_client", action="insert")
        export = Entry.objects.get(object_table="customers_exportrecord", action="export")
        addresses = object_url(administrator.actor, entry), object_url(auditor.actor, export)
    for person, address, name in zip(
        (administrator, auditor), addresses, (made.client_id, export.object_id), strict=True
    ):
        page, _mark, row = address.partition("#")
        assert row.endswith(f"-{name}")
        assert f'<tr id="{row}">' in client_for(person).get(page).content.decode()
    with bank(house.id):
        revoke_api_client(administrator.actor, client_id=made.client_id)
        assert object_url(administrator.actor, entry) == ""


def found(client: Any, asked: dict[str, str]) -> str:
    """The record's own part of the page: what all pages share speaks of opening as well."""
    page = client.get("/audit/", asked).content.decode()
    return str(page[page.index("<main") : page.index("</main>")])


def test_what_one_person_did_is_found_by_his_staff_number(
    seen: Any, auditor: Any, administrator: Any, rm: Any, client_for: Any
) -> None:
    client = client_for(auditor)
    assert "opened" in found(client, {"person": rm.staff.number})
    assert "opened" not in found(client, {"person": administrator.staff.number})


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"customer": "C78"}, "No customer has this number."),
        ({"person": "x"}, "Nobody has this staff number."),
    ],
)
def test_an_unknown_number_finds_nothing_and_says_so(
    seen: Any, auditor: Any, client_for: Any, asked: dict[str, str], said: str
) -> None:
    page = found(client_for(auditor), asked)
    assert said in page and "opened" not in page


def test_an_administrator_learns_what_changed_of_a_customer_but_not_its_data(
    house: Any, seen: Any, administrator: Any, auditor: Any, client_for: Any
) -> None:
    with bank(house.id):
        entry = Entry.objects.filter(object_table="customers_customer", action="insert").latest("id")
    shut = client_for(administrator).get(f"/audit/{entry.id}/").content.decode()
    assert "<td>Name</td>" in shut and "Ye Lan" not in shut and "C77" in shut
    assert "Ye Lan" in client_for(auditor).get(f"/audit/{entry.id}/").content.decode()


def test_an_administrator_still_reads_what_changed_of_the_staff(
    house: Any, administrator: Any, rm: Any
) -> None:
    with bank(house.id):
        Staff.objects.filter(pk=rm.staff.pk).update(name="Renamed")
        entry = Entry.objects.filter(object_table="accounts_staff", action="update").latest("id")
        said = {
            field.name: field.after for field in changed_fields(administrator.actor, entry, currency="CNY")
        }
    assert said["Name"] == "Renamed"


def test_every_column_of_an_audited_table_has_a_name_for_the_reader() -> None:
    models = [model for model in apps.get_models() if model._meta.db_table in audited_tables()]
    names = {field.column for model in models for field in model._meta.concrete_fields}
    assert not sorted(names - set(column_names.NAMES) - {"bank_id", "id", "changed_at"})


def test_a_change_reads_in_words_with_names_labels_and_amounts(
    house: Any, rm: Any, rm_other_branch: Any, auditor: Any, client_for: Any
) -> None:
    with bank(house.id):
        one = factories.make_customer("Ye Lan", responsible=rm.staff, kind="corporate")
        Customer.objects.filter(pk=one.pk).update(responsible=rm_other_branch.staff, status="dormant")
        moved = Entry.objects.filter(object_table="customers_customer", action="update").latest("id")
        said = {f.name: (f.before, f.after) for f in changed_fields(auditor.actor, moved, currency="CNY")}
        assert said["Responsible person"] == (rm.staff.name, rm_other_branch.staff.name)
        assert said["Status"] == ("Active", "Dormant")
        factories.make_loan(one, outstanding=Decimal("1234567.80"))
        lent = Entry.objects.filter(object_table="customers_loan", action="insert").latest("id")
        said = {f.name: (f.before, f.after) for f in changed_fields(auditor.actor, lent, currency="CNY")}
    assert said["Outstanding"] == ("–", "CNY 1,234,567.80")
    assert said["Customer"] == ("–", "Ye Lan")
    html = client_for(auditor).get(f"/audit/{moved.id}/").content.decode()
    assert "Responsible person" in html and "responsible_id" not in html
