"""What a version of a policy or of a scorecard would do, tried on the book before it is published (C1, C10, C12)."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from credit_rating.models.policies import CreditPolicy
from credit_rating.models.samples import WorkStatus
from credit_rating.models.scorecards import Scorecard
from crm_site.accounts.models import Staff
from crm_site.lib.tenancy import BankForeignKey, TenantModel

TRY = "credit_policy.try"


class Trial(TenantModel):
    """A try of one version on the data of a business date, and what came of it. `content_hash`: of what the version said
    then; a version that says something else since has not been tried. `result`: as services.trials writes it.
    `fault`, `fault_params`: why there is none (sample_words).
    """

    audited: ClassVar = False  # derived by a run, which is its record

    policy = BankForeignKey(CreditPolicy, null=True, on_delete=models.CASCADE, related_name="trials")
    scorecard = BankForeignKey(Scorecard, null=True, on_delete=models.CASCADE, related_name="trials")
    content_hash = models.CharField(max_length=64)
    as_of = models.DateField()
    status = models.CharField(max_length=7, choices=WorkStatus, default=WorkStatus.WAITING)
    fault = models.CharField(max_length=30, blank=True)
    fault_params = models.JSONField(default=dict, blank=True)
    result = models.JSONField(default=dict, blank=True)
    run_id = models.BigIntegerField(null=True)
    ordered_by = BankForeignKey(Staff, on_delete=models.PROTECT, related_name="+")
    ordered_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)

    class Meta(TenantModel.Meta):
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.CheckConstraint(
                name="trial_of_one",
                condition=Q(policy__isnull=False, scorecard__isnull=True)
                | Q(policy__isnull=True, scorecard__isnull=False),
            ),
            models.UniqueConstraint(
                fields=["bank_id", "policy"], condition=Q(status="waiting"), name="trial_one_of_policy"
            ),
            models.UniqueConstraint(
                fields=["bank_id", "scorecard"], condition=Q(status="waiting"), name="trial_one_of_card"
            ),
        ]
