"""A night writes tier history by the hundred thousand: its keys are checked once a statement,
and its dates have an index that costs a row next to nothing."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.indexes import BrinIndex
from django.db import migrations, models

import crm_site.lib.tenancy


class Migration(migrations.Migration):
    dependencies: ClassVar = [("segmentation", "0004_room_to_close_a_row"), ("customers", "0030_standing_person_index")]

    operations: ClassVar = [
        migrations.RemoveIndex(model_name="tierhistory", name="tierhistory_day"),
        migrations.AddIndex(
            model_name="tierhistory",
            index=BrinIndex(
                fields=["bank_id", "from_date"], name="tierhistory_days", pages_per_range=32, autosummarize=True
            ),
        ),
        migrations.AlterField(
            model_name="tierhistory",
            name="customer",
            field=crm_site.lib.tenancy.BankForeignKey(
                on_delete=models.deletion.CASCADE, related_name="tiers", set_based=True, to="customers.customer"
            ),
        ),
        migrations.AlterField(
            model_name="tierhistory",
            name="policy",
            field=crm_site.lib.tenancy.BankForeignKey(
                on_delete=models.deletion.PROTECT, related_name="+", set_based=True, to="segmentation.tierpolicy"
            ),
        ),
    ]
