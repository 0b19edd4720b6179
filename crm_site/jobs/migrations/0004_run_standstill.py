import datetime

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0003_standstill"),
    ]

    operations = [
        migrations.AddField(
            model_name="run",
            name="standstill",
            field=models.DurationField(default=datetime.timedelta),
        ),
    ]
