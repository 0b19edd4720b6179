"""Tasks (whose turn it is, for what, until when) and notifications. Used by every app; knows no customer model."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from crm_site.accounts.models import OrgUnit, Staff
from crm_site.lib.money import MoneyField
from crm_site.lib.permissions import SUBTREE, WHOLE_BANK, Actor, Role
from crm_site.lib.tenancy import BankForeignKey, TenantManager, TenantModel, TenantQuerySet


class TaskStatus(models.TextChoices):
    OPEN = "open", _("Open")
    DONE = "done", _("Done")
    CANCELLED = "cancelled", _("No longer needed")


class TaskQuerySet(TenantQuerySet):
    def visible_to(self, actor: Actor) -> TaskQuerySet:
        """What the actor may work on; all of the bank's for headquarters."""
        if actor.has(WHOLE_BANK) or actor.has({Role.API}):
            return self
        return self.workable_by(actor)

    def workable_by(self, actor: Actor) -> TaskQuerySet:
        """Tasks that the actor may do something with: his and those he covers, those he made, those of his units."""
        mine = Q(pk__in=[])
        if actor.staff_id is not None:
            mine |= Q(owner__in=actor.portfolio) | Q(created_by=actor.staff_id)
        for lft, rgt in actor.intervals(SUBTREE):
            mine |= Q(unit__lft__gte=lft, unit__lft__lte=rgt)
        return self.filter(mine)

    def open(self) -> TaskQuerySet:
        return self.filter(status=TaskStatus.OPEN)


class Task(TenantModel):
    """Something to be done for a customer by an owner until a date.

    `reason` is a registered WorkReason code; `params` what its sentence needs (JSON, no protected values).
    `source_key` makes a generated task unique: the same cause never makes two ("maturity:<account>:<date>").
    `stake`: what is at stake, in the bank's currency. `urgency`: 0 (can wait) to 100 (today).
    `customer_id` is a customers.Customer id: a plain number, since this room lies below.
    `handed_over_by`: who gave it to its owner by hand; from then on its cause no longer decides whose it is.
    """

    reason = models.CharField(max_length=40)
    params = models.JSONField(default=dict, blank=True)
    source_key = models.CharField(max_length=120, blank=True)
    customer_id = models.BigIntegerField(null=True)
    owner = BankForeignKey(Staff, null=True, on_delete=models.PROTECT, related_name="tasks", set_based=True)
    handed_over_by = BankForeignKey(Staff, null=True, on_delete=models.PROTECT, related_name="+")
    unit = BankForeignKey(OrgUnit, null=True, on_delete=models.PROTECT, related_name="+", set_based=True)
    created_by = BankForeignKey(Staff, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField()
    due_date = models.DateField()
    show_from = models.DateField()  # later than due for nothing; moved on by "later"
    stake = MoneyField(default=0)
    urgency = models.SmallIntegerField(default=0)
    status = models.CharField(max_length=10, choices=TaskStatus, default=TaskStatus.OPEN)
    result = models.CharField(max_length=200, blank=True)
    closed_at = models.DateTimeField(null=True)
    closed_by = BankForeignKey(Staff, null=True, on_delete=models.PROTECT, related_name="+")
    run_id = models.BigIntegerField(null=True)

    objects = TenantManager.from_queryset(TaskQuerySet)()

    class Meta(TenantModel.Meta):
        ordering: ClassVar = ["-urgency", "-stake", "due_date", "id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["bank_id", "source_key"], condition=~Q(source_key=""), name="task_source"
            )
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["bank_id", "owner", "-urgency", "-stake", "due_date"],
                condition=Q(status="open"),
                name="task_open_owner",
            ),
            models.Index(fields=["bank_id", "customer_id", "status"], name="task_customer"),
            # What a night makes has none of these people: such rows are not written into their indexes.
            models.Index(
                fields=["bank_id", "created_by"], condition=Q(created_by__isnull=False), name="task_made_by"
            ),
            models.Index(
                fields=["bank_id", "closed_by"], condition=Q(closed_by__isnull=False), name="task_done_by"
            ),
            models.Index(
                fields=["bank_id", "handed_over_by"],
                condition=Q(handed_over_by__isnull=False),
                name="task_handed_by",
            ),
        ]


class Notification(TenantModel):
    """Something a person should know. `code` and `params` become a sentence in the reader's language."""

    staff = BankForeignKey(Staff, on_delete=models.CASCADE, related_name="notifications")
    code = models.CharField(max_length=40)
    params = models.JSONField(default=dict, blank=True)
    url = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField()
    read_at = models.DateTimeField(null=True)

    class Meta(TenantModel.Meta):
        ordering: ClassVar = ["-id"]
        indexes: ClassVar = [models.Index(fields=["bank_id", "staff", "-id"], name="notification_staff")]
