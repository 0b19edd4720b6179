"""The record: every change writes itself; tampering by the database's superuser is found."""

from __future__ import annotations

import itertools
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import ProgrammingError, connection, transaction
from hypothesis import given
from hypothesis import strategies as st

from crm_site.accounts.models import Bank, OrgUnit
from crm_site.audit.models import Entry, Seal
from crm_site.audit.services import append_heads, go_on_counting, record, seal, verify
from crm_site.audit.triggers import audited_tables
from crm_site.lib.tenancy import act_as, bank
from tests.conftest import NOW, House, Person, build_house, hire
from tests.properties import rule


def test_a_change_says_who_what_and_why(house: House, branch_manager: Person) -> None:
    with bank(house.id):
        act_as(branch_manager.actor, reason="renamed by decree")
        unit = OrgUnit.objects.get(code="N")
        unit.name = "Northern"
        unit.save(update_fields=["name"])
        entry = Entry.objects.filter(object_table="accounts_orgunit", action="update").latest("id")
    assert entry.changes == {"name": ["North", "Northern"]}
    assert (entry.object_id, entry.reason) == (house.north.pk, "renamed by decree")
    assert entry.actor_id == branch_manager.staff.pk and "branch_manager" in entry.actor_label


def test_a_password_is_never_written_down(house: House, rm: Person) -> None:
    with bank(house.id):
        rm.staff.set_password("another secret phrase")
        rm.staff.save(update_fields=["password"])
        rows = Entry.objects.filter(object_table="accounts_staff", object_id=rm.staff.pk)
        text = " ".join(str(row.changes) for row in rows)
    assert "(secret)" in text
    assert rm.staff.password not in text


def test_a_bulk_insert_is_one_entry(house: House) -> None:
    with bank(house.id):
        OrgUnit.objects.bulk_create(
            OrgUnit(code=f"B{i}", name=f"Unit {i}", kind="sub_branch", parent=house.north)
            for i in range(1500)
        )
        entry = Entry.objects.filter(object_table="accounts_orgunit", action="insert").latest("id")
    assert entry.changes["rows"] == 1500


def test_the_application_may_not_change_the_record(house: House) -> None:
    with bank(house.id):
        for statement in (
            "update audit_entry set reason = 'x'",
            "delete from audit_entry",
            "truncate audit_seal",
        ):
            with pytest.raises(ProgrammingError), transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(statement)


def test_banks_do_not_read_each_others_record(house: House, other_house: House) -> None:
    with bank(other_house.id):
        mine = Entry.objects.count()
        assert mine > 0
        assert not Entry.objects.exclude(bank_id=other_house.id).exists()


def test_every_business_table_is_audited(db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "select tgrelid::regclass::text, count(*) from pg_trigger where tgname like 'audit\\_%' group by 1"
        )
        found = dict(cursor.fetchall())
    assert found == dict.fromkeys(audited_tables(), 3)


def _superuser(statement: str) -> None:
    """As the owner of the tables, with row security off: what a superuser could do."""
    config, owner = settings.DATABASES["default"], settings.DATABASES["default"]["TEST"]["OWNER"]
    with psycopg.connect(
        host=config["HOST"],
        port=config["PORT"],
        dbname=connection.settings_dict["NAME"],
        user=owner["USER"],
        password=owner["PASSWORD"],
    ) as conn:
        for table in ("audit_entry", "audit_seal"):
            conn.execute(f"alter table {table} disable row level security")
        conn.execute(statement)
        for table in ("audit_entry", "audit_seal"):
            conn.execute(f"alter table {table} enable row level security")


MIDDLE = "(select id from audit_entry order by id offset 3 limit 1)"
TAMPERING = {
    "changed": f"update audit_entry set reason = 'nothing happened' where id = {MIDDLE}",
    "changed figures": f"update audit_entry set changes = '{{}}' where id = {MIDDLE}",
    "deleted": f"delete from audit_entry where id = {MIDDLE}",
    "deleted tail": "delete from audit_entry where id = (select max(id) from audit_entry)",
    "inserted": "insert into audit_entry (bank_id, at, tx, actor_kind, actor_label, action, object_table) "
    "select bank_id, at, tx, actor_kind, actor_label, action, object_table from audit_entry limit 1",
    "reordered": "update audit_entry e set at = o.at from (select a.id, b.at from audit_entry a join audit_entry b "
    "on b.id = a.id + 1) o where e.id = o.id",
    "truncated": "truncate audit_entry",
    "seal removed": "delete from audit_seal where seq = (select max(seq) from audit_seal)",
    "all removed": "truncate audit_entry, audit_seal",
    "seal rewritten": "update audit_seal set hash = sha256(hash)",
}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", TAMPERING)
def test_tampering_is_found(kind: str, settings: Any, tmp_path: Any) -> None:
    settings.DATA_DIR = tmp_path
    house = build_house("alpha")
    hire(house, "someone", None, house.north)
    assert seal(house.id, NOW) > 5
    with bank(house.id):
        OrgUnit.objects.filter(code="S").update(name="Southern")
    assert seal(house.id, NOW) == 1
    before = verify(house.id)
    assert before.broken == "" and before.unsealed == 0 and before.seals == 2
    _superuser(TAMPERING[kind])
    assert verify(house.id).broken != ""


# What a superuser might do to the entry {id} of bank {bank}; whether the walk can say which entry it is.
FORGERIES = {
    "reason": ("update audit_entry set reason = reason || '.' where id = {id}", True),
    "who": ("update audit_entry set actor_label = actor_label || '.' where id = {id}", True),
    "whose": ("update audit_entry set actor_id = coalesce(actor_id, 0) + 1 where id = {id}", True),
    "what": ("update audit_entry set object_id = coalesce(object_id, 0) + 1 where id = {id}", True),
    "figures": (
        "update audit_entry set changes = coalesce(changes, '{{}}') || '{{\"x\": 1}}' where id = {id}",
        True,
    ),
    "when": ("update audit_entry set at = at - interval '1 microsecond' where id = {id}", True),
    "transaction": ("update audit_entry set tx = tx - 1 where id = {id}", False),
    "deleted": ("delete from audit_entry where id = {id}", False),
    "repeated": (
        (
            "insert into audit_entry (bank_id, at, tx, actor_kind, actor_label, action, object_table) select bank_id, "
            "at, tx, actor_kind, actor_label, action, object_table from audit_entry where id = {id}"
        ),
        False,
    ),
    "sealed again": (
        (
            "update audit_seal set digests = overlay(digests placing '\\x00'::bytea from 3 for 1), "
            "entries = entries + 1 where bank_id = {bank} and seq = 1"
        ),
        False,
    ),
}


@rule("audit chain", few=4, many=150)
@given(
    written=st.lists(st.lists(st.integers(1, 4), min_size=1, max_size=3), min_size=1, max_size=4),
    unsealed=st.integers(0, 2),
    forgery=st.sampled_from(list(FORGERIES)),
    at=st.integers(0, 10_000),
)
def test_any_forgery_of_any_entry_is_found(
    transactional_db: None,
    settings: Any,
    tmp_path: Any,
    written: list[list[int]],
    unsealed: int,
    forgery: str,
    at: int,
) -> None:
    """Transactions of some changes each, sealed now and then: the walk counts them all; one forged entry breaks it."""
    settings.DATA_DIR = tmp_path
    mine, numbers = build_house(f"b{Bank.objects.count()}"), itertools.count()

    def write(changes: int) -> None:
        with bank(mine.id):
            for _change in range(changes):
                OrgUnit.objects.filter(code="S").update(name=f"South {next(numbers)}")

    sealed = seal(mine.id, NOW)
    for transactions in written:
        for changes in transactions:
            write(changes)
        assert seal(mine.id, NOW) == sum(transactions)
        sealed += sum(transactions)
    write(unsealed)
    intact = verify(mine.id)
    assert (intact.broken, intact.seals, intact.entries) == ("", len(written) + 1, sealed)
    assert intact.unsealed == unsealed
    with bank(mine.id):
        victim = list(Entry.objects.order_by("tx", "id").values_list("id", flat=True))[at % sealed]
    statement, names_it = FORGERIES[forgery]
    _superuser(statement.format(id=victim, bank=mine.id))
    found = verify(mine.id)
    assert found.broken != ""
    assert not names_it or found.entry_id == victim


@pytest.mark.django_db(transaction=True)
def test_sealing_waits_for_open_transactions(settings: Any, tmp_path: Any) -> None:
    settings.DATA_DIR = tmp_path
    house = build_house("alpha")
    seal(house.id, NOW)
    with bank(house.id):
        OrgUnit.objects.filter(code="S").update(name="Southern")
        assert Seal.objects.count() == 1
    assert seal(house.id, NOW) == 1
    assert seal(house.id, NOW) == 0
    assert verify(house.id).broken == ""


def _restored_on_a_younger_server(house: House) -> None:
    """The old server was a thousand million transactions ahead of this one: so its record and its seals say."""
    Bank.objects.filter(pk=house.id).update(record_shift=10**9)
    with bank(house.id):
        OrgUnit.objects.filter(code="S").update(name="Southern")
    seal(house.id, NOW)
    Bank.objects.filter(pk=house.id).update(record_shift=0)


@pytest.mark.django_db(transaction=True)
def test_the_record_goes_on_after_the_whole_database_was_restored(settings: Any, tmp_path: Any) -> None:
    settings.DATA_DIR = tmp_path
    alpha, beta = build_house("alpha"), build_house("beta")
    for house in (alpha, beta):
        _restored_on_a_younger_server(house)
    call_command("migrate", verbosity=0)  # what every start does first
    for house in (alpha, beta):
        assert go_on_counting(house.id) == 0
        with bank(house.id):
            OrgUnit.objects.filter(code="S").update(name="Far south")
        assert seal(house.id, NOW) == 1
        assert verify(house.id).broken == ""


@pytest.mark.django_db(transaction=True)
def test_heads_newer_than_the_restored_database_are_set_aside_by_command_alone(
    settings: Any, tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.DATA_DIR = tmp_path
    house = build_house("alpha")
    _restored_on_a_younger_server(house)
    with bank(house.id):
        seals = Seal.objects.count()
    append_heads("alpha", [f"{seals + 1} {'ab' * 32} {NOW.isoformat()}\n"])  # sealed after the dump
    assert f"seal {seals + 1} was made" in verify(house.id).broken
    call_command("resume_record")
    assert "1 later seals lost" in capsys.readouterr().out
    assert verify(house.id).broken == ""
    assert len(list((tmp_path / "audit").glob("alpha.heads.until-*"))) == 1
    append_heads("alpha", [f"1 {'cd' * 32} {NOW.isoformat()}\n"])  # somebody else's record
    with pytest.raises(CommandError, match="Nothing was changed"):
        call_command("resume_record")


@pytest.mark.django_db(transaction=True)
def test_work_before_the_record_was_resumed_is_found_and_sealing_goes_on(
    settings: Any, tmp_path: Any
) -> None:
    settings.DATA_DIR = tmp_path
    house = build_house("alpha")
    _restored_on_a_younger_server(house)
    assert seal(house.id, NOW) == 0  # the sealer finds the younger server by itself
    with bank(house.id):
        OrgUnit.objects.filter(code="S").update(name="Far south")
    assert seal(house.id, NOW) == 1
    assert verify(house.id).broken == ""
    _restored_on_a_younger_server(house)
    with bank(house.id):
        OrgUnit.objects.filter(code="S").update(name="Among sealed entries")
    go_on_counting(house.id)
    assert "inserted" in verify(house.id).broken or "not as it was sealed" in verify(house.id).broken


def test_reading_is_recorded_by_name(house: House, rm: Person) -> None:
    with bank(house.id):
        record(rm.actor, "reveal", "customers_identifier", key=7, customer_id=3, reason="called back")
        entry = Entry.objects.filter(action="reveal").latest("id")
    assert (entry.customer_id, entry.object_id, entry.reason) == (3, 7, "called back")
