"""Planner statistics on request, for bulk loads."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations

from crm_site.lib.postgres.migrations import AnalyzeFunction


class Migration(migrations.Migration):
    dependencies: ClassVar = [("accounts", "0003_idempotency")]

    operations: ClassVar = [AnalyzeFunction()]
