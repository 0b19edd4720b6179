"""What scorecards are developed from: samples, orders to develop from them, and what became of loans (C1, C12)."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from credit_rating.models.kinds import CreditKind
from credit_rating.models.scorecards import Scorecard
from crm_site.accounts.models import Staff
from crm_site.lib.permissions import Actor, may
from crm_site.lib.tenancy import BankForeignKey, TenantManager, TenantModel, TenantQuerySet
from customers.models import Loan

DEVELOP, USE_OUTCOMES = "scorecard.develop", "outcome.use"


class LoanOutcome(TenantModel):
    """What became of a loan, as observed on a day after it was granted. For development samples alone.

    No page, fact, condition or answer of the API may reach it: nothing of the customer leads here (the loan has no
    name for the way back), and only selectors.outcomes reads it. `code`: as the source writes it.
    """

    # An entry of the record for each row would tell the outcome beside the loan: the load is recorded as a whole.
    audited: ClassVar = False

    loan = BankForeignKey(Loan, on_delete=models.CASCADE, related_name="+")
    code = models.CharField(max_length=20)
    granted_date = models.DateField()
    observed_on = models.DateField()

    class Meta(TenantModel.Meta):
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["bank_id", "loan"], name="loanoutcome_once"),
            models.CheckConstraint(name="loanoutcome_later", condition=Q(observed_on__gt=F("granted_date"))),
        ]


class SampleOrigin(models.TextChoices):
    UPLOAD = "upload", _("Uploaded file")
    OUTCOMES = "outcomes", _("The bank's own loans and their outcomes")


class WorkStatus(models.TextChoices):
    WAITING = "waiting", _("Waiting for its turn")
    DONE = "done", _("Done")
    FAILED = "failed", _("Failed")


class SampleQuerySet(TenantQuerySet):
    def visible_to(self, actor: Actor) -> SampleQuerySet:
        """Samples for those who develop scorecards; what is made of outcomes only for those who may use these."""
        if not may(actor, DEVELOP):
            return self.none()
        return self if may(actor, USE_OUTCOMES) else self.exclude(origin=SampleOrigin.OUTCOMES)


class DevelopmentSample(TenantModel):
    """A file that scorecards are developed from. `path` relative to MEDIA_ROOT, "" once the file is deleted (then
    `sha256` is what remains of it); `columns` as engine.samples.ColumnProfile; `asked`: what one of outcomes was made
    by (as_of, and the first and last day its loans were granted); `fault`, `fault_params`: why it cannot be a sample (sample_words).
    """

    name = models.CharField(max_length=200)
    origin = models.CharField(max_length=8, choices=SampleOrigin, default=SampleOrigin.UPLOAD)
    asked = models.JSONField(default=dict, blank=True)
    path = models.CharField(max_length=200, blank=True)
    size_bytes = models.BigIntegerField(default=0)
    sha256 = models.CharField(max_length=64, blank=True)
    has_header = models.BooleanField(default=True)
    rows = models.IntegerField(default=0)
    columns = models.JSONField(default=list, blank=True)
    status = models.CharField(max_length=7, choices=WorkStatus, default=WorkStatus.WAITING)
    fault = models.CharField(max_length=30, blank=True)
    fault_params = models.JSONField(default=dict, blank=True)
    run_id = models.BigIntegerField(null=True)
    made_by = BankForeignKey(Staff, on_delete=models.PROTECT, related_name="+")
    made_at = models.DateTimeField()
    expires_at = models.DateTimeField()

    objects = TenantManager.from_queryset(SampleQuerySet)()

    class Meta(TenantModel.Meta):
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return self.name

    @property
    def is_ready(self) -> bool:
        """Whether a scorecard can be developed from it."""
        return self.status == WorkStatus.DONE and bool(self.path)


class Development(TenantModel):
    """An order to develop a scorecard from a sample, and what came of it. Fields as services.developments.Order."""

    sample = BankForeignKey(DevelopmentSample, on_delete=models.PROTECT, related_name="developments")
    kind = models.CharField(max_length=10, choices=CreditKind)
    name = models.CharField(max_length=60)
    target = models.CharField(max_length=200)
    bad = models.JSONField()
    good = models.JSONField()
    drop = models.JSONField(default=list)
    sources = models.JSONField(default=dict)
    window = models.CharField(max_length=120)
    max_factors = models.PositiveSmallIntegerField(null=True)
    monotonic = models.BooleanField(default=False)
    status = models.CharField(max_length=7, choices=WorkStatus, default=WorkStatus.WAITING)
    fault = models.CharField(max_length=30, blank=True)
    fault_params = models.JSONField(default=dict, blank=True)
    scorecard = BankForeignKey(Scorecard, null=True, on_delete=models.SET_NULL, related_name="developments")
    run_id = models.BigIntegerField(null=True)
    ordered_by = BankForeignKey(Staff, on_delete=models.PROTECT, related_name="+")
    ordered_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)

    class Meta(TenantModel.Meta):
        ordering: ClassVar = ["-id"]
