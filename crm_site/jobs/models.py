"""Runs, their steps and chunks, and the outbox. The rows are the truth; whoever works takes them from here."""

from __future__ import annotations

import datetime as dt
from typing import Any, ClassVar

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from crm_site.accounts.models import Staff
from crm_site.lib.permissions import Actor, may
from crm_site.lib.registry import PIPELINES, STEPS, system_name
from crm_site.lib.tenancy import BankForeignKey, TenantManager, TenantModel, TenantQuerySet


class RunStatus(models.TextChoices):
    QUEUED = "queued", _("Waiting for its turn")
    RUNNING = "running", _("Running")
    DONE = "done", _("Done")
    FAILED = "failed", _("Failed")
    CANCELLED = "cancelled", _("Cancelled")


UNFINISHED = (RunStatus.QUEUED, RunStatus.RUNNING)


class RunQuerySet(TenantQuerySet):
    def visible_to(self, actor: Actor) -> RunQuerySet:
        """Every run of the bank for those who watch over jobs; nobody else sees any."""
        return self if may(actor, "job.read") or may(actor, "job.run") else self.none()


class Run(TenantModel):
    """One passage of a pipeline for a business date.

    `key` tells runs of one date apart where a pipeline has many (a batch's id); "" where it has one.
    `params`: JSON for the steps, without protected values. `is_newest` is settled when the run is admitted.
    `whole`: every registered step takes part; only such a run moves the bank's business date.
    `error`: why it failed: the step's first error, one line.
    `standstill`: how long it lay broken or cancelled before somebody let it go on.
    `cancel_asked_at`, `cancelled_by`: somebody has asked it to stop; it is still running while a chunk is in hand.
    """

    pipeline = models.CharField(max_length=40)
    business_date = models.DateField()
    key = models.CharField(max_length=80, blank=True)
    params = models.JSONField(default=dict, blank=True)
    whole = models.BooleanField(default=True)
    is_newest = models.BooleanField(default=True)
    status = models.CharField(max_length=10, choices=RunStatus, default=RunStatus.QUEUED)
    requested_by = BankForeignKey(Staff, null=True, on_delete=models.PROTECT, related_name="+")
    requested_as = models.CharField(max_length=120)
    requested_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    standstill = models.DurationField(default=dt.timedelta)
    rows_in = models.BigIntegerField(default=0)
    rows_changed = models.BigIntegerField(default=0)
    error = models.CharField(max_length=500, blank=True)
    cancel_asked_at = models.DateTimeField(null=True)
    cancelled_by = BankForeignKey(Staff, null=True, on_delete=models.PROTECT, related_name="+")

    objects = TenantManager.from_queryset(RunQuerySet)()

    class Meta(TenantModel.Meta):
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["bank_id", "pipeline", "business_date", "key"],
                condition=Q(status__in=["queued", "running"]),
                name="run_once_at_a_time",
            )
        ]
        indexes: ClassVar = [models.Index(fields=["bank_id", "-id"], name="run_newest_first")]

    @property
    def label(self) -> Any:
        """The pipeline in words."""
        return getattr(PIPELINES.get(self.pipeline), "label", self.pipeline)

    @property
    def error_said(self) -> str:
        """`error` with the step in words, as its row on the page calls it."""
        name, colon, what = self.error.partition(": ")
        known = STEPS.get(f"{self.pipeline}:{name}") if colon else None
        return f"{known.label}: {what}" if known else self.error

    @property
    def initiator(self) -> str:
        """Who asked for it, in the reader's words; the row's `requested_by` is at hand."""
        return self.requested_by.name if self.requested_by else system_name(self.requested_as)

    @property
    def is_finished(self) -> bool:
        return self.status not in UNFINISHED

    @property
    def seconds(self) -> float | None:
        """From the first step's start to the end, without its standstill; None while it runs or waits."""
        if self.started_at is None or self.finished_at is None:
            return None
        return (self.finished_at - self.started_at - self.standstill).total_seconds()


class StepStatus(models.TextChoices):
    WAITING = "waiting", _("Waiting")
    READY = "ready", _("Ready")
    RUNNING = "running", _("Running")
    DONE = "done", _("Done")
    FAILED = "failed", _("Failed")


class Step(TenantModel):
    """A step of a run. `error`: type and first line of what broke; the last one, while it is tried again.
    `standstill`: how long it lay broken or cancelled before somebody let it go on."""

    run = BankForeignKey(Run, on_delete=models.CASCADE, related_name="steps")
    name = models.CharField(max_length=40)
    position = models.SmallIntegerField()
    status = models.CharField(max_length=10, choices=StepStatus, default=StepStatus.WAITING)
    chunks = models.IntegerField(default=0)
    chunks_done = models.IntegerField(default=0)
    rows_in = models.BigIntegerField(default=0)
    rows_changed = models.BigIntegerField(default=0)
    ready_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    standstill = models.DurationField(default=dt.timedelta)
    error = models.CharField(max_length=500, blank=True)

    audited: ClassVar = False  # it is the record of its run

    class Meta(TenantModel.Meta):
        ordering: ClassVar = ["run_id", "position"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["bank_id", "run", "name"], name="step_once_in_a_run")
        ]

    @property
    def seconds(self) -> float | None:
        """From the first chunk taken to the last ticked off, without its standstill; None before that."""
        if self.started_at is None or self.finished_at is None:
            return None
        return (self.finished_at - self.started_at - self.standstill).total_seconds()


class ChunkKind(models.TextChoices):
    PLAN = "plan", _("Plan")
    WORK = "work", _("Work")
    FINISH = "finish", _("Finish")


# What `Chunk.error` says of a piece that was left because its run was cancelled.
LEFT = "Cancelled"


class Chunk(models.Model):
    """A piece of a ready step that one worker does in one transaction. Global: taken before the bank is known.

    Holds nothing of a customer: `payload` is ranges of ids, `error` the name of an exception's type.
    `due_at` NULL: parked, because its step failed or its run was cancelled (`error` is LEFT). `claimed_until` bridges the moment between the two transactions
    of a claim; after it the row lock of the working transaction is what keeps others away.
    """

    bank_id = models.BigIntegerField()
    run_id = models.BigIntegerField()
    step_id = models.BigIntegerField()
    kind = models.CharField(max_length=6, choices=ChunkKind, default=ChunkKind.WORK)
    position = models.IntegerField(default=0)
    payload = models.JSONField(default=dict)
    due_at = models.DateTimeField(null=True)
    tries = models.SmallIntegerField(default=0)
    errors = models.SmallIntegerField(default=0)
    worker = models.CharField(max_length=80, blank=True)
    claimed_at = models.DateTimeField(null=True)
    claimed_until = models.DateTimeField(null=True)
    done_at = models.DateTimeField(null=True)
    rows_in = models.BigIntegerField(default=0)
    rows_changed = models.BigIntegerField(default=0)
    error = models.CharField(max_length=120, blank=True)

    class Meta:
        ordering: ClassVar = ["step_id", "position"]
        indexes: ClassVar = [
            models.Index(fields=["due_at", "id"], condition=Q(done_at__isnull=True), name="chunk_due"),
            models.Index(fields=["step_id", "position"], name="chunk_step"),
            models.Index(fields=["run_id"], name="chunk_run"),
            models.Index(fields=["done_at"], name="chunk_done"),
        ]


class ChunkProgress(models.Model):
    """How far a chunk under work is, written outside its transaction. Gone when it is ticked off."""

    chunk_id = models.BigIntegerField(primary_key=True)
    done = models.BigIntegerField(default=0)
    total = models.BigIntegerField(default=0)
    at = models.DateTimeField()


class Outbox(models.Model):
    """A message written in a business transaction and handed to its topic's handlers afterwards. Global.

    `payload`: ids and codes, nothing of a customer. `due_at` moves on after a failed delivery.
    """

    bank_id = models.BigIntegerField()
    topic = models.CharField(max_length=60)
    payload = models.JSONField(default=dict)
    created_at = models.DateTimeField()
    due_at = models.DateTimeField()
    tries = models.SmallIntegerField(default=0)
    relayed_at = models.DateTimeField(null=True)
    error = models.CharField(max_length=120, blank=True)

    class Meta:
        verbose_name_plural = "outbox"
        ordering: ClassVar = ["id"]
        indexes: ClassVar = [
            models.Index(fields=["due_at", "id"], condition=Q(relayed_at__isnull=True), name="outbox_due"),
            models.Index(fields=["relayed_at"], name="outbox_relayed"),
        ]
