"""What the record is about, in the reader's words: one name for every table that is audited."""

from __future__ import annotations

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

# table -> what one row of it is. A test holds this against the audited tables and what services record.
NAMES: dict[str, Promise] = {
    "audit_seal": _("Seal of the record"),
    "accounts_bank": _("Bank"),
    "accounts_gradecapacity": _("Capacity of a grade"),
    "accounts_orgunit": _("Unit"),
    "accounts_rolegrant": _("Role granted"),
    "accounts_signinpolicy": _("Rules of sign-in"),
    "accounts_staff": _("Staff member"),
    "allauth_idp_oidc_client": _("Machine client"),
    "mfa_authenticator": _("Second factor"),
    "customers_account": _("Account"),
    "customers_accountholder": _("Holder of an account"),
    "customers_address": _("Address"),
    "customers_batch": _("Delivery"),
    "customers_card": _("Bank card"),
    "customers_columnmapping": _("Mapping of columns"),
    "customers_contactperson": _("Person at a company"),
    "customers_contactpoint": _("Phone or e-mail"),
    "customers_customer": _("Customer"),
    "customers_exportrecord": _("Export of customers"),
    "customers_fee": _("Fee"),
    "customers_fxrate": _("Exchange rate"),
    "customers_holding": _("Product held"),
    "customers_identifier": _("Identity document"),
    "customers_interaction": _("Contact"),
    "customers_loan": _("Loan"),
    "customers_loanbalance": _("Balance of a loan"),
    "customers_loaninstalment": _("Instalment of a loan"),
    "customers_product": _("Product"),
    "customers_recordedtie": _("Tie that staff recorded"),
    "customers_relation": _("Relation of customers"),
    "customers_savedview": _("Saved view"),
    "customers_standingorder": _("Standing order"),
    "credit_rating_bankcapital": _("Bank's capital"),
    "credit_rating_campaign": _("Rating-and-credit campaign"),
    "credit_rating_campaignbatch": _("Batch of a campaign"),
    "credit_rating_campaignmember": _("Member of a campaign"),
    "credit_rating_campaignzone": _("Zone of a campaign"),
    "credit_rating_collateral": _("Collateral"),
    "credit_rating_creditline": _("Credit line"),
    "credit_rating_creditpolicy": _("Credit policy"),
    "credit_rating_externalexposure": _("Exposure at another bank"),
    "credit_rating_guarantee": _("Guarantee"),
    "credit_rating_impairment": _("Expected loss on a loan"),
    "credit_rating_guarantorcapacity": _("Capacity of a guarantor"),
    "credit_rating_informationform": _("Information form"),
    "credit_rating_linecalculation": _("Line calculation"),
    "credit_rating_lineevent": _("Event of a credit line"),
    "credit_rating_relatedparty": _("Related party"),
    "credit_rating_casecondition": _("Condition of a case"),
    "credit_rating_casecopy": _("Copy of a case"),
    "credit_rating_casedossier": _("Dossier of a case"),
    "credit_rating_casefile": _("File of a case"),
    "credit_rating_casemaker": _("Maker of a case"),
    "credit_rating_caseseat": _("Seat at a case"),
    "credit_rating_creditcase": _("Credit case"),
    "credit_rating_delegation": _("Delegation"),
    "credit_rating_development": _("Development of a scorecard"),
    "credit_rating_developmentsample": _("Development sample"),
    "credit_rating_downgrade": _("Class lowered by hand"),
    "credit_rating_loanoutcome": _("Outcomes of loans"),
    "credit_rating_opinion": _("Opinion on a case"),
    "credit_rating_rating": _("Credit rating of a customer"),
    "credit_rating_scorecard": _("Scorecard"),
    "credit_rating_signalact": _("Answer to an early warning"),
    "credit_rating_staffrelation": _("Relation of a staff member"),
    "credit_rating_statement": _("Financial statement"),
    "credit_rating_tiecorrection": _("Tie recorded by mistake"),
    "credit_rating_valuation": _("Valuation"),
    "jobs_run": _("Run of a job"),
    "relationship_assignment": _("Assignment"),
    "relationship_assignmentproposal": _("Assignment proposal"),
    "segmentation_churnmodel": _("Churn model"),
    "segmentation_scheme": _("Tier scheme"),
    "segmentation_tierpolicy": _("Tier policy"),
    "work_notification": _("Notification"),
    "work_task": _("Task"),
}

# Rooms whose rows say nothing about a customer: their values are shown to everybody who may read the record.
PLAIN_ROOMS = ("accounts_", "allauth_", "audit_", "jobs_", "mfa_", "segmentation_")


def name_of(table: str) -> str:
    return str(NAMES.get(table, table))


def is_plain(table: str) -> bool:
    """Whether rows of this table may be shown to a reader of the record who sees no customer."""
    return table.startswith(PLAIN_ROOMS)
