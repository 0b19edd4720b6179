"""When an assignment last changed (a later one takes effect long after it was decided), for readers of changes."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations, models
from django.db.models.functions import Now

TRIGGER = """
CREATE TRIGGER changed BEFORE UPDATE ON relationship_assignment FOR EACH ROW EXECUTE FUNCTION banyan_changed()
"""


class Migration(migrations.Migration):
    dependencies: ClassVar = [("customers", "0022_changed_at"), ("relationship", "0001_initial")]

    operations: ClassVar = [
        migrations.AddField(
            model_name="assignment",
            name="changed_at",
            field=models.DateTimeField(db_default=Now(), editable=False),
        ),
        migrations.AddIndex(
            model_name="assignment",
            index=models.Index(fields=["bank_id", "changed_at"], name="assignment_changed"),
        ),
        migrations.RunSQL(TRIGGER, "DROP TRIGGER changed ON relationship_assignment"),
    ]
