"""When a customer last changed here, for readers of changes: set by a trigger, whoever writes."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations, models
from django.db.models.functions import Now

# Everything a reader is told of, but the as-of: a core that delivers the same every night changes nobody.
WATCHED = (
    "number", "kind", "is_prospect", "name", "name_sort", "status", "birth_date", "founded_date", "gender", "industry",
    "size", "employees", "customer_since", "opening_branch_id", "won_by_id", "is_related_party", "is_excluded", "source",
    "home_branch_id", "responsible_id", "occupation", "employer", "family_note", "preference_note", "needs_note",
    "contact_language", "edited_at",
)  # fmt: skip
FUNCTION = """
CREATE FUNCTION banyan_changed() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    NEW.changed_at := statement_timestamp();
    RETURN NEW;
END $$
"""
TRIGGER = f"""
CREATE TRIGGER changed BEFORE UPDATE OF {", ".join(WATCHED)} ON customers_customer
FOR EACH ROW EXECUTE FUNCTION banyan_changed()
"""


class Migration(migrations.Migration):
    dependencies: ClassVar = [("customers", "0021_lean_standing")]

    operations: ClassVar = [
        migrations.AddField(
            model_name="customer",
            name="changed_at",
            field=models.DateTimeField(db_default=Now(), editable=False),
        ),
        migrations.AddIndex(
            model_name="customer",
            index=models.Index(fields=["bank_id", "changed_at", "id"], name="customer_changed"),
        ),
        migrations.RunSQL(FUNCTION, "DROP FUNCTION banyan_changed()"),
        migrations.RunSQL(TRIGGER, "DROP TRIGGER changed ON customers_customer"),
    ]
