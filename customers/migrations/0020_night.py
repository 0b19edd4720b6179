"""What the night records: its business days, the overdue amount at a month-end; unknown is null, not zero."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations, models

import crm_site.lib.money
import crm_site.lib.tenancy


class Migration(migrations.Migration):
    dependencies: ClassVar = [("customers", "0010_ingest_confirmations")]

    operations: ClassVar = [
        migrations.CreateModel(
            name="BusinessDay",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("bank_id", crm_site.lib.tenancy.BankField(editable=False)),
                ("business_date", models.DateField()),
                ("run_id", models.BigIntegerField(null=True)),
                ("late_feeds", models.JSONField(default=list)),
                ("rebuild_pending", models.BooleanField(default=False)),
            ],
            options={
                "abstract": False,
                "base_manager_name": "objects",
                "constraints": [
                    models.UniqueConstraint(fields=("bank_id", "business_date"), name="businessday_once")
                ],
            },
        ),
        migrations.AlterField(
            model_name="portfoliomonth", name="churn_high", field=models.IntegerField(null=True)
        ),
        migrations.AlterField(
            model_name="portfoliomonth",
            name="churn_high_deposits",
            field=crm_site.lib.money.MoneyField(null=True),
        ),
        migrations.AlterField(
            model_name="portfoliomonth", name="without_manager", field=models.IntegerField(null=True)
        ),
        migrations.RunSQL(
            "ALTER TABLE customers_monthend ADD COLUMN overdue_amount bigint NOT NULL DEFAULT 0",
            "ALTER TABLE customers_monthend DROP COLUMN overdue_amount",
            state_operations=[
                migrations.AddField(
                    model_name="monthend",
                    name="overdue_amount",
                    field=crm_site.lib.money.MoneyField(default=0),
                )
            ],
        ),
    ]
