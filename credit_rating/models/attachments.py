"""Files that go with a case: what was uploaded, by whom and what it was (C6). The bytes lie outside the web root."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from credit_rating.models.cases import CaseCondition, CaseOwnedManager, CreditCase
from crm_site.accounts.models import Staff
from crm_site.lib.tenancy import BankForeignKey, TenantModel


class CaseFile(TenantModel):
    """A file of a case or, with `condition`, the evidence that a condition of its approval is met.

    `path` below MEDIA_ROOT; `kind`: a code of credit_rating.case_files.KINDS, found from the bytes; `digest`: their
    SHA-256. Never changed or deleted: a withdrawn file stays with who withdrew it.
    """

    case = BankForeignKey(CreditCase, on_delete=models.PROTECT, related_name="files")
    condition = BankForeignKey(CaseCondition, null=True, on_delete=models.PROTECT, related_name="files")
    name = models.CharField(max_length=160)
    kind = models.CharField(max_length=8)
    size = models.PositiveIntegerField()
    digest = models.CharField(max_length=64)
    path = models.CharField(max_length=100)
    uploaded_by = BankForeignKey(Staff, on_delete=models.PROTECT, related_name="+")
    uploaded_at = models.DateTimeField()
    withdrawn_by = BankForeignKey(Staff, null=True, on_delete=models.PROTECT, related_name="+")
    withdrawn_at = models.DateTimeField(null=True)

    objects = CaseOwnedManager()

    class Meta(TenantModel.Meta):
        ordering: ClassVar = ["id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["bank_id", "case", "condition", "digest"],
                condition=Q(withdrawn_at__isnull=True),
                nulls_distinct=False,
                name="casefile_once",
            ),
            models.CheckConstraint(
                name="casefile_withdrawn",
                condition=Q(withdrawn_at__isnull=True, withdrawn_by__isnull=True)
                | Q(withdrawn_at__gte=F("uploaded_at"), withdrawn_by__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.name
