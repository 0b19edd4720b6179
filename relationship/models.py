"""Who looks after whom, since when and why: the history, the proposals and the load of each manager."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import RangeOperators
from django.db import models
from django.db.models import F, Func, Q, Value
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from crm_site.accounts.models import OrgUnit, Staff
from crm_site.lib.money import MoneyField
from crm_site.lib.permissions import SUBTREE, WHOLE_BANK, Actor, Role
from crm_site.lib.tenancy import BankForeignKey, TenantManager, TenantModel, TenantQuerySet
from customers.models import Customer
from customers.models.parties import LINE_KINDS, CustomerOwnedManager


class Rule(models.TextChoices):
    """Why somebody is responsible: the rules of D2 in order, then the ways outside them."""

    WON_BY = "won_by", _("Won the customer")
    BORROWER = "borrower", _("Borrower")
    DEPOSITOR = "depositor", _("High or mid depositor")
    GENERAL = "general", _("General depositor")
    CHOSEN = "chosen", _("Branch manager's choice")
    ADOPTED = "adopted", _("Brought in by the bank's data")


class Assignment(TenantModel):
    """One period of one responsible person: from `from_date` up to and excluding `to_date` (null: until now).

    The exclusion constraint keeps the periods of a customer apart over the whole history. `applied`: the customer
    carries the manager already; a period that begins later waits for its day (step `placement`).
    """

    customer = BankForeignKey(Customer, on_delete=models.CASCADE, related_name="assignments")
    manager = BankForeignKey(Staff, on_delete=models.PROTECT, related_name="assignments")
    unit = BankForeignKey(OrgUnit, null=True, on_delete=models.PROTECT, related_name="+")
    from_date = models.DateField()
    to_date = models.DateField(null=True)
    rule = models.CharField(max_length=12, choices=Rule)
    params = models.JSONField(default=dict, blank=True)
    decided_by = BankForeignKey(Staff, null=True, on_delete=models.PROTECT, related_name="+")
    decided_at = models.DateTimeField()
    applied = models.BooleanField(default=True)
    changed_at = models.DateTimeField(db_default=Now(), editable=False)  # by a trigger (migration 0002)

    objects = CustomerOwnedManager()

    class Meta(TenantModel.Meta):
        ordering: ClassVar = ["-from_date", "-id"]
        constraints: ClassVar = [
            models.CheckConstraint(
                name="assignment_dates", condition=Q(to_date__isnull=True) | Q(to_date__gte=F("from_date"))
            ),
            ExclusionConstraint(
                name="assignment_one_at_a_time",
                expressions=[
                    (F("bank_id"), RangeOperators.EQUAL),
                    (F("customer"), RangeOperators.EQUAL),
                    (
                        Func(F("from_date"), F("to_date"), Value("[)"), function="daterange"),
                        RangeOperators.OVERLAPS,
                    ),
                ],
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["bank_id", "from_date"], condition=Q(applied=False), name="assignment_waiting"
            ),
            models.Index(fields=["bank_id", "customer", "-from_date"], name="assignment_history"),
            models.Index(fields=["bank_id", "changed_at"], name="assignment_changed"),
        ]


class ProposalStatus(models.TextChoices):
    PROPOSED = "proposed", _("Proposed")
    APPROVED = "approved", _("Approved")
    REJECTED = "rejected", _("Rejected")
    SUPERSEDED = "superseded", _("Superseded")


class AssignmentProposalQuerySet(TenantQuerySet):
    def visible_to(self, actor: Actor) -> AssignmentProposalQuerySet:
        """Those of the units in a branch manager's reach; a line department's kinds; all for headquarters and jobs."""
        if actor.has(WHOLE_BANK) or actor.has({Role.API}):
            return self
        seen = Q(pk__in=[])
        if actor.has({Role.LINE_DEPARTMENT}):
            seen |= Q(customer__kind__in=LINE_KINDS.get(actor.line_department, ()))
        for lft, rgt in actor.intervals(SUBTREE):
            seen |= Q(unit__lft__gte=lft, unit__lft__lte=rgt)
        return self.filter(seen)

    def open(self) -> AssignmentProposalQuerySet:
        return self.filter(status=ProposalStatus.PROPOSED)


class AssignmentProposal(TenantModel):
    """A place in a branch's queue: a customer without the right owner, and whom the rules propose.

    `unit`: the home branch whose manager decides. `manager` null: nobody has room or nobody is there; the branch
    manager picks. `tier` and `value` (deposits + loans) repeat the customer's on the day, for the queue's order.
    `proposed_by` null: the night run. A customer has at most one open proposal.
    """

    customer = BankForeignKey(Customer, on_delete=models.CASCADE, related_name="proposals")
    unit = BankForeignKey(OrgUnit, on_delete=models.PROTECT, related_name="+")
    manager = BankForeignKey(Staff, null=True, on_delete=models.PROTECT, related_name="+")
    rule = models.CharField(max_length=12, choices=Rule)
    params = models.JSONField(default=dict, blank=True)
    tier = models.SmallIntegerField(default=0)
    value = MoneyField(default=0)
    status = models.CharField(max_length=10, choices=ProposalStatus, default=ProposalStatus.PROPOSED)
    effective_date = models.DateField(null=True)
    proposed_by = BankForeignKey(Staff, null=True, on_delete=models.PROTECT, related_name="+")
    proposed_date = models.DateField()
    decided_by = BankForeignKey(Staff, null=True, on_delete=models.PROTECT, related_name="+")
    decided_at = models.DateTimeField(null=True)
    comment = models.CharField(max_length=200, blank=True)
    run_id = models.BigIntegerField(null=True)

    objects = TenantManager.from_queryset(AssignmentProposalQuerySet)()

    class Meta(TenantModel.Meta):
        ordering: ClassVar = ["-tier", "-value", "customer"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["bank_id", "customer"], condition=Q(status="proposed"), name="proposal_one_open"
            ),
            models.CheckConstraint(
                name="proposal_approved_has_manager",
                condition=~Q(status="approved") | Q(manager__isnull=False, effective_date__isnull=False),
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["bank_id", "unit", "-tier", "-value", "customer"],
                condition=Q(status="proposed"),
                name="proposal_queue",
            ),
            models.Index(fields=["bank_id", "customer", "status"], name="proposal_customer"),
        ]


class ManagerLoad(TenantModel):
    """What a person looks after now, by value tier: the summary that dashboards and capacities read.

    Written by the night run for everybody, and by an approval for those it touches. Amounts in the bank's
    currency, of the customers as they stand at `as_of`; `contacted`: with a contact in as_of's quarter.
    """

    manager = BankForeignKey(Staff, on_delete=models.CASCADE, related_name="loads")
    value_tier = models.SmallIntegerField()
    as_of = models.DateField(null=True)
    customers = models.IntegerField()
    deposits_adb = MoneyField()
    loans = MoneyField()
    overdue_customers = models.IntegerField()
    overdue_amount = MoneyField()
    contacted = models.IntegerField()

    audited: ClassVar = False  # counted from the customers, whose changes are the record

    class Meta(TenantModel.Meta):
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["bank_id", "manager", "value_tier"], name="managerload_cell")
        ]
