"""Every address x method x role x place. Not yours: 404; yours but not allowed: 403; strangers: sign in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from crm_site.lib.permissions import ACTIONS, Role
from crm_site.lib.tenancy import bank
from tests.architecture.permission_matrix import LIBRARY, MATRIX, PUBLIC, Line
from tests.architecture.places import place
from tests.conftest import House, Person, build_house, hire

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
# role -> (unit attribute, extra fields of the person)
PEOPLE = {
    Role.TELLER: "north",
    Role.RELATIONSHIP_MANAGER: "north",
    Role.BRANCH_MANAGER: "north",
    Role.LINE_DEPARTMENT: "head_office",
    Role.CREDIT_REVIEWER: "head_office",
    Role.COMMITTEE_MEMBER: "head_office",
    Role.PRESIDENT: "head_office",
    Role.RISK: "head_office",
    Role.MARKETING: "head_office",
    Role.SERVICE_QUALITY: "head_office",
    Role.AUDITOR: "head_office",
    Role.ADMINISTRATOR: "head_office",
    Role.OPERATOR: "head_office",
}
SEES_THE_CUSTOMER = {
    Role.RELATIONSHIP_MANAGER,  # the one who is responsible
    Role.BRANCH_MANAGER,
    Role.LINE_DEPARTMENT,
    Role.CREDIT_REVIEWER,
    Role.COMMITTEE_MEMBER,
    Role.PRESIDENT,
    Role.RISK,
    Role.MARKETING,
    Role.SERVICE_QUALITY,
    Role.AUDITOR,
}
SEES = {
    "customer": SEES_THE_CUSTOMER,
    "task": {Role.RELATIONSHIP_MANAGER, Role.BRANCH_MANAGER},  # its owner, and who leads the unit
    "own": {Role.RELATIONSHIP_MANAGER},
}


def routes(patterns: Any = None, namespace: str = "") -> Iterator[tuple[str, URLPattern]]:
    """Every named address of the site."""
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        if isinstance(pattern, URLResolver):
            inner = ":".join(filter(None, (namespace, pattern.namespace)))
            yield from routes(pattern.url_patterns, inner)
        else:
            yield ":".join(filter(None, (namespace, pattern.name or str(pattern.pattern)))), pattern


ROUTES = {name: pattern for name, pattern in routes() if not name.startswith(LIBRARY)}


def test_every_address_has_its_line() -> None:
    assert set(ROUTES) == set(MATRIX)


def test_every_line_names_a_known_action() -> None:
    for name, line in MATRIX.items():
        for guard in line.methods.values():
            assert guard in ("", PUBLIC) or ":" in guard or guard in ACTIONS, name


@pytest.fixture(scope="module")
def _cast(django_db_setup: None, django_db_blocker: Any) -> Iterator[dict[str, Any]]:
    """Two banks with everybody in them, made once: the walk only reads and sends empty forms, rolled back each."""
    from django.db import transaction

    with django_db_blocker.unblock():
        atomic = transaction.atomic()
        atomic.__enter__()
        try:
            house, other = build_house("alpha"), build_house("beta")
            people = {
                role: hire(
                    house,
                    role.value,
                    role,
                    getattr(house, unit),
                    line_department="corporate" if role is Role.LINE_DEPARTMENT else "",
                )
                for role, unit in PEOPLE.items()
            }
            far = hire(house, "far_manager", Role.BRANCH_MANAGER, house.south)
            stranger = hire(other, "stranger", Role.BRANCH_MANAGER, other.north)
            yield {
                "house": house,
                "other": other,
                "people": people,
                "clients": {role: _sign_in(person) for role, person in people.items()},
                "far": _sign_in(far),
                "stranger": _sign_in(stranger),
            }
        finally:
            transaction.set_rollback(True)
            atomic.__exit__(None, None, None)


@pytest.fixture
def cast(_cast: dict[str, Any], db: None) -> dict[str, Any]:
    return _cast


@dataclass(frozen=True)
class Browser:
    """A signed-in session; each request starts from the same cookies, whatever an answer before did to them."""

    host: str
    session: str

    def generic(self, *args: Any, **kwargs: Any) -> Any:
        client = Client(HTTP_HOST=self.host, HTTP_ACCEPT_LANGUAGE="en")
        client.cookies[settings.SESSION_COOKIE_NAME] = self.session
        return client.generic(*args, **kwargs)


def _sign_in(person: Person) -> Browser:
    client = Client(HTTP_HOST=person.bank.host)
    with bank(person.bank.pk):
        client.force_login(person.staff, backend="allauth.account.auth_backends.AuthenticationBackend")
    return Browser(person.bank.host, client.cookies[settings.SESSION_COOKIE_NAME].value)


def address_of(name: str, line: Line, house: House, responsible: Person | None) -> str:
    if line.of is None:
        return reverse(name)
    arguments = place(house, line.of, responsible.staff if responsible else None)
    wanted = list(ROUTES[name].pattern.converters)
    values = list(arguments.values())
    return reverse(name, kwargs=dict(zip(wanted, values, strict=True)))


def _send(client: Client | Browser, method: str, url: str) -> int:
    return client.generic(method, url, b"", content_type="application/x-www-form-urlencoded").status_code


PAGES = sorted(name for name, line in MATRIX.items() if not any(":" in g for g in line.methods.values()))
API = sorted(name for name, line in MATRIX.items() if any(":" in g for g in line.methods.values()))


@pytest.mark.parametrize("name", PAGES)
def test_who_may_open_what(cast: dict[str, Any], name: str) -> None:
    line, house = MATRIX[name], cast["house"]
    url = address_of(name, line, house, cast["people"][Role.RELATIONSHIP_MANAGER])
    foreign = address_of(name, line, cast["other"], None) if line.of else None
    for method in METHODS:
        guard = line.methods.get(method)
        if guard is None:
            someone = cast["clients"][Role.PRESIDENT]
            assert _send(someone, method, url) in (403, 404, 405), f"{name} {method} should not exist"
            continue
        stranger = Client(HTTP_HOST=house.bank.host)
        if guard == PUBLIC:
            assert _send(stranger, method, url) in (200, 302, 400), f"{name} {method}"
            continue
        assert _send(stranger, method, url) == 302, f"{name} {method}: a stranger is not sent to sign-in"
        for role, client in cast["clients"].items():
            status = _send(client, method, url)
            allowed = guard == "" or role in ACTIONS[guard]
            sees = line.rows == "bank" or role in SEES[line.rows]
            where = f"{name} {method} as {role}: {status}"
            if not allowed:
                assert status in (403, 404), where
            elif not sees or role in line.not_for:
                assert status == 404, where
            else:
                assert status not in (403, 404, 405) and status < 500, where
            if foreign is not None and allowed:
                assert _send(client, method, foreign) == 404, f"{where}: another bank's is reachable"
        if line.rows == "customer" and guard != "" and Role.BRANCH_MANAGER in ACTIONS[guard]:
            assert _send(cast["far"], method, url) == 404, f"{name} {method}: another branch reaches it"


@pytest.mark.parametrize("name", API)
def test_the_api_is_for_machines(cast: dict[str, Any], name: str) -> None:
    line, house = MATRIX[name], cast["house"]
    url = address_of(name, line, house, None)
    for method in METHODS:
        anonymous = _send(Client(HTTP_HOST=house.bank.host), method, url)
        person = _send(cast["clients"][Role.PRESIDENT], method, url)
        assert anonymous in (401, 405), f"{name} {method}: {anonymous}"
        assert person in (401, 405), f"{name} {method} with a person's session: {person}"
