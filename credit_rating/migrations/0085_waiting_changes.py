"""An approved raise or extension of a line waits for its conditions; the database raises and extends by approvals alone."""

from decimal import Decimal
from typing import ClassVar

import crm_site.lib.money
from django.db import migrations, models

# A conditional approval's open conditions, as credit_rating_line_conditions (0040) counts them for a new line.
GUARDS = """
CREATE FUNCTION credit_rating_line_terms() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF NEW.limit_amount <= OLD.limit_amount AND NEW.expires_on <= OLD.expires_on THEN
        RETURN NEW;
    END IF;
    IF NEW.terms_case_id IS NOT DISTINCT FROM OLD.terms_case_id OR NOT EXISTS (SELECT FROM credit_rating_creditcase c
        WHERE c.bank_id = NEW.bank_id AND c.id = NEW.terms_case_id AND c.line_id = NEW.id AND c.status = 'approved'
            AND (NEW.limit_amount <= OLD.limit_amount OR NEW.limit_amount <= c.amount)) THEN
        RAISE EXCEPTION 'only an approval of its own raises or extends a line' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF EXISTS (SELECT FROM credit_rating_casecondition k
        JOIN credit_rating_opinion o ON o.bank_id = k.bank_id AND o.id = k.opinion_id
        WHERE k.bank_id = NEW.bank_id AND k.case_id = NEW.terms_case_id AND k.accepted_at IS NULL AND o.voided_at IS NULL
            AND o.verdict = 'conditional' AND o.round = (SELECT c.round FROM credit_rating_creditcase c
                WHERE c.bank_id = NEW.bank_id AND c.id = NEW.terms_case_id)) THEN
        RAISE EXCEPTION 'conditions of the approval are open' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER creditline_terms BEFORE UPDATE OF limit_amount, expires_on ON credit_rating_creditline
    FOR EACH ROW EXECUTE FUNCTION credit_rating_line_terms();
"""
UNGUARD = """
DROP TRIGGER creditline_terms ON credit_rating_creditline;
DROP FUNCTION credit_rating_line_terms();
"""


class Migration(migrations.Migration):
    dependencies: ClassVar = [("credit_rating", "0081_seen")]

    operations: ClassVar = [
        migrations.AddField("creditline", "terms_case_id", models.BigIntegerField(null=True)),
        migrations.AddField("creditline", "waiting_case_id", models.BigIntegerField(null=True)),
        migrations.AddField("creditline", "waiting_limit", crm_site.lib.money.MoneyField(null=True)),
        migrations.AddField("creditline", "waiting_until", models.DateField(null=True)),
        migrations.AlterField(
            "lineevent",
            "kind",
            models.CharField(
                choices=[
                    ("opened", "Opened"),
                    ("activated", "Activated"),
                    ("frozen", "Frozen"),
                    ("unfrozen", "Unfrozen"),
                    ("limit_changed", "Limit changed"),
                    ("extended", "Extended"),
                    ("change_waits", "Change approved, waits for its conditions"),
                    ("change_lapsed", "Approved change has lapsed"),
                    ("reviewed", "Reviewed"),
                    ("expired", "Expired"),
                    ("closed", "Closed"),
                ],
                max_length=13,
            ),
        ),
        migrations.AddConstraint(
            "creditline",
            models.CheckConstraint(
                name="creditline_waiting",
                condition=models.Q(
                    ("waiting_case_id", None), ("waiting_limit", None), ("waiting_until", None)
                )
                | models.Q(
                    ("waiting_case_id__isnull", False),
                    (
                        "waiting_limit__gt",
                        models.Value(Decimal(0), output_field=crm_site.lib.money.MoneyField()),
                    ),
                    ("waiting_until__gte", models.F("expires_on")),
                ),
            ),
        ),
        migrations.RunSQL(GUARDS, UNGUARD),
    ]
