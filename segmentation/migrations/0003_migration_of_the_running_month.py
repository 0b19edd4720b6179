"""Migration also of the running month: between any date and the month-end before it."""

from __future__ import annotations

import datetime as dt
from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [("segmentation", "0002_lean_history")]

    operations: ClassVar = [
        migrations.RemoveConstraint("migrationmonth", "migrationmonth_cell"),
        migrations.RenameField("migrationmonth", "month_end", "as_of"),
        migrations.AddField(
            "migrationmonth", "before", models.DateField(default=dt.date(1900, 1, 1)), preserve_default=False
        ),
        migrations.AddConstraint(
            "migrationmonth",
            models.UniqueConstraint(
                fields=("bank_id", "as_of", "scheme", "home_branch", "kind", "from_rank", "to_rank"),
                name="migrationmonth_cell",
                nulls_distinct=False,
            ),
        ),
        migrations.AddField(
            "concentration", "book", models.IntegerField(default=0), preserve_default=False
        ),
    ]
