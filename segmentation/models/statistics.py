"""What the night counts over the whole book, so that no page has to (B3). Real customers only, no prospects."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from crm_site.accounts.models import OrgUnit
from crm_site.lib.money import MoneyField
from crm_site.lib.tenancy import BankForeignKey, TenantModel
from customers.models import CustomerKind


class MigrationMonth(TenantModel):
    """How many customers went from one tier to another between month-end `before` and `as_of`: the month-end
    after it, or the newest business date (the running month).

    Rank 0 = not there yet. `home_branch` and `deposits_adb` as at `as_of`.
    """

    as_of = models.DateField()
    before = models.DateField()
    home_branch = BankForeignKey(OrgUnit, null=True, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=10, choices=CustomerKind)
    scheme = models.CharField(max_length=20)
    from_rank = models.SmallIntegerField()
    to_rank = models.SmallIntegerField()
    customers = models.IntegerField()
    deposits_adb = MoneyField()
    run_id = models.BigIntegerField(null=True)

    audited: ClassVar = False  # derived by a run, which is its record

    class Meta(TenantModel.Meta):
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["bank_id", "as_of", "scheme", "home_branch", "kind", "from_rank", "to_rank"],
                name="migrationmonth_cell",
                nulls_distinct=False,
            )
        ]


class ProductUseMonth(TenantModel):
    """Customers by what they use: `use` = 1 deposits + 2 loans + 4 fees paid in the last twelve months."""

    as_of = models.DateField()
    home_branch = BankForeignKey(OrgUnit, null=True, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=10, choices=CustomerKind)
    value_tier = models.SmallIntegerField()
    use = models.SmallIntegerField()
    customers = models.IntegerField()
    deposits_adb = MoneyField()
    loans = MoneyField()
    run_id = models.BigIntegerField(null=True)

    audited: ClassVar = False  # derived by a run, which is its record

    class Meta(TenantModel.Meta):
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["bank_id", "as_of", "home_branch", "kind", "value_tier", "use"],
                name="productusemonth_cell",
                nulls_distinct=False,
            )
        ]


class Concentration(TenantModel):
    """The Lorenz curve of a measure over the customers that have any of it: `points` = [[p, share], ...],
    the share of the total that the top p per cent bring, exact at each p of the night's ranking.

    `measure`: deposits_adb, loans or aum. `home_branch`: the unit and what lies below it; null: the whole bank,
    of it every customer or those of one `kind`, as a line department looks at them.
    `top20_*`: the customers from the amount on at which the top 20 per cent begin (ties included, so that the
    list of them has as many).
    """

    as_of = models.DateField()
    home_branch = BankForeignKey(OrgUnit, null=True, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=10, choices=CustomerKind, blank=True)
    measure = models.CharField(max_length=16)
    customers = models.IntegerField()
    total = MoneyField()
    top20_customers = models.IntegerField()
    top20_total = MoneyField()
    top20_from = MoneyField()
    book = models.IntegerField()  # customers with or without any of it
    points = models.JSONField()
    run_id = models.BigIntegerField(null=True)

    audited: ClassVar = False  # derived by a run, which is its record

    class Meta(TenantModel.Meta):
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["bank_id", "as_of", "measure", "home_branch", "kind"],
                name="concentration_cell",
                nulls_distinct=False,
            )
        ]
