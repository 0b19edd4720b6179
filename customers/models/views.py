"""Saved views of lists, and the log of exports."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from crm_site.accounts.models import Staff
from crm_site.lib.tenancy import BankForeignKey, TenantModel


class SavedView(TenantModel):
    """A named filter of the customer list: a condition (customers.conditions), sort and who may use it."""

    staff = BankForeignKey(Staff, on_delete=models.CASCADE, related_name="saved_views")
    name = models.CharField(max_length=60)
    condition = models.JSONField(default=dict, blank=True)
    sort = models.CharField(max_length=40, blank=True)
    position = models.PositiveSmallIntegerField(default=0)

    class Meta(TenantModel.Meta):
        ordering: ClassVar = ["position", "id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["bank_id", "staff", "name"], name="savedview_name")
        ]


class ExportRecord(TenantModel):
    """Who exported what, how many rows, for which stated purpose (A10). The file expires."""

    audited: ClassVar = False  # a record in itself; the export is recorded by name

    staff = BankForeignKey(Staff, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()
    what = models.CharField(max_length=60)
    condition = models.JSONField(default=dict, blank=True)
    sentence = models.CharField(max_length=400, blank=True)
    rows = models.IntegerField()
    purpose = models.CharField(max_length=200)

    class Meta(TenantModel.Meta):
        ordering: ClassVar = ["-id"]
