"""A product says which kinds of customers it is for."""

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [("customers", "0044_branch_indexes")]
    operations: ClassVar = [
        migrations.AddField(
            model_name="product",
            name="customer_kinds",
            field=models.CharField(blank=True, default="", max_length=30),
        ),
    ]
