"""Days confirmed with the standing balance, and the parameters of row errors."""

import django.contrib.postgres.fields
from django.db import migrations, models

import crm_site.lib.tenancy


class Migration(migrations.Migration):
    dependencies = [
        ("customers", "0030_standing_person_index"),
    ]

    operations = [
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
