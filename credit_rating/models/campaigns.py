"""Rating-and-credit campaigns (集中评级授信, C9): who is on the list, whose zone it is, how far each member has come.

A member is one row a customer and campaign, and a customer is in one open campaign of its kind. What was approved in a
batch is kept as it was shown (CampaignBatch.content and its hash) and is never changed: migration 0060_campaigns.
"""

from __future__ import annotations

import datetime as dt
from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from credit_rating.models.calculations import LineCalculation
from credit_rating.models.cases import CreditCase
from credit_rating.models.kinds import CreditKind
from credit_rating.models.ratings import Rating
from crm_site.accounts.models import OrgUnit, Staff
from crm_site.lib.money import MoneyField, money
from crm_site.lib.tenancy import BankForeignKey, TenantModel
from customers.models import Customer, Product
from customers.models.parties import CustomerOwnedManager


class CampaignStatus(models.TextChoices):
    DRAFT = "draft", _("Draft")
    OPEN = "open", pgettext_lazy("campaign", "Running")
    CLOSED = "closed", pgettext_lazy("campaign", "Closed")


PHASES = (
    ("collect", _("Collect")),
    ("rate", _("Rate and calculate")),
    ("review", pgettext_lazy("campaign", "Review")),
    ("approve", pgettext_lazy("campaign", "Approve")),
)


class Campaign(TenantModel):
    """A campaign of one kind of credit customers. Each phase has its last day. `ceiling`: the most that a line of it
    may come to, in the bank's currency. `condition`: whom it lists (None: by numbers alone)."""

    name = models.CharField(max_length=80)
    kind = models.CharField(max_length=10, choices=CreditKind, default=CreditKind.HOUSEHOLD)
    status = models.CharField(max_length=6, choices=CampaignStatus, default=CampaignStatus.DRAFT)
    condition = models.JSONField(null=True)
    product = BankForeignKey(Product, on_delete=models.PROTECT, related_name="+")
    ceiling = MoneyField()
    term_months = models.PositiveSmallIntegerField()
    purpose = models.CharField(max_length=200)
    collect_by = models.DateField()
    rate_by = models.DateField()
    review_by = models.DateField()
    approve_by = models.DateField()
    created_by = BankForeignKey(Staff, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField()
    opened_by = BankForeignKey(Staff, null=True, on_delete=models.PROTECT, related_name="+")
    opened_at = models.DateTimeField(null=True)
    closed_at = models.DateTimeField(null=True)

    class Meta(TenantModel.Meta):
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["bank_id", "name"], name="campaign_name"),
            models.CheckConstraint(name="campaign_ceiling", condition=Q(ceiling__gt=money(0))),
            models.CheckConstraint(
                name="campaign_phases",
                condition=Q(rate_by__gte=F("collect_by"))
                & Q(review_by__gte=F("rate_by"))
                & Q(approve_by__gte=F("review_by")),
            ),
            models.CheckConstraint(
                name="campaign_opened",
                condition=Q(status="draft") | Q(opened_by__isnull=False, opened_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def last_day(self, phase: str) -> dt.date:
        """The last day of a phase of PHASES."""
        day: dt.date = getattr(self, f"{phase}_by")
        return day

    def phase_on(self, day: dt.date) -> str:
        """The phase that a day falls in; after the last day it still is the last."""
        return next((name for name, _label in PHASES if day <= self.last_day(name)), PHASES[-1][0])


class CampaignZone(TenantModel):
    """A named piece of a campaign's list (片区): taken by one branch and given to one relationship manager.

    `region`: what the address of its members holds (a village); "": it was made of customer numbers.
    """

    campaign = BankForeignKey(Campaign, on_delete=models.CASCADE, related_name="zones")
    name = models.CharField(max_length=80)
    home_branch = BankForeignKey(OrgUnit, null=True, on_delete=models.PROTECT, related_name="+")
    region = models.CharField(max_length=120, blank=True)
    branch = BankForeignKey(OrgUnit, null=True, on_delete=models.PROTECT, related_name="+")
    taken_by = BankForeignKey(Staff, null=True, on_delete=models.PROTECT, related_name="+")
    taken_at = models.DateTimeField(null=True)
    owner = BankForeignKey(Staff, null=True, on_delete=models.PROTECT, related_name="+")
    given_at = models.DateTimeField(null=True)

    class Meta(TenantModel.Meta):
        ordering: ClassVar = ["name", "id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["bank_id", "campaign", "name"], name="campaignzone_name"),
            models.CheckConstraint(
                name="campaignzone_taken", condition=Q(branch__isnull=True) | Q(taken_by__isnull=False)
            ),
            # One owner at a time, and nobody owns what no branch has taken.
            models.CheckConstraint(
                name="campaignzone_owner", condition=Q(owner__isnull=True) | Q(branch__isnull=False)
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["bank_id", "owner"], name="campaignzone_owner")]

    def __str__(self) -> str:
        return self.name


class BatchStatus(models.TextChoices):
    PROPOSED = "proposed", _("Waits for approval")
    APPROVED = "approved", pgettext_lazy("batch", "Approved")
    RETURNED = "returned", pgettext_lazy("batch", "Returned")


class CampaignBatch(TenantModel):
    """Members of a zone that are approved together, by one who has not made them. `content`: the list as it was signed,
    member by member, with what fell out and why; `content_hash`: its SHA-256. A run then carries it out, case by case.
    """

    campaign = BankForeignKey(Campaign, on_delete=models.PROTECT, related_name="batches")
    zone = BankForeignKey(CampaignZone, on_delete=models.PROTECT, related_name="batches")
    serial = models.PositiveIntegerField()
    status = models.CharField(max_length=8, choices=BatchStatus, default=BatchStatus.PROPOSED)
    proposed_by = BankForeignKey(Staff, on_delete=models.PROTECT, related_name="+")
    proposed_at = models.DateTimeField()
    proposed_count = models.PositiveIntegerField()
    decided_by = BankForeignKey(Staff, null=True, on_delete=models.PROTECT, related_name="+")
    decided_at = models.DateTimeField(null=True)
    note = models.CharField(max_length=400, blank=True)
    content = models.JSONField(null=True)
    content_hash = models.CharField(max_length=64, blank=True)

    class Meta(TenantModel.Meta):
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["bank_id", "campaign", "serial"], name="campaignbatch_number"),
            models.UniqueConstraint(
                fields=["bank_id", "zone"], condition=Q(status="proposed"), name="campaignbatch_one_open"
            ),
            models.CheckConstraint(
                name="campaignbatch_second_person",
                condition=Q(status="proposed")
                | Q(decided_by__isnull=False) & ~Q(decided_by=F("proposed_by")),
            ),
            models.CheckConstraint(
                name="campaignbatch_bound",
                condition=~Q(status="approved") | Q(content__isnull=False) & ~Q(content_hash=""),
            ),
        ]

    def __str__(self) -> str:
        return self.number

    @property
    def number(self) -> str:
        """PL (批量), the campaign, and a running number of it."""
        return f"PL-{self.campaign_id}-{self.serial:03d}"


class MemberStage(models.TextChoices):
    LISTED = "listed", _("Listed")
    COLLECTED = "collected", pgettext_lazy("member", "Collected")
    RATED = "rated", _("Rated, no line")
    CALCULATED = "calculated", _("Line calculated")
    APPROVED = "approved", pgettext_lazy("member", "Approved")
    DECLINED = "declined", pgettext_lazy("member", "Declined")
    EXEMPT = "exempt", pgettext_lazy("member", "Exempt")


SETTLED = (MemberStage.APPROVED, MemberStage.DECLINED, MemberStage.EXEMPT)
SET_ASIDE = (MemberStage.DECLINED, MemberStage.EXEMPT)


class CampaignMember(TenantModel):
    """A customer of a campaign and how far it has come. `is_open`: its campaign is not closed. `reason`, `settled_by`:
    why it was declined or exempted, or taken out of the batches. `exceptions`: codes of engine.campaigns; with any it
    is decided by itself. `proposed`: the line that was calculated, at most the campaign's ceiling.
    """

    # The run writes it by the thousand; what it rests on (ratings, calculations, cases) and what people do to it
    # (services.campaigns.members) are in the record.
    audited: ClassVar = False

    campaign = BankForeignKey(Campaign, on_delete=models.CASCADE, related_name="members")
    customer = BankForeignKey(Customer, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=10, choices=CreditKind)
    is_open = models.BooleanField(default=True)
    zone = BankForeignKey(CampaignZone, null=True, on_delete=models.PROTECT, related_name="members")
    stage = models.CharField(max_length=10, choices=MemberStage, default=MemberStage.LISTED)
    reason = models.CharField(max_length=200, blank=True)
    settled_by = BankForeignKey(Staff, null=True, on_delete=models.PROTECT, related_name="+")
    settled_at = models.DateTimeField(null=True)
    rating = BankForeignKey(Rating, null=True, on_delete=models.PROTECT, related_name="+")
    calculation = BankForeignKey(LineCalculation, null=True, on_delete=models.PROTECT, related_name="+")
    proposed = MoneyField(null=True)
    missing = models.PositiveSmallIntegerField(default=0)
    run_id = models.BigIntegerField(null=True)
    exceptions = models.JSONField(default=list)
    is_exception = models.BooleanField(default=False)
    batch = BankForeignKey(CampaignBatch, null=True, on_delete=models.PROTECT, related_name="members")
    case = BankForeignKey(CreditCase, null=True, on_delete=models.PROTECT, related_name="+")

    objects = CustomerOwnedManager()

    class Meta(TenantModel.Meta):
        ordering: ClassVar = ["id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["bank_id", "campaign", "customer"], name="campaignmember_once"),
            models.UniqueConstraint(
                fields=["bank_id", "customer", "kind"],
                condition=Q(is_open=True),
                name="campaignmember_one_open",
            ),
            models.CheckConstraint(
                name="campaignmember_reasoned",
                condition=~Q(stage__in=("declined", "exempt")) | ~Q(reason=""),
            ),
            models.CheckConstraint(
                name="campaignmember_approved", condition=~Q(stage="approved") | Q(case__isnull=False)
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["bank_id", "campaign", "zone", "stage"], name="campaignmember_zone"),
            models.Index(fields=["bank_id", "batch"], name="campaignmember_batch"),
        ]
