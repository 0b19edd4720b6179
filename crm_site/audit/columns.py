"""What the columns of audited tables are called, in the reader's words, and how their values read.

One name for every column, whatever its table: a test holds this against the audited models. Values come from the
trigger as JSON: an amount in minor units, a choice by its code, a reference by its key.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.apps import apps
from django.db import models
from django.utils.functional import Promise
from django.utils.timezone import localtime
from django.utils.translation import gettext as _g
from django.utils.translation import gettext_lazy as _

from crm_site.lib import formats
from crm_site.lib.money import MoneyField, from_minor
from crm_site.lib.permissions import Actor
from crm_site.lib.registry import CUSTOMER_NUMBERS, SUBJECTS

NAMES: Mapping[str, Promise] = {
    "accepted_at": _("Accepted at"),
    "accepted_by_id": _("Accepted by"),
    "account_id": _("Account"),
    "added_by_id": _("Added by"),
    "allow_uri_wildcards": _("Wildcards in addresses"),
    "amount": _("Amount"),
    "applied": _("Applied"),
    "approve_by": _("Approve by"),
    "as_of": _("As of"),
    "asked": _("Questions asked"),
    "assessed_on": _("Assessed on"),
    "asset_type": _("Type of asset"),
    "at": _("At"),
    "auc": _("AUC"),
    "auditor": _("Audit firm"),
    "author_id": _("Author"),
    "author_name": _("Author's name"),
    "backup_of": _("Backup of"),
    "bad": _("Bad cases"),
    "balance": _("Balance"),
    "basis": _("Basis"),
    "birth_date": _("Date of birth"),
    "blind_index": _("Search index"),
    "body": _("Content"),
    "branch_id": _("Branch"),
    "business_date": _("Business date"),
    "broken_caps": _("Caps of the regulator that it broke"),
    "by_id": _("Done by"),
    "calculation_id": _("Line calculation"),
    "calibration": _("Calibration"),
    "campaign_id": _("Campaign"),
    "cancel_asked_at": _("Stop asked at"),
    "cancelled_by_id": _("Stopped by"),
    "cap_ground": _("Why the cap may be exceeded"),
    "capacity": _("Capacity"),
    "card": _("Scorecard"),
    "case_id": _("Credit case"),
    "ceiling": _("Ceiling"),
    "channel": _("Channel"),
    "client_id": _("Client"),
    "closed_at": _("Closed at"),
    "closed_by_id": _("Closed by"),
    "closed_date": _("Closing date"),
    "code": _("Code"),
    "collateral_id": _("Collateral"),
    "collect_by": _("Collect by"),
    "column": _("Column"),
    "columns": _("Columns"),
    "comment": _("Comment"),
    "completeness_pct": _("Completeness, %"),
    "condition": _("Condition"),
    "condition_id": _("Condition of a case"),
    "contact_language": _("Language of contact"),
    "content": _("Content"),
    "content_format": _("Format"),
    "content_hash": _("Fingerprint of the content"),
    "cors_origins": _("Allowed origins"),
    "created_at": _("Created at"),
    "created_by_id": _("Created by"),
    "currency": _("Currency"),
    "customer_id": _("Customer"),
    "customer_since": _("Customer since"),
    "customers": _("Customers"),
    "data": _("Data"),
    "date": _("Date"),
    "day": _("Day"),
    "days_past_due": _("Days past due"),
    "deadline": _("Deadline"),
    "decided_at": _("Decided at"),
    "decided_by_id": _("Decided by"),
    "decision_note": _("Note of the decision"),
    "default_scopes": _("Default scopes"),
    "deposits": _("Deposits"),
    "digest": _("Fingerprint"),
    "dossier_hash": _("Fingerprint of the dossier"),
    "seen_hash": _("Fingerprint of what stood beside it"),
    "drafted_at": _("Drafted at"),
    "drafted_by_id": _("Drafted by"),
    "drift": _("Drift"),
    "drift_date": _("Drift measured on"),
    "drop": _("Columns left out"),
    "due_date": _("Due date"),
    "edited_at": _("Kept fields changed at"),
    "effective_date": _("Effective date"),
    "email": _("E-mail"),
    "employees": _("Employees"),
    "employer": _("Employer"),
    "ended_at": _("Ended at"),
    "ended_by_id": _("Ended by"),
    "ended_date": _("Ended on"),
    "end_note": _("Note on the end"),
    "end_reason": _("Why it ended"),
    "entered_at": _("Entered at"),
    "entered_by_id": _("Entered by"),
    "error": _("Error"),
    "error_code": _("Error code"),
    "error_detail": _("Error in detail"),
    "evidence": _("Evidence"),
    "evidenced_at": _("Evidence given at"),
    "evidenced_by_id": _("Evidence given by"),
    "expires_at": _("Expires at"),
    "expires_date": _("Expiry date"),
    "expires_on": _("Expires on"),
    "explanation": _("Explanation"),
    "family": _("Family of products"),
    "family_note": _("Family"),
    "expected_loss": _("Expected loss"),
    "experience_note": _("Experience"),
    "fault": _("Fault"),
    "fault_params": _("Fault in detail"),
    "feed": _("Feed"),
    "figures": _("Figures"),
    "file_name": _("File"),
    "files": _("Files"),
    "finished_at": _("Finished at"),
    "first_id": _("First row"),
    "format": _("Format"),
    "founded_date": _("Founded"),
    "founding": _("From the founding"),
    "from_date": _("From date"),
    "gender": _("Gender"),
    "generated_at": _("Generated at"),
    "generated_by_id": _("Generated by"),
    "given_at": _("Given at"),
    "good": _("Good cases"),
    "grade": _("Grade"),
    "grade_policy_id": _("Grade policy"),
    "grade_rank": _("Rank of the grade"),
    "grant_types": _("Grant types"),
    "granted": _("Granted amount"),
    "granted_date": _("Granted on"),
    "guarantor_id": _("Guarantor"),
    "handed_over_by_id": _("Handed over by"),
    "has_header": _("Has a heading"),
    "hash": _("Fingerprint"),
    "header": _("Heading"),
    "home_branch_id": _("Home branch"),
    "industry": _("Industry"),
    "interest_rate": _("Interest rate"),
    "investigation": _("Investigation"),
    "is_active": _("In use"),
    "customer_kinds": _("Kinds of customers"),
    "is_audited": _("Audited"),
    "is_dry_run": _("Dry run"),
    "is_excluded": _("On the exclusion list"),
    "is_joint": _("Joint guarantee"),
    "is_newest": _("Newest business date"),
    "is_open": _("Open for business"),
    "is_prospect": _("Prospect"),
    "is_related_party": _("Related party"),
    "issued_at": _("Issued at"),
    "issued_by_id": _("Issued by"),
    "issued_date": _("Issued on"),
    "key": _("Key of the request"),
    "kin_steps": _("Steps of kinship"),
    "kind": _("Kind"),
    "ks": _("KS"),
    "language": _("Language"),
    "last_id": _("Last row"),
    "last_login": _("Last sign-in"),
    "last_used_at": _("Last used at"),
    "left_date": _("Left on"),
    "left_reason": _("Why they left"),
    "lender": _("Lender"),
    "level": _("Level"),
    "lft": _("Place in the tree, from"),
    "lien_order": _("Order of the lien"),
    "lift": _("Lift"),
    "lifted_at": _("Lifted at"),
    "lifted_by_id": _("Lifted by"),
    "lifted_reason": _("Reason for lifting"),
    "limit": _("Limit"),
    "limit_amount": _("Amount of the line"),
    "line": _("Address"),
    "line_department": _("Line department"),
    "line_id": _("Credit line"),
    "list": _("List"),
    "loan_id": _("Loan"),
    "locked": _("Locked"),
    "lost_seals": _("Seals that are lost"),
    "made_at": _("Entered at"),
    "made_by_id": _("Entered by"),
    "majority_pct": _("Majority, %"),
    "manager_id": _("Manager"),
    "mapping": _("Mapping of columns"),
    "masked": _("Masked value"),
    "maturity_date": _("Maturity date"),
    "max_customers": _("Customers at most"),
    "max_factors": _("Factors at most"),
    "max_value": _("Value at most"),
    "model_grade": _("Grade reckoned"),
    "monotonic": _("Monotonic"),
    "must_change_password": _("Must change the password"),
    "name": _("Name"),
    "name_sort": _("Sort key of the name"),
    "needs_note": _("Needs"),
    "net_capital": _("Net capital"),
    "note": _("Note"),
    "number": _("Number or code"),
    "number_tail": _("Last digits"),
    "object_key": _("Key of the object"),
    "occupation": _("Occupation"),
    "on_behalf_of_id": _("On behalf of"),
    "one_time_until": _("One-time password valid until"),
    "opened_at": _("Opened at"),
    "opened_by_id": _("Opened by"),
    "opened_date": _("Opening date"),
    "opening_branch_id": _("Opening branch"),
    "operator": _("Given by"),
    "opinion_id": _("Opinion"),
    "ordered_at": _("Ordered at"),
    "ordered_by_id": _("Ordered by"),
    "origin": _("Origin"),
    "other_id": _("Other party"),
    "outstanding": _("Outstanding"),
    "overdue": _("Overdue amount"),
    "overdue_amount": _("Overdue amount"),
    "overdue_since": _("Overdue since"),
    "owner_id": _("Owned by"),
    "owner_name": _("Owner's name"),
    "params": _("Parameters"),
    "parent_id": _("Parent unit"),
    "part": _("Part in the case"),
    "party_id": _("Own customer number"),
    "password": _("Password"),
    "path": _("Path"),
    "pd": _("Probability of default"),
    "phone": _("Phone"),
    "phone_masked": _("Phone, masked"),
    "pipeline": _("Job"),
    "position": _("Position"),
    "post": _("Post held"),
    "preference_note": _("Preferences"),
    "prepared_at": _("Prepared at"),
    "prepared_by_id": _("Prepared by"),
    "prior_liens": _("Prior liens"),
    "recorded_by_id": _("Recorded by"),
    "recorded_at": _("Recorded at"),
    "record_id": _("Record of staff"),
    "product_id": _("Product"),
    "promise": _("Promise"),
    "promise_date": _("Promised for"),
    "proposed_at": _("Proposed at"),
    "proposed_by_id": _("Proposed by"),
    "proposed_count": _("Number proposed"),
    "proposed_date": _("Proposed on"),
    "psi": _("PSI"),
    "published_at": _("Published at"),
    "published_by_id": _("Published by"),
    "purpose": _("Purpose"),
    "quorum": _("Quorum"),
    "rate": _("Exchange rate"),
    "rate_bp": _("Rate, basis points"),
    "rate_by": _("Rate by"),
    "rate_date": _("Date of the rate"),
    "rating_id": _("Rating"),
    "read_at": _("Read at"),
    "reason": _("Reason"),
    "received_at": _("Received at"),
    "record": _("Record"),
    "recused": _("Reason for recusal"),
    "redirect_uris": _("Redirect addresses"),
    "reference": _("Reference"),
    "region": _("Region"),
    "registration_number": _("Registration number"),
    "released_at": _("Released at"),
    "report_date": _("Date of the report"),
    "requested": _("Requested"),
    "requested_as": _("Requested as"),
    "requested_at": _("Requested at"),
    "requested_by_id": _("Requested by"),
    "reserved": _("Reserved"),
    "response_types": _("Response types"),
    "responsible_id": _("Responsible person"),
    "result": _("Result"),
    "review_by": _("Review by"),
    "review_on": _("Review on"),
    "review_reason": _("Reason for review"),
    "review_since": _("To be reviewed since"),
    "revision": _("Revision"),
    "revoked_at": _("Revoked at"),
    "revoked_by_id": _("Revoked by"),
    "rgt": _("Place in the tree, to"),
    "role": _("Role"),
    "roles": _("Buying roles"),
    "round": _("Round"),
    "route": _("Route"),
    "route_why": _("Why this route"),
    "rows": _("Rows"),
    "rows_changed": _("Rows changed"),
    "rows_in": _("Rows read"),
    "rows_inserted": _("Rows inserted"),
    "rows_received": _("Rows received"),
    "rows_rejected": _("Rows rejected"),
    "rows_unchanged": _("Rows unchanged"),
    "rows_updated": _("Rows updated"),
    "rule": _("Rule"),
    "run_id": _("Run of a job"),
    "sample_id": _("Sample"),
    "saved_at": _("Saved at"),
    "scheme": _("Scheme"),
    "scheme_id": _("Tier scheme"),
    "scopes": _("Scopes"),
    "score": _("Score"),
    "score_grade": _("Grade by score"),
    "scorecard_id": _("Scorecard"),
    "second_factor_required": _("Second factor required"),
    "seconds": _("Seconds"),
    "secret": _("Secret"),
    "sent_by_id": _("Sent by"),
    "sentence": _("In words"),
    "serial": _("Serial number"),
    "sha256": _("Fingerprint of the file"),
    "share": _("Share"),
    "show_from": _("Shown from"),
    "signal_id": _("Early warning"),
    "size": _("Size"),
    "size_bytes": _("Size in bytes"),
    "skip_consent": _("Without consent page"),
    "sort": _("Sorting"),
    "source": _("Source"),
    "source_as_of": _("Core data as of"),
    "source_key": _("Key of the source"),
    "sources": _("Sources"),
    "staff_id": _("Staff member"),
    "stage": _("Stage"),
    "stage_since": _("In this stage since"),
    "stake": _("At stake"),
    "started_at": _("Started at"),
    "started_by_id": _("Started by"),
    "starts_on": _("Starts on"),
    "status": _("Status"),
    "sub_limits": _("Sub-limits"),
    "subject": _("Subject"),
    "submission": _("Form sent"),
    "submitted_at": _("Submitted at"),
    "submitted_by_id": _("Submitted by"),
    "tail": _("Last digits"),
    "taken_at": _("Taken at"),
    "taken_by_id": _("Taken by"),
    "target": _("Target"),
    "term_months": _("Term, months"),
    "text": _("Text"),
    "tier": _("Tier"),
    "tier1_net_capital": _("Tier-1 net capital"),
    "tiers": _("Tiers"),
    "title": _("Title"),
    "to_account": _("To account"),
    "to_bank": _("To bank"),
    "to_date": _("To date"),
    "to_id": _("Person it goes to"),
    "train_leavers": _("Leavers in training"),
    "train_months": _("Months of training"),
    "train_rows": _("Rows of training"),
    "trained_at": _("Trained at"),
    "type": _("Type"),
    "undone_at": _("Undone at"),
    "undone_by_id": _("Undone by"),
    "unit_id": _("Unit"),
    "until": _("Until"),
    "uploaded_at": _("Uploaded at"),
    "uploaded_by_id": _("Uploaded by"),
    "urgency": _("Urgency"),
    "url": _("Link"),
    "user_id": _("Staff member"),
    "utilised": _("Utilised"),
    "valid_from": _("Valid from"),
    "validation_leavers": _("Leavers in validation"),
    "validation_month": _("Month of validation"),
    "validation_rows": _("Rows of validation"),
    "value": _("Value"),
    "valued_on": _("Valued on"),
    "valuer": _("Valuer"),
    "values": _("Values"),
    "verdict": _("Verdict"),
    "version": _("Version"),
    "voided_at": _("Voided at"),
    "what": _("Contents"),
    "whole": _("Whole pipeline"),
    "window": _("Window"),
    "withdrawn_at": _("Withdrawn at"),
    "withdrawn_by_id": _("Withdrawn by"),
    "withdrawn_on": _("Withdrawn on"),
    "withdrawal_reason": _("Reason of the withdrawal"),
    "ground": _("Ground of the publication"),
    "won_by_id": _("Won by"),
    "year": _("Year"),
    "zone_id": _("Zone of a campaign"),
}
CUSTOMERS = "customers_customer"


def name_of(column: str) -> str:
    """A column in the reader's words; what no table has (a service's own word) stays as it was recorded."""
    return str(NAMES.get(column, column))


@cache
def _fields(table: str) -> Mapping[str, Any]:
    """column -> field of a table's model; empty for a table without one."""
    model = next((model for model in apps.get_models() if model._meta.db_table == table), None)
    return {str(field.column): field for field in model._meta.concrete_fields} if model else {}


def _refers_to(field: Any) -> str:
    """The table a column's keys are of; "" for a plain value."""
    return field.related_model._meta.db_table if isinstance(field, models.ForeignKey) else ""


@dataclass(frozen=True)
class Reader:
    """Reads the values of one table aloud. `names`: (table, key) -> the name of what a reference points at."""

    table: str
    currency: str
    names: Mapping[tuple[str, int], str]

    def say(self, column: str, value: Any) -> str:
        """A recorded value in words; "–" for none."""
        if value is None or value in ("", [], {}):
            return formats.UNKNOWN
        if isinstance(value, bool):
            return _g("yes") if value else _g("no")
        field = _fields(self.table).get(column)
        if isinstance(field, MoneyField) and isinstance(value, int):
            return formats.money_full(from_minor(value), self.currency)
        if field is not None and field.choices:
            return str(dict(field.flatchoices).get(value, value))
        if isinstance(field, models.DateTimeField) and isinstance(value, str):
            return _moment(value)
        if isinstance(value, int) and field is not None:
            return self.names.get((_refers_to(field), value), str(value))
        if isinstance(value, (dict, list)):
            return json.dumps(value, ensure_ascii=False)
        return str(value)


def _moment(text: str) -> str:
    """A recorded time in the bank's time zone, to the second."""
    try:
        at = dt.datetime.fromisoformat(text)
    except ValueError:
        return text
    return f"{localtime(at):%Y-%m-%d %H:%M:%S}" if at.tzinfo else text


def reader(actor: Actor, table: str, values: Iterable[tuple[str, Any]], *, currency: str) -> Reader:
    """A reader for these (column, value) pairs: what they refer to by name or number, customers only as the actor
    may see them. A statement for each table that is referred to.
    """
    wanted: dict[type[models.Model], set[int]] = {}
    fields = _fields(table)
    for column, value in values:
        field = fields.get(column)
        if isinstance(field, models.ForeignKey) and isinstance(value, int):
            wanted.setdefault(field.related_model, set()).add(value)
    names: dict[tuple[str, int], str] = {}
    for model, keys in wanted.items():
        target = model._meta.db_table
        if target == CUSTOMERS:
            for numbers_of in CUSTOMER_NUMBERS:
                names |= {(target, pk): number for pk, number in numbers_of(keys).items()}
            for subjects in SUBJECTS:
                names |= {(target, pk): subject.name for pk, subject in subjects(actor, keys).items()}
        elif called := next((one for one in ("name", "number") if _has(model, one)), None):
            found = model._default_manager.filter(pk__in=keys).values_list("pk", called)
            names |= {(target, pk): name for pk, name in found}
    return Reader(table, currency, names)


def _has(model: type[models.Model], name: str) -> bool:
    return any(field.name == name for field in model._meta.concrete_fields)
