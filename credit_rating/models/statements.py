"""Financial statements of companies, a row a year; their lines are declared in credit_rating.engine.ratios."""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from crm_site.accounts.models import Staff
from crm_site.lib.tenancy import BankForeignKey, TenantModel
from customers.models import Customer
from customers.models.parties import CustomerOwnedManager


class StatementSource(models.TextChoices):
    TYPED = "typed", _("Typed in")
    UPLOAD = "upload", _("Uploaded file")
    FEED = "feed", _("Core data")


class Statement(TenantModel):
    """A year's statement. `figures`: {item: amount as text}, in the bank's currency; an item that is not there is
    unknown, never 0. `report_date`: the balance sheet's date. `explanation`: of what jumped.
    `source_as_of`: when the source knew it; a delivery that is older than what stands never overwrites it."""

    customer = BankForeignKey(Customer, on_delete=models.CASCADE, related_name="statements")
    year = models.PositiveSmallIntegerField()
    report_date = models.DateField()
    is_audited = models.BooleanField(default=False)
    auditor = models.CharField(max_length=120, blank=True)
    figures = models.JSONField(default=dict)
    explanation = models.CharField(max_length=400, blank=True)
    source = models.CharField(max_length=8, choices=StatementSource, default=StatementSource.TYPED)
    entered_by = BankForeignKey(Staff, null=True, on_delete=models.PROTECT, related_name="+")
    entered_at = models.DateTimeField()
    source_as_of = models.DateTimeField(null=True)

    objects = CustomerOwnedManager()

    class Meta(TenantModel.Meta):
        ordering: ClassVar = ["-year"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["bank_id", "customer", "year"], name="statement_year")
        ]

    @property
    def amounts(self) -> dict[str, Decimal]:
        """The figures as amounts."""
        return {item: Decimal(text) for item, text in self.figures.items()}
