"""What a bank lends by and to whom: policies, scorecards, ratings, lines and how they were decided."""

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

__all__ = [
    "CreditKind",
    "CreditLine",
    "CreditPolicy",
    "EntryKind",
    "LineEntry",
    "LineEvent",
    "LineEventKind",
    "LineStatus",
    "Reservation",
    "ReservationStatus",
    "SubLimit",
    "credit_kind",
]
