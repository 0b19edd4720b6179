"""Contacts with the customer on every channel: what any colleague must know of the last one (A3)."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from crm_site.accounts.models import Staff
from crm_site.lib.tenancy import BankForeignKey, TenantModel
from customers.models.parties import Customer, CustomerOwnedManager


class Channel(models.TextChoices):
    CALL = "call", _("Call")
    VISIT = "visit", _("Visit")
    MESSAGE = "message", _("Message")
    EMAIL = "email", _("E-mail")
    COUNTER = "counter", _("Counter")
    CALL_CENTRE = "call_centre", _("Call centre")
    MOBILE_BANK = "mobile_bank", _("Mobile banking")


class Result(models.TextChoices):
    """What came of a contact. Feeds may bring other words of the core's; people choose one of these."""

    INTERESTED = "interested", _("Interested")
    FOLLOW_UP = "follow_up", _("To follow up")
    AGREED = "agreed", _("Agreed")
    REFUSED = "refused", _("Not now")
    NOT_REACHED = "not_reached", _("Not reached")
    COMPLAINT = "complaint", _("Has a complaint")
    REACHED = "reached", _("Reached")


def promise_key(interaction_id: int) -> str:
    """The source key of the task that a contact's promise became."""
    return f"promise:{interaction_id}"


class Interaction(TenantModel):
    """A contact. `author_name` keeps the real author of imported notes; `promise` + date became a task."""

    reference = models.CharField(max_length=40, blank=True)
    customer = BankForeignKey(Customer, on_delete=models.CASCADE, related_name="interactions")
    channel = models.CharField(max_length=12, choices=Channel)
    at = models.DateTimeField()
    author = BankForeignKey(Staff, null=True, on_delete=models.PROTECT, related_name="+")
    author_name = models.CharField(max_length=80, blank=True)
    result = models.CharField(max_length=20, blank=True)  # Result, or a feed's own word
    note = models.TextField(blank=True)
    promise = models.CharField(max_length=200, blank=True)
    promise_date = models.DateField(null=True, blank=True)
    source = models.CharField(max_length=30, blank=True)
    source_as_of = models.DateTimeField(null=True)

    objects = CustomerOwnedManager()

    class Meta(TenantModel.Meta):
        ordering: ClassVar = ["-at", "-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["bank_id", "source", "reference"],
                name="interaction_reference",
                condition=~models.Q(reference=""),
            )
        ]
        indexes: ClassVar = [
            models.Index(fields=["bank_id", "customer", "-at"], name="interaction_recent"),
            models.Index(fields=["bank_id", "author", "-at"], name="interaction_author"),
        ]

    @property
    def result_label(self) -> str:
        """The result in the reader's words; a feed's own word as it came."""
        return str(dict(Result.choices).get(self.result, self.result))

    @property
    def author_label(self) -> str:
        """Whose words these are: the real author of an imported note, else the person who recorded it."""
        return self.author_name or (self.author.name if self.author else "")
