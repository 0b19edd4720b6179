"""Derived by the nightly run: current standing, month-end record, branch summaries. They carry the run's id."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from crm_site.accounts.models import OrgUnit, Staff
from crm_site.lib.money import MoneyField, money
from crm_site.lib.permissions import Actor
from crm_site.lib.tenancy import BankField, BankForeignKey, TenantManager, TenantModel, TenantQuerySet
from customers.models.parties import Customer, CustomerKind, visible_rows

# From this churn probability on a customer counts as "high churn risk", on pages, worklists and in summaries.
ALARM_BP = 3000
VALUE_TIERS = {3: "high", 2: "mid", 1: "general"}
TREND_MONTHS = 13


def deposit_trend(month_ends: Sequence[Decimal], newest: Decimal) -> tuple[Decimal, ...]:
    """What a little line of deposits draws: the last month-ends and, between two of them, the figure of today.

    Without today's the line would end at the month-end before, against the figure and the change beside it.
    """
    points = tuple(month_ends)
    if points and points[-1] != newest:
        points = (*points, newest)
    return points[-TREND_MONTHS:]


WEALTH_LEVELS = {
    7: "black_gold", 6: "diamond", 5: "premier_platinum", 4: "platinum", 3: "premier_gold", 2: "gold", 1: "standard",
}  # fmt: skip
TIER_LABELS = {
    "high": _("High"),
    "mid": _("Mid"),
    "general": _("General"),
    "black_gold": _("Black gold"),
    "diamond": _("Diamond"),
    "premier_platinum": _("Premier platinum"),
    "platinum": _("Platinum"),
    "premier_gold": _("Premier gold"),
    "gold": _("Gold"),
    "standard": _("Standard"),
}


class StandingQuerySet(TenantQuerySet):
    def visible_to(self, actor: Actor) -> StandingQuerySet:
        """Standing of the customers that the actor may see, by its own copies of kind, branch and person."""
        return self.filter(visible_rows(actor))


class Standing(TenantModel):
    """One narrow row per customer or prospect, from the moment it is known: what lists sort and filter by,
    as of the newest business date.

    Amounts in the bank's currency, in minor units. `value_tier`/`wealth_level` are ranks (VALUE_TIERS,
    WEALTH_LEVELS; 0 = none yet; prospects stay 0). `churn_bp`: churn probability in basis points, 0 = below 50, -1 = none.
    `kind`, `home_branch`, `responsible` repeat the customer's, for the indexes lists need;
    customers.services keeps them equal. `deposits_13`: deposit ADB at the last 13 month-ends, oldest first.
    """

    audited: ClassVar = False  # derived: the run is its record

    customer = BankForeignKey(Customer, on_delete=models.CASCADE, related_name="standings")
    kind = models.CharField(max_length=10, choices=CustomerKind)
    home_branch = BankForeignKey(OrgUnit, null=True, on_delete=models.PROTECT, related_name="+")
    responsible = BankForeignKey(Staff, null=True, on_delete=models.PROTECT, related_name="+")
    as_of = models.DateField(null=True)  # null until the first night run
    deposits_adb = MoneyField(default=0)
    deposits_balance = MoneyField(default=0)
    loans = MoneyField(default=0)
    aum = MoneyField(default=0)
    overdue_amount = MoneyField(default=0)
    days_past_due = models.IntegerField(default=0)
    value_tier = models.SmallIntegerField(default=0)
    value_since = models.DateField(null=True)
    wealth_level = models.SmallIntegerField(default=0)
    wealth_since = models.DateField(null=True)
    churn_bp = models.IntegerField(default=-1)
    adb_previous = MoneyField(default=0)  # deposit ADB at the previous month-end
    deposits_13 = ArrayField(models.BigIntegerField(), default=list)
    last_contact_date = models.DateField(null=True)
    run_id = models.BigIntegerField(null=True)

    objects = TenantManager.from_queryset(StandingQuerySet)()

    class Meta(TenantModel.Meta):
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["bank_id", "customer"], name="standing_customer")
        ]
        # None names a tier or a level, as a column or in a condition: a night that changes them all rewrites rows in place.
        indexes: ClassVar = [
            models.Index(fields=["bank_id", "deposits_adb", "customer"], name="standing_adb"),
            models.Index(fields=["bank_id", "loans", "customer"], name="standing_loans"),
            models.Index(fields=["bank_id", "aum", "customer"], name="standing_aum"),
            models.Index(fields=["bank_id", "churn_bp", "customer"], name="standing_churn"),
            models.Index(
                fields=["bank_id", "home_branch", "deposits_adb", "customer"], name="standing_branch_adb"
            ),
            models.Index(
                fields=["bank_id", "responsible", "deposits_adb", "customer"], name="standing_person_adb"
            ),
            # Few rows each, which the sorts above would look for among everybody.
            models.Index(
                fields=["bank_id", "home_branch", "loans", "customer"],
                condition=Q(overdue_amount__gt=money(0)),
                name="standing_overdue",
            ),
            models.Index(
                fields=["bank_id", "home_branch", "churn_bp", "customer"],
                condition=Q(churn_bp__gte=ALARM_BP),
                name="standing_alarm",
            ),
            models.Index(
                fields=["bank_id", "home_branch", "deposits_adb", "customer"],
                condition=Q(responsible__isnull=True),
                name="standing_queue",
            ),
        ]


class MonthEnd(models.Model):
    """A customer's figures at a month-end: the record (kept 25 months). Partitioned by month.

    Key (bank_id, month_end, customer_id). Same definitions and units as Standing.
    """

    pk = models.CompositePrimaryKey("bank_id", "month_end", "customer_id")
    bank_id = BankField(editable=False)
    month_end = models.DateField()
    customer = models.ForeignKey(
        Customer, on_delete=models.DO_NOTHING, db_constraint=False, related_name="month_ends"
    )
    home_branch_id = models.BigIntegerField(null=True)
    deposits_adb = MoneyField()
    deposits_balance = MoneyField()
    loans = MoneyField()
    aum = MoneyField()
    open_accounts = models.SmallIntegerField()
    transactions = models.IntegerField()  # entries in the month
    inflow = MoneyField()
    outflow = MoneyField()
    overdue_amount = MoneyField(default=0)
    days_past_due = models.IntegerField()
    value_tier = models.SmallIntegerField()
    wealth_level = models.SmallIntegerField()
    run_id = models.BigIntegerField(null=True)

    objects = TenantManager()

    class Meta:
        managed = False
        db_table = "customers_monthend"


class PortfolioMonth(TenantModel):
    """Summary by month-end (or the newest business date) x home branch x kind x value tier x wealth level.

    Dashboards read this, never the customers; prospects are not in it. Amounts in the bank's currency.
    What only the newest date knows (churn, who is responsible) is null for a month-end filled in afterwards.
    """

    audited: ClassVar = False  # derived: the run is its record

    as_of = models.DateField()
    is_month_end = models.BooleanField()
    home_branch = BankForeignKey(OrgUnit, null=True, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=10, choices=CustomerKind)
    value_tier = models.SmallIntegerField()
    wealth_level = models.SmallIntegerField()
    customers = models.IntegerField()
    depositors = models.IntegerField()
    borrowers = models.IntegerField()
    deposits_adb = MoneyField()
    deposits_balance = MoneyField()
    loans = MoneyField()
    aum = MoneyField()
    overdue_amount = MoneyField()
    churn_high = models.IntegerField(null=True)  # customers at or above the churn alarm
    churn_high_deposits = MoneyField(null=True)
    without_manager = models.IntegerField(null=True)
    run_id = models.BigIntegerField(null=True)

    class Meta(TenantModel.Meta):
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["bank_id", "as_of", "home_branch", "kind", "value_tier", "wealth_level"],
                name="portfoliomonth_cell",
                nulls_distinct=False,
            )
        ]


class BusinessDay(TenantModel):
    """A business date that a night was run for, and which feeds had not come by then.

    `late_feeds`: [{"feed": name, "last": ISO date or null}]. `rebuild_pending`: month-ends before the newest
    date changed since, so that the next newest night builds `Standing.deposits_13` from the record again.
    """

    business_date = models.DateField()
    run_id = models.BigIntegerField(null=True)
    late_feeds = models.JSONField(default=list)
    rebuild_pending = models.BooleanField(default=False)

    audited: ClassVar = False  # derived: the run is its record

    class Meta(TenantModel.Meta):
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["bank_id", "business_date"], name="businessday_once")
        ]
