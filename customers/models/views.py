"""Saved views of lists, and the log of exports."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from crm_site.accounts.models import Staff
from crm_site.lib.permissions import Actor, may
from crm_site.lib.tenancy import BankForeignKey, TenantManager, TenantModel, TenantQuerySet


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


class ExportRecordQuerySet(TenantQuerySet):
    def visible_to(self, actor: Actor) -> ExportRecordQuerySet:
        """All of them for who reads the record, one's own for everybody else."""
        return self if may(actor, "audit.read") else self.filter(staff_id=actor.staff_id)


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

    objects = TenantManager.from_queryset(ExportRecordQuerySet)()

    class Meta(TenantModel.Meta):
        ordering: ClassVar = ["-id"]
