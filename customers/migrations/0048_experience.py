from importlib import import_module

from django.db import migrations, models

WATCHED = import_module("customers.migrations.0022_changed_at").WATCHED
# Readers of changes are told of it as of every other column.
TRIGGER = """
CREATE OR REPLACE TRIGGER changed BEFORE UPDATE OF {} ON customers_customer
FOR EACH ROW EXECUTE FUNCTION banyan_changed()
"""


class Migration(migrations.Migration):

    dependencies = [
        ('customers', '0047_worthy_of_a_manager'),
    ]

    operations = [
        migrations.AddField(
            model_name='customer',
            name='experience_note',
            field=models.CharField(blank=True, db_default='', max_length=400),
        ),
        migrations.RunSQL(
            TRIGGER.format(", ".join([*WATCHED, "experience_note"])), TRIGGER.format(", ".join(WATCHED))
        ),
    ]
