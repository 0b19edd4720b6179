"""Every deliberate breakage of the isolation is noticed by the catalogue walk."""

from __future__ import annotations

import psycopg
import pytest
from django.conf import settings
from django.db import connection

from tests.architecture.test_tenancy import BREAKAGES, catalogue_faults
from tests.prove.conftest import Promise


@pytest.mark.prove
def test_breakages_are_noticed(db: None, promise: Promise) -> None:
    database, owner = connection.settings_dict, settings.DATABASES["default"]["TEST"]["OWNER"]
    noticed = 0
    for breakage in BREAKAGES.values():
        with psycopg.connect(
            host=database["HOST"], port=database["PORT"], dbname=database["NAME"], user=owner["USER"],
            password=owner["PASSWORD"],
        ) as conn:  # fmt: skip
            with conn.cursor() as cursor:
                cursor.execute(breakage.replace("{app}", f'"{settings.APPLICATION_ROLE}"'))
                noticed += bool(catalogue_faults(cursor))
            conn.rollback()
    promise("deliberate breakages of the isolation noticed", f"{noticed} of {len(BREAKAGES)}", "all, at least 10",
            kept=noticed == len(BREAKAGES) >= 10)  # fmt: skip
