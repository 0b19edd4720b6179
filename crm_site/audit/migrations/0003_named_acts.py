"""An index of what is recorded by name: readings, exports, sign-ins and decisions among millions of changed rows."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations


class Migration(migrations.Migration):
    dependencies: ClassVar = [("audit", "0002_state")]

    operations: ClassVar = [
        migrations.RunSQL(
            "CREATE INDEX audit_entry_named ON audit_entry (bank_id, action, id) INCLUDE (at) "
            "WHERE action NOT IN ('insert', 'update', 'delete')",
            "DROP INDEX audit_entry_named",
        ),
    ]
