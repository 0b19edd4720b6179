"""A bank can be put back beside itself: people's key within the bank, what binds its values, the journal of moves."""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.db import migrations, models

import crm_site.lib.tenancy

# The sign-in library's keys to a person carry the bank from now on, so the same person's id may stand in two banks.
WITHIN_THE_BANK = """
DO $$
DECLARE found record;
BEGIN
    FOR found IN
        SELECT c.conrelid::regclass AS tab, c.conname, a.attname FROM pg_constraint c
        JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
        WHERE c.contype = 'f' AND c.confrelid = 'accounts_staff'::regclass AND cardinality(c.conkey) = 1
    LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I, ADD CONSTRAINT %I FOREIGN KEY (bank_id, %I) '
            'REFERENCES accounts_staff (bank_id, id) DEFERRABLE INITIALLY DEFERRED',
            found.tab, found.conname, found.conname, found.attname);
    END LOOP;
    ALTER TABLE accounts_staff DROP CONSTRAINT accounts_staff_pkey,
        ADD CONSTRAINT accounts_staff_pkey PRIMARY KEY (bank_id, id);
END $$
"""
JOURNAL = ("bank_id", "code", "name", "kind", "at", "done_by", "rows", "detail")


def owners_columns(apps: Any, schema_editor: Any) -> None:
    """The application role reads and appends the journal; which transaction moves a bank only the owner writes."""
    role = schema_editor.quote_name(settings.APPLICATION_ROLE)
    for statement in (
        "ALTER TABLE accounts_bankmove ADD COLUMN xact bigint, ADD COLUMN began timestamptz",
        f"REVOKE ALL ON accounts_bankmove FROM {role}",
        f"GRANT SELECT, INSERT ({', '.join(JOURNAL)}) ON accounts_bankmove TO {role}",
    ):
        schema_editor.execute(statement, None)


class Migration(migrations.Migration):
    dependencies: ClassVar = [("accounts", "0007_grant_withdrawn")]

    operations: ClassVar = [
        migrations.AddField("bank", "sealed_as", models.BigIntegerField(null=True, editable=False)),
        migrations.AddField(
            "bank", "record_shift", models.BigIntegerField(default=0, db_default=0, editable=False)
        ),
        migrations.CreateModel(
            name="BankMove",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("bank_id", models.BigIntegerField()),
                ("code", models.CharField(max_length=30)),
                ("name", models.CharField(max_length=120)),
                (
                    "kind",
                    models.CharField(
                        choices=[("backup", "Backed up"), ("restore", "Restored"), ("remove", "Removed")],
                        max_length=10,
                    ),
                ),
                ("at", models.DateTimeField()),
                ("done_by", models.CharField(max_length=120)),
                ("rows", models.BigIntegerField()),
                ("detail", models.CharField(blank=True, max_length=200)),
            ],
            options={
                "ordering": ["-id"],
                "indexes": [models.Index(fields=["bank_id", "kind"], name="bankmove_bank")],
            },
        ),
        migrations.RunPython(owners_columns, migrations.RunPython.noop),
        migrations.AlterField("staff", "bank_id", crm_site.lib.tenancy.BankField(editable=False)),
        migrations.RunSQL(WITHIN_THE_BANK),
    ]
