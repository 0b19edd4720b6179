"""Statistics after a large delivery."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations

# Statistics of a table that a delivery has just filled, as its owner (the application role owns nothing). Without
# them foreign keys are checked by an index on the bank alone. Skipped when someone else analyses it right now.
ANALYSE = """
CREATE OR REPLACE FUNCTION banyan_analyse(name text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
                   WHERE c.relname = name AND c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
                     AND a.attname = 'bank_id') THEN
        RAISE EXCEPTION '% is not a tenant table', name;
    END IF;
    EXECUTE format('LOCK TABLE public.%I IN SHARE UPDATE EXCLUSIVE MODE NOWAIT', name);
    EXECUTE format('ANALYZE public.%I', name);
    RETURN true;
EXCEPTION WHEN lock_not_available THEN
    RETURN false;
END $$;
"""


class Migration(migrations.Migration):
    dependencies: ClassVar = [("customers", "0020_night")]

    operations: ClassVar = [migrations.RunSQL(ANALYSE, "DROP FUNCTION banyan_analyse(text)")]
