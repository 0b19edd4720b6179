"""A bank is backed up, put back and removed as an operator does it; the other bank never notices."""

from __future__ import annotations

import datetime as dt
import errno
import json
import uuid
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

from credit_rating.models import CreditCase, Opinion, Rating
from credit_rating.models.cases import OPEN
from crm_site.accounts.banks import forget_banks, vault_of
from crm_site.accounts.models import Bank, BankMove, OrgUnit, Staff
from crm_site.accounts.services import found_bank
from crm_site.audit.models import Entry
from crm_site.audit.services import head_file, seal, verify
from crm_site.composition.moves import archive, removing, restoring
from crm_site.composition.moves.backing_up import back_up
from crm_site.composition.moves.catalogue import FILE_COLUMN, quoted, read_catalogue
from crm_site.composition.moves.restoring import restore
from crm_site.composition.synthetic_bank import make_bank
from crm_site.jobs.executor import connect_beside
from crm_site.jobs.models import Chunk, Outbox, Run, RunStatus, Step
from crm_site.lib.errors import Conflict, DomainError
from crm_site.lib.files import full_path, new_file
from crm_site.lib.permissions import system_actor
from crm_site.lib.tenancy import act_as, bank, moving
from customers.models import Batch, Customer, Identifier, RecordedTie, Relation
from customers.services.privacy import PROTECTED
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


def record_a_tie() -> None:
    """One that nobody may delete: staff recorded it, and a case of a party is under way where there is one."""
    case = CreditCase.objects.filter(status__in=OPEN).first()
    one, other = Customer.objects.exclude(pk=case.customer_id if case else 0).order_by("id")[:2]
    one = case.customer if case else one
    said = {"customer": one, "other": other, "kind": "guarantor"}
    record = RecordedTie.objects.create(
        **said,
        evidence="register",
        recorded_by=Staff.objects.earliest("id"),
        recorded_at=NOW,
        submission=uuid.uuid4(),
    )
    Relation.objects.filter(**said).delete()
    Relation.objects.create(**said, record=record)


@pytest.fixture(scope="module")
def scene(django_db_setup: None, django_db_blocker: Any, tmp_path_factory: Any) -> Iterator[Scene]:
    from django.conf import settings

    folder = tmp_path_factory.mktemp("moves")
    kept = settings.DATA_DIR, settings.MEDIA_ROOT
    settings.DATA_DIR, settings.MEDIA_ROOT = folder, folder / "files"
    with django_db_blocker.unblock():
        there = set(Bank.objects.values_list("pk", flat=True))
        made = make_bank(code="moved", customers=60, seed=5, date=NOW.date(), now=NOW).founded.bank
        other = build_house("beta")
        with bank(made.pk):
            act_as(system_actor(made.pk, "test"))
            with new_file("ingest", made.pk) as (path, file):
                file.write(DELIVERED)
            Batch.objects.create(
                feed="customers", source="api", path=path, content_format="csv", received_at=NOW
            )
            record_a_tie()
            run = Run.objects.create(
                pipeline="nightly", business_date=NOW.date(), requested_as="nightly", requested_at=NOW,
                status=RunStatus.FAILED,
            )  # fmt: skip
            step = Step.objects.create(run=run, name="balances", position=1, status="failed", chunks=1)
            Chunk.objects.create(
                bank_id=made.pk, run_id=run.pk, step_id=step.pk, payload={"from": 1, "to": 9}
            )
            Outbox.objects.create(bank_id=made.pk, topic="nobody.listens", created_at=NOW, due_at=NOW)
        seal(made.pk, NOW)
        file = folder / "moved.backup"
        before = hashes(made.pk)
        back_up(made, file, now=NOW, show=silent)
        yield Scene(made, other, file, before)
        Bank.objects.exclude(pk__in=there).update(is_platform=False)
        for left in list(Bank.objects.exclude(pk__in=there).values_list("code", flat=True)):
            remove(left)
        with as_owner():
            BankMove.objects.all().delete()
    settings.DATA_DIR, settings.MEDIA_ROOT = kept


@pytest.fixture(autouse=True)
def _database(django_db_blocker: Any, scene: Scene) -> Iterator[None]:
    """What a command does in its own transactions cannot be rolled back by the test: it is removed at the end."""
    forget_banks()
    with django_db_blocker.unblock():
        yield


YEARS_LATER = 1_000_000_000


@pytest.fixture(scope="module")
def copy(scene: Scene) -> Bank:
    """Beside the original, as if the backup came from a server whose transactions were counted much further."""
    with pytest.MonkeyPatch.context() as patch:
        facts = {"ends_before": YEARS_LATER}
        patch.setattr(archive.Reader, "verify", lambda self, show: self.facts["record"].update(facts))
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


def test_protected_values_of_a_copy_are_read_and_its_pages_and_api_work(scene: Scene, copy: Bank) -> None:
    what, shown = PROTECTED["identifier"], []
    for each in (scene.bank, copy):
        with bank(each.pk):
            held = Identifier.objects.select_related("customer").order_by("id")[0]
            shown.append(
                vault_of(each.pk).decrypt(getattr(held, what.field), place=what.place, row=what.row(held))
            )
    assert shown[0] and shown[0] == shown[1]
    browser = Client(HTTP_HOST=copy.host, HTTP_ACCEPT_LANGUAGE="en")
    with bank(copy.pk):
        manager = Staff.objects.filter(role_grants__role="branch_manager")[0]
        browser.force_login(manager, backend="allauth.account.auth_backends.AuthenticationBackend")
        number = Customer.objects.values_list("number", flat=True)[0]
    assert browser.get("/").status_code == 200
    assert "(drill)" in browser.get("/customers/").content.decode()
    with bank(copy.pk):
        units = list(OrgUnit.objects.order_by("lft")[:1]) * 4
    call = caller(House(copy, *units, {}), "customers:read")
    assert call("get", f"customers/{number}").json()["number"] == number


def _refused_by_the_kept_heads(scene: Scene) -> None:
    head_file("moved").write_text(f"1 {'0' * 64} 2026-01-01\n")
    with pytest.raises(DomainError, match="Seal 1 of the backup"):
        restore(scene.file, code="", host="", now=NOW, show=silent)


def _broken_off(scene: Scene) -> None:
    """Every row and file is there, nothing is committed; what a killed restore left on disk is cleared on the way."""

    def stop(*args: Any, **kwargs: Any) -> None:
        raise KeyboardInterrupt

    root = restoring.settings.MEDIA_ROOT
    files = sorted(root.rglob("*"))
    (root / "ingest" / "987654").mkdir()
    (root / "ingest" / "987654" / "f").touch()
    (root / ".restoring-987654").touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(restoring, "record", stop)
        with pytest.raises(KeyboardInterrupt):
            restore(scene.file, code="", host="", now=NOW, show=silent)
    assert not Bank.objects.filter(code="moved").exists()
    assert sorted(root.rglob("*")) == files


def test_a_bank_is_removed_and_put_back_as_it_was(scene: Scene, copy: Bank) -> None:
    beside = {each.pk: hashes(each.pk) for each in (scene.other.bank, copy)}
    old = Bank.objects.get(code="moved")
    with bank(old.pk):
        path = full_path(Batch.objects.get().path)
    gone = remove("moved")
    assert gone.rows > 5_000 and gone.files == 1 and not path.exists()
    assert not Bank.objects.filter(code="moved").exists()
    with bank(old.pk), connection.cursor() as cursor:
        for table in read_catalogue().tables:
            if table.name != "accounts_bankmove":
                cursor.execute(f"select count(*) from {table.name} where bank_id = %s", [old.pk])
                assert cursor.fetchone()[0] == 0, table.name
    trace = BankMove.objects.get(bank_id=old.pk, kind="remove")
    assert (trace.rows, trace.name) == (gone.rows, old.name) and "@" in trace.done_by
    with as_owner(), connection.cursor() as cursor:  # as in an installation made anew, whose sequences begin
        cursor.execute("alter table accounts_orgunit alter id restart with 1")

    _refused_by_the_kept_heads(scene)
    head_file("moved").write_text(
        f"99 {'0' * 64} 2026-01-01\n"
    )  # made after the backup, lost with the disaster
    _broken_off(scene)
    back = restore(scene.file, code="", host="", now=NOW, show=silent)
    made = Bank.objects.get(code="moved")
    assert (back.record, back.lost_seals, back.host) == ("intact", 1, old.host) and made.pk != old.pk
    assert hashes(made.pk) == scene.before
    assert {pk: hashes(pk) for pk in beside} == beside
    with bank(made.pk):
        assert full_path(Batch.objects.get().path).read_bytes() == DELIVERED
        top = OrgUnit.objects.order_by("-pk").values_list("pk", flat=True)[0]
        head = OrgUnit.objects.get(parent=None)
        added = OrgUnit(code="NEW", name="New", kind="branch", parent=head)
        added.save()
        assert added.pk == top + 1
        added.delete()
    assert seal(made.pk, NOW) and verify(made.pk).broken == ""


def test_a_bank_put_back_on_a_younger_server_goes_on_with_its_record(copy: Bank) -> None:
    """Transactions are numbered from the beginning there; entries stand behind the chain's end all the same."""
    assert copy.record_shift > 0
    with bank(copy.pk):
        act_as(system_actor(copy.pk, "test"))
        OrgUnit.objects.filter(parent=None).update(region="West")
        last = Entry.objects.latest("id")
        assert last.object_table == "accounts_orgunit" and last.tx >= YEARS_LATER
    assert seal(copy.pk, NOW) >= 1
    verdict = verify(copy.pk)
    assert (verdict.broken, verdict.unsealed) == ("", 0)


def _altered(scene: Scene, change: Callable[[dict[str, bytes]], None]) -> Path:
    """The backup with members changed, written as a proper ZIP file again."""
    with zipfile.ZipFile(scene.file) as whole:
        members = {name: whole.read(name) for name in whole.namelist()}
    change(members)
    path = scene.file.with_name("altered.backup")
    with zipfile.ZipFile(path, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


def _manifest(members: dict[str, bytes], **changes: Any) -> None:
    members["manifest.json"] = json.dumps(json.loads(members["manifest.json"]) | changes).encode()


def _resealed(members: dict[str, bytes], **changes: Any) -> None:
    _manifest(members, **changes)
    members["manifest.hmac"] = archive._sealed(members["manifest.json"]).encode()


ALTERED: dict[str, tuple[Callable[[dict[str, bytes]], None], str]] = {
    "a row": (lambda m: m.update({"tables/work_task": m["tables/work_task"] + b"x\n"}), "tables/work_task"),
    "a table is missing": (
        lambda m: m.pop("tables/customers_customer") and None,
        "tables/customers_customer",
    ),
    "the manifest": (lambda m: _manifest(m, files=[]), "manifest is not as it was sealed"),
    "no manifest": (lambda m: m.pop("manifest.json") and None, "manifest cannot be read"),
    "another version": (lambda m: _resealed(m, migrations=["accounts.0001_initial"]), "another version"),
    "a later format": (lambda m: _resealed(m, format=2), "format 2"),
    "a name that leads out": (lambda m: _resealed(m, files=["../etc/passwd"]), "no proper name"),
}


@pytest.mark.parametrize("what", ALTERED)
def test_an_altered_backup_is_refused_before_anything_is_written(scene: Scene, what: str) -> None:
    change, said = ALTERED[what]
    banks = Bank.objects.count()
    with pytest.raises(DomainError, match=said):
        restore(_altered(scene, change), code="altered", host="", now=NOW, show=silent)
    assert Bank.objects.count() == banks and not BankMove.objects.filter(code="altered").exists()


def test_a_truncated_backup_and_another_master_key_are_refused(scene: Scene, settings: Any) -> None:
    short = scene.file.with_name("short.backup")
    short.write_bytes(scene.file.read_bytes()[:-500])
    with pytest.raises(DomainError, match="no whole ZIP file"):
        restore(short, code="short", host="", now=NOW, show=silent)
    settings.MASTER_KEY = "A" * 43
    with pytest.raises(DomainError, match="another master key: set BANYAN_MASTER_KEY"):
        restore(scene.file, code="foreign", host="", now=NOW, show=silent)
    with pytest.raises(DomainError, match="could never be restored"):
        back_up(scene.other.bank, scene.file.with_name("foreign.backup"), now=NOW, show=silent)


def test_what_stands_is_neither_overwritten_nor_restored_over(scene: Scene) -> None:
    with pytest.raises(Conflict, match="never overwritten"):
        back_up(scene.other.bank, scene.file, now=NOW, show=silent)
    with pytest.raises(Conflict, match="There is a bank beta"):
        restore(scene.file, code="beta", host="", now=NOW, show=silent)
    with pytest.raises(Conflict, match=r"Another bank answers at beta\.localhost"):
        restore(scene.file, code="gamma", host="beta.localhost", now=NOW, show=silent)


def test_a_backup_that_fails_leaves_no_file_and_two_do_not_write_one(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = scene.file.with_name("beta.backup")
    with archive.whole_file(target), pytest.raises(Conflict, match="right now"):
        back_up(scene.other.bank, target, now=NOW, show=silent)
    target.unlink()

    def full(*args: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(archive.Writer, "member", full)
    with pytest.raises(DomainError, match="no room left"):
        back_up(scene.other.bank, target, now=NOW, show=silent)
    assert not list(target.parent.glob("beta.backup*"))
    assert not BankMove.objects.filter(code="beta", kind="backup").exists()


def test_the_application_opens_no_gate_in_a_living_bank(scene: Scene) -> None:
    """Guards stand aside for an empty bank in the transaction that fills it, and for nobody else."""
    made = Bank.objects.get(code="moved")
    with bank(made.pk):
        rating = Rating.objects.filter(status="approved").first()
        opinion = Opinion.objects.first()
    assert rating is not None and opinion is not None
    attempts = (
        f"delete from credit_rating_rating where id = {rating.pk}",
        f"delete from credit_rating_opinion where id = {opinion.pk}",
    )
    for attempt in attempts:
        with pytest.raises(IntegrityError), bank(made.pk), connection.cursor() as cursor, moving():
            cursor.execute(attempt)  # the setting alone
    note = "bank_id, code, name, kind, at, done_by, rows, detail, xact, began"
    this = "pg_current_xact_id()::text::bigint"
    for opening in (
        f"select banyan_begin_restore({made.pk}, 'x', 0, '')",
        f"insert into accounts_bankmove ({note}) values ({made.pk}, '', '', 'remove', now(), '', 0, '', {this}, now())",
        f"update accounts_bankmove set xact = {this}, began = now(), bank_id = {made.pk}",
        "delete from accounts_bankmove",
    ):
        refused = pytest.raises(DatabaseError, match=r"only an empty bank|permission denied")
        with refused, bank(made.pk), connection.cursor() as cursor:
            cursor.execute(opening)


@transaction.atomic
def _delete_through_an_empty_banks_gate(living: Bank) -> None:
    empty = Bank.objects.create(
        code="bait", name="Bait", host="bait.localhost", wrapped_key=b"", created_at=NOW
    )
    with connection.cursor() as cursor:
        with bank(empty.pk):
            cursor.execute("select banyan_begin_restore(%s, 'x', 0, '')", [empty.pk])
        with bank(living.pk), moving():
            cursor.execute("delete from credit_rating_opinion")


def test_an_open_gate_lets_nothing_through_to_another_bank(scene: Scene) -> None:
    """A bank made empty on purpose may be filled with anything; its gate does not reach a bank that lives."""
    made = Bank.objects.get(code="moved")
    with pytest.raises(IntegrityError):
        _delete_through_an_empty_banks_gate(made)
    with bank(made.pk):
        before = Entry.objects.count()
        with moving():  # nor does the record look away
            OrgUnit.objects.create(code="U", name="U", kind="branch", parent=OrgUnit.objects.get(parent=None))
        assert Entry.objects.count() == before + 1
        transaction.set_rollback(True)


def test_every_guard_has_its_gate(scene: Scene) -> None:
    """A guard made by a later migration gets one by itself; one that had none would make every restore fail."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select tgname from pg_trigger t join pg_proc p on p.oid = t.tgfoid where not tgisinternal "
            "and tgtype & 12 <> 0 and proname not like 'banyan\\_key%' and proname <> 'banyan_parent_deleted' "
            "and pg_get_triggerdef(t.oid) not like '%banyan_moving()%'"
        )
        assert cursor.fetchall() == []


def test_a_removal_waits_for_jobs_and_says_what_goes(scene: Scene) -> None:
    made = Bank.objects.get(code="moved")
    with pytest.raises(CommandError, match=r"customers, \d+ rows and 1 files would be gone") as refused:
        call_command("remove_bank", "moved")
    assert refused.value.returncode == 2
    with bank(made.pk):
        Run.objects.update(status=RunStatus.RUNNING)
    with pytest.raises(Conflict, match="job of the bank is not finished"):
        remove("moved")
    with bank(made.pk):
        Run.objects.update(status=RunStatus.FAILED)
    with connect_beside() as backup, backup.transaction():
        backup.execute("select pg_advisory_xact_lock_shared(hashtextextended('bank move', %s))", [made.pk])
        with pytest.raises(Conflict, match="being backed up"):
            remove("moved")


def test_the_platform_records_a_removal_and_stays(scene: Scene) -> None:
    platform = found_bank(code="platform", name="Platform", now=NOW, is_platform=True).bank
    build_house("brief")
    gone = remove("brief")
    with bank(platform.pk):
        entry = Entry.objects.get(action="remove")
    assert entry.changes["code"] == "brief" and entry.changes["rows"] == gone.rows > 5
    with pytest.raises(DomainError, match="platform itself"):
        remove("platform")
