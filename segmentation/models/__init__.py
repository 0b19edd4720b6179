"""Tier schemes, their policy versions, tier history, the statistics of a night, churn models and scores."""

from segmentation.models.churn import ChurnModel, ChurnScore, ModelStatus
from segmentation.models.statistics import Concentration, MigrationMonth, ProductUseMonth
from segmentation.models.tiers import Scheme, TierDay, TierHistory, TierPolicy

__all__ = [
    "ChurnModel",
    "ChurnScore",
    "Concentration",
    "MigrationMonth",
    "ModelStatus",
    "ProductUseMonth",
    "Scheme",
    "TierDay",
    "TierHistory",
    "TierPolicy",
]
