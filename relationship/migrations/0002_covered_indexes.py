"""Every table filled in bulk wrote a foreign key's index that another index begins with."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations

from crm_site.lib.postgres.migrations import DropCoveredIndexes


class Migration(migrations.Migration):
    dependencies: ClassVar = [
        ("relationship", "0002_changed_at"),
        ("segmentation", "0020_keys_once_a_statement"),
        ("customers", "0040_tiers_without_index"),
        ("work", "0002_task_handed_over_by"),
    ]

    operations: ClassVar = [DropCoveredIndexes()]
