"""Five-level classes of claims over time, what risk has set by hand, and early warnings (C10)."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from credit_rating.models.policies import CreditPolicy
from credit_rating.policies.warnings import LEVELS, OWNERS
from crm_site.accounts.models import Staff
from crm_site.lib.permissions import Actor
from crm_site.lib.tenancy import BankForeignKey, TenantManager, TenantModel, TenantQuerySet
from customers.models import Customer, Loan
from customers.models.parties import CustomerOwnedManager, visible_rows


class ClassReason(models.TextChoices):
    OVERDUE = "overdue", _("Days overdue")
    LOSS_SHARE = "loss", _("Expected loss")
    IMPAIRED = "impaired", _("Credit-impaired")
    ALL_BANKS = "all_banks", _("Overdue debts at all banks")
    CURE = "cure", _("Not yet free of arrears for long enough")
    BY_HAND = "by_hand", _("Set by hand")
    CONTAGION = "contagion", _("Other claims on the debtor are non-performing")
    BAD_DEBT = "bad_debt", _("Another debt is non-performing")
    NONE = "none", _("Nothing against it")


class LoanClass(TenantModel):
    """The class of a loan from a day until the next row's (`until` None: now). A row for a change alone.

    `level`: engine.classes.Level; `before`: the level so far (0: the first). `figures`: what it was decided by,
    {"days_past_due", "outstanding", "share", ...}, amounts as text.
    """

    audited: ClassVar = False  # derived by the night from the arrears and audited acts of risk

    loan = BankForeignKey(Loan, on_delete=models.CASCADE, related_name="classes")
    customer = BankForeignKey(Customer, on_delete=models.CASCADE, related_name="loan_classes")
    level = models.SmallIntegerField()
    before = models.SmallIntegerField(default=0)
    reason = models.CharField(max_length=10, choices=ClassReason)
    figures = models.JSONField(default=dict)
    from_date = models.DateField()
    until = models.DateField(null=True)
    policy = BankForeignKey(CreditPolicy, on_delete=models.PROTECT, related_name="+")
    run_id = models.BigIntegerField(null=True)

    objects = CustomerOwnedManager()

    class Meta(TenantModel.Meta):
        ordering: ClassVar = ["-from_date", "-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["bank_id", "loan"], condition=Q(until__isnull=True), name="loanclass_current"
            ),
            models.UniqueConstraint(fields=["bank_id", "loan", "from_date"], name="loanclass_day"),
            models.CheckConstraint(name="loanclass_level", condition=Q(level__gte=1, level__lte=5)),
            models.CheckConstraint(
                name="loanclass_dates", condition=Q(until__isnull=True) | Q(until__gt=F("from_date"))
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["bank_id", "customer", "level"], name="loanclass_customer"),
            models.Index(
                fields=["bank_id", "level", "id"], condition=Q(until__isnull=True), name="loanclass_level_now"
            ),
        ]


class Downgrade(TenantModel):
    """A loan is to be at least in a class, as risk has decided for a reason. Lifted, never deleted."""

    loan = BankForeignKey(Loan, on_delete=models.PROTECT, related_name="downgrades")
    customer = BankForeignKey(Customer, on_delete=models.PROTECT, related_name="+")
    level = models.SmallIntegerField()
    reason = models.CharField(max_length=400)
    made_by = BankForeignKey(Staff, null=True, on_delete=models.PROTECT, related_name="+")
    made_at = models.DateTimeField()
    lifted_by = BankForeignKey(Staff, null=True, on_delete=models.PROTECT, related_name="+")
    lifted_at = models.DateTimeField(null=True)
    lifted_reason = models.CharField(max_length=400, blank=True)

    objects = CustomerOwnedManager()

    class Meta(TenantModel.Meta):
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["bank_id", "loan"], condition=Q(lifted_at__isnull=True), name="downgrade_one"
            ),
            models.CheckConstraint(name="downgrade_level", condition=Q(level__gte=2, level__lte=5)),
        ]


class SignalState(models.TextChoices):
    OPEN = "open", pgettext_lazy("warning", "Open")
    DEALT = "dealt", pgettext_lazy("warning", "Dealt with")
    FALSE_ALARM = "false_alarm", _("False alarm")


class Signal(TenantModel):
    """A warning about a customer. While its cause lasts (`ended_on` None) the same rule makes no second one.

    `state` is what its owner has said of it; one that ends by itself keeps the state it had. `figures`: the facts
    that the rule compares, or what a higher room gave. `is_raised`: by a higher room and not by a rule of the policy.
    """

    audited: ClassVar = False  # derived by the night; what people do with it is an audited SignalAct

    customer = BankForeignKey(Customer, on_delete=models.CASCADE, related_name="signals")
    code = models.CharField(max_length=40)
    name = models.CharField(max_length=120, blank=True)
    level = models.CharField(max_length=5, choices=LEVELS)
    owner_kind = models.CharField(max_length=7, choices=OWNERS)
    owner = BankForeignKey(Staff, null=True, on_delete=models.PROTECT, related_name="+")
    is_passed_on = models.BooleanField(default=False)
    is_raised = models.BooleanField(default=False)
    figures = models.JSONField(default=dict)
    opened_on = models.DateField()
    due_on = models.DateField()
    state = models.CharField(max_length=11, choices=SignalState, default=SignalState.OPEN)
    ended_on = models.DateField(null=True)
    policy = BankForeignKey(CreditPolicy, null=True, on_delete=models.PROTECT, related_name="+")
    run_id = models.BigIntegerField(null=True)

    objects = CustomerOwnedManager()

    class Meta(TenantModel.Meta):
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["bank_id", "customer", "code"],
                condition=Q(ended_on__isnull=True),
                name="signal_one_live",
            )
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["bank_id", "due_on", "id"],
                condition=Q(state="open", ended_on__isnull=True),
                name="signal_open",
            )
        ]

    @property
    def is_open(self) -> bool:
        """Whether somebody has still to deal with it."""
        return self.state == SignalState.OPEN and self.ended_on is None


class SignalOwnedQuerySet(TenantQuerySet):
    """Rows that hang on a warning are seen with its customer."""

    def visible_to(self, actor: Actor) -> SignalOwnedQuerySet:
        return self.filter(visible_rows(actor, "signal__customer__"))


class SignalActKind(models.TextChoices):
    DEALT = "dealt", pgettext_lazy("warning", "Dealt with")
    FALSE_ALARM = "false_alarm", _("False alarm")
    PASSED_ON = "passed_on", _("Passed on")


class SignalAct(TenantModel):
    """What a person did with a warning, and why. Never changed."""

    signal = BankForeignKey(Signal, on_delete=models.CASCADE, related_name="acts")
    kind = models.CharField(max_length=11, choices=SignalActKind)
    note = models.CharField(max_length=400)
    to = BankForeignKey(Staff, null=True, on_delete=models.PROTECT, related_name="+")
    by = BankForeignKey(Staff, null=True, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()

    objects = TenantManager.from_queryset(SignalOwnedQuerySet)()

    class Meta(TenantModel.Meta):
        ordering: ClassVar = ["-id"]
