from django.db import migrations

# Nobody decides on the grade of his own customer or of a relative's (selectors.rating_people says the same, in words):
# kin as far as the authority policy goes on the day, two steps where it is older than the question.
GUARD = """
CREATE FUNCTION credit_rating_rating_people() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    on_day date := (SELECT (NEW.decided_at AT TIME ZONE b.timezone)::date FROM accounts_bank b WHERE b.id = NEW.bank_id);
    steps integer := coalesce((SELECT nullif(p.body -> 'params' ->> 'kin_steps', '')::integer
        FROM credit_rating_creditpolicy p WHERE p.bank_id = NEW.bank_id AND p.subject = 'authority'
            AND p.status = 'published' AND p.valid_from <= on_day ORDER BY p.valid_from DESC, p.version DESC LIMIT 1), 2);
BEGIN
    IF EXISTS (SELECT FROM customers_customer k WHERE k.bank_id = NEW.bank_id AND k.id = NEW.customer_id
        AND k.responsible_id = NEW.decided_by_id) THEN
        RAISE EXCEPTION 'nobody decides on his own customer' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF EXISTS (SELECT FROM credit_rating_kin(NEW.bank_id, NEW.decided_by_id, on_day, steps) AS kin(id)
        WHERE kin.id = NEW.customer_id) THEN
        RAISE EXCEPTION 'nobody decides on a relative' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER rating_people BEFORE UPDATE OF decided_by_id ON credit_rating_rating
    FOR EACH ROW WHEN (NEW.decided_by_id IS NOT NULL AND NEW.decided_by_id IS DISTINCT FROM OLD.decided_by_id)
    EXECUTE FUNCTION credit_rating_rating_people();
"""
UNGUARD = """
DROP TRIGGER rating_people ON credit_rating_rating;
DROP FUNCTION credit_rating_rating_people();
"""


class Migration(migrations.Migration):

    dependencies = [
        ('credit_rating', '0106_review_events'),
    ]

    operations = [migrations.RunSQL(GUARD, UNGUARD)]
