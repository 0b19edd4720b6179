"""A second factor and the places where one is signed in, as a person sets them up and uses them."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal import auth as totp
from django.core.cache import cache
from django.test import Client

from crm_site.lib.tenancy import bank
from tests.conftest import PASSWORD, House, Person

SECOND = "/accounts/2fa/totp/activate/"
SESSIONS = "/accounts/sessions/"


@pytest.fixture(autouse=True)
def _no_flood() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """The moment of the code generator, in steps of half a minute."""
    at = {"step": 50_000_000}
    monkeypatch.setattr(totp, "yield_hotp_counters_from_time", lambda: iter([at["step"]]))
    return at


def signed_in(house: House, agent: str = "desk") -> Client:
    """A browser that has given number and password."""
    client = Client(HTTP_HOST=house.bank.host, HTTP_ACCEPT_LANGUAGE="en", HTTP_USER_AGENT=agent)
    assert client.post("/accounts/login/", {"login": "rm", "password": PASSWORD}).status_code == 302
    return client


def is_in(client: Client) -> bool:
    return client.get("/settings/me/").status_code == 200


def enrolled(house: House, clock: dict[str, int]) -> str:
    """The secret that the page shows, once its code was typed in."""
    client = signed_in(house)
    asked = client.get(SECOND).headers["Location"]  # who sits at an open desk does not enrol
    assert client.post(asked, {"password": PASSWORD}).status_code == 302
    page = html.unescape(client.get(SECOND).content.decode())
    found = re.search(r"\b[A-Z2-7]{32}\b", page)
    assert found, "the page shows the secret to type in"
    secret = found.group()
    refused = client.post(SECOND, {"code": wrong(secret, clock)})
    assert refused.status_code == 200
    with bank(house.id):
        assert not Authenticator.objects.exists()
    assert client.post(SECOND, {"code": code(secret, clock)}).status_code == 302
    clock["step"] += 1
    return secret


def code(secret: str, clock: dict[str, int]) -> str:
    return totp.format_hotp_value(totp.hotp_value(secret, clock["step"]))


def wrong(secret: str, clock: dict[str, int]) -> str:
    return f"{(int(code(secret, clock)) + 1) % 1_000_000:06d}"


def test_with_a_code_generator_the_password_alone_lets_nobody_in(
    house: House, rm: Person, clock: dict[str, int]
) -> None:
    secret = enrolled(house, clock)
    with bank(house.id):
        kept = Authenticator.objects.get(type=Authenticator.Type.TOTP)
    assert kept.user_id == rm.staff.pk and secret not in str(kept.data), "the secret is sealed"
    client = signed_in(house)
    assert not is_in(client)
    asks = "/accounts/2fa/authenticate/"
    assert client.post(asks, {"code": wrong(secret, clock)}).status_code == 200
    assert not is_in(client)
    assert client.post(asks, {"code": code(secret, clock)}).status_code == 302
    assert is_in(client)

    again = signed_in(house)  # who has looked over the shoulder, in the same half minute
    assert again.post(asks, {"code": code(secret, clock)}).status_code == 200
    assert not is_in(again)
    clock["step"] += 1
    assert again.post(asks, {"code": code(secret, clock)}).status_code == 302
    assert is_in(again)


def test_a_code_is_used_up_whichever_process_took_it(house: House, rm: Person, clock: dict[str, int]) -> None:
    secret = enrolled(house, clock)
    used = code(secret, clock)
    assert signed_in(house).post("/accounts/2fa/authenticate/", {"code": used}).status_code == 302
    cache.clear()  # what another web process has counted is not in this one
    again = signed_in(house)
    assert again.post("/accounts/2fa/authenticate/", {"code": used}).status_code == 200
    assert not is_in(again)


def test_signing_out_one_place_ends_that_one_alone(house: House, rm: Person, administrator: Person) -> None:
    desk, phone, home = (signed_in(house, agent) for agent in ("desk", "phone", "home"))
    stranger = Client(HTTP_HOST=house.bank.host, HTTP_ACCEPT_LANGUAGE="en")
    assert (
        stranger.post("/accounts/login/", {"login": "administrator", "password": PASSWORD}).status_code == 302
    )
    page = desk.get(SESSIONS).content.decode()
    row = page[page.index(">phone<") :]
    ends = re.search(r'action="(/settings/me/sessions/\d+/end/)"', row)
    assert ends
    assert stranger.post(ends.group(1)).status_code == 404, "nobody ends another's"
    assert is_in(phone)
    assert desk.post(ends.group(1)).headers["Location"] == SESSIONS
    assert [is_in(client) for client in (desk, phone, home, stranger)] == [True, False, True, True]
    assert ">phone<" not in desk.get(SESSIONS).content.decode()
    assert desk.post(SESSIONS).status_code == 302  # the others, all at once
    assert [is_in(client) for client in (desk, home, stranger)] == [True, False, True]
