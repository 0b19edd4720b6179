"""A month-end's night writes everybody's record at once: its key is checked once a statement."""

from typing import ClassVar

from django.db import migrations

from crm_site.lib.postgres.migrations import CheckOnceAStatement


class Migration(migrations.Migration):
    dependencies: ClassVar = [("customers", "0042_related_parties_index")]
    operations: ClassVar = [CheckOnceAStatement("customers_monthend", "customer_id", "customers_customer")]
