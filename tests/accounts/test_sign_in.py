"""Signing in at a bank: what is refused, for how long, what must be done first, and what the record says of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.core.cache import cache
from django.db import IntegrityError, transaction
from django.test import Client
from django.utils import timezone

from crm_site.accounts.models import PasswordHistory, SignInFailure, SignInPolicy, Staff
from crm_site.accounts.services import reset_password
from crm_site.audit.models import Entry
from crm_site.lib.tenancy import bank
from tests.conftest import NOW, PASSWORD, House, Person

LOGIN = "/accounts/login/"
NEW = "another long enough phrase"


@pytest.fixture(autouse=True)
def _no_flood() -> Iterator[None]:
    """The library's guard per address counts in this process: each test begins anew."""
    cache.clear()
    yield
    cache.clear()


def browser(house: House) -> Client:
    return Client(HTTP_HOST=house.bank.host, HTTP_ACCEPT_LANGUAGE="en")


def try_in(client: Client, number: str, password: str) -> str:
    """Send the sign-in form; "" when it let us in, else the page."""
    answer = client.post(LOGIN, {"login": number, "password": password})
    return "" if answer.status_code == 302 else answer.content.decode()


def entries(house: House, action: str) -> list[Entry]:
    with bank(house.id):
        return list(Entry.objects.filter(action=action).order_by("id"))


def test_the_right_password_lets_in_and_is_recorded(house: House, rm: Person) -> None:
    client = browser(house)
    assert try_in(client, "rm", PASSWORD) == ""
    assert client.get("/settings/me/").status_code == 200
    client.post("/accounts/logout/")
    assert client.get("/settings/me/").status_code == 302
    assert [e.actor_id for e in entries(house, "sign_in")] == [rm.staff.pk]
    assert [e.actor_id for e in entries(house, "sign_out")] == [rm.staff.pk]


def test_five_failures_lock_a_number_known_or_not(house: House, rm: Person) -> None:
    for number in ("rm", "nobody-here"):
        client = browser(house)
        said = [try_in(client, number, "wrong wrong wrong") for _ in range(5)]
        assert all("do not match" in page for page in said[:4])
        assert "locked for 5 more minutes" in said[4]
        assert "Too many failed" in try_in(client, number, PASSWORD), "a locked number is not even tried"
    # Five wrong ones of each, and a try of each while it was locked: one lock-out each.
    assert len(entries(house, "sign_in_failed")) == 12
    assert [e.actor_id for e in entries(house, "lock_out")] == [rm.staff.pk, None]


def test_a_lock_ends_after_five_minutes(house: House, rm: Person) -> None:
    client = browser(house)
    for _ in range(5):
        try_in(client, "rm", "wrong wrong wrong")
    with bank(house.id):
        SignInFailure.objects.update(locked_until=timezone.now() - dt.timedelta(seconds=1))
    assert try_in(client, "rm", PASSWORD) == ""
    with bank(house.id):
        assert not SignInFailure.objects.exists(), "the right password begins the count anew"


def test_a_failure_never_records_what_was_typed(house: House, rm: Person) -> None:
    try_in(browser(house), "rm", "my secret secret")
    try_in(browser(house), "my-password-in-the-wrong-box", "x")
    written = [f"{e.actor_label} {e.changes} {e.reason}" for e in entries(house, "sign_in_failed")]
    assert written[0].startswith("rm ")
    assert not any("secret" in text or "wrong-box" in text for text in written)


def test_a_one_time_password_forces_its_change(house: House, rm: Person, administrator: Person) -> None:
    with bank(house.id):
        given = reset_password(administrator.actor, staff_id=rm.staff.pk, now=timezone.now()).password
    client = browser(house)
    assert try_in(client, "rm", PASSWORD), "the old one is gone"
    assert try_in(client, "rm", given) == ""
    for address in ("/", "/settings/me/", "/customers/"):
        assert client.get(address).headers["Location"] == "/accounts/password/change/"
    assert (
        client.get("/customers/", HTTP_HX_REQUEST="true").headers["HX-Redirect"]
        == "/accounts/password/change/"
    )
    assert "with a one-time password" in client.get("/accounts/password/change/").content.decode()
    client.post("/accounts/password/change/", {"oldpassword": given, "password1": NEW, "password2": NEW})
    assert client.get("/settings/me/").status_code == 200
    assert "with a one-time password" not in client.get("/accounts/password/change/").content.decode()
    assert [e.actor_id for e in entries(house, "password")] == [rm.staff.pk]


def test_a_one_time_password_expires(house: House, rm: Person, administrator: Person) -> None:
    with bank(house.id):
        then = timezone.now() - dt.timedelta(hours=73)
        given = reset_password(administrator.actor, staff_id=rm.staff.pk, now=then).password
    assert "has expired" in try_in(browser(house), "rm", given)


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        ("short", "at least 10"),
        ("password123", "too common"),
        ("relationshipmanager-rm", ""),
        (PASSWORD, "last five"),
        ("8264917350", "entirely numeric"),
    ],
)
def test_the_password_policy(
    house: House, rm: Person, client_for: Callable[[Person], Client], wanted: str, why: str
) -> None:
    if not why:
        return
    answer = client_for(rm).post(
        "/accounts/password/change/", {"oldpassword": PASSWORD, "password1": wanted, "password2": wanted}
    )
    assert answer.status_code == 200
    assert why in answer.content.decode()


def test_the_last_five_passwords_cannot_come_again(house: House, rm: Person) -> None:
    with bank(house.id):
        client, old = browser(house), PASSWORD
    try_in(client, "rm", PASSWORD)
    for n in range(2):
        new = f"{NEW} number {n}"
        assert client.post(
            "/accounts/password/change/", {"oldpassword": old, "password1": new, "password2": new}
        ).status_code == 302  # fmt: skip
        old = new
    first = f"{NEW} number 0"
    answer = client.post(
        "/accounts/password/change/", {"oldpassword": old, "password1": first, "password2": first}
    )
    assert "last five" in answer.content.decode()
    with bank(house.id):
        assert PasswordHistory.objects.filter(staff=rm.staff).count() == 2


def test_a_changed_password_ends_the_other_sessions(house: House, rm: Person) -> None:
    here, there = browser(house), browser(house)
    try_in(here, "rm", PASSWORD)
    try_in(there, "rm", PASSWORD)
    here.post("/accounts/password/change/", {"oldpassword": PASSWORD, "password1": NEW, "password2": NEW})
    assert here.get("/settings/me/").status_code == 200
    assert there.get("/settings/me/").status_code == 302


def _age(client: Client, house: House, **keys: dt.timedelta) -> None:
    with bank(house.id):
        session = client.session
        for key, age in keys.items():
            session[key] = (timezone.now() - age).timestamp()
        session.save()


def test_a_session_ends_after_an_hour_of_silence_and_after_twelve(
    house: House, rm: Person, client_for: Callable[[Person], Client]
) -> None:
    client = client_for(rm)
    _age(client, house, seen_at=dt.timedelta(minutes=59))
    assert client.get("/settings/me/").status_code == 200
    _age(client, house, seen_at=dt.timedelta(minutes=61))
    assert client.get("/settings/me/").headers["Location"].startswith(LOGIN)
    assert "60 minutes" in client.get(LOGIN).content.decode()
    client = client_for(rm)
    _age(client, house, signed_in_at=dt.timedelta(hours=12, minutes=1), seen_at=dt.timedelta(minutes=1))
    assert client.get("/settings/me/").status_code == 302


def test_a_cookie_of_one_bank_is_nobody_at_another(
    house: House, other_house: House, rm: Person, client_for: Callable[[Person], Client]
) -> None:
    client = client_for(rm)
    assert client.get("/settings/me/").status_code == 200
    assert client.get("/settings/me/", HTTP_HOST=other_house.bank.host).status_code == 302


def test_the_same_number_at_two_banks_are_two_people(house: House, other_house: House, rm: Person) -> None:
    assert "do not match" in try_in(browser(other_house), "rm", PASSWORD)
    with bank(other_house.id):
        Staff.objects.create_user("rm", NEW, name="Another", unit=other_house.north)
    assert "do not match" in try_in(browser(other_house), "rm", PASSWORD)
    assert try_in(browser(other_house), "rm", NEW) == ""


def test_an_e_mail_address_may_be_verified_in_two_banks_but_once_in_one(
    house: House, other_house: House, rm: Person, teller: Person, outsider: Person
) -> None:
    for person in (rm, outsider):
        with bank(person.bank.pk):
            EmailAddress.objects.create(user=person.staff, email="x@example.org", verified=True)
    with bank(house.id), pytest.raises(IntegrityError), transaction.atomic():
        EmailAddress.objects.create(user=teller.staff, email="x@example.org", verified=True)


def test_somebody_who_has_left_is_a_stranger(house: House, rm: Person) -> None:
    with bank(house.id):
        Staff.objects.filter(pk=rm.staff.pk).update(is_active=False)
    assert "do not match" in try_in(browser(house), "rm", PASSWORD)


def test_a_second_factor_is_asked_for_only_where_the_bank_says_so(
    house: House, administrator: Person, rm: Person, client_for: Callable[[Person], Client]
) -> None:
    assert client_for(administrator).get("/settings/me/").status_code == 200
    with bank(house.id):
        SignInPolicy.objects.create(second_factor_required=True, changed_at=NOW)
    assert client_for(administrator).get("/settings/me/").headers["Location"] == "/accounts/2fa/"
    assert client_for(rm).get("/settings/me/").status_code == 200, "others are not held back"
    with bank(house.id):
        Authenticator.objects.create(
            user=administrator.staff, type=Authenticator.Type.TOTP, data={"secret": "x"}
        )
    assert client_for(administrator).get("/settings/me/").status_code == 200


@pytest.mark.parametrize(
    "address",
    ["/accounts/2fa/", "/accounts/sessions/", "/accounts/password/change/", "/accounts/reauthenticate/"],
)
def test_the_pages_of_ones_own_sign_in_answer(
    house: House, rm: Person, client_for: Callable[[Person], Client], address: str
) -> None:
    assert client_for(rm).get(address).status_code == 200


@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete", "options"])
@pytest.mark.parametrize(
    "address",
    [
        "/accounts/signup/", "/accounts/email/", "/accounts/password/reset/", "/accounts/reset-password/",
        "/accounts/password/set/", "/accounts/confirm-email/", "/identity/o/authorize", "/identity/o/device",
        "/identity/o/api/userinfo", "/identity/o/api/device/code", "/identity/o/logout",
    ],
)  # fmt: skip
def test_what_staff_must_not_use_is_not_there(house: House, address: str, method: str) -> None:
    assert getattr(browser(house), method)(address).status_code == 404


def test_the_discovery_document_announces_no_more(house: House) -> None:
    said = browser(house).get("/.well-known/openid-configuration").json()
    assert said["grant_types_supported"] == ["client_credentials"]
    assert not {"authorization_endpoint", "userinfo_endpoint", "device_authorization_endpoint"} & said.keys()


def test_an_unknown_host_names_banks_only_in_development(house: House, settings: object) -> None:
    stranger = Client(HTTP_HOST="nowhere.example")
    assert house.bank.name in stranger.get("/").content.decode()
    settings.PRODUCTION = True
    assert house.bank.name not in stranger.get("/").content.decode()
    assert stranger.get("/customers/").status_code == 404


def test_an_administrator_lifts_a_lock_on_the_record(
    house: House, rm: Person, administrator: Person, client_for: Callable[[Person], Client]
) -> None:
    stranger, admin = browser(house), client_for(administrator)
    for _ in range(5):
        try_in(stranger, "rm", "wrong wrong wrong")
    address = f"/settings/staff/{rm.staff.pk}/"
    assert f'action="{address}unlock/"' in admin.get(address).content.decode()
    admin.post(f"{address}unlock/")
    assert f'action="{address}unlock/"' not in admin.get(address).content.decode()
    assert try_in(stranger, "rm", PASSWORD) == ""
    assert [(e.actor_id, e.object_id) for e in entries(house, "decide")] == [
        (administrator.staff.pk, rm.staff.pk)
    ]
