import datetime

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0002_cancelled"),
    ]

    operations = [
        migrations.AddField(
            model_name="step",
            name="standstill",
            field=models.DurationField(default=datetime.timedelta),
        ),
    ]
