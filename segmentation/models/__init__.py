"""Tier schemes, their policy versions, tier history and the statistics of a night."""

from segmentation.models.statistics import Concentration, MigrationMonth, ProductUseMonth
from segmentation.models.tiers import PolicyStatus, Scheme, TierDay, TierHistory, TierPolicy

__all__ = [
    "Concentration",
    "MigrationMonth",
    "PolicyStatus",
    "ProductUseMonth",
    "Scheme",
    "TierDay",
    "TierHistory",
    "TierPolicy",
]
