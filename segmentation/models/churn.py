"""Churn models with what they were developed and validated on, and the scores they gave (B9)."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from crm_site.accounts.models import Staff
from crm_site.lib.modelling.validation import MOVED
from crm_site.lib.tenancy import BankField, BankForeignKey, TenantManager, TenantModel
from customers.models import Customer, CustomerKind


class ModelStatus(models.TextChoices):
    INSUFFICIENT = "insufficient", _("Too few leavers")
    TRAINED = "trained", _("Trained")
    PROPOSED = "proposed", _("Proposed")
    CHAMPION = "champion", _("Champion")
    RETIRED = "retired", _("Retired")
    REJECTED = "rejected", _("Rejected")


class ChurnModel(TenantModel):
    """A version of a bank's churn model for one customer kind, or for all (kind ""), which scores the kinds that
    have no champion of their own.

    `card`: segmentation.engine.churn.Scorecard as JSON (bins and log-odds, no code). Observation month-ends
    `train_months`, their outcomes known by `validation_month`; rows and leavers of both samples. Metrics are of the
    validation month (out of time): AUC, KS, lift of the first tenth, PSI of training against validation scores.
    `drift`/`drift_date`: PSI of the newest month-end's scores against training. Only a champion scores; it was proposed by
    one person and approved by another.
    """

    kind = models.CharField(max_length=10, choices=CustomerKind, blank=True)
    version = models.PositiveIntegerField()
    status = models.CharField(max_length=12, choices=ModelStatus, default=ModelStatus.TRAINED)
    card = models.JSONField(default=dict)
    train_months = ArrayField(models.DateField())
    validation_month = models.DateField()
    train_rows = models.IntegerField()
    train_leavers = models.IntegerField()
    validation_rows = models.IntegerField()
    validation_leavers = models.IntegerField()
    auc = models.FloatField(null=True)
    ks = models.FloatField(null=True)
    lift = models.FloatField(null=True)
    psi = models.FloatField(null=True)
    calibration = models.JSONField(default=list)
    drift = models.FloatField(null=True)
    drift_date = models.DateField(null=True)
    trained_at = models.DateTimeField()
    run_id = models.BigIntegerField(null=True)
    proposed_by = BankForeignKey(Staff, null=True, on_delete=models.PROTECT, related_name="+")
    proposed_at = models.DateTimeField(null=True)
    decided_by = BankForeignKey(Staff, null=True, on_delete=models.PROTECT, related_name="+")
    decided_at = models.DateTimeField(null=True)

    class Meta(TenantModel.Meta):
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["bank_id", "kind", "version"], name="churnmodel_version"),
            models.UniqueConstraint(
                fields=["bank_id", "kind"], condition=Q(status="champion"), name="churnmodel_one_champion"
            ),
            models.CheckConstraint(
                name="churnmodel_second_person",
                condition=Q(status__in=("insufficient", "trained"))
                | Q(status="proposed", proposed_by__isnull=False)
                | Q(status="rejected", decided_by__isnull=False)
                | Q(proposed_by__isnull=False, decided_by__isnull=False) & ~Q(decided_by=F("proposed_by")),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display() or _('All kinds')} v{self.version}"

    @property
    def has_drifted(self) -> bool:
        return self.drift is not None and self.drift > MOVED


class ChurnScore(models.Model):
    """A customer's churn probability (basis points) with its top reasons: one row a customer and month, of the
    newest date scored in it. Partitioned by month of `as_of`; the key is (bank_id, as_of, customer_id).

    `reason_n`: code of segmentation.engine.churn.FEATURES, 0 = none; `value_n`: the feature's value.
    `model_id` carries no foreign key of the database: models are never deleted, and a million scores are written
    a night.
    """

    pk = models.CompositePrimaryKey("bank_id", "as_of", "customer_id")
    bank_id = BankField(editable=False)
    as_of = models.DateField()
    customer = models.ForeignKey(
        Customer, on_delete=models.DO_NOTHING, db_constraint=False, related_name="churn_scores"
    )
    model = models.ForeignKey(
        ChurnModel, on_delete=models.DO_NOTHING, db_constraint=False, related_name="scores"
    )
    score_bp = models.IntegerField()
    reason_1 = models.SmallIntegerField()
    value_1 = models.FloatField()
    reason_2 = models.SmallIntegerField()
    value_2 = models.FloatField()
    reason_3 = models.SmallIntegerField()
    value_3 = models.FloatField()
    run_id = models.BigIntegerField(null=True)

    objects = TenantManager()

    class Meta:
        managed = False
        db_table = "segmentation_churnscore"

    @property
    def reasons(self) -> list[tuple[int, float]]:
        """(feature code, value), the strongest first."""
        pairs = [(self.reason_1, self.value_1), (self.reason_2, self.value_2), (self.reason_3, self.value_3)]
        return [(code, value) for code, value in pairs if code]
