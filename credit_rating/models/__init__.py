"""What a bank lends by and to whom: policies, scorecards, ratings, lines and how they were decided."""

from credit_rating.models.attachments import CaseFile
from credit_rating.models.calculations import LineCalculation
from credit_rating.models.cases import (
    CaseCondition,
    CaseCopy,
    CaseDossier,
    CaseKind,
    CaseMaker,
    CaseSeat,
    CaseStatus,
    CreditCase,
    Delegation,
    Opinion,
    OpinionPart,
    SeatKind,
    StaffRelation,
    Verdict,
)
from credit_rating.models.collection import CollectionStatus, InformationForm
from credit_rating.models.exposure import BankCapital, RelatedKind, RelatedParty
from credit_rating.models.external import ExposureKind, ExposureSource, ExternalExposure
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
from credit_rating.models.overview import BigStake, CreditCell
from credit_rating.models.policies import CreditPolicy
from credit_rating.models.ratings import DECIDED, OPEN_RATINGS, Rating, RatingStatus, ReviewReason
from credit_rating.models.samples import (
    Development,
    DevelopmentSample,
    LoanOutcome,
    SampleOrigin,
    WorkStatus,
)
from credit_rating.models.scorecards import CardOrigin, Scorecard
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
    "DECIDED",
    "OPEN_RATINGS",
    "BankCapital",
    "BigStake",
    "CardOrigin",
    "CaseCondition",
    "CaseCopy",
    "CaseDossier",
    "CaseFile",
    "CaseKind",
    "CaseMaker",
    "CaseSeat",
    "CaseStatus",
    "ClassReason",
    "Collateral",
    "CollectionStatus",
    "CreditCase",
    "CreditCell",
    "CreditKind",
    "CreditLine",
    "CreditPolicy",
    "Delegation",
    "Development",
    "DevelopmentSample",
    "Downgrade",
    "EntryKind",
    "ExposureKind",
    "ExposureSource",
    "ExternalExposure",
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
    "LoanOutcome",
    "Opinion",
    "OpinionPart",
    "Rating",
    "RatingStatus",
    "RelatedKind",
    "RelatedParty",
    "Reservation",
    "ReservationStatus",
    "ReviewReason",
    "SampleOrigin",
    "Scorecard",
    "SeatKind",
    "Signal",
    "SignalAct",
    "SignalActKind",
    "SignalState",
    "StaffRelation",
    "Statement",
    "StatementSource",
    "SubLimit",
    "Valuation",
    "Verdict",
    "WorkStatus",
    "credit_kind",
]
