"""The platform's operator: creates and closes banks, sees nothing of theirs."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.core.exceptions import PermissionDenied
from django.core.management import ManagementUtility, call_command
from django.core.management.base import CommandError
from django.test import Client

from crm_site.accounts.banks import forget_banks
from crm_site.accounts.models import Bank, BankMove, OrgUnit, Staff
from crm_site.accounts.services import create_bank, found_bank
from crm_site.lib.errors import DomainError
from crm_site.lib.permissions import Role
from crm_site.lib.tenancy import bank
from tests.conftest import NOW, House, Person, hire

NEW = {
    "code": "delta", "name": "Delta", "host": "", "currency": "CNY", "timezone": "Asia/Shanghai", "language": "en",
}  # fmt: skip


@pytest.fixture
def operator(db: None) -> Person:
    platform = found_bank(code="platform", name="Platform", now=NOW, is_platform=True, login="op").bank
    with bank(platform.pk):
        Staff.objects.update(must_change_password=False)
        return Person(Staff.objects.get(number="op"), platform)


def test_a_bank_is_created_with_its_first_administrator(
    operator: Person, client_for: Callable[[Person], Client]
) -> None:
    client = client_for(operator)
    page = client.post("/banks/new/", NEW, follow=True).content.decode()
    assert "delta.localhost" in page
    assert "One-time password" in page
    assert "One-time password" not in client.get("/banks/").content.decode()
    again = client.post("/banks/new/", NEW)
    assert again.status_code == 422
    assert "exists already" in again.content.decode()
    created = Bank.objects.get(code="delta")
    with bank(created.pk):
        assert Staff.objects.get().must_change_password
        assert OrgUnit.objects.count() == 1


def test_the_operator_sees_when_a_bank_was_last_backed_up(
    operator: Person, house: House, client_for: Callable[[Person], Client]
) -> None:
    for number in (1, 2):
        BankMove.objects.create(
            bank_id=house.id,
            code="alpha",
            name="A",
            kind="backup",
            at=NOW.replace(day=number),
            done_by="x",
            rows=1,
        )
    page = client_for(operator).get("/banks/").content.decode()
    assert "2 Nov" in page
    assert "1 Nov" not in page


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("code", "Delta!"),
        ("name", " "),
        ("host", "http://delta"),
        ("timezone", "Moon/Base"),
        ("currency", "yuan"),
        ("currency", "XXQ"),
        ("currency", "KWD"),
    ],
)
def test_wrong_facts_are_said_beside_their_field(
    operator: Person, client_for: Callable[[Person], Client], field: str, value: str
) -> None:
    answer = client_for(operator).post("/banks/new/", {**NEW, field: value})
    assert answer.status_code == 422
    assert f'id="id_{field}_error"' in answer.content.decode()


def test_the_command_refuses_what_no_bank_can_have(db: None) -> None:
    """A currency with three decimals would spoil every amount of the bank, and no page changes it later."""
    for wrong in (
        ["--currency", "KWD"],
        ["--currency", "XXQ"],
        ["--timezone", "Mars/One"],
        ["--host", "a b"],
    ):
        with pytest.raises(CommandError):
            call_command("create_bank", "delta", "--name", "Delta", *wrong)
    with pytest.raises(CommandError, match="needs a name"):
        call_command("create_bank", "delta", "--name", "")
    assert not Bank.objects.filter(code="delta").exists()


def test_a_closed_bank_answers_nobody(
    operator: Person, house: House, rm: Person, client_for: Callable[[Person], Client]
) -> None:
    client, browser = client_for(operator), client_for(rm)
    client.post(f"/banks/{house.id}/close/")
    forget_banks()
    assert browser.get("/settings/me/").status_code == 404
    assert "has been done already" in client.post(f"/banks/{house.id}/close/", follow=True).content.decode()
    client.post(f"/banks/{house.id}/reopen/")
    forget_banks()
    assert browser.get("/settings/me/").status_code == 200


def test_the_platform_cannot_close_itself(operator: Person, client_for: Callable[[Person], Client]) -> None:
    client_for(operator).post(f"/banks/{operator.bank.pk}/close/")
    assert Bank.objects.get(pk=operator.bank.pk).is_active


def test_an_operators_role_counts_on_the_platform_alone(house: House) -> None:
    false = hire(house, "false_operator", Role.OPERATOR, house.head_office)
    with bank(house.id), pytest.raises(PermissionDenied):
        create_bank(false.actor, code="delta", name="Delta", now=NOW)


def test_the_operators_home_shows_banks_and_no_customer(
    operator: Person, house: House, client_for: Callable[[Person], Client]
) -> None:
    client = client_for(operator)
    page = client.get("/").content.decode()
    assert house.bank.host in page
    for address in ("/customers/", "/audit/", "/jobs/", "/settings/clients/"):
        assert client.get(address).status_code in (403, 404)


def test_closing_what_is_closed_says_so(operator: Person, house: House) -> None:
    from crm_site.accounts.services import close_bank

    with bank(operator.bank.pk):
        close_bank(operator.actor, bank_id=house.id, now=NOW)
        with pytest.raises(DomainError):
            close_bank(operator.actor, bank_id=house.id, now=NOW)


def test_a_scope_that_there_is_not_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2 and the scopes there are, before anything is made."""
    with pytest.raises(SystemExit) as left:
        ManagementUtility(
            ["manage.py", "create_api_client", "--bank", "a", "--name", "core", "--scopes", "lines:read x"]
        ).execute()
    assert left.value.code == 2
    assert "no scope is called lines:read" in capsys.readouterr().err
