from django.db import migrations, models

# Who recorded or ended a tie of the customer within a year decides on none of its cases. Who did so deeper in its group is
# among its makers (selectors.makers.tied_by), whom opinion_guard asks for; of the customer's own ties this asks itself.
GUARD = """
CREATE FUNCTION credit_rating_opinion_tie() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    since timestamptz := (SELECT (NEW.day - 365)::timestamp AT TIME ZONE b.timezone FROM accounts_bank b WHERE b.id = NEW.bank_id);
BEGIN
    IF EXISTS (SELECT FROM credit_rating_creditcase c
        JOIN customers_recordedtie t ON t.bank_id = c.bank_id AND (t.customer_id = c.customer_id OR t.other_id = c.customer_id)
        WHERE c.bank_id = NEW.bank_id AND c.id = NEW.case_id
            AND (t.recorded_at >= since AND t.recorded_by_id IN (NEW.staff_id, NEW.on_behalf_of_id)
                OR t.ended_at >= since AND t.ended_by_id IN (NEW.staff_id, NEW.on_behalf_of_id))) THEN
        RAISE EXCEPTION 'who recorded or ended a tie of the customer is a maker, never the checker'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER opinion_tie BEFORE INSERT ON credit_rating_opinion
    FOR EACH ROW EXECUTE FUNCTION credit_rating_opinion_tie();
"""
UNGUARD = """
DROP TRIGGER opinion_tie ON credit_rating_opinion;
DROP FUNCTION credit_rating_opinion_tie();
"""


class Migration(migrations.Migration):

    dependencies = [
        ('credit_rating', '0108_ties'),
    ]

    operations = [
        migrations.AlterField(
            model_name='casemaker',
            name='part',
            field=models.CharField(choices=[('case', 'Approval case'), ('calculation', 'Line calculation'), ('rating', 'Credit rating'), ('statement', 'Statements'), ('collection', 'Collection form'), ('guarantee', 'Guarantee'), ('valuation', 'Valuation'), ('capacity', "Guarantor's capacity"), ('file', 'File'), ('tie', 'Tie between customers')], max_length=12),
        ),
        migrations.RunSQL(GUARD, UNGUARD),
    ]
