"""Ratings (客户信用等级评估表): what a customer scored on a day by a version of a scorecard, and who decided (C2)."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from credit_rating.models.calculations import content_hash
from credit_rating.models.kinds import CreditKind
from credit_rating.models.policies import CreditPolicy
from credit_rating.models.scorecards import Scorecard
from credit_rating.policies.rating_rules import ReviewReason
from crm_site.accounts.models import Staff
from crm_site.lib.money import MoneyField
from crm_site.lib.tenancy import BankForeignKey, TenantModel
from customers.models import Customer
from customers.models.parties import CustomerOwnedManager


class RatingStatus(models.TextChoices):
    DRAFT = "draft", _("Draft")
    SUBMITTED = "submitted", _("Waits for review")
    RETURNED = "returned", _("Returned")
    REPLACED = "replaced", _("Reckoned again")
    APPROVED = "approved", _("In force")
    SUPERSEDED = "superseded", _("Followed by a newer one")
    EXPIRED = "expired", _("Expired")


OPEN_RATINGS = (RatingStatus.DRAFT, RatingStatus.SUBMITTED)
DECIDED = (RatingStatus.APPROVED, RatingStatus.SUPERSEDED, RatingStatus.EXPIRED)


class Rating(TenantModel):
    """A rating. What it was reckoned from never changes, and nothing of it after the decision but that it ends or is
    due for review; the database refuses it (migration 0030).

    `content` holds everything that the form shows (selectors.ratings.as_content); `content_hash` is what people confirm
    and decide on. `score_grade`: of the score; `model_grade`: after the rules that cap it; `grade`: as confirmed or
    overridden; `grade_rank`: 10 for AAA … 1 for D. `pd`: a fraction, of `grade`. `deposits`: the 30-day average then.
    """

    customer = BankForeignKey(Customer, on_delete=models.PROTECT, related_name="ratings")
    kind = models.CharField(max_length=10, choices=CreditKind)
    number = models.CharField(max_length=24)
    status = models.CharField(max_length=10, choices=RatingStatus, default=RatingStatus.DRAFT)
    scorecard = BankForeignKey(Scorecard, on_delete=models.PROTECT, related_name="ratings")
    grade_policy = BankForeignKey(CreditPolicy, on_delete=models.PROTECT, related_name="+")
    as_of = models.DateField()
    score = models.DecimalField(max_digits=7, decimal_places=2)
    score_grade = models.CharField(max_length=3)
    model_grade = models.CharField(max_length=3)
    grade = models.CharField(max_length=3)
    grade_rank = models.SmallIntegerField()
    pd = models.DecimalField(max_digits=7, decimal_places=6)
    deposits = MoneyField(null=True)
    content = models.JSONField()
    content_hash = models.CharField(max_length=64)
    reason = models.CharField(max_length=400, blank=True)
    generated_by = BankForeignKey(Staff, null=True, on_delete=models.PROTECT, related_name="+")
    generated_at = models.DateTimeField()
    submitted_by = BankForeignKey(Staff, null=True, on_delete=models.PROTECT, related_name="+")
    submitted_at = models.DateTimeField(null=True)
    decided_by = BankForeignKey(Staff, null=True, on_delete=models.PROTECT, related_name="+")
    decided_at = models.DateTimeField(null=True)
    decision_note = models.CharField(max_length=400, blank=True)
    expires_on = models.DateField(null=True)
    review_since = models.DateField(null=True)
    review_reason = models.CharField(max_length=10, choices=ReviewReason, blank=True)
    changed_at = models.DateTimeField(db_default=Now(), editable=False)

    objects = CustomerOwnedManager()

    class Meta(TenantModel.Meta):
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["bank_id", "number"], name="rating_number"),
            models.UniqueConstraint(
                fields=["bank_id", "customer"],
                condition=Q(status__in=("draft", "submitted")),
                name="rating_one_open",
            ),
            models.UniqueConstraint(
                fields=["bank_id", "customer"], condition=Q(status="approved"), name="rating_one_in_force"
            ),
            models.CheckConstraint(
                name="rating_second_person",
                condition=Q(status__in=("draft", "replaced"))
                | Q(status="submitted", submitted_by__isnull=False)
                | Q(submitted_by__isnull=False, decided_by__isnull=False)
                & ~Q(decided_by=F("submitted_by"))
                & ~Q(decided_by=F("generated_by")),
            ),
            models.CheckConstraint(
                name="rating_reasoned", condition=Q(grade=F("model_grade")) | ~Q(reason="")
            ),
            models.CheckConstraint(
                name="rating_dated",
                condition=~Q(status__in=("approved", "superseded", "expired")) | Q(expires_on__isnull=False),
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["bank_id", "customer", "id"], name="rating_customer"),
            models.Index(fields=["bank_id", "status", "id"], name="rating_status"),
            models.Index(fields=["bank_id", "changed_at", "id"], name="rating_changed"),
            models.Index(fields=["bank_id", "scorecard", "id"], name="rating_scorecard"),
        ]

    def __str__(self) -> str:
        return f"{self.number} {self.grade}"

    @property
    def stamp(self) -> str:
        """What somebody who acts on it has seen: another stamp means another rating than that."""
        return content_hash([self.content_hash, self.grade, self.reason])[:32]

    @property
    def is_whole(self) -> bool:
        """Whether the content still is what was hashed."""
        return content_hash(self.content) == self.content_hash

    @property
    def factors(self) -> list[dict[str, Any]]:
        return list(self.content["factors"])
