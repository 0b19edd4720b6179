"""Named people of two banks. Everything a test needs to act as somebody; time is the fixed NOW."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import setup_databases, teardown_databases
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from crm_site.accounts.banks import forget_banks
from crm_site.accounts.models import Bank, GrantStatus, OrgUnit, RoleGrant, Staff
from crm_site.accounts.selectors import actor_for
from crm_site.accounts.services import found_bank, renumber_tree
from crm_site.lib.permissions import Actor, Role
from crm_site.lib.tenancy import bank

NOW = dt.datetime(2026, 11, 20, 1, 30, tzinfo=dt.UTC)
TODAY = dt.date(2026, 11, 20)
PASSWORD = "correct horse battery"


class Scheduling(LoadScopeScheduling):
    """Test by test to whoever is free, but the browser's tests to one worker: they share one server and one bank.

    Not by `xdist_group`: pytest 9.2 drops the mark's name that pytest-xdist 3.8 writes into a test's id.
    """

    def _split_scope(self, nodeid: str) -> str:
        return "browser" if nodeid.startswith("tests/e2e/") else nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling:
    return Scheduling(config, log)


PROGRAMS_OWN = settings.DATABASES["default"]["NAME"]


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any, django_db_keepdb: bool) -> Iterator[None]:
    """A database for tests, whoever asks. pytest-django makes it for tests marked so: modules with a fixture of their own
    (a whole bank, made and removed), when no other was chosen, would work in the program's own database."""
    if connection.settings_dict["NAME"] != PROGRAMS_OWN:
        yield
        return
    with django_db_blocker.unblock():
        made = setup_databases(verbosity=0, interactive=False, keepdb=django_db_keepdb)
    yield
    if not django_db_keepdb:
        with django_db_blocker.unblock():
            teardown_databases(made, verbosity=0)


@dataclass
class Person:
    """A member of staff with one role at one place."""

    staff: Staff
    bank: Bank

    @property
    def actor(self) -> Actor:
        with bank(self.bank.pk):
            return actor_for(self.staff, day=TODAY)


@dataclass
class House:
    """A bank with a head office and two branches ("north" with a sub-branch, "south")."""

    bank: Bank
    head_office: OrgUnit
    north: OrgUnit
    north_sub: OrgUnit
    south: OrgUnit
    people: dict[str, Person]

    @property
    def id(self) -> int:
        return self.bank.pk


def build_house(code: str) -> House:
    """Found a bank and give it branches. Call outside every bank."""
    founded = found_bank(code=code, name=f"Bank {code.upper()}", now=NOW, password=PASSWORD).bank
    with bank(founded.pk):
        head = OrgUnit.objects.get(code="HO")
        north = OrgUnit.objects.create(code="N", name="North", kind="branch", parent=head)
        sub = OrgUnit.objects.create(code="N1", name="North One", kind="sub_branch", parent=north)
        south = OrgUnit.objects.create(code="S", name="South", kind="branch", parent=head)
        renumber_tree()
        for unit in (head, north, sub, south):
            unit.refresh_from_db()
    return House(founded, head, north, sub, south, {})


def hire(house: House, name: str, role: Role | None, unit: OrgUnit, **fields: object) -> Person:
    """A person with a role at a unit; the grant is founding so that no second person is needed for it."""
    with bank(house.id):
        staff = Staff(number=name, name=name.replace("_", " ").title(), unit=unit, **fields)
        staff.password = _hash()
        staff.save()
        if role is not None:
            RoleGrant.objects.create(
                staff=staff,
                role=role,
                unit=unit,
                from_date=dt.date(2020, 1, 1),
                status=GrantStatus.EFFECTIVE,
                founding=True,
                proposed_at=NOW,
                decided_at=NOW,
            )
    person = Person(staff, house.bank)
    house.people[name] = person
    return person


_hashed: list[str] = []


def _hash() -> str:
    """One password hash for everybody: hashing is slow on purpose."""
    if not _hashed:
        from django.contrib.auth.hashers import make_password

        _hashed.append(make_password(PASSWORD))
    return _hashed[0]


@pytest.fixture(scope="session", autouse=True)
def _quick_settings() -> None:
    """What costs a test time and proves nothing: hashing passwords slowly, scanning static files for each client."""
    settings.WHITENOISE_AUTOREFRESH = True
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(autouse=True)
def _fresh_bank_cache() -> Iterator[None]:
    forget_banks()
    yield
    forget_banks()


@pytest.fixture
def house(db: None) -> House:
    """Bank "alpha"."""
    return build_house("alpha")


@pytest.fixture
def other_house(db: None) -> House:
    """Bank "beta", which alpha must never see."""
    return build_house("beta")


@pytest.fixture
def bank_a(house: House) -> Bank:
    return house.bank


@pytest.fixture
def bank_b(other_house: House) -> Bank:
    return other_house.bank


@pytest.fixture
def inside(house: House) -> Iterator[House]:
    """The test runs inside bank alpha."""
    with ExitStack() as stack:
        stack.enter_context(bank(house.id))
        yield house


@pytest.fixture
def rm(house: House) -> Person:
    return hire(house, "rm", Role.RELATIONSHIP_MANAGER, house.north, grade="level_2")


@pytest.fixture
def rm_other_branch(house: House) -> Person:
    return hire(house, "rm_other_branch", Role.RELATIONSHIP_MANAGER, house.south, grade="level_3")


@pytest.fixture
def teller(house: House) -> Person:
    return hire(house, "teller", Role.TELLER, house.north)


@pytest.fixture
def branch_manager(house: House) -> Person:
    return hire(house, "branch_manager", Role.BRANCH_MANAGER, house.north)


@pytest.fixture
def line_department(house: House) -> Person:
    return hire(
        house, "line_department", Role.LINE_DEPARTMENT, house.head_office, line_department="corporate"
    )


@pytest.fixture
def hq_credit(house: House) -> Person:
    return hire(house, "hq_credit", Role.CREDIT_REVIEWER, house.head_office)


@pytest.fixture
def hq_risk(house: House) -> Person:
    return hire(house, "hq_risk", Role.RISK, house.head_office)


@pytest.fixture
def president(house: House) -> Person:
    return hire(house, "president", Role.PRESIDENT, house.head_office)


@pytest.fixture
def marketing(house: House) -> Person:
    return hire(house, "marketing", Role.MARKETING, house.head_office)


@pytest.fixture
def auditor(house: House) -> Person:
    return hire(house, "auditor", Role.AUDITOR, house.head_office)


@pytest.fixture
def administrator(house: House) -> Person:
    return hire(house, "administrator", Role.ADMINISTRATOR, house.head_office)


@pytest.fixture
def administrator_two(house: House) -> Person:
    return hire(house, "administrator_two", Role.ADMINISTRATOR, house.head_office)


@pytest.fixture
def outsider(other_house: House) -> Person:
    """A branch manager of another bank."""
    return hire(other_house, "outsider", Role.BRANCH_MANAGER, other_house.north)


@pytest.fixture
def client_for() -> Callable[[Person], Client]:
    """A browser signed in as somebody, at the host of that person's bank."""

    def sign_in(person: Person) -> Client:
        client = Client(HTTP_HOST=person.bank.host, HTTP_ACCEPT_LANGUAGE="en")
        with bank(person.bank.pk):
            client.force_login(person.staff, backend="allauth.account.auth_backends.AuthenticationBackend")
        return client

    return sign_in
