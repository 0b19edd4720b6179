"""The list of one person's customers, sorted by deposits, reads one index."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [("customers", "0002_partitioned")]

    operations: ClassVar = [
        migrations.AddIndex(
            model_name="standing",
            index=models.Index(
                fields=["bank_id", "responsible", "deposits_adb", "customer"], name="standing_person_adb"
            ),
        ),
    ]
