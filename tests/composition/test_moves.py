"""A bank is backed up, put back and removed as an operator does it; the other bank never notices."""

from __future__ import annotations

import datetime as dt
import errno
import json
import shutil
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.test import Client

from credit_rating.models import Opinion, Rating
from crm_site.accounts.banks import forget_banks
from crm_site.accounts.models import Bank, BankMove, Staff
from crm_site.audit.models import Entry
from crm_site.audit.services import head_file, record, seal, verify
from crm_site.composition.moves import archive, removing, restoring
from crm_site.composition.moves.backing_up import back_up, lock_bank
from crm_site.composition.moves.catalogue import FILE_COLUMN, LEFT_OUT, NEW_KEYS, quoted, read_catalogue
from crm_site.composition.moves.restoring import restore
from crm_site.composition.synthetic_bank import make_bank
from crm_site.jobs.models import Chunk, Outbox, Run, RunStatus, Step
from crm_site.lib.errors import Conflict, DomainError
from crm_site.lib.files import full_path, new_file
from crm_site.lib.permissions import system_actor
from crm_site.lib.tenancy import act_as, bank, moving
from customers.models import Batch, Customer, Identifier
from customers.services.privacy import PROTECTED, reveal_identifier
from tests.composition.test_api import caller
from tests.conftest import House, build_house

NOW = dt.datetime(2026, 3, 20, 3, 0, tzinfo=dt.UTC)
DELIVERED = b"number,name\n1,A\n"
Hashes = dict[str, tuple[int, str]]


def silent(text: str, share: float) -> None:
    pass


def hashes(bank_id: int) -> Hashes:
    """Rows and a hash of every table's own columns; the record apart, which goes on by itself."""
    found = {}
    with bank(bank_id), connection.cursor() as cursor:
        for table in read_catalogue().carried:
            if table.name in ("audit_entry", "audit_seal", "allauth_idp_oidc_client"):
                continue
            columns = quoted(c for c in table.carried if c != FILE_COLUMN)
            cursor.execute(
                f"select count(*), coalesce(sum(hashtextextended(row({columns})::text, 0)::numeric), 0)::text "
                f"from {table.name} where bank_id = %s{table.only}",
                [bank_id],
            )
            found[table.name] = cursor.fetchone()
    return found


@contextmanager
def as_owner() -> Iterator[None]:
    with connection.creation.as_owner():
        yield
    connection.close()


def remove(code: str) -> removing.Removed:
    with as_owner():
        return removing.remove(Bank.objects.get(code=code), now=NOW, show=silent, patience=0)


@dataclass
class Scene:
    """A small bank with a credit book, a delivery on disk and a job that stands; another bank beside it; a backup."""

    bank: Bank
    other: House
    file: Path
    before: Hashes


@pytest.fixture(scope="module")
def scene(django_db_setup: None, django_db_blocker: Any, tmp_path_factory: Any) -> Iterator[Scene]:
    from django.conf import settings

    folder = tmp_path_factory.mktemp("moves")
    kept = settings.DATA_DIR, settings.MEDIA_ROOT
    settings.DATA_DIR, settings.MEDIA_ROOT = folder, folder / "files"
    with django_db_blocker.unblock():
        made = make_bank(code="moved", customers=60, seed=5, date=NOW.date(), now=NOW).founded.bank
        other = build_house("beta")
        with bank(made.pk):
            act_as(system_actor(made.pk, "test"))
            with new_file("ingest", made.pk) as (path, file):
                file.write(DELIVERED)
            Batch.objects.create(
                feed="customers", source="api", path=path, content_format="csv", received_at=NOW
            )
            run = Run.objects.create(
                pipeline="nightly", business_date=NOW.date(), requested_as="nightly", requested_at=NOW,
                status=RunStatus.FAILED,
            )  # fmt: skip
            step = Step.objects.create(run=run, name="balances", position=1, status="failed", chunks=1)
            Chunk.objects.create(bank_id=made.pk, run_id=run.pk, step_id=step.pk, payload={"from": 1, "to": 9})
            Outbox.objects.create(bank_id=made.pk, topic="nobody.listens", created_at=NOW, due_at=NOW)
        seal(made.pk, NOW)
        file = folder / "moved.backup"
        before = hashes(made.pk)
        back_up(made, file, now=NOW, show=silent)
        yield Scene(made, other, file, before)
        for left in Bank.objects.exclude(code="").values_list("code", flat=True):
            remove(left)
    settings.DATA_DIR, settings.MEDIA_ROOT = kept


@pytest.fixture(autouse=True)
def _database(django_db_blocker: Any, scene: Scene) -> Iterator[None]:
    """What a command does in its own transactions cannot be rolled back by the test: it is removed at the end."""
    forget_banks()
    with django_db_blocker.unblock():
        yield


@pytest.fixture(scope="module")
def copy(scene: Scene) -> Bank:
    restore(scene.file, code="drill", host="", now=NOW, show=silent)
    return Bank.objects.get(code="drill")


def test_a_copy_beside_the_original_is_the_same_bank(scene: Scene, copy: Bank) -> None:
    assert hashes(copy.pk) == scene.before
    assert hashes(scene.bank.pk) == scene.before
    assert copy.name == f"{scene.bank.name} (drill)" and copy.host == "drill.localhost"
    with bank(copy.pk):
        path = Batch.objects.get().path
        assert path.startswith(f"ingest/{copy.pk}/") and full_path(path).read_bytes() == DELIVERED
        assert not Chunk.objects.filter(bank_id=copy.pk).exclude(step_id=Step.objects.get().pk).exists()
    for each in (scene.bank, copy):
        assert verify(each.pk).broken == ""
        assert seal(each.pk, NOW) and verify(each.pk).broken == ""
        assert verify(each.pk).unsealed == 0
    with bank(copy.pk):
        entry = Entry.objects.get(action="restore")
    assert entry.changes["backup_of"] == "moved"
    assert set(BankMove.objects.values_list("code", "kind")) >= {("moved", "backup"), ("drill", "restore")}


def test_protected_values_of_a_copy_can_be_revealed_and_its_pages_and_api_work(scene: Scene, copy: Bank) -> None:
    with bank(copy.pk):
        actor = system_actor(copy.pk, "test")
        held = Identifier.objects.select_related("customer").order_by("id").first()
        assert held is not None
        whole = Client(HTTP_HOST=copy.host, HTTP_ACCEPT_LANGUAGE="en")
        from crm_site.accounts.banks import vault_of

        what = PROTECTED["identifier"]
        shown = vault_of(copy.pk).decrypt(getattr(held, what.field), place=what.place, row=what.row(held))
    with bank(scene.bank.pk):
        same = Identifier.objects.get(pk=held.pk)
        value = vault_of(scene.bank.pk).decrypt(getattr(same, what.field), place=what.place, row=what.row(same))
    assert shown == value
    with bank(copy.pk):
        manager = Staff.objects.filter(role_grants__role="branch_manager").first()
        assert manager is not None
        whole.force_login(manager, backend="allauth.account.auth_backends.AuthenticationBackend")
        number = Customer.objects.filter(home_branch_id=manager.unit_id).values_list("number", flat=True).first()
    assert whole.get("/").status_code == 200
    assert whole.get("/customers/").status_code == 200
    assert scene.bank.host not in whole.get("/customers/").content.decode()
    call = caller(House(copy, *[None] * 4, {}), "customers:read")  # type: ignore[arg-type]
    assert call("get", f"customers/{number}").json()["number"] == number
    assert actor.bank_id == copy.pk and reveal_identifier is not None
