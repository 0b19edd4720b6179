"""Ties between customers that staff have recorded: who said so and why, from when, and how each ended (A6)."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from crm_site.accounts.models import Staff
from crm_site.lib.tenancy import BankForeignKey, TenantModel
from customers.models.parties import Customer, CustomerOwnedManager, RelationKind

# The same whichever of the two is named first.
SYMMETRIC = (RelationKind.FAMILY.value, RelationKind.COMMON_CONTROL.value)
# Shares in a company: of those of one kind nobody holds more than there is. A parent's are a shareholder's.
HOLDINGS = {
    RelationKind.PARENT_COMPANY.value: (RelationKind.PARENT_COMPANY.value, RelationKind.SHAREHOLDER.value),
    RelationKind.SHAREHOLDER.value: (RelationKind.PARENT_COMPANY.value, RelationKind.SHAREHOLDER.value),
    RelationKind.BENEFICIAL_OWNER.value: (RelationKind.BENEFICIAL_OWNER.value,),
}
# Ties with a share: holdings, and of a supplier the part of its sales.
WITH_SHARE = (*HOLDINGS, RelationKind.SUPPLIER.value)


def fits(kind: str, one: Customer, other: Customer) -> bool:
    """Whether `one` can be <kind> of `other`: only companies have owners, parents and legal representatives, and only
    people have family."""
    a, b = one.kind == "corporate", other.kind == "corporate"
    return {
        RelationKind.FAMILY: not a and not b,
        RelationKind.PARENT_COMPANY: a and b,
        RelationKind.COMMON_CONTROL: a and b,
        RelationKind.SHAREHOLDER: b,
        RelationKind.BENEFICIAL_OWNER: b and not a,
        RelationKind.LEGAL_REPRESENTATIVE: b and not a,
        RelationKind.GUARANTOR: True,
        RelationKind.SUPPLIER: a or b,
    }[RelationKind(kind)]


class TieEnd(models.TextChoices):
    OVER = "over", _("It no longer holds")
    MISTAKE = "mistake", _("It was recorded by mistake")


class RecordedTie(TenantModel):
    """What a member of staff has recorded: `customer` is <kind> of `other`, as in Relation, which points here while the
    tie is staff's (Relation.record).

    It never changes but for its one end, and is never deleted (migration 0050). When core banking delivers the same tie,
    the relation is the core's and this stays as the record of who knew it first.
    """

    customer = BankForeignKey(Customer, on_delete=models.PROTECT, related_name="+")
    other = BankForeignKey(Customer, on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=20, choices=RelationKind)
    share = models.DecimalField(max_digits=7, decimal_places=6, null=True)
    from_date = models.DateField(null=True)
    evidence = models.CharField(max_length=200)
    recorded_by = BankForeignKey(Staff, on_delete=models.PROTECT, related_name="+")
    recorded_at = models.DateTimeField()
    submission = models.UUIDField()
    ended_date = models.DateField(null=True)
    end_reason = models.CharField(max_length=8, choices=TieEnd, blank=True)
    end_note = models.CharField(max_length=200, blank=True)
    ended_by = BankForeignKey(Staff, null=True, on_delete=models.PROTECT, related_name="+")
    ended_at = models.DateTimeField(null=True)

    objects = CustomerOwnedManager()

    class Meta(TenantModel.Meta):
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["bank_id", "submission"], name="recordedtie_once"),
            models.CheckConstraint(name="recordedtie_to_another", condition=~Q(customer=F("other"))),
            models.CheckConstraint(
                name="recordedtie_ended",
                condition=Q(
                    ended_at__isnull=True, ended_date__isnull=True, ended_by__isnull=True, end_reason=""
                )
                | Q(ended_at__isnull=False, ended_date__isnull=False, ended_by__isnull=False)
                & ~Q(end_reason=""),
            ),
            models.CheckConstraint(
                name="recordedtie_share", condition=Q(share__isnull=True) | Q(share__gt=0, share__lte=1)
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["bank_id", "customer"], name="recordedtie_customer"),
            models.Index(fields=["bank_id", "other"], name="recordedtie_other"),
        ]  # fmt: skip

    @property
    def key(self) -> tuple[str, int, int]:
        """What makes it the same tie, whichever way round where that does not matter."""
        return tie_key(self.kind, self.customer_id, self.other_id)


def tie_key(kind: str, one: int, other: int) -> tuple[str, int, int]:
    """See RecordedTie.key."""
    return (kind, min(one, other), max(one, other)) if kind in SYMMETRIC else (kind, one, other)
