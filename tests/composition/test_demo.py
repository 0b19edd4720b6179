"""The demo banks: on embedded servers alone, one person a role, coherent with each other."""

from __future__ import annotations

import datetime as dt
import json
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from crm_site.accounts.models import RoleGrant, Staff
from crm_site.composition import demo
from crm_site.composition.synthetic_bank import make_bank
from crm_site.lib.permissions import Role
from crm_site.lib.tenancy import bank
from customers.models import Customer

NOW = dt.datetime(2026, 3, 20, 3, 0, tzinfo=dt.UTC)


@pytest.mark.django_db
def test_known_passwords_are_refused_on_a_bank_s_own_servers(settings, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path
    with pytest.raises(CommandError, match="embedded servers only"):
        call_command("create_demo")


@pytest.mark.django_db
def test_one_person_a_role_can_sign_in_and_the_branch_is_one() -> None:
    made = make_bank(code="shown", customers=60, seed=2, date=dt.date(2026, 3, 20), now=NOW).founded.bank
    from django.contrib.auth.hashers import make_password

    logins = demo._open_doors(made, "banyan-test", make_password("banyan-test"), 8000)
    assert {login.role for login in logins} == {r.value for r in Role} - {Role.API.value, Role.OPERATOR.value}
    assert [login.role for login in logins].count(Role.ADMINISTRATOR.value) == 2
    with bank(made.pk):
        people = {login.role: Staff.objects.get(number=login.login) for login in logins}
        assert all(person.check_password("banyan-test") for person in people.values())
        assert not any(person.must_change_password for person in people.values())
        manager = people[Role.RELATIONSHIP_MANAGER.value]
        assert people[Role.BRANCH_MANAGER.value].unit_id == manager.unit_id
        assert Customer.objects.filter(responsible=manager).exists()
        others = RoleGrant.objects.exclude(staff__number__in=[login.login for login in logins]).values_list(
            "staff__password", flat=True
        )
        assert all(password.startswith("!") for password in others)


@pytest.mark.django_db
def test_banks_are_listed_for_the_launcher() -> None:
    make_bank(code="listed", customers=20, seed=2, date=dt.date(2026, 3, 20), now=NOW, name="Listed Bank")
    out = StringIO()
    call_command("list_banks", json=True, stdout=out)
    assert {
        "code": "listed",
        "name": "Listed Bank",
        "host": "listed.localhost",
        "is_platform": False,
    } in json.loads(out.getvalue())
