"""The way of a case from its maker to the last signature (C6)."""

from __future__ import annotations

from credit_rating.services.cases.conditions import accept_condition, evidence_condition
from credit_rating.services.cases.deciding import Batch, decide, decide_batch
from credit_rating.services.cases.files import add_files, withdraw_file
from credit_rating.services.cases.flow import close_due
from credit_rating.services.cases.making import Terms, create_case, edit_case, submit_case, withdraw_case
from credit_rating.services.cases.people import (
    add_signer,
    copy_case,
    delegate,
    end_delegation,
    record_relation,
    recuse,
)
from credit_rating.services.cases.rules import (
    DECIDE,
    MANAGE,
    PREPARE,
    READ,
    CaseFault,
    Stale,
    address,
    objection_words,
)
from credit_rating.services.cases.together import Apart, approve_together

__all__ = [
    "DECIDE",
    "MANAGE",
    "PREPARE",
    "READ",
    "Apart",
    "Batch",
    "CaseFault",
    "Stale",
    "Terms",
    "accept_condition",
    "add_files",
    "add_signer",
    "address",
    "approve_together",
    "close_due",
    "copy_case",
    "create_case",
    "decide",
    "decide_batch",
    "delegate",
    "edit_case",
    "end_delegation",
    "evidence_condition",
    "objection_words",
    "record_relation",
    "recuse",
    "submit_case",
    "withdraw_case",
    "withdraw_file",
]
