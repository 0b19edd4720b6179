"""Saved line calculations (客户授信额度测算表): what went in, every step, and by which versions of the policies."""

from __future__ import annotations

import hashlib
import json
from typing import Any, ClassVar

from django.db import models

from credit_rating.models.kinds import CreditKind
from crm_site.accounts.models import Staff
from crm_site.lib.money import MoneyField
from crm_site.lib.tenancy import BankForeignKey, TenantModel
from customers.models import Customer
from customers.models.parties import CustomerOwnedManager


def canonical(content: Any) -> str:
    """The one text of a JSON document that is hashed: sorted keys, no spaces."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def content_hash(content: Any) -> str:
    """SHA-256 of a JSON document in its canonical form, as hex."""
    return hashlib.sha256(canonical(content).encode()).hexdigest()


class LineCalculation(TenantModel):
    """A calculation as it was. Rows are never changed or deleted; the database refuses it.

    `content` holds everything that the form shows: {"inputs", "grade", "term_months", "policies": {subject: version
    id}, "steps", "guarantees", "exposure", "price"}; amounts as text. `content_hash` is what an approval binds to.
    """

    customer = BankForeignKey(Customer, on_delete=models.PROTECT, related_name="line_calculations")
    kind = models.CharField(max_length=10, choices=CreditKind)
    number = models.CharField(max_length=24)
    as_of = models.DateField()
    grade = models.CharField(max_length=3)
    term_months = models.PositiveSmallIntegerField()
    requested = MoneyField()
    limit = MoneyField()
    rate_bp = models.PositiveIntegerField(null=True)
    content = models.JSONField()
    content_hash = models.CharField(max_length=64)
    created_by = BankForeignKey(Staff, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField()

    objects = CustomerOwnedManager()

    class Meta(TenantModel.Meta):
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["bank_id", "number"], name="linecalculation_number")
        ]
        indexes: ClassVar = [
            models.Index(fields=["bank_id", "customer", "id"], name="linecalculation_customer")
        ]

    @property
    def is_whole(self) -> bool:
        """Whether the content still is what was hashed."""
        return content_hash(self.content) == self.content_hash
