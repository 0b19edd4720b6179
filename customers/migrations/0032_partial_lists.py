"""The overdue, and those without a person, of a branch: a partial index each."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations, models

from crm_site.lib.money import money


class Migration(migrations.Migration):
    dependencies: ClassVar = [("customers", "0031_interaction_author")]

    operations: ClassVar = [
        migrations.AddIndex(
            model_name="standing",
            index=models.Index(
                fields=["bank_id", "home_branch", "loans", "customer"],
                condition=models.Q(overdue_amount__gt=money(0)),
                name="standing_overdue",
            ),
        ),
        migrations.AddIndex(
            model_name="standing",
            index=models.Index(
                fields=["bank_id", "home_branch", "deposits_adb", "customer"],
                condition=models.Q(responsible__isnull=True),
                name="standing_queue",
            ),
        ),
    ]
