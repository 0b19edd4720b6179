"""Fill the browser tests' own database: a small bank with its nights run, people who can sign in, an operator.

Run as `python -m tests.e2e.seed` with DATABASE_URL set; prints {role: login} as JSON. Every password is PASSWORD.
"""

from __future__ import annotations

import datetime as dt
import json

PASSWORD = "correct horse battery"
DATE = dt.date(2026, 10, 31)
NOW = dt.datetime(2026, 11, 2, 1, 0, tzinfo=dt.UTC)
CUSTOMERS = 400


def main() -> None:
    import django

    django.setup()
    from django.contrib.auth.hashers import make_password
    from django.db.models import Count

    from crm_site.accounts.models import RoleGrant, Staff
    from crm_site.accounts.services import PLATFORM_CODE, found_bank
    from crm_site.composition.demo import run_nights
    from crm_site.composition.synthetic_bank import make_bank
    from crm_site.lib.dates import month_end
    from crm_site.lib.tenancy import bank

    hashed = make_password(PASSWORD)
    made = make_bank(code="demo", customers=CUSTOMERS, seed=11, date=DATE, now=NOW)
    previous = month_end(DATE.replace(day=1) - dt.timedelta(days=1))
    run_nights(made.founded.bank, [previous, DATE])
    logins: dict[str, str] = {}
    with bank(made.founded.bank.pk):
        grants = RoleGrant.objects.select_related("staff").annotate(held=Count("staff__customers"))
        for grant in grants.order_by("role", "-held", "staff__number"):
            logins.setdefault(grant.role, grant.staff.number)
        logins["second_administrator"] = "admin2"
        Staff.objects.update(password=hashed, must_change_password=False)
    platform = found_bank(code=PLATFORM_CODE, name="Banyan", now=NOW, is_platform=True, password=PASSWORD)
    with bank(platform.bank.pk):
        Staff.objects.update(must_change_password=False)
    logins["operator"] = platform.login
    print(json.dumps(logins))


if __name__ == "__main__":
    main()
