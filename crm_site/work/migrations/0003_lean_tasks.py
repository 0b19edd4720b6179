"""A night may make a task for everybody: keys are checked once a statement, and no index is written that nobody asks.

Open tasks of a person are found by task_open_owner; by unit nobody looks for tasks.
"""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import migrations, models
from django.db.models import Q

from crm_site.lib.tenancy import BankForeignKey

DROP = """
DO $$
DECLARE found text;
BEGIN
    FOR found IN SELECT indexname FROM pg_indexes
        WHERE tablename = 'work_task' AND indexname LIKE '%\\_bix' ESCAPE '\\'
    LOOP EXECUTE format('DROP INDEX %I', found); END LOOP;
END $$
"""


def _people(field: str, name: str) -> migrations.AddIndex:
    condition = Q(**{f"{field}__isnull": False})
    return migrations.AddIndex("task", models.Index(fields=["bank_id", field], condition=condition, name=name))


class Migration(migrations.Migration):
    dependencies: ClassVar = [("work", "0002_task_handed_over_by")]

    operations: ClassVar = [
        migrations.RunSQL(DROP, migrations.RunSQL.noop),  # first: a key that had an index gets it again
        migrations.AlterField(
            "task",
            "owner",
            BankForeignKey(
                null=True, on_delete=models.deletion.PROTECT, related_name="tasks", set_based=True,
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AlterField(
            "task",
            "unit",
            BankForeignKey(
                null=True, on_delete=models.deletion.PROTECT, related_name="+", set_based=True, to="accounts.orgunit"
            ),
        ),
        _people("created_by", "task_made_by"),
        _people("closed_by", "task_done_by"),
        _people("handed_over_by", "task_handed_by"),
    ]
