"""A change of tier touches no index of Standing: a row with a new tier stays on its page, in every index as it was."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations


class Migration(migrations.Migration):
    dependencies: ClassVar = [("customers", "0032_partial_lists")]

    operations: ClassVar = [migrations.RemoveIndex(model_name="standing", name="standing_tier_adb")]
