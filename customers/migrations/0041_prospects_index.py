"""Prospects, few among many customers, are found by an index of their own."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [("customers", "0040_tiers_without_index")]

    operations: ClassVar = [
        migrations.AddIndex(
            model_name="customer",
            index=models.Index(
                fields=["bank_id", "id"], condition=models.Q(is_prospect=True), name="customer_prospects"
            ),
        ),
    ]
