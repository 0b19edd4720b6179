"""Isolation is proved by the database: the catalogue, the policies and the keys, and that breaking them is noticed."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.db import IntegrityError, connection, transaction

from crm_site.accounts.models import OrgUnit, Staff
from crm_site.lib.postgres.policy import POLICY
from crm_site.lib.tenancy import bank
from tests.conftest import House, Person

ROOT = Path(__file__).resolve().parents[2]
# Tables without a bank, and why nothing of a customer can be in them.
GLOBAL_TABLES = {
    "accounts_bank": "the banks themselves",
    "accounts_bankmove": "which bank was backed up, put back or removed; holds counts, outlives the bank",
    "jobs_chunk": "claimed before the bank is known; holds id ranges",
    "jobs_chunkprogress": "how far a chunk is, written past its transaction; holds counts",
    "jobs_outbox": "relayed before the bank is known; holds topics and ids",
    "django_migrations": "Django's own",
    "django_content_type": "Django's own",
    "auth_group": "Django's own, unused",
    "auth_group_permissions": "Django's own, unused",
    "auth_permission": "Django's own, unused",
}
EXPECTED_POLICY = "(bank_id = (NULLIF(current_setting('app.bank_id'::text, true), ''::text))::bigint)"


def catalogue_faults(cursor: Any) -> list[str]:
    """Everything in the catalogue that would let one bank see or touch another's rows. Empty = isolated."""
    faults: list[str] = []
    cursor.execute(
        """
        select c.oid, c.relname, c.relrowsecurity, c.relforcerowsecurity, c.relkind::text, c.relispartition,
               exists (select 1 from pg_attribute a where a.attrelid = c.oid and a.attname = 'bank_id'
                       and not a.attisdropped and a.attnotnull) as has_bank
        from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'f')
        """
    )
    tables = cursor.fetchall()
    for oid, name, security, forced, kind, is_partition, has_bank in tables:
        if kind in ("v", "m", "f"):
            faults.append(f"{name}: views, materialised views and foreign tables step round row security")
            continue
        if is_partition:
            cursor.execute(
                "select count(*) from pg_class c, aclexplode(c.relacl) a where c.oid = %s and a.grantee <> c.relowner",
                [oid],
            )
            if cursor.fetchone()[0]:
                faults.append(f"{name}: a partition is granted to somebody")
            continue
        if name in GLOBAL_TABLES:
            continue
        if not has_bank:
            faults.append(f"{name}: neither a tenant table nor on the list of global ones")
            continue
        if not (security and forced):
            faults.append(f"{name}: row security is not forced")
        cursor.execute(
            "select pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid), polcmd::text, polpermissive, "
            "polroles = '{0}' from pg_policy where polrelid = %s",
            [oid],
        )
        if cursor.fetchall() != [(EXPECTED_POLICY, EXPECTED_POLICY, "*", True, True)]:
            faults.append(f"{name}: its policy is not the one policy")
        cursor.execute(
            """
            select con.conname, con.contype::text, array(
                select a.attname::text from unnest(con.conkey) with ordinality k(num, pos)
                join pg_attribute a on a.attrelid = con.conrelid and a.attnum = k.num order by k.pos),
                con.confrelid::regclass::text
            from pg_constraint con where con.conrelid = %s and con.contype in ('p', 'u', 'f')
            """,
            [oid],
        )
        for constraint, contype, columns, target in cursor.fetchall():
            if columns[0] == "bank_id":
                continue
            if contype == "f" and target in GLOBAL_TABLES:
                continue
            if name in THIRD_PARTY:
                continue
            faults.append(f"{name}: {constraint} does not start with the bank")
    cursor.execute(
        "select rolname from pg_roles where rolname = %s and (rolsuper or rolbypassrls or rolcreaterole)",
        [settings.APPLICATION_ROLE],
    )
    if cursor.fetchone():
        faults.append("the application role can step round row security")
    cursor.execute(
        "select c.relname from pg_class c join pg_roles r on r.oid = c.relowner where r.rolname = %s "
        "and c.relnamespace = 'public'::regnamespace",
        [settings.APPLICATION_ROLE],
    )
    faults += [f"{name}: owned by the application role" for (name,) in cursor.fetchall()]
    cursor.execute(
        """
        select c.relname, a.privilege_type from pg_class c, aclexplode(c.relacl) a join pg_roles r on r.oid = a.grantee
        where c.relnamespace = 'public'::regnamespace and r.rolname = %s and c.relkind in ('r', 'p')
        and a.privilege_type in ('TRUNCATE', 'TRIGGER', 'REFERENCES')
        """,
        [settings.APPLICATION_ROLE],
    )
    faults += [f"{name}: the application role has {privilege}" for name, privilege in cursor.fetchall()]
    cursor.execute(
        "select p.proname from pg_proc p where p.pronamespace = 'public'::regnamespace and p.prosecdef "
        "and p.proname not in ('banyan_ensure_month', 'banyan_analyze', 'banyan_begin_restore')"
    )
    faults += [f"{name}: a function that runs as its owner" for (name,) in cursor.fetchall()]
    return faults


# Keys of Django's and the sign-in library's own tables stay theirs; their rows have the bank and the policy.
THIRD_PARTY = {
    "django_session",
    "account_emailaddress",
    "account_emailconfirmation",
    "mfa_authenticator",
    "usersessions_usersession",
    "allauth_idp_oidc_client",
    "allauth_idp_oidc_token",
}


def test_every_table_is_isolated(db: None) -> None:
    with connection.cursor() as cursor:
        assert catalogue_faults(cursor) == []


def test_the_policy_text_stands_in_one_place() -> None:
    assert POLICY == "bank_id = nullif(current_setting('app.bank_id', true), '')::bigint"


BREAKAGES = {
    "row security off": "alter table customers_customer disable row level security",
    "row security not forced": "alter table customers_customer no force row level security",
    "policy dropped": "drop policy bank on customers_account",
    "policy opened": "alter policy bank on customers_account using (true)",
    "policy opened for writing": "alter policy bank on customers_account with check (true)",
    "second policy": "create policy all_rows on customers_account for select using (true)",
    "policy that casts the column": "alter policy bank on customers_loan using "
    "(bank_id::text = current_setting('app.bank_id', true))",
    "foreign key without the bank": "alter table accounts_staff add constraint staff_id unique (id); "
    "alter table customers_customer add constraint loose foreign key (responsible_id) references accounts_staff (id)",
    "primary key without the bank": "alter table customers_interaction drop constraint customers_interaction_pkey "
    "cascade, add primary key (id)",
    "unique without the bank": "alter table customers_customer add constraint loose unique (number)",
    "partition granted": "create table customers_transaction_190001 partition of customers_transaction for values "
    "from ('1900-01-01') to ('1900-02-01'); grant select on customers_transaction_190001 to public",
    "new table without a bank": "create table customers_note (id bigint primary key, note text)",
    "bank may be null": "alter table customers_card drop constraint customers_card_pkey cascade; "
    "alter table customers_card alter bank_id drop not null",
    "view of the owner": "create view all_customers as select * from customers_customer",
    "materialised view": "create materialized view all_customers as select * from customers_customer",
    "truncate granted": "grant truncate on customers_customer to {app}",
    "function of the owner": "create function peek() returns bigint language sql security definer as "
    "'select count(*) from customers_customer'",
}


@pytest.mark.parametrize("name", BREAKAGES)
def test_a_broken_isolation_is_noticed(db: None, name: str) -> None:
    """Each breakage is made by the owner, found by the catalogue walk, and rolled back."""
    database, owner = connection.settings_dict, settings.DATABASES["default"]["TEST"]["OWNER"]
    with psycopg.connect(
        host=database["HOST"],
        port=database["PORT"],
        dbname=database["NAME"],
        user=owner["USER"],
        password=owner["PASSWORD"],
    ) as conn:
        with conn.cursor() as cursor:
            cursor.execute("set local lock_timeout = '20s'")
            cursor.execute(BREAKAGES[name].replace("{app}", f'"{settings.APPLICATION_ROLE}"'))
            faults = catalogue_faults(cursor)
        conn.rollback()
    assert faults, f"{name} went unnoticed"


def _tenant_tables(cursor: Any) -> list[str]:
    cursor.execute(
        "select c.relname from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'bank_id' "
        "where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition "
        "and c.relrowsecurity order by 1"
    )
    return [row[0] for row in cursor.fetchall()]


def test_without_a_bank_everything_is_empty(house: House, other_house: House, rm: Person) -> None:
    with connection.cursor() as cursor:
        for table in _tenant_tables(cursor):
            cursor.execute(f"select count(*) from {table}")
            assert cursor.fetchone()[0] == 0, table


def test_inside_a_bank_no_row_of_another(
    house: House, other_house: House, rm: Person, outsider: Person
) -> None:
    with bank(house.id), connection.cursor() as cursor:
        for table in _tenant_tables(cursor):
            cursor.execute(f"select count(*) from {table} where bank_id <> %s", [house.id])
            assert cursor.fetchone()[0] == 0, table
        assert Staff.objects.filter(pk=rm.staff.pk).exists()
        assert not Staff.objects.filter(pk=outsider.staff.pk).exists()


def test_another_banks_parent_is_refused_by_the_database(house: House, other_house: House) -> None:
    with bank(house.id), pytest.raises(IntegrityError), transaction.atomic():
        OrgUnit.objects.create(code="X", name="X", kind="branch", parent_id=other_house.north.pk)


def test_only_the_tenancy_module_sets_the_bank() -> None:
    found = subprocess.run(
        ["git", "grep", "-l", "set_config", "--", "*.py", ":!tests", ":!docs"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    ).stdout.split()
    assert set(found) <= {"crm_site/lib/tenancy.py"}
