"""What the credit overview reads: the night's summaries, never cases, lines or ratings one by one."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from django.db import models

from crm_site.accounts.models import OrgUnit
from crm_site.lib.money import MoneyField
from crm_site.lib.permissions import OWN, Actor
from crm_site.lib.tenancy import BankForeignKey, TenantManager, TenantModel, TenantQuerySet
from customers.models import Customer, CustomerKind
from customers.models.parties import visible_rows


class SummaryQuerySet(TenantQuerySet):
    """Summaries know a branch and a kind, no manager: one's own customers outside one's branch are not in them."""

    def visible_to(self, actor: Actor) -> SummaryQuerySet:
        return self.filter(
            visible_rows(replace(actor, grants=tuple(g for g in actor.grants if g.role not in OWN)))
        )


class CreditCell(TenantModel):
    """A cell of one of the night's tables (`section`), by home branch and kind of customer, in the bank's currency.

    section    key                             other        count      amount       used
    grade      grade in force or "none"                     lines      limits       reserved and drawn
    expiry     month "2027-03" or "later"                   lines      limits       reserved and drawn
    use        band of use (selectors.lines)                lines      limits       reserved and drawn
    unpriced   a currency without a rate                    lines (in no sum)
    coverage   in_force, expired, never                     borrowers  loans
    class      five-level class, "1" to "5"                 loans      outstanding
    warning    level                                        open warnings
    migration  grade a year ago or "none"      grade now    customers
    Lines: those that may still be drawn on, now or later. Month-ends and the newest date are kept.
    """

    audited: ClassVar = False  # derived: the run is its record

    as_of = models.DateField()
    section = models.CharField(max_length=10)
    home_branch = BankForeignKey(OrgUnit, null=True, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=10, choices=CustomerKind)
    key = models.CharField(max_length=10)
    other = models.CharField(max_length=10, blank=True)
    count = models.IntegerField()
    amount = MoneyField(default=0)
    used = MoneyField(default=0)
    run_id = models.BigIntegerField(null=True)

    objects = TenantManager.from_queryset(SummaryQuerySet)()

    class Meta(TenantModel.Meta):
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["bank_id", "as_of", "section", "home_branch", "kind", "key", "other"],
                name="creditcell_cell",
                nulls_distinct=False,
            )
        ]


class BigStake(TenantModel):
    """One of the greatest stakes of the newest date: of a customer alone (`members` 1) or of all who are connected.

    `customer`: of a group the member with most credit. `lent`, `credit`: as engine.exposure.Stake, for all members; `core_credit`: of
    the greatest group of control and kin among them.
    """

    audited: ClassVar = False  # derived: the run is its record

    as_of = models.DateField()
    is_group = models.BooleanField()
    customer = BankForeignKey(Customer, on_delete=models.CASCADE, related_name="+")
    home_branch = BankForeignKey(OrgUnit, null=True, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=10, choices=CustomerKind)
    members = models.IntegerField()
    lent = MoneyField()
    credit = MoneyField()
    core_credit = MoneyField(default=0)
    run_id = models.BigIntegerField(null=True)

    objects = TenantManager.from_queryset(SummaryQuerySet)()

    class Meta(TenantModel.Meta):
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["bank_id", "as_of", "is_group", "customer"], name="bigstake_once")
        ]
        indexes: ClassVar = [
            models.Index(fields=["bank_id", "is_group", "credit", "id"], name="bigstake_greatest")
        ]
