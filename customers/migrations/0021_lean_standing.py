"""Standing is rewritten every night: no index whose columns begin another one."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations

# customer: standing_customer; home_branch: standing_branch_adb; responsible: standing_person_adb.
DROP = """
DO $$
DECLARE found text;
BEGIN
    FOR found IN SELECT indexname FROM pg_indexes
        WHERE tablename = 'customers_standing' AND indexname LIKE '%\\_bix' ESCAPE '\\'
    LOOP EXECUTE format('DROP INDEX %I', found); END LOOP;
END $$
"""


class Migration(migrations.Migration):
    dependencies: ClassVar = [("customers", "0020_night")]

    operations: ClassVar = [migrations.RunSQL(DROP, migrations.RunSQL.noop)]
