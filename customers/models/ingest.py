"""Deliveries of the core and uploads: a batch, its rejected rows, what it changed (for undo), mappings."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from crm_site.accounts.models import Staff
from crm_site.lib.tenancy import BankForeignKey, TenantModel


class BatchStatus(models.TextChoices):
    RECEIVED = "received", _("Received")
    RUNNING = "running", _("Running")
    DONE = "done", _("Done")
    FAILED = "failed", _("Failed")
    UNDONE = "undone", _("Undone")


class Batch(TenantModel):
    """One delivery of one feed. `digest`: SHA-256 of the content as received, for repeated deliveries.

    `path` is relative to MEDIA_ROOT. Failed = nothing of it landed; `error_code`/`error_detail` say why.
    """

    audited: ClassVar = False  # a record in itself

    feed = models.CharField(max_length=30)
    status = models.CharField(max_length=8, choices=BatchStatus, default=BatchStatus.RECEIVED)
    source = models.CharField(max_length=10)  # api, upload, sample
    file_name = models.CharField(max_length=200, blank=True)
    path = models.CharField(max_length=300, blank=True)
    content_format = models.CharField(max_length=8)  # csv, ndjson, xlsx
    mapping = models.JSONField(default=dict, blank=True)
    is_dry_run = models.BooleanField(default=False)
    digest = models.CharField(max_length=64, blank=True)
    size_bytes = models.BigIntegerField(default=0)
    business_date = models.DateField(null=True)
    received_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    staff = BankForeignKey(Staff, null=True, on_delete=models.PROTECT, related_name="+")
    client_id = models.CharField(max_length=100, blank=True)
    rows_received = models.BigIntegerField(default=0)
    rows_inserted = models.BigIntegerField(default=0)
    rows_updated = models.BigIntegerField(default=0)
    rows_unchanged = models.BigIntegerField(default=0)
    rows_rejected = models.BigIntegerField(default=0)
    seconds = models.FloatField(null=True)
    error_code = models.CharField(max_length=40, blank=True)
    error_detail = models.CharField(max_length=400, blank=True)
    run_id = models.BigIntegerField(null=True)
    undone_by = BankForeignKey(Staff, null=True, on_delete=models.PROTECT, related_name="+")
    undone_at = models.DateTimeField(null=True)

    class Meta(TenantModel.Meta):
        ordering: ClassVar = ["-id"]
        indexes: ClassVar = [models.Index(fields=["bank_id", "feed", "-id"], name="batch_recent")]


class BatchError(TenantModel):
    """A rejected row: line number in the delivery, field, stable code, message parameters and the row."""

    audited: ClassVar = False  # a record in itself

    batch = BankForeignKey(Batch, on_delete=models.CASCADE, related_name="errors")
    line = models.BigIntegerField()
    field = models.CharField(max_length=40, blank=True)
    code = models.CharField(max_length=40)
    message = models.CharField(max_length=300)  # in English; `params` fill it in the reader's language
    params = models.JSONField(default=dict)
    row = models.JSONField()

    class Meta(TenantModel.Meta):
        ordering: ClassVar = ["line", "id"]
        indexes: ClassVar = [models.Index(fields=["bank_id", "batch", "line"], name="batcherror_line")]


class RowChange(TenantModel):
    """What an upload did to a row, so that it can be undone: its table, key, the columns before and after."""

    audited: ClassVar = False  # a record in itself

    batch = BankForeignKey(Batch, on_delete=models.CASCADE, related_name="changes")
    table = models.CharField(max_length=60)
    row_id = models.BigIntegerField()
    before = models.JSONField(null=True)  # null = the row was inserted
    after = models.JSONField()

    class Meta(TenantModel.Meta):
        indexes: ClassVar = [models.Index(fields=["bank_id", "batch", "id"], name="rowchange_batch")]


class ColumnMapping(TenantModel):
    """Which header of a bank's file means which column: remembered from the last upload of the feed."""

    feed = models.CharField(max_length=30)
    header = models.CharField(max_length=120)
    column = models.CharField(max_length=40)

    class Meta(TenantModel.Meta):
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["bank_id", "feed", "header"], name="columnmapping_header")
        ]
