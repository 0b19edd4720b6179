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
from credit_rating.models.lines import (
    CreditLine,
    EntryKind,
    LineEntry,
    LineEvent,
    LineEventKind,
    LineStatus,
    Reservation,
    ReservationStatus,
    SubLimit,
)
from credit_rating.models.policies import CreditPolicy
from credit_rating.models.statements import Statement, StatementSource
from credit_rating.models.warnings import (
    ClassReason,
    Downgrade,
    LoanClass,
    Signal,
    SignalAct,
    SignalActKind,
    SignalState,
)

__all__ = [
    "BankCapital",
    "ClassReason",
    "Collateral",
    "CollectionStatus",
    "CreditKind",
    "CreditLine",
    "CreditPolicy",
    "Downgrade",
    "EntryKind",
    "Guarantee",
    "GuaranteeKind",
    "GuaranteeStatus",
    "GuarantorCapacity",
    "InformationForm",
    "LineCalculation",
    "LineEntry",
    "LineEvent",
    "LineEventKind",
    "LineStatus",
    "LoanClass",
    "RelatedKind",
    "RelatedParty",
    "Reservation",
    "ReservationStatus",
    "Signal",
    "SignalAct",
    "SignalActKind",
    "SignalState",
    "Statement",
    "StatementSource",
    "SubLimit",
    "Valuation",
    "credit_kind",
]
