"""What secures the customers' debts (C4): things with their valuations, promises, and what a guarantor can carry."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from credit_rating.policies.haircuts import TYPE_CHOICES
from crm_site.accounts.models import Staff
from crm_site.lib.money import MoneyField
from crm_site.lib.tenancy import BankForeignKey, TenantModel
from customers.models import Customer
from customers.models.parties import CustomerOwnedManager


class GuaranteeKind(models.TextChoices):
    CREDIT = "credit", _("Unsecured")
    GUARANTOR = "guarantor", _("Guaranty")
    MORTGAGE = "mortgage", _("Mortgage")
    PLEDGE = "pledge", _("Pledge")


class GuaranteeStatus(models.TextChoices):
    PROPOSED = "proposed", _("Proposed")
    ACTIVE = "active", _("In force")
    RELEASED = "released", _("Released")


LIVE = (GuaranteeStatus.PROPOSED, GuaranteeStatus.ACTIVE)


class Collateral(TenantModel):
    """A thing, once in the bank: `object_key` is its registration number without width, case and punctuation
    (engine.guarantees.object_key). It may secure several debts, each with a lien order of its own."""

    asset_type = models.CharField(max_length=16, choices=TYPE_CHOICES)
    registration_number = models.CharField(max_length=80)
    object_key = models.CharField(max_length=80)
    name = models.CharField(max_length=160)
    owner_name = models.CharField(max_length=160, blank=True)
    created_at = models.DateTimeField()

    class Meta(TenantModel.Meta):
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["bank_id", "object_key"], name="collateral_object"),
            models.CheckConstraint(name="collateral_has_key", condition=~Q(object_key="")),
        ]

    def __str__(self) -> str:
        return self.name


class Valuation(TenantModel):
    """What a thing was worth on a day, and who said so. Never changed: a new one is added."""

    collateral = BankForeignKey(Collateral, on_delete=models.CASCADE, related_name="valuations")
    value = MoneyField()
    valued_on = models.DateField()
    valuer = models.CharField(max_length=120)
    entered_by = BankForeignKey(Staff, null=True, on_delete=models.PROTECT, related_name="+")
    entered_at = models.DateTimeField()

    class Meta(TenantModel.Meta):
        ordering: ClassVar = ["-valued_on", "-id"]
        indexes: ClassVar = [
            models.Index(fields=["bank_id", "collateral", "valued_on"], name="valuation_newest")
        ]


class GuarantorCapacity(TenantModel):
    """How much a guarantor can promise in all, as assessed on a day and on what basis."""

    guarantor = BankForeignKey(Customer, on_delete=models.CASCADE, related_name="guarantee_capacities")
    capacity = MoneyField()
    assessed_on = models.DateField()
    basis = models.CharField(max_length=160)
    entered_by = BankForeignKey(Staff, null=True, on_delete=models.PROTECT, related_name="+")
    entered_at = models.DateTimeField()

    class Meta(TenantModel.Meta):
        ordering: ClassVar = ["-assessed_on", "-id"]
        indexes: ClassVar = [
            models.Index(fields=["bank_id", "guarantor", "assessed_on"], name="guarantorcapacity_newest")
        ]


class Guarantee(TenantModel):
    """What secures the debts of `customer`: a thing (mortgage, pledge) or a guarantor, for at most `amount`.

    `lien_order`: 1 is paid first; `prior_liens`: claims of others that come before ours. Two live guarantees never hold
    the same rank on the same thing, and a guarantor never promises twice for the same debtor.

    `proof_number`, `proof_on`: the registration certificate of a thing, or the contract of a promise, and the day it was
    registered or signed. Whoever puts the guarantee in force gives both; older ones may be in force without.
    """

    customer = BankForeignKey(Customer, on_delete=models.CASCADE, related_name="guarantees")
    kind = models.CharField(max_length=10, choices=GuaranteeKind)
    collateral = BankForeignKey(Collateral, null=True, on_delete=models.PROTECT, related_name="guarantees")
    guarantor = BankForeignKey(Customer, null=True, on_delete=models.PROTECT, related_name="guarantees_given")
    amount = MoneyField()
    lien_order = models.PositiveSmallIntegerField(default=1)
    prior_liens = MoneyField(default=0)
    is_joint = models.BooleanField(default=True)
    status = models.CharField(max_length=10, choices=GuaranteeStatus, default=GuaranteeStatus.PROPOSED)
    from_date = models.DateField()
    to_date = models.DateField(null=True, blank=True)
    note = models.CharField(max_length=400, blank=True)
    entered_by = BankForeignKey(Staff, null=True, on_delete=models.PROTECT, related_name="+")
    entered_at = models.DateTimeField()
    released_at = models.DateTimeField(null=True)
    proof_number = models.CharField(max_length=80, blank=True)
    proof_on = models.DateField(null=True)
    proof_note = models.CharField(max_length=400, blank=True)

    objects = CustomerOwnedManager()

    class Meta(TenantModel.Meta):
        ordering: ClassVar = ["id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["bank_id", "collateral", "lien_order"],
                condition=Q(status__in=("proposed", "active"), collateral__isnull=False),
                name="guarantee_one_rank",
            ),
            models.UniqueConstraint(
                fields=["bank_id", "guarantor", "customer"],
                condition=Q(status__in=("proposed", "active"), guarantor__isnull=False),
                name="guarantee_one_promise",
            ),
            models.CheckConstraint(
                name="guarantee_of_something",
                condition=Q(kind__in=("mortgage", "pledge"), collateral__isnull=False, guarantor__isnull=True)
                | Q(kind="guarantor", collateral__isnull=True, guarantor__isnull=False)
                | Q(kind="credit", collateral__isnull=True, guarantor__isnull=True),
            ),
            models.CheckConstraint(
                name="guarantee_not_for_oneself",
                condition=Q(guarantor__isnull=True) | ~Q(guarantor=F("customer")),
            ),
            models.CheckConstraint(
                name="guarantee_ends_later",
                condition=Q(to_date__isnull=True) | Q(to_date__gte=F("from_date")),
            ),
            models.CheckConstraint(
                name="guarantee_proof_whole",
                condition=Q(proof_number="", proof_on__isnull=True, proof_note="")
                | Q(~Q(proof_number=""), proof_on__isnull=False),
            ),
        ]
