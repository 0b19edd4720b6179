"""Days confirmed with the standing balance, parameters of row errors, statistics after a large delivery."""

import django.contrib.postgres.fields
from django.db import migrations, models

import crm_site.lib.tenancy


# Statistics of a table that a delivery has just filled, as its owner (the application role owns nothing). Without
# them foreign keys are checked by an index on the bank alone. Skipped when someone else analyses it right now.
ANALYSE = """
CREATE OR REPLACE FUNCTION banyan_analyse(name text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
                   WHERE c.relname = name AND c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
                     AND a.attname = 'bank_id') THEN
        RAISE EXCEPTION '% is not a tenant table', name;
    END IF;
    EXECUTE format('LOCK TABLE public.%I IN SHARE UPDATE EXCLUSIVE MODE NOWAIT', name);
    EXECUTE format('ANALYZE public.%I', name);
    RETURN true;
EXCEPTION WHEN lock_not_available THEN
    RETURN false;
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("customers", "0030_standing_person_index"),
    ]

    operations = [
        migrations.RunSQL(ANALYSE, "DROP FUNCTION banyan_analyse(text)"),
        migrations.AddField(
            model_name="batcherror",
            name="params",
            field=models.JSONField(default=dict),
        ),
        migrations.CreateModel(
            name="BalanceConfirmation",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("bank_id", crm_site.lib.tenancy.BankField(editable=False)),
                ("date", models.DateField()),
                ("bucket", models.BigIntegerField()),
                (
                    "accounts",
                    django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), size=None),
                ),
                ("source_as_of", models.DateTimeField()),
            ],
            options={
                "abstract": False,
                "base_manager_name": "objects",
                "indexes": [
                    models.Index(fields=["bank_id", "date", "bucket"], name="balanceconfirmation_day")
                ],
            },
        ),
    ]
