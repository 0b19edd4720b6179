"""Every reservation rewrites its line and appends to the ledger: room to rewrite in place, no index nobody reads."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations

# (line) of the ledger begins lineentry_line; by product nobody looks for reservations or entries.
DROP = """
ALTER TABLE credit_rating_creditline SET (fillfactor = 70);
ALTER TABLE credit_rating_sublimit SET (fillfactor = 70);
DO $$
DECLARE found text;
BEGIN
    FOR found IN SELECT indexname FROM pg_indexes WHERE indexname LIKE '%\\_bix' ESCAPE '\\' AND (
        tablename = 'credit_rating_lineentry' AND indexdef LIKE '%(bank_id, line_id)'
        OR tablename IN ('credit_rating_lineentry', 'credit_rating_reservation')
            AND indexdef LIKE '%(bank_id, product_id)')
    LOOP EXECUTE format('DROP INDEX %I', found); END LOOP;
END $$
"""


class Migration(migrations.Migration):
    dependencies: ClassVar = [("credit_rating", "0010_lines")]

    operations: ClassVar = [migrations.RunSQL(DROP, migrations.RunSQL.noop)]
