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

MATRIX: dict[str, Line] = {
    # site
    "home": page(""),
    "healthz": page(PUBLIC),
    "readyz": page(PUBLIC),
    "preferences": act(PUBLIC),
    # API
    "api-schema": page(PUBLIC),
    "api-docs": page(PUBLIC),
    "api-customer-list": api(get="customers:read"),
    "api-customer-detail": api("customer number", get="customers:read", patch="customers:write"),
    "api-customer-view": api("customer number", get="customers:read"),
    "api-interaction-list": api(post="customers:write"),
    "api-ingest": api("feed", post="ingest:write"),
    "api-ingest-state": api("delivery", get="ingest:write"),
    "api-ingest-errors": api("delivery", get="ingest:write"),
    "api-tier-list": api(get="customers:read"),
    "api-assignment-list": api(get="customers:read"),
    "api-job-list": api(get="jobs:run", post="jobs:run"),
    "api-job-detail": api("run", get="jobs:run"),
    # audit
    "audit:entry-list": page("audit.read"),
    "audit:entry-detail": page("audit.read", "audit entry"),
    # jobs
    "jobs:run-list": page("job.read"),
    "jobs:run-start": act("job.run"),
    "jobs:run-detail": page("job.read", "run"),
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
    "segmentation:policy-list": page("policy.read"),
    "segmentation:policy": page("policy.read", "tier policy"),
    "segmentation:policy-edit": form("policy.draft", "tier policy"),
    "segmentation:policy-propose": act("policy.draft", "tier policy"),
    "segmentation:policy-publish": act("policy.publish", "tier policy"),
    "segmentation:policy-return": act("policy.publish", "tier policy"),
    "segmentation:policy-discard": act("policy.draft", "tier policy"),
    "segmentation:tier-why": page("customer.read", "customer", "customer"),
    "segmentation:tier-panel": page("customer.read", "customer", "customer"),
    # relationship
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
