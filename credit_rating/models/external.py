"""What other systems tell of credit: debts at other banks (C3), the expected loss on a claim (C10)."""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from crm_site.lib.money import MoneyField
from crm_site.lib.tenancy import BankForeignKey, TenantModel
from customers.models import Customer, Loan
from customers.models.parties import CustomerOwnedManager


class ExposureSource(models.TextChoices):
    CREDIT_BUREAU = "credit_bureau", _("Credit reference report")
    CORE = "core", _("Core data")


class ExposureKind(models.TextChoices):
    LOAN = "loan", _("Loan")
    LINE = "line", _("Credit line")
    CARD = "card", _("Credit card")
    CONTINGENT = "contingent", _("Acceptance or guarantee issued")
    PROMISE = "promise", _("Guaranty for another's debt")


class ExternalExposure(TenantModel):
    """One exposure of a customer at another bank in the report of a date; amounts in `currency`.

    A report is all rows of a customer, a source and a `report_date`, and tells everything its source knows then: what
    the newest one leaves out has ended.
    """

    customer = BankForeignKey(Customer, on_delete=models.CASCADE, related_name="external_exposures")
    source = models.CharField(max_length=13, choices=ExposureSource)
    report_date = models.DateField()
    lender = models.CharField(max_length=120)
    reference = models.CharField(max_length=64)
    kind = models.CharField(max_length=10, choices=ExposureKind)
    currency = models.CharField(max_length=3)
    granted = MoneyField(default=0)
    outstanding = MoneyField(default=0)
    overdue = MoneyField(default=0)
    days_past_due = models.PositiveIntegerField(null=True)
    level = models.CharField(max_length=15, blank=True)
    maturity_date = models.DateField(null=True)
    source_as_of = models.DateTimeField()

    objects = CustomerOwnedManager()

    class Meta(TenantModel.Meta):
        ordering: ClassVar = ["lender", "reference", "id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["bank_id", "customer", "source", "report_date", "lender", "reference"],
                name="externalexposure_once",
            ),
        ]


class Impairment(TenantModel):
    """What the bank's accounts expect to lose on a loan, as its impairment system told it last (CAS 22, IFRS 9).

    `stage` 3 is credit-impaired. `expected_loss` is that of `balance`, both of `report_date` and in the loan's currency:
    what has been repaid since changes neither.
    """

    loan = BankForeignKey(Loan, on_delete=models.CASCADE, related_name="impairments")
    report_date = models.DateField()
    stage = models.CharField(max_length=1, choices=[("1", "1"), ("2", "2"), ("3", "3")])
    balance = MoneyField()
    expected_loss = MoneyField()
    source_as_of = models.DateTimeField()

    @property
    def share(self) -> Decimal | None:
        """The part of the balance that is expected to be lost; None of nothing."""
        return self.expected_loss / self.balance if self.balance else None

    class Meta(TenantModel.Meta):
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["bank_id", "loan"], name="impairment_loan"),
            models.CheckConstraint(
                name="impairment_amounts", condition=Q(expected_loss__gte=0, balance__gte=F("expected_loss"))
            ),
        ]
