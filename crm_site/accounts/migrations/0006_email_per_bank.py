"""A verified e-mail address is unique within its bank: across banks it would tell one bank of another's staff."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations


class Migration(migrations.Migration):
    dependencies: ClassVar = [
        ("accounts", "0005_sign_in"),
        ("account", "0009_emailaddress_unique_primary_email"),
    ]

    operations: ClassVar = [
        migrations.RunSQL(
            [
                "DROP INDEX unique_verified_email",
                "CREATE UNIQUE INDEX unique_verified_email ON account_emailaddress (bank_id, email) WHERE verified",
            ],
            [
                "DROP INDEX unique_verified_email",
                "CREATE UNIQUE INDEX unique_verified_email ON account_emailaddress (email) WHERE verified",
            ],
        )
    ]
