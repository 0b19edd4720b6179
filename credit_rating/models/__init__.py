"""What a bank lends by and to whom: policies, scorecards, ratings, lines and how they were decided."""

from credit_rating.models.calculations import LineCalculation
from credit_rating.models.collection import CollectionStatus, InformationForm
from credit_rating.models.exposure import BankCapital, RelatedKind, RelatedParty
from credit_rating.models.guarantees import (
    Collateral,
    Guarantee,
    GuaranteeKind,
    GuaranteeStatus,
    GuarantorCapacity,
    Valuation,
)
from credit_rating.models.kinds import CreditKind, credit_kind
from credit_rating.models.policies import CreditPolicy
from credit_rating.models.statements import Statement, StatementSource

__all__ = [
    "BankCapital",
    "Collateral",
    "CollectionStatus",
    "CreditKind",
    "CreditPolicy",
    "Guarantee",
    "GuaranteeKind",
    "GuaranteeStatus",
    "GuarantorCapacity",
    "InformationForm",
    "LineCalculation",
    "RelatedKind",
    "RelatedParty",
    "Statement",
    "StatementSource",
    "Valuation",
    "credit_kind",
]
