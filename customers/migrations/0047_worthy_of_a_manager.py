"""The night finds a branch's gaps in assignment without reading every customer of a teller."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations, models

from crm_site.lib.money import money


class Migration(migrations.Migration):
    dependencies: ClassVar = [("customers", "0046_contact_people")]

    operations: ClassVar = [
        migrations.AddIndex(
            model_name="standing",
            index=models.Index(
                fields=["bank_id", "home_branch", "responsible"],
                condition=models.Q(loans__gt=money(0)) | models.Q(value_tier__gt=1),
                name="standing_worthy",
            ),
        ),
    ]
