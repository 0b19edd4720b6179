"""What concentration is measured against (C5): the bank's capital by date, and its related parties and insiders."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from crm_site.accounts.models import Staff
from crm_site.lib.money import MoneyField
from crm_site.lib.tenancy import BankForeignKey, TenantModel
from customers.models import Customer
from customers.models.parties import CustomerOwnedManager


class BankCapital(TenantModel):
    """The bank's net capital and tier-1 net capital as reported for a date; the newest up to a day holds."""

    as_of = models.DateField()
    net_capital = MoneyField()
    tier1_net_capital = MoneyField()
    source = models.CharField(max_length=160)
    entered_by = BankForeignKey(Staff, null=True, on_delete=models.PROTECT, related_name="+")
    entered_at = models.DateTimeField()

    class Meta(TenantModel.Meta):
        ordering: ClassVar = ["-as_of"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["bank_id", "as_of"], name="bankcapital_date"),
        ]


class RelatedKind(models.TextChoices):
    SHAREHOLDER = "shareholder", _("Major shareholder")
    CONTROLLED = "controlled", _("Company of a related party")
    DIRECTOR = "director", _("Director or supervisor")
    MANAGER = "manager", _("Senior manager")
    CREDIT_STAFF = "credit_staff", _("Takes part in lending decisions")
    RELATIVE = "relative", _("Close relative of an insider")


INSIDERS = (RelatedKind.DIRECTOR, RelatedKind.MANAGER, RelatedKind.CREDIT_STAFF, RelatedKind.RELATIVE)


class RelatedParty(TenantModel):
    """That a customer is a related party or an insider of the bank, from a date to a date, and why."""

    customer = BankForeignKey(Customer, on_delete=models.PROTECT, related_name="related_party_entries")
    kind = models.CharField(max_length=14, choices=RelatedKind)
    basis = models.CharField(max_length=240)
    from_date = models.DateField()
    to_date = models.DateField(null=True, blank=True)
    entered_by = BankForeignKey(Staff, null=True, on_delete=models.PROTECT, related_name="+")
    entered_at = models.DateTimeField()

    objects = CustomerOwnedManager()

    class Meta(TenantModel.Meta):
        ordering: ClassVar = ["-from_date", "-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["bank_id", "customer", "kind", "from_date"], name="relatedparty_once"
            ),
            models.CheckConstraint(
                name="relatedparty_ends_later",
                condition=Q(to_date__isnull=True) | Q(to_date__gte=F("from_date")),
            ),
        ]

    @property
    def is_insider(self) -> bool:
        return self.kind in INSIDERS
