"""Curves of concentration for each customer kind as well: what a line department sees of the bank."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [("segmentation", "0020_keys_once_a_statement")]

    operations: ClassVar = [
        migrations.AddField(
            model_name="concentration",
            name="kind",
            field=models.CharField(
                blank=True,
                choices=[("personal", "Personal"), ("corporate", "Corporate"), ("household", "Rural household")],
                default="",
                max_length=10,
            ),
            preserve_default=False,
        ),
        migrations.RemoveConstraint(model_name="concentration", name="concentration_cell"),
        migrations.AddConstraint(
            model_name="concentration",
            constraint=models.UniqueConstraint(
                fields=["bank_id", "as_of", "measure", "home_branch", "kind"],
                name="concentration_cell",
                nulls_distinct=False,
            ),
        ),
    ]
