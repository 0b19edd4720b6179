"""A night writes everybody's score at once: its key is checked once a statement."""

from typing import ClassVar

from django.db import migrations

from crm_site.lib.postgres.migrations import CheckOnceAStatement


class Migration(migrations.Migration):
    dependencies: ClassVar = [
        ("segmentation", "0021_concentration_of_a_kind"),
        ("customers", "0043_month_ends_keys"),
    ]
    operations: ClassVar = [
        CheckOnceAStatement("segmentation_churnscore", "customer_id", "customers_customer")
    ]
