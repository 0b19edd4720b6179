"""URL x method x role x place: every address of the site has its line here, and a test walks them all.

A line says which action guards each method; who may do an action is the table in crm_site.lib.permissions.
- "": any signed-in person of the bank; PUBLIC: anybody; scope names ("customers:read"): machine clients alone;
- `of`: what the address is about, made by tests/architecture/places.py for the branch "north" of bank alpha and,
  for the "another bank" column, of bank beta; None: the address names no row.
- `not_for`: roles that may do the action elsewhere but have nothing here (404);
- `rows`: "customer" rows are seen by visible_to (404 for those who do not see them), "task" rows by those who may work
  on them, "own" rows by the one person, "bank" rows by everybody who may do the action.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from crm_site.lib.permissions import Role

PUBLIC = "(anybody)"


@dataclass(frozen=True)
class Line:
    methods: dict[str, str] = field(default_factory=dict)
    of: str | None = None
    rows: str = "bank"
    not_for: frozenset[Role] = frozenset()


def page(action: str, of: str | None = None, rows: str = "bank") -> Line:
    """An address that is read: GET alone."""
    return Line({"GET": action}, of, rows)


def form(action: str, of: str | None = None, rows: str = "bank", *, read: str | None = None) -> Line:
    """An address that shows a form and takes it: GET and POST under the same action (or `read` for GET)."""
    return Line({"GET": action if read is None else read, "POST": action}, of, rows)


def act(action: str, of: str | None = None, rows: str = "bank") -> Line:
    """An address that only takes: POST alone."""
    return Line({"POST": action}, of, rows)


def api(of: str | None = None, **scopes: str) -> Line:
    """An address of the API: scope by method."""
    return Line({method.upper(): scope for method, scope in scopes.items()}, of)


# The sign-in library's own addresses: guarded by it; what must not be reachable is tested in tests/accounts.
LIBRARY = ("account_", "mfa_", "usersessions_", "idp:oidc:")


def platform(line: Line) -> Line:
    """On the platform's host alone (tests/accounts/test_banks.py): on a bank's it does not exist."""
    return replace(line, not_for=frozenset({Role.OPERATOR}))


MATRIX: dict[str, Line] = {
    # site
    "home": page(""),
    "healthz": page(PUBLIC),
    "readyz": page(PUBLIC),
    "preferences": act(PUBLIC),
    "administrator-home": page("administration.read"),
    "operator-home": page("bank.manage"),
    # API
    "api-schema": page(PUBLIC),
    "api-docs": page(PUBLIC),
    "api-customer-list": api(get="customers:read", post="customers:write"),
    "api-customer-detail": api("customer number", get="customers:read", patch="customers:write"),
    "api-customer-view": api("customer number", get="customers:read"),
    "api-interaction-list": api(post="customers:write"),
    "api-ingest": api("feed", post="ingest:write"),
    "api-ingest-state": api("delivery", get="ingest:write"),
    "api-ingest-errors": api("delivery", get="ingest:write"),
    "api-score-list": api(get="customers:read"),
    "api-tier-list": api(get="customers:read"),
    "api-assignment-list": api(get="customers:read"),
    "api-rating-list": api(get="customers:read"),
    "api-line-list": api(get="customers:read"),
    "api-line-detail": api("credit line", get="lines:control"),
    "api-line-check": api("credit line", post="lines:control"),
    "api-line-reserve": api("credit line", post="lines:control"),
    "api-line-repay": api("credit line", post="lines:control"),
    "api-reservation-commit": api("reservation", post="lines:control"),
    "api-reservation-release": api("reservation", post="lines:control"),
    "api-job-list": api(get="jobs:run", post="jobs:run"),
    "api-job-detail": api("run", get="jobs:run"),
    # audit
    "audit:auditor-home": page("audit.read"),
    "audit:check": act("audit.read"),
    "audit:entry-list": page("audit.read"),
    "audit:entry-detail": page("audit.read", "audit entry"),
    # settings
    "accounts:settings": page("organisation.manage"),
    "accounts:me": page(""),
    "accounts:session-end": act("", "session", "own"),
    "accounts:unit-list": page("organisation.manage"),
    "accounts:unit-add": form("organisation.manage"),
    "accounts:unit": form("organisation.manage", "unit"),
    "accounts:unit-close": act("organisation.manage", "unit"),
    "accounts:unit-reopen": act("organisation.manage", "unit"),
    "accounts:staff-list": page("staff.manage"),
    "accounts:staff-add": form("staff.manage"),
    "accounts:staff": page("staff.manage", "staff"),
    "accounts:staff-edit": form("staff.manage", "staff"),
    "accounts:staff-deactivate": act("staff.manage", "staff"),
    "accounts:staff-reactivate": act("staff.manage", "staff"),
    "accounts:staff-password": act("staff.manage", "staff"),
    "accounts:staff-unlock": act("staff.manage", "staff"),
    "accounts:staff-second-factor": act("staff.manage", "staff"),
    "accounts:grant-add": form("role.propose", "staff"),
    "accounts:grant-list": page("role.decide"),
    "accounts:grant-decide": act("role.decide", "grant"),
    "accounts:grant-withdraw": act("role.propose", "grant"),
    "accounts:grant-revoke": act("role.decide", "grant"),
    "accounts:grades": form("organisation.manage"),
    "accounts:client-list": page("api_client.manage"),
    "accounts:client-add": form("api_client.manage"),
    "accounts:client-revoke": act("api_client.manage", "api client"),
    "accounts:bank": form("organisation.manage"),
    # the platform's banks
    "banks:bank-list": platform(page("bank.manage")),
    "banks:bank-add": platform(form("bank.manage")),
    "banks:bank-close": platform(act("bank.manage", "bank")),
    "banks:bank-reopen": platform(act("bank.manage", "bank")),
    # jobs
    "jobs:run-list": page("job.read"),
    "jobs:run-start": act("job.run"),
    "jobs:run-detail": page("job.read", "run"),
    "jobs:run-cancel": act("job.run", "run"),
    "jobs:run-retry": act("job.run", "run"),
    "jobs:step-chunks": page("job.read", "run step"),
    "metrics": page(PUBLIC),
    # work
    "work:task-list": page("task.write"),
    "work:task-add": form("task.write"),
    "work:task": page("task.write", "task", "task"),
    "work:task-done": form("task.write", "task", "task"),
    "work:task-undo": act("task.write", "task", "task"),
    "work:task-later": form("task.write", "task", "task"),
    "work:task-hand-over": form("task.write", "task", "task"),
    "work:inbox": page(""),
    "work:inbox-read": act(""),
    "work:notice-open": act("", "notification", "own"),
    # segmentation
    "segmentation:overview": page("segmentation.read"),
    "segmentation:movers": page("segmentation.read"),
    "credit_rating:policy-list": page("credit.read"),
    "credit_rating:policy": page("credit.read", "credit policy"),
    "credit_rating:policy-edit": form("credit_policy.draft", "credit policy"),
    "credit_rating:policy-propose": act("credit_policy.draft", "credit policy"),
    "credit_rating:policy-publish": act("credit_policy.publish", "credit policy"),
    "credit_rating:policy-return": act("credit_policy.publish", "credit policy"),
    "credit_rating:policy-discard": act("credit_policy.draft", "credit policy"),
    "credit_rating:policy-withdraw": act("credit_policy.publish", "credit policy"),
    "credit_rating:scorecard-withdraw": act("credit_policy.publish", "scorecard"),
    "credit_rating:policy-trial": form("credit_policy.try", "credit policy"),
    "credit_rating:scorecard-trial": form("credit_policy.try", "scorecard"),
    "credit_rating:scorecard-list": page("credit.read"),
    "credit_rating:scorecard": page("credit.read", "scorecard"),
    "credit_rating:scorecard-edit": form("credit_policy.draft", "scorecard"),
    "credit_rating:scorecard-propose": act("credit_policy.draft", "scorecard"),
    "credit_rating:scorecard-publish": act("credit_policy.publish", "scorecard"),
    "credit_rating:scorecard-return": act("credit_policy.publish", "scorecard"),
    "credit_rating:scorecard-discard": act("credit_policy.draft", "scorecard"),
    "credit_rating:sample-list": page("scorecard.develop"),
    "credit_rating:sample-new": form("scorecard.develop"),
    "credit_rating:sample-outcomes": act("outcome.use"),
    "credit_rating:sample": page("scorecard.develop", "sample"),
    "credit_rating:sample-progress": page("scorecard.develop", "sample"),
    "credit_rating:sample-develop": form("scorecard.develop", "sample"),
    "credit_rating:sample-download": act("scorecard.develop", "sample"),
    "credit_rating:sample-delete": act("scorecard.develop", "sample"),
    "credit_rating:development": page("scorecard.develop", "development"),
    "credit_rating:development-progress": page("scorecard.develop", "development"),
    "credit_rating:rating-list": page("credit.read"),
    "credit_rating:rating": page("credit.read", "rating", "customer"),
    "credit_rating:rating-submit": act("credit.prepare", "rating", "customer"),
    "credit_rating:rating-decide": act("rating.decide", "rating", "customer"),
    "credit_rating:rating-print": page("credit.read", "rating", "customer"),
    "credit_rating:rating-form": form("credit.prepare", "credit customer", "customer", read="credit.read"),
    "credit_rating:rating-panel": page("credit.read", "credit customer", "customer"),
    "credit_rating:panel-file": page("credit.read", "credit customer", "customer"),
    "credit_rating:collection": form("credit.prepare", "credit customer", "customer"),
    "credit_rating:collection-print": page("credit.prepare", "credit customer", "customer"),
    "credit_rating:statements": page("credit.read", "credit customer", "customer"),
    "credit_rating:statement-upload": form("credit.prepare", "credit customer", "customer"),
    "credit_rating:statement-template": page("credit.prepare", "credit customer", "customer"),
    "credit_rating:statement-edit": form("credit.prepare", "statement year", "customer"),
    "credit_rating:guarantees": page("credit.read", "credit customer", "customer"),
    "credit_rating:thing-add": form("credit.prepare", "credit customer", "customer"),
    "credit_rating:promise-add": form("credit.prepare", "credit customer", "customer"),
    "credit_rating:guarantee-value": form("credit.prepare", "guarantee", "customer"),
    "credit_rating:guarantee-in-force": form("line.manage", "guarantee", "customer"),
    "credit_rating:guarantee-proof": form("line.manage", "guarantee", "customer"),
    "credit_rating:guarantee-withdraw": act("credit.prepare", "guarantee", "customer"),
    "credit_rating:guarantee-release": act("line.manage", "guarantee", "customer"),
    "credit_rating:calculation-form": form(
        "credit.prepare", "credit customer", "customer", read="credit.read"
    ),
    "credit_rating:calculation": page("credit.read", "calculation", "customer"),
    "credit_rating:calculation-print": page("credit.read", "calculation", "customer"),
    "credit_rating:registers": page("credit.read"),
    "credit_rating:warning-list": page("credit.read"),
    "credit_rating:warning": page("credit.read", "warning", "customer"),
    "credit_rating:warning-act": act("warning.handle", "warning", "customer"),
    "credit_rating:warning-panel": page("credit.read", "credit customer", "customer"),
    "credit_rating:classes": page("credit.read", "credit customer", "customer"),
    "credit_rating:class-lower": act("loan_class.lower", "classed loan", "customer"),
    "credit_rating:campaign-list": page("credit.read"),
    "credit_rating:campaign-new": form("campaign.manage"),
    "credit_rating:campaign": page("credit.read", "campaign"),
    "credit_rating:campaign-run": page("credit.read", "campaign"),
    "credit_rating:campaign-listing": form("campaign.manage", "campaign"),
    "credit_rating:campaign-zone-new": form("campaign.manage", "campaign"),
    "credit_rating:campaign-edit": form("campaign.manage", "campaign"),
    "credit_rating:campaign-cut": act("campaign.manage", "campaign"),
    "credit_rating:campaign-take": act("campaign.zone", "campaign"),
    "credit_rating:campaign-give": act("campaign.zone", "campaign"),
    "credit_rating:campaign-stop": act("campaign.rate", "campaign"),
    "credit_rating:campaign-open": act("campaign.manage", "campaign"),
    "credit_rating:campaign-close": act("campaign.manage", "campaign"),
    "credit_rating:campaign-rate": act("campaign.rate", "campaign"),
    "credit_rating:campaign-members": page("credit.read", "campaign"),
    "credit_rating:campaign-member": page("credit.read", "campaign member", "customer"),
    "credit_rating:campaign-member-act": act("credit.prepare", "campaign member", "customer"),
    "credit_rating:campaign-zone": page("credit.read", "campaign zone"),
    "credit_rating:campaign-zone-take": act("campaign.zone", "campaign zone"),
    "credit_rating:campaign-zone-give": act("campaign.zone", "campaign zone"),
    "credit_rating:campaign-zone-propose": act("credit.prepare", "campaign zone"),
    "credit_rating:campaign-batch": page("credit.read", "campaign batch", "customer"),
    "credit_rating:campaign-batch-run": page("credit.read", "campaign batch", "customer"),
    "credit_rating:campaign-batch-approve": act("credit.decide", "campaign batch", "customer"),
    "credit_rating:campaign-batch-return": act("credit.decide", "campaign batch", "customer"),
    "credit_rating:campaign-batch-out": act("credit.decide", "batch member", "customer"),
    "credit_rating:campaign-batch-print": page("credit.read", "campaign batch", "customer"),
    "credit_rating:capital-add": form("credit_register.manage"),
    "credit_rating:related-party": page("credit.read", "related customer", "customer"),
    "credit_rating:related-add": form("credit_register.manage"),
    "credit_rating:related-end": form("credit_register.manage", "related party", "customer"),
    "segmentation:scheme-add": form("policy.draft"),
    "segmentation:policy-kind": act("policy.draft", "tier policy"),
    "credit_rating:dashboard": page("credit.overview"),
    "credit_rating:glance": page("credit.overview"),
    "credit_rating:waiting": page("credit.read"),
    "credit_rating:class-list": page("credit.read"),
    "credit_rating:inbox": page("credit.read"),
    "credit_rating:desk-counts": page("credit.read"),
    "credit_rating:case-batch": act("credit.decide"),
    "credit_rating:case": page("credit.read", "credit case", "customer"),
    "credit_rating:case-decide": act("credit.decide", "credit case", "customer"),
    "credit_rating:case-edit": form("credit.prepare", "credit case", "customer"),
    "credit_rating:case-act": act("credit.read", "credit case", "customer"),
    "credit_rating:case-print": page("credit.read", "credit case", "customer"),
    "credit_rating:case-file-add": act("credit.read", "credit case", "customer"),
    "credit_rating:case-file": page("credit.read", "case file", "customer"),
    "credit_rating:case-file-withdraw": act("credit.read", "case file", "customer"),
    "credit_rating:condition-evidence": act("credit.prepare", "case condition", "customer"),
    "credit_rating:condition-accept": act("line.manage", "case condition", "customer"),
    "credit_rating:delegations": form("credit.decide"),
    "credit_rating:authority": page("credit.read"),
    "credit_rating:case-new": form("credit.prepare", "credit customer", "customer"),
    "credit_rating:relation-add": form("credit_register.manage"),
    "credit_rating:line-list": page("credit.read"),
    "credit_rating:line": page("credit.read", "credit line", "customer"),
    "credit_rating:line-act": act("line.manage", "credit line", "customer"),
    "credit_rating:line-print": page("credit.read", "credit line", "customer"),
    "credit_rating:line-panel": page("credit.read", "customer", "customer"),
    "credit_rating:exposure": page("credit.read", "customer", "customer"),
    "segmentation:policy-list": page("policy.read"),
    "segmentation:policy": page("policy.read", "tier policy"),
    "segmentation:policy-effect": page("segmentation.read", "tier policy"),
    "segmentation:policy-edit": form("policy.draft", "tier policy"),
    "segmentation:policy-propose": act("policy.draft", "tier policy"),
    "segmentation:policy-publish": act("policy.publish", "tier policy"),
    "segmentation:policy-return": act("policy.publish", "tier policy"),
    "segmentation:policy-withdraw": act("policy.publish", "tier policy"),
    "segmentation:policy-discard": act("policy.draft", "tier policy"),
    "segmentation:tier-why": page("customer.read", "customer", "customer"),
    "segmentation:tier-panel": page("customer.read", "customer", "customer"),
    "segmentation:churn": page("model.read"),
    "segmentation:churn-train": act("model.train"),
    "segmentation:churn-model": page("model.read", "churn model"),
    "segmentation:churn-propose": act("model.approve", "churn model"),
    "segmentation:churn-approve": act("model.approve", "churn model"),
    "segmentation:churn-reject": act("model.approve", "churn model"),
    "segmentation:churn-panel": page("customer.read", "customer", "customer"),
    "segmentation:churn-why": page("customer.read", "customer", "customer"),
    # customers
    "search": page("customer.read"),
    "customers:import-list": page("import.upload"),
    "customers:import-new": form("import.upload"),
    "customers:import": page("import.upload", "import"),
    "customers:import-try": act("import.upload", "import"),
    "customers:import-again": act("import.upload", "import"),
    "customers:import-run": act("import.upload", "import"),
    "customers:import-progress": page("import.upload", "import"),
    "customers:import-errors": page("import.upload", "import"),
    "customers:import-undo": act("import.undo", "import"),
    "customers:customer-list": page("customer.read"),
    "customers:columns": page("customer.read"),
    "customers:filter": form("customer.read"),
    "customers:filter-row": page("customer.read"),
    "customers:view-list": page("customer.read"),
    "customers:view-save": act("customer.read"),
    "customers:view-change": act("customer.read", "saved view", "own"),
    "customers:export": page("customer.export"),
    "customers:export-selected": act("customer.export"),
    "customers:export-run": act("customer.export"),
    "customers:export-log": page("customer.read"),
    "customers:log": page("interaction.write"),
    "customers:task-bulk": act("task.write"),
    "customers:prospect-add": form("customer.write"),
    "customers:customer": page("customer.read", "customer", "customer"),
    "customers:customer-print": page("customer.read", "customer", "customer"),
    "customers:profile-edit": form("customer.write", "customer", "customer"),
    "customers:contact-add": form("interaction.write", "customer", "customer"),
    "customers:contact-edit": form("interaction.write", "contact", "own"),
    "customers:task-add": form("task.write", "customer", "customer"),
    "customers:person-add": form("customer.write", "customer", "customer"),
    "customers:person-edit": form("customer.write", "person", "customer"),
    "customers:person-left": form("customer.write", "person", "customer"),
    "customers:tie-list": page("customer.read", "customer", "customer"),
    "customers:tie-add": form("tie.record", "customer", "customer"),
    "customers:tie-end": form("tie.record", "tie", "customer"),
    "customers:reveal": form("customer.reveal", "identifier", "customer"),
    "customers:panel-trend": page("customer.read", "customer", "customer"),
    "customers:panel-accounts": page("customer.read", "customer", "customer"),
    "customers:panel-loans": page("customer.read", "customer", "customer"),
    "customers:panel-products": page("customer.read", "customer", "customer"),
    "customers:panel-entries": page("customer.read", "customer", "customer"),
    "customers:panel-timeline": page("customer.read", "customer", "customer"),
    "customers:panel-people": page("customer.read", "customer", "customer"),
    "customers:panel-contacts": page("customer.read", "customer", "customer"),
    "customers:panel-tasks": page("customer.read", "customer", "customer"),
    "customers:panel-profile": page("customer.read", "customer", "customer"),
    "customers:panel-identity": page("customer.read", "customer", "customer"),
    "customers:panel-relations": page("customer.read", "customer", "customer"),
    "customers:panel-completeness": page("customer.read", "customer", "customer"),
    # relationship
    "relationship:own-home": page("task.write"),
    "relationship:counter-home": page("task.write"),
    "relationship:branch-home": page("dashboard.branch"),
    "relationship:branch": page("dashboard.branch", "unit", "customer"),
    "relationship:branch-risks": page("dashboard.branch", "unit", "customer"),
    "relationship:bank-home": page("dashboard.bank"),
    "relationship:portfolio": page("assignment.read"),
    "relationship:queue": replace(
        page("assignment.read"), not_for=frozenset({Role.TELLER, Role.RELATIONSHIP_MANAGER})
    ),
    "relationship:queue-approve": act("assignment.approve"),
    "relationship:queue-reject": act("assignment.approve"),
    "relationship:queue-propose": act("assignment.propose"),
    "relationship:queue-change": act("assignment.propose", "proposal", "customer"),
    "relationship:customer-panel": page("assignment.read", "customer", "customer"),
}
