"""Reads of approval cases: the dossier and its route, who may decide what, the inbox and one case (C6)."""

from __future__ import annotations

from credit_rating.selectors.cases.dossier import (
    Dossier,
    asked_of,
    authority_policy,
    broken_by,
    changes,
    changes_since,
    dossier_of,
    in_bank_currency,
    who_would_decide,
)
from credit_rating.selectors.cases.files import files_of, may_add_files, told_files
from credit_rating.selectors.cases.inbox import TABS, covered_pct, filled_tab, inbox, seen_case, todo_count
from credit_rating.selectors.cases.people import (
    STAGE_ROLES,
    Capacity,
    capacity,
    deciding_staff,
    delegators,
    objections,
    open_signers,
    role_holders,
    stage_people,
)
from credit_rating.selectors.cases.pledged import guarantees_out_of_force, named_to
from credit_rating.selectors.cases.record import (
    Record,
    approving,
    conditions_of,
    open_conditions,
    record_of,
    vote_counts,
    votes_are_hidden,
    with_record,
)
from credit_rating.selectors.cases.stakes import Listed, listed
from credit_rating.selectors.cases.turn import Turn, president_may_return, said_already, tally, turn_of
from credit_rating.selectors.cases.whole import Group, GroupRow, Whole, whole_of

__all__ = [
    "STAGE_ROLES",
    "TABS",
    "Capacity",
    "Dossier",
    "Group",
    "GroupRow",
    "Listed",
    "Record",
    "Turn",
    "Whole",
    "approving",
    "asked_of",
    "authority_policy",
    "broken_by",
    "capacity",
    "changes",
    "changes_since",
    "conditions_of",
    "covered_pct",
    "deciding_staff",
    "delegators",
    "dossier_of",
    "files_of",
    "filled_tab",
    "guarantees_out_of_force",
    "in_bank_currency",
    "inbox",
    "listed",
    "may_add_files",
    "named_to",
    "objections",
    "open_conditions",
    "open_signers",
    "president_may_return",
    "record_of",
    "role_holders",
    "said_already",
    "seen_case",
    "stage_people",
    "tally",
    "todo_count",
    "told_files",
    "turn_of",
    "vote_counts",
    "votes_are_hidden",
    "who_would_decide",
    "whole_of",
    "with_record",
]
