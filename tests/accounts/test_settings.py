"""Settings pages: organisation, staff, grades, machine clients; and what is shown once."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client, RequestFactory

from crm_site.accounts.middleware import RequestLogMiddleware
from crm_site.accounts.models import GradeCapacity, OrgUnit, Staff
from crm_site.accounts.selectors import staff_page, unit_tree
from crm_site.accounts.services import add_unit, change_staff, change_unit, close_unit, create_api_client
from crm_site.accounts.services.staff import CHANGEABLE, deactivate_staff
from crm_site.lib.errors import Conflict, DomainError
from crm_site.lib.tenancy import bank
from tests.conftest import NOW, TODAY, House, Person


@pytest.fixture
def desk(administrator: Person, client_for: Callable[[Person], Client]) -> Client:
    return client_for(administrator)


def test_a_unit_is_added_in_its_place(house: House, desk: Client, administrator: Person) -> None:
    sent = {"code": "S1", "name": "South One", "kind": "sub_branch", "parent": house.south.pk, "region": ""}
    assert desk.post("/settings/organisation/new/", sent).status_code == 302
    again = desk.post("/settings/organisation/new/", sent)
    assert again.status_code == 422
    assert "This code is taken" in again.content.decode()
    with bank(house.id):
        assert [(r.unit.code, r.depth) for r in unit_tree(administrator.actor)] == [
            ("HO", 0), ("N", 1), ("N1", 2), ("S", 1), ("S1", 2),
        ]  # fmt: skip


def test_units_stand_in_the_order_people_count(inside: House, administrator: Person) -> None:
    for code in ("N-10", "N-2", "10", "2"):
        kind, parent = ("sub_branch", inside.north) if "-" in code else ("branch", inside.head_office)
        add_unit(administrator.actor, code=code, name=code, kind=kind, parent_id=parent.pk)
    codes = [row.unit.code for row in unit_tree(administrator.actor)]
    assert codes == ["HO", "2", "10", "N", "N1", "N-2", "N-10", "S"]


def test_units_move_with_what_is_below_and_never_below_themselves(
    inside: House, administrator: Person
) -> None:
    actor = administrator.actor
    with pytest.raises(DomainError):
        add_unit(actor, code="X", name="X", kind="sub_branch", parent_id=inside.head_office.pk)
    moved = change_unit(
        actor, unit_id=inside.north_sub.pk, name="North One", region="", parent_id=inside.south.pk,
        seen=("North One", "", inside.north.pk),
    )  # fmt: skip
    south = OrgUnit.objects.get(pk=inside.south.pk)
    assert south.lft < moved.lft < moved.rgt < south.rgt
    with pytest.raises(DomainError):
        change_unit(
            actor, unit_id=inside.north.pk, name="North", region="", parent_id=inside.north.pk,
            seen=("North", "", inside.head_office.pk),
        )  # fmt: skip
    with pytest.raises(Conflict):
        change_unit(
            actor, unit_id=inside.north.pk, name="N", region="", parent_id=inside.head_office.pk,
            seen=("Nord", "", inside.head_office.pk),
        )  # fmt: skip


def test_a_unit_in_use_stays_open(inside: House, administrator: Person, rm: Person) -> None:
    with pytest.raises(DomainError) as refused:
        close_unit(administrator.actor, unit_id=inside.north.pk)
    assert "open units below" in refused.value.message
    assert "active staff" in refused.value.message
    assert not close_unit(administrator.actor, unit_id=inside.north_sub.pk).is_open


def test_what_the_core_system_delivers_is_read_only(inside: House, administrator: Person, rm: Person) -> None:
    OrgUnit.objects.filter(pk=inside.south.pk).update(source_as_of=NOW)
    with pytest.raises(DomainError) as refused:
        change_unit(
            administrator.actor, unit_id=inside.south.pk, name="Süd", region="", parent_id=inside.head_office.pk,
            seen=("South", "", inside.head_office.pk),
        )  # fmt: skip
    assert refused.value.code == "core_owned"
    Staff.objects.filter(pk=rm.staff.pk).update(source_as_of=NOW)
    before = {name: getattr(rm.staff, name) for name in CHANGEABLE}
    with pytest.raises(DomainError):
        change_staff(
            administrator.actor, staff_id=rm.staff.pk, before=before, after={**before, "name": "Other"}
        )
    changed = change_staff(
        administrator.actor, staff_id=rm.staff.pk, before=before, after={**before, "email": "rm@example.org"}
    )
    assert changed.email == "rm@example.org"


def test_a_person_is_added_and_the_password_shown_once(house: House, desk: Client) -> None:
    sent = {"number": "0815", "name": "Lin", "unit": house.north.pk}
    page = desk.post("/settings/staff/new/", sent, follow=True)
    assert "One-time password" in page.content.decode()
    assert page.headers["Cache-Control"] == "no-store"
    assert "One-time password</dt>" not in desk.get(page.request["PATH_INFO"]).content.decode()
    again = desk.post("/settings/staff/new/", sent)
    assert again.status_code == 422
    assert "This staff number is taken" in again.content.decode()


def test_two_administrators_at_once_lose_nothing(inside: House, administrator: Person, rm: Person) -> None:
    before = {name: getattr(rm.staff, name) for name in CHANGEABLE}
    change_staff(
        administrator.actor, staff_id=rm.staff.pk, before=before, after={**before, "grade": "level_1"}
    )
    change_staff(
        administrator.actor, staff_id=rm.staff.pk, before=before, after={**before, "name": "Renamed"}
    )
    with pytest.raises(Conflict) as refused:
        change_staff(
            administrator.actor, staff_id=rm.staff.pk, before=before, after={**before, "name": "Third"}
        )
    assert "Renamed" in refused.value.fields["name"]
    person = Staff.objects.get(pk=rm.staff.pk)
    assert (person.grade, person.name) == ("level_1", "Renamed")


def test_the_edit_page_saves_what_changed(house: House, desk: Client, rm: Person) -> None:
    address = f"/settings/staff/{rm.staff.pk}/edit/"
    shown = {
        "name": rm.staff.name,
        "email": "",
        "unit": house.north.pk,
        "grade": "level_2",
        "line_department": "",
    }
    sent = {**{f"initial-{k}": v for k, v in shown.items()}, **shown, "grade": "senior"}
    assert desk.post(address, sent).status_code == 302
    late = desk.post(address, {**sent, "grade": "level_3"})
    assert late.status_code == 422
    assert "Changed meanwhile" in late.content.decode()


def test_leaving_ends_sign_in_and_roles(
    house: House, desk: Client, administrator: Person, rm: Person, client_for: Callable[[Person], Client]
) -> None:
    browser = client_for(rm)
    address = f"/settings/staff/{rm.staff.pk}/deactivate/"
    assert desk.get(address).status_code == 405
    desk.post(address, {"left_date": "2026-11-20"})
    assert browser.get("/settings/me/").status_code == 302
    with bank(house.id):
        assert not rm.actor.roles
        with pytest.raises(Conflict):
            deactivate_staff(administrator.actor, staff_id=rm.staff.pk, left_date=TODAY, now=NOW)
        with pytest.raises(DomainError):
            deactivate_staff(administrator.actor, staff_id=administrator.staff.pk, left_date=TODAY, now=NOW)


def test_people_are_found_by_name_number_and_unit(
    inside: House, administrator: Person, rm: Person, rm_other_branch: Person
) -> None:
    def found(**asked: object) -> set[str]:
        return {p.number for p in staff_page(administrator.actor, **asked).people}

    assert found(query="other_br") == {"rm_other_branch"}
    assert found(unit_id=inside.north.pk) == {"rm"}
    assert found(query="nobody") == set()


def test_the_administrator_is_told_of_a_manager_without_a_grade(
    house: House, rm: Person, desk: Client
) -> None:
    told = "1 relationship manager has no grade set"
    assert told not in desk.get("/settings/grades/").content.decode()
    with bank(house.id):
        Staff.objects.filter(pk=rm.staff.pk).update(grade="")
    assert told in desk.get("/settings/grades/").content.decode()
    assert "no grade set" in desk.get("/settings/staff/").content.decode()
    assert "no grade set" in desk.get(f"/settings/staff/{rm.staff.pk}/").content.decode()


def test_grades_are_edited_together(house: House, desk: Client) -> None:
    with bank(house.id):
        rows = {c.grade: c for c in GradeCapacity.objects.all()}
    sent = {f"{g}-max_customers": c.max_customers for g, c in rows.items()}
    sent |= {f"{g}-max_value": c.max_value for g, c in rows.items()}
    assert desk.post("/settings/grades/", {**sent, "senior-max_customers": "-1"}).status_code == 422
    assert desk.post("/settings/grades/", {**sent, "senior-max_value": "5.50"}).status_code == 302
    with bank(house.id):
        assert GradeCapacity.objects.get(grade="senior").max_value == Decimal("5.50")


def test_a_client_is_made_once_and_revoked(house: House, desk: Client) -> None:
    sent = {"name": "Core", "scopes": ["customers:read"]}
    page = desk.post("/settings/clients/new/", sent, follow=True).content.decode()
    assert "client_secret" in page
    assert "client_secret" not in desk.get("/settings/clients/").content.decode()
    assert desk.post("/settings/clients/new/", sent).status_code == 422, "a double click makes one"
    assert desk.post("/settings/clients/new/", {"name": "X", "scopes": ["everything"]}).status_code == 422


def test_a_token_of_one_bank_is_refused_at_another(
    house: House, other_house: House, administrator: Person
) -> None:
    with bank(house.id):
        made = create_api_client(administrator.actor, name="core", scopes=["customers:read"])
    form = {
        "grant_type": "client_credentials", "client_id": made.client_id, "client_secret": made.client_secret,
        "scope": "customers:read",
    }  # fmt: skip
    here, there = Client(HTTP_HOST=house.bank.host), Client(HTTP_HOST=other_house.bank.host)
    assert there.post("/identity/o/api/token", form).status_code in (400, 401)
    token = here.post("/identity/o/api/token", form).json()["access_token"]
    bearer = {"HTTP_AUTHORIZATION": f"Bearer {token}"}
    assert here.get("/api/v1/customers", **bearer).status_code == 200
    assert there.get("/api/v1/customers", **bearer).status_code == 401


def test_the_administrators_home_says_what_waits(house: House, desk: Client) -> None:
    page = desk.get("/").content.decode()
    assert "No night has run yet" in page
    assert "second factor" in page


def test_a_units_name_stands_in_its_own_field_alone(house: Any, administrator: Any, client_for: Any) -> None:
    page = client_for(administrator).get(f"/settings/organisation/{house.north.pk}/").content.decode()
    assert "field-unit" not in page


def test_what_a_signed_in_person_saw_is_kept_by_no_cache(rm: Any, client_for: Any) -> None:
    assert client_for(rm).get("/tasks/").headers["Cache-Control"] == "private, no-store"


def test_who_sees_no_customer_is_not_offered_to_search_them(
    administrator: Any, rm: Any, client_for: Any
) -> None:
    assert "data-search-open" not in client_for(administrator).get("/settings/me/").content.decode()
    assert "data-search-open" in client_for(rm).get("/settings/me/").content.decode()


@pytest.mark.parametrize(
    ("is_https", "written", "kept"),
    [
        (True, "10.9.9.9, 192.0.2.7", "192.0.2.7"),
        (True, "nonsense", "127.0.0.1"),
        (False, "192.0.2.7", "127.0.0.1"),
    ],
)
def test_the_record_keeps_the_persons_address_behind_the_proxy(
    settings: Any, is_https: bool, written: str, kept: str
) -> None:
    settings.IS_HTTPS = is_https
    request = RequestFactory().get("/", headers={"x-forwarded-for": written})
    RequestLogMiddleware(lambda _: HttpResponse())(request)
    assert request.META["REMOTE_ADDR"] == kept


def test_no_two_places_of_the_rail_lead_to_one_page(
    administrator: Person, rm: Person, client_for: Callable[[Person], Client]
) -> None:
    """The administrator's morning check is his home; somebody else's home is another page."""
    for person in (administrator, rm):
        nav = client_for(person).get("/").context["nav"]
        assert len({entry["url"] for entry in nav}) == len(nav)
    assert "administration" not in {e["name"] for e in client_for(administrator).get("/").context["nav"]}
