from django.db import migrations

# No line is active while a guarantee of the dossier that was approved is not in force: asked when it is opened by a case,
# and when it is activated. Dates are the service's (selectors.cases.pledged).
GUARD = """
CREATE FUNCTION credit_rating_line_guarantees() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM credit_rating_creditcase c
        JOIN credit_rating_casedossier d ON d.bank_id = c.bank_id AND d.case_id = c.id AND d.hash = c.dossier_hash
        CROSS JOIN LATERAL jsonb_array_elements(d.content -> 'guarantees') AS named (told)
        JOIN credit_rating_guarantee g ON g.bank_id = c.bank_id AND g.id = (named.told ->> 'id')::bigint
        WHERE c.bank_id = NEW.bank_id AND c.id = NEW.case_id AND g.status <> 'active' AND g.kind <> 'credit') THEN
        RAISE EXCEPTION 'a guarantee of the approval is not in force' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER creditline_guarantees_opened BEFORE INSERT ON credit_rating_creditline
    FOR EACH ROW WHEN (NEW.status = 'active' AND NEW.case_id IS NOT NULL)
    EXECUTE FUNCTION credit_rating_line_guarantees();
CREATE TRIGGER creditline_guarantees BEFORE UPDATE OF status ON credit_rating_creditline
    FOR EACH ROW WHEN (OLD.status = 'pending' AND NEW.status = 'active' AND NEW.case_id IS NOT NULL)
    EXECUTE FUNCTION credit_rating_line_guarantees();
"""
UNGUARD = """
DROP TRIGGER creditline_guarantees ON credit_rating_creditline;
DROP TRIGGER creditline_guarantees_opened ON credit_rating_creditline;
DROP FUNCTION credit_rating_line_guarantees();
"""


class Migration(migrations.Migration):

    dependencies = [
        ('credit_rating', '0090_case_makers'),
    ]

    operations = [migrations.RunSQL(GUARD, UNGUARD)]
