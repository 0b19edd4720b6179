from django.db import migrations

# Once a guarantee's certificate or contract is on record, it stays the one that it came into force on.
GUARD = """
CREATE FUNCTION credit_rating_proof_kept() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'the proof of a guarantee is never changed' USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER guarantee_proof_kept BEFORE UPDATE OF proof_number, proof_on, proof_note ON credit_rating_guarantee
    FOR EACH ROW WHEN (OLD.proof_number <> '' AND (NEW.proof_number, NEW.proof_on, NEW.proof_note)
        IS DISTINCT FROM (OLD.proof_number, OLD.proof_on, OLD.proof_note))
    EXECUTE FUNCTION credit_rating_proof_kept();
"""
UNGUARD = """
DROP TRIGGER guarantee_proof_kept ON credit_rating_guarantee;
DROP FUNCTION credit_rating_proof_kept();
"""


class Migration(migrations.Migration):
    dependencies = [("credit_rating", "0111_guarantee_proof")]

    operations = [migrations.RunSQL(GUARD, UNGUARD)]
