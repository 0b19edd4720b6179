from django.db import migrations

# Guards withdrawal on every table of versions (crm_site.accounts.versions): only what is published and is no founding version,
# and nothing that a row names. Arguments: pairs of a table and its column that names a version of this table. That it had
# not begun is a check of the table. Final: what was withdrawn is published again as a new version.
GUARD = """
CREATE FUNCTION accounts_version_withdrawal() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    used boolean;
BEGIN
    IF OLD.status = 'withdrawn' THEN
        RAISE EXCEPTION 'a withdrawn version stays withdrawn' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF OLD.status <> 'published' OR OLD.founding THEN
        RAISE EXCEPTION 'only what is published is withdrawn' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    FOR i IN 0 .. TG_NARGS / 2 - 1 LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM %I WHERE bank_id = $1 AND %I = $2)', TG_ARGV[2 * i], TG_ARGV[2 * i + 1])
            INTO used USING OLD.bank_id, OLD.id;
        IF used THEN
            RAISE EXCEPTION 'a version that has decided something is not withdrawn'
                USING ERRCODE = 'integrity_constraint_violation';
        END IF;
    END LOOP;
    RETURN NEW;
END $$;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0008_moves'),
    ]

    operations = [migrations.RunSQL(GUARD, "DROP FUNCTION accounts_version_withdrawal();")]
