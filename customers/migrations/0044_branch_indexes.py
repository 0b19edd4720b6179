"""A branch's dashboard finds its customers, and those who may leave, without reading a wide row of each."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations, models

# The key's own index, which the new one begins with.
OLD = "customers_customer_bank_id_home_branch_id_df29a5e2_bix"


class Migration(migrations.Migration):
    dependencies: ClassVar = [("customers", "0043_month_ends_keys")]

    operations: ClassVar = [
        migrations.AddIndex(
            model_name="customer",
            index=models.Index(
                fields=["bank_id", "home_branch", "id"], include=["responsible"], name="customer_branch"
            ),
        ),
        migrations.RunSQL(
            f"DROP INDEX IF EXISTS {OLD}",
            f"CREATE INDEX {OLD} ON customers_customer (bank_id, home_branch_id)",
        ),
        migrations.AddIndex(
            model_name="standing",
            index=models.Index(
                fields=["bank_id", "home_branch", "churn_bp", "customer"],
                condition=models.Q(churn_bp__gte=3000),
                name="standing_alarm",
            ),
        ),
    ]
