"""Tier history grows by millions of rows: no index that another one already covers, or that nothing reads."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations

DROP = """
DO $$
DECLARE found text;
BEGIN
    FOR found IN SELECT indexname FROM pg_indexes
        WHERE tablename = 'segmentation_tierhistory' AND indexname LIKE '%\\_bix' ESCAPE '\\'
    LOOP EXECUTE format('DROP INDEX %I', found); END LOOP;
END $$
"""


class Migration(migrations.Migration):
    dependencies: ClassVar = [("segmentation", "0001_initial")]

    operations: ClassVar = [migrations.RunSQL(DROP, migrations.RunSQL.noop)]
