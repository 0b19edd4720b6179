"""Related parties, few among many customers, are found by an index of their own."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [("customers", "0041_prospects_index")]

    operations: ClassVar = [
        migrations.AddIndex(
            model_name="customer",
            index=models.Index(
                fields=["bank_id", "id"],
                condition=models.Q(is_related_party=True),
                name="customer_related_parties",
            ),
        ),
    ]
