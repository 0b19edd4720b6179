"""Fill the browser tests' own database: a small bank with its nights run, people who can sign in, an operator.

Run as `python -m tests.e2e.seed` with DATABASE_URL set; prints {role: login} as JSON: role for the first of a role,
role_2, role_3 … for the others, and under case_* who and whom the walk of a credit case is about. Every password is
PASSWORD.
"""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal

PASSWORD = "correct horse battery"
DATE = dt.date(2026, 10, 31)
NOW = dt.datetime(2026, 11, 2, 1, 0, tzinfo=dt.UTC)
CUSTOMERS = 400
CASE_AMOUNT = Decimal(5_100_000)  # above what the default matrix leaves to headquarters
CASE_PRODUCT = "流动资金贷款"  # working capital
CAPITAL = Decimal(600_000_000)


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
            others = sum(1 for name in logins if name.rpartition("_")[0] == grant.role)
            name = grant.role if grant.role not in logins else f"{grant.role}_{others + 2}"
            logins[name] = grant.staff.number
        logins |= credit_case()
        logins["second_administrator"] = "admin2"
        Staff.objects.update(password=hashed, must_change_password=False)
    platform = found_bank(code=PLATFORM_CODE, name="Banyan", now=NOW, is_platform=True, password=PASSWORD)
    with bank(platform.bank.pk):
        Staff.objects.update(must_change_password=False)
    logins["operator"] = platform.login
    print(json.dumps(logins))


def credit_case() -> dict[str, str]:
    """A company whose file bears a line above what headquarters may decide alone, its manager and its branch manager;
    and the client by which core banking draws on the line."""
    from credit_rating.models import BankCapital, Statement
    from credit_rating.selectors.calculations import Terms, reckon
    from credit_rating.selectors.cases import role_holders
    from crm_site.accounts.models import Staff
    from crm_site.accounts.selectors import actor_for
    from crm_site.accounts.services import create_api_client
    from crm_site.lib.permissions import Actor, Grant, Role
    from crm_site.lib.tenancy import require_bank
    from customers.models import Customer

    # So few customers owe little, and capital follows their loans: here it is a bank's that gives such lines.
    BankCapital.objects.update(net_capital=CAPITAL, tier1_net_capital=CAPITAL * Decimal("0.87"))
    filed = Statement.objects.values("customer_id")
    companies = Customer.objects.filter(pk__in=filed, responsible__isnull=False).order_by("number")
    best = (Decimal(0), 0, 0)
    for customer in companies.select_related("responsible", "home_branch"):
        managers = [
            k for k in role_holders(Role.BRANCH_MANAGER, DATE, customer) if k != customer.responsible_id
        ]
        if not managers:
            continue
        # So small a bank has no large borrower: the company grows to ten times its size.
        Customer.objects.filter(pk=customer.pk).update(size="medium")
        customer.size = "medium"
        for statement in Statement.objects.filter(customer=customer):
            statement.figures = {item: f"{amount * 10:f}" for item, amount in statement.amounts.items()}
            statement.save(update_fields=["figures"])
        rm = actor_for(customer.responsible, day=DATE)
        limit = reckon(rm, customer, Terms("A", 12, CASE_AMOUNT), day=DATE).limit or Decimal(0)
        best = max(best, (limit, customer.pk, managers[0]))
    limit, chosen, manager = best
    if limit < CASE_AMOUNT:
        raise SystemExit(f"no company bears a line of {CASE_AMOUNT}: {limit}")
    administrator = Actor(require_bank(), "seed", grants=(Grant(Role.ADMINISTRATOR, 0, 2_147_483_647),))
    client = create_api_client(administrator, name="core banking", scopes=["lines:control"])
    return {
        "case_customer": str(chosen),
        "case_rm": Staff.objects.get(customers=chosen).number,
        "case_manager": Staff.objects.get(pk=manager).number,
        "core_id": client.client_id,
        "core_secret": client.client_secret,
    }


if __name__ == "__main__":
    main()
