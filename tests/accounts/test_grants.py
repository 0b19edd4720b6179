"""Roles: one proposes, another decides, nobody to himself; by the page's rule and by the database's."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.test import Client

from crm_site.accounts.models import GrantStatus, RoleGrant, Staff
from crm_site.accounts.selectors import actor_for, effective_grants
from crm_site.accounts.services import (
    decide_grant,
    hire_staff,
    propose_grant,
    reset_password,
    revoke_grant,
    withdraw_grant,
)
from crm_site.lib.errors import Conflict, DomainError
from crm_site.lib.permissions import Role
from crm_site.lib.tenancy import bank
from tests.conftest import NOW, TODAY, House, Person, build_house


def propose(by: Person, of: Person, house: House, role: str = "teller", **more: object) -> RoleGrant:
    data = {"unit_id": house.north.pk, "from_date": TODAY, "to_date": None, "now": NOW, **more}
    return propose_grant(by.actor, staff_id=of.staff.pk, role=role, **data)


def test_a_role_holds_when_a_second_administrator_has_approved_it(
    inside: House, rm: Person, administrator: Person, administrator_two: Person
) -> None:
    grant = propose(administrator, rm, inside)
    assert Role.TELLER not in rm.actor.roles
    decide_grant(administrator_two.actor, grant_id=grant.pk, approve=True, now=NOW)
    assert Role.TELLER in rm.actor.roles


def test_the_proposer_and_the_person_decide_nothing(
    inside: House, administrator: Person, administrator_two: Person, rm: Person
) -> None:
    grant = propose(administrator, rm, inside)
    with pytest.raises(DomainError) as refused:
        decide_grant(administrator.actor, grant_id=grant.pk, approve=True, now=NOW)
    assert refused.value.code == "second_person"
    own = propose(administrator, administrator_two, inside, "auditor", unit_id=inside.head_office.pk)
    with pytest.raises(DomainError) as refused:
        decide_grant(administrator_two.actor, grant_id=own.pk, approve=True, now=NOW)
    assert refused.value.code == "oneself"


def test_nobody_gives_himself_a_role(
    house: House, administrator: Person, client_for: Callable[[Person], Client]
) -> None:
    answer = client_for(administrator).post(
        f"/settings/staff/{administrator.staff.pk}/roles/new/",
        {"role": "auditor", "unit": house.head_office.pk, "from_date": "2026-11-20"},
    )
    assert answer.status_code == 422
    assert "Nobody gives himself a role" in answer.content.decode()


@pytest.mark.parametrize("status", [GrantStatus.PROPOSED, GrantStatus.EFFECTIVE])
def test_the_database_refuses_a_role_to_oneself_and_by_oneself(
    inside: House, administrator: Person, administrator_two: Person, rm: Person, status: str
) -> None:
    facts = {
        "role": "risk",
        "unit": inside.head_office,
        "from_date": TODAY,
        "status": status,
        "proposed_at": NOW,
    }
    one, two, third = administrator.staff, administrator_two.staff, rm.staff
    wrong = [{"staff": one, "proposed_by": one, "decided_by": two}]
    if status == GrantStatus.EFFECTIVE:
        wrong += [
            {"staff": third, "proposed_by": one, "decided_by": one},
            {"staff": third, "proposed_by": one, "decided_by": third},
            {"staff": third, "proposed_by": one, "decided_by": None},
        ]
    for people in wrong:
        with pytest.raises(IntegrityError), transaction.atomic():
            RoleGrant.objects.create(**facts, **people)


def test_a_grant_is_decided_once(
    inside: House, rm: Person, administrator: Person, administrator_two: Person
) -> None:
    grant = propose(administrator, rm, inside)
    decide_grant(administrator_two.actor, grant_id=grant.pk, approve=False, now=NOW)
    with pytest.raises(Conflict):
        decide_grant(administrator_two.actor, grant_id=grant.pk, approve=True, now=NOW)
    assert Role.TELLER not in rm.actor.roles


def test_the_same_proposal_twice_is_one(inside: House, rm: Person, administrator: Person) -> None:
    propose(administrator, rm, inside)
    with pytest.raises(Conflict) as refused:
        propose(administrator, rm, inside)
    assert "role" in refused.value.fields
    assert RoleGrant.objects.filter(staff=rm.staff, role="teller").count() == 1


def test_dates_decide_from_when_to_when(
    inside: House, rm: Person, administrator: Person, administrator_two: Person
) -> None:
    grant = propose(
        administrator, rm, inside, from_date=TODAY + dt.timedelta(1), to_date=TODAY + dt.timedelta(3)
    )
    decide_grant(administrator_two.actor, grant_id=grant.pk, approve=True, now=NOW)
    held = [
        effective_grants(rm.staff.pk, TODAY + dt.timedelta(n)).filter(role="teller").count() for n in range(5)
    ]
    assert held == [0, 1, 1, 1, 0]
    for n in range(5):  # who acts is asked in SQL of its own: by the same rule
        day = TODAY + dt.timedelta(n)
        roles = effective_grants(rm.staff.pk, day).values_list("role", flat=True)
        assert actor_for(rm.staff, day=day).roles == set(roles)


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"role": "operator"}, "role"),
        ({"role": "api"}, "role"),
        ({"role": "risk"}, "unit"),
        ({"unit_id": 999_999}, "unit"),
        ({"to_date": TODAY - dt.timedelta(1)}, "to_date"),
    ],
)
def test_what_cannot_be_proposed(
    inside: House, rm: Person, administrator: Person, more: dict[str, object], field: str
) -> None:
    with pytest.raises(DomainError) as refused:
        propose(administrator, rm, inside, **more)
    assert field in refused.value.fields


def test_revoking_ends_the_role_and_the_sessions(
    house: House, rm: Person, administrator: Person, client_for: Callable[[Person], Client]
) -> None:
    client = client_for(rm)
    assert client.get("/settings/me/").status_code == 200
    with bank(house.id):
        from allauth.usersessions.models import UserSession

        UserSession.objects.create(
            user=rm.staff, ip="127.0.0.1", session_key=client.session.session_key, user_agent="x"
        )
        grant = RoleGrant.objects.get(staff=rm.staff)
        revoke_grant(administrator.actor, grant_id=grant.pk, now=NOW)
        assert not rm.actor.roles
    assert client.get("/settings/me/").status_code == 302


def test_two_administrators_remain(inside: House, administrator: Person, administrator_two: Person) -> None:
    Staff.objects.filter(number="admin").update(is_active=False)
    with pytest.raises(DomainError) as refused:
        revoke_grant(
            administrator.actor, grant_id=RoleGrant.objects.get(staff=administrator_two.staff).pk, now=NOW
        )
    assert refused.value.code == "two_administrators"


def test_the_second_administrator_of_a_fresh_bank_is_appointed_by_the_first_and_no_other(db: None) -> None:
    house = build_house("gamma")
    with bank(house.id):
        first = Person(Staff.objects.get(number="admin"), house.bank)
        for number, status in (("a2", GrantStatus.EFFECTIVE), ("a3", GrantStatus.PROPOSED)):
            hired = hire_staff(
                first.actor, number=number, name=number, unit_id=house.head_office.pk, now=NOW
            ).staff
            grant = propose(
                first, Person(hired, house.bank), house, "administrator", unit_id=house.head_office.pk
            )
            assert grant.status == status
        second = Person(Staff.objects.get(number="a2"), house.bank)
        assert decide_grant(second.actor, grant_id=grant.pk, approve=True, now=NOW).status == "effective"


def test_who_was_let_in_by_the_proposer_waits_before_deciding_for_him(
    inside: House, rm: Person, administrator: Person, administrator_two: Person
) -> None:
    grant = propose(administrator, rm, inside)
    reset_at = NOW + dt.timedelta(minutes=1)
    reset_password(administrator.actor, staff_id=administrator_two.staff.pk, now=reset_at)
    with pytest.raises(DomainError) as refused:
        decide_grant(administrator_two.actor, grant_id=grant.pk, approve=True, now=reset_at)
    assert refused.value.code == "foreign_hands"
    later = NOW + dt.timedelta(hours=73)
    assert (
        decide_grant(administrator_two.actor, grant_id=grant.pk, approve=True, now=later).status
        == "effective"
    )


def test_who_let_the_proposer_in_waits_before_deciding_for_him(
    inside: House, rm: Person, administrator: Person, administrator_two: Person
) -> None:
    """With the colleague's new password he could propose in his name and approve in his own."""
    before = propose(administrator_two, rm, inside)
    reset_password(
        administrator.actor, staff_id=administrator_two.staff.pk, now=NOW + dt.timedelta(minutes=1)
    )
    after = propose(
        administrator_two,
        rm,
        inside,
        role="risk",
        unit_id=inside.head_office.pk,
        now=NOW + dt.timedelta(minutes=2),
    )
    later = NOW + dt.timedelta(hours=1)
    with pytest.raises(DomainError) as refused:
        decide_grant(administrator.actor, grant_id=after.pk, approve=True, now=later)
    assert refused.value.code == "foreign_hands"
    assert (
        decide_grant(administrator.actor, grant_id=before.pk, approve=True, now=later).status == "effective"
    )


def test_others_do_nothing_of_it(inside: House, rm: Person, branch_manager: Person, auditor: Person) -> None:
    for person in (branch_manager, auditor):
        with pytest.raises(PermissionDenied):
            propose(person, rm, inside)


def test_the_queue_shows_and_takes_decisions(
    house: House,
    rm: Person,
    administrator: Person,
    administrator_two: Person,
    client_for: Callable[[Person], Client],
) -> None:
    with bank(house.id):
        grant = propose(administrator, rm, house)
    assert (
        "another administrator decides" in client_for(administrator).get("/settings/roles/").content.decode()
    )
    second = client_for(administrator_two)
    address = f"/settings/roles/{grant.pk}/decide/"
    assert second.get(address).status_code == 405
    answer = second.post(address, {"verdict": "approve"}, follow=True)
    assert "Approved." in answer.content.decode()
    answer = second.post(address, {"verdict": "approve"}, follow=True)
    assert "Somebody was faster" in answer.content.decode()


def test_who_proposed_a_role_withdraws_it_and_nobody_else(
    inside: House, administrator: Person, administrator_two: Person, rm: Person
) -> None:
    grant = propose(administrator, rm, inside)
    with pytest.raises(DomainError) as refused:
        withdraw_grant(administrator_two.actor, grant_id=grant.pk)
    assert refused.value.code == "not_yours"
    assert withdraw_grant(administrator.actor, grant_id=grant.pk).status == GrantStatus.WITHDRAWN
    assert withdraw_grant(administrator.actor, grant_id=grant.pk).status == GrantStatus.WITHDRAWN
    with pytest.raises(Conflict):
        decide_grant(administrator_two.actor, grant_id=grant.pk, approve=True, now=NOW)
    assert Role.TELLER not in rm.actor.roles
    again = propose(administrator, rm, inside)
    decide_grant(administrator_two.actor, grant_id=again.pk, approve=True, now=NOW)
    with pytest.raises(Conflict):
        withdraw_grant(administrator.actor, grant_id=again.pk)
    assert Role.TELLER in rm.actor.roles


def test_a_proposal_is_withdrawn_on_the_page(
    house: House, administrator: Person, rm: Person, client_for: Callable[[Person], Client]
) -> None:
    with bank(house.id):
        grant = propose(administrator, rm, house)
    client = client_for(administrator)
    assert f"/settings/roles/{grant.pk}/withdraw/" in client.get("/settings/roles/").content.decode()
    client.post(f"/settings/roles/{grant.pk}/withdraw/")
    page = client.get("/settings/roles/").content.decode()
    assert f"/settings/roles/{grant.pk}/withdraw/" not in page
