"""What was asked and seen of a customer (客户信息采集登记表): a draft while it grows, then a form for good (A2)."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from credit_rating.models.kinds import CreditKind
from crm_site.accounts.models import Staff
from crm_site.lib.tenancy import BankForeignKey, TenantModel
from customers.models import Customer
from customers.models.parties import CustomerOwnedManager


class CollectionStatus(models.TextChoices):
    DRAFT = "draft", _("Draft")
    SUBMITTED = "submitted", _("Submitted")


class InformationForm(TenantModel):
    """A customer's collected information. The fields of each kind are declared in credit_rating.collection.

    `values`: {field: {"value": text, "as_of": ISO date, "source": code, "by": staff id}}. `revision` counts the saves
    of a draft. A submitted form is never changed: the next begins with what it said.
    """

    customer = BankForeignKey(Customer, on_delete=models.CASCADE, related_name="information_forms")
    kind = models.CharField(max_length=10, choices=CreditKind)
    status = models.CharField(max_length=10, choices=CollectionStatus, default=CollectionStatus.DRAFT)
    values = models.JSONField(default=dict)
    revision = models.PositiveIntegerField(default=0)
    completeness_pct = models.PositiveSmallIntegerField(default=0)
    started_by = BankForeignKey(Staff, null=True, on_delete=models.PROTECT, related_name="+")
    started_at = models.DateTimeField()
    saved_at = models.DateTimeField()
    submitted_by = BankForeignKey(Staff, null=True, on_delete=models.PROTECT, related_name="+")
    submitted_at = models.DateTimeField(null=True)

    objects = CustomerOwnedManager()

    class Meta(TenantModel.Meta):
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["bank_id", "customer"], condition=Q(status="draft"), name="informationform_one_draft"
            ),
            models.CheckConstraint(
                name="informationform_submitted", condition=Q(status="draft") | Q(submitted_at__isnull=False)
            ),
        ]
