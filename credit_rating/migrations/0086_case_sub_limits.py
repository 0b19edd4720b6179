from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [("credit_rating", "0085_waiting_changes")]

    operations: ClassVar = [
        migrations.AddField("creditcase", "sub_limits", models.JSONField(default=dict)),
        migrations.AlterField(
            "lineevent",
            "kind",
            models.CharField(
                choices=[
                    ("opened", "Opened"),
                    ("activated", "Activated"),
                    ("frozen", "Frozen"),
                    ("unfrozen", "Unfrozen"),
                    ("limit_changed", "Limit changed"),
                    ("extended", "Extended"),
                    ("subs_changed", "Sub-limits changed"),
                    ("change_waits", "Change approved, waits for its conditions"),
                    ("change_lapsed", "Approved change has lapsed"),
                    ("reviewed", "Reviewed"),
                    ("expired", "Expired"),
                    ("closed", "Closed"),
                ],
                max_length=13,
            ),
        ),
    ]
