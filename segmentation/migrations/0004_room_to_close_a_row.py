"""A row of tier history is closed once: leave room on its page, so that no index is touched by it."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations


class Migration(migrations.Migration):
    dependencies: ClassVar = [("segmentation", "0010_churn")]

    operations: ClassVar = [
        migrations.RunSQL(
            "ALTER TABLE segmentation_tierhistory SET (fillfactor = 60)",
            "ALTER TABLE segmentation_tierhistory RESET (fillfactor)",
        )
    ]
