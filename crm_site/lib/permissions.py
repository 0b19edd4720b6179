"""Who may do what, where: the actor, the role table and the one door to actions.

The same rule serves pages, API, exports, jobs and search. Rows are guarded by each queryset's
``visible_to(actor)``; actions by ``require(actor, action, unit)``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from django.core.exceptions import PermissionDenied
from django.utils.translation import gettext_lazy as _


class Role(StrEnum):
    OPERATOR = "operator"
    TELLER = "teller"
    RELATIONSHIP_MANAGER = "relationship_manager"
    BRANCH_MANAGER = "branch_manager"
    LINE_DEPARTMENT = "line_department"
    CREDIT_REVIEWER = "credit_reviewer"
    COMMITTEE_MEMBER = "committee_member"
    PRESIDENT = "president"
    RISK = "risk"
    MARKETING = "marketing"
    SERVICE_QUALITY = "service_quality"
    AUDITOR = "auditor"
    ADMINISTRATOR = "administrator"
    API = "api"


ROLE_LABELS = {
    Role.OPERATOR: _("Platform operator"),
    Role.TELLER: _("Teller"),
    Role.RELATIONSHIP_MANAGER: _("Relationship manager"),
    Role.BRANCH_MANAGER: _("Branch manager"),
    Role.LINE_DEPARTMENT: _("Line department"),
    Role.CREDIT_REVIEWER: _("Credit reviewer"),
    Role.COMMITTEE_MEMBER: _("Credit committee member"),
    Role.PRESIDENT: _("President"),
    Role.RISK: _("Risk"),
    Role.MARKETING: _("Marketing"),
    Role.SERVICE_QUALITY: _("Service quality"),
    Role.AUDITOR: _("Auditor"),
    Role.ADMINISTRATOR: _("Administrator"),
    Role.API: _("System"),
}

# Roles that see every customer of the bank. An administrator and an operator see none.
WHOLE_BANK = frozenset(
    {
        Role.CREDIT_REVIEWER,
        Role.COMMITTEE_MEMBER,
        Role.PRESIDENT,
        Role.RISK,
        Role.MARKETING,
        Role.SERVICE_QUALITY,
        Role.AUDITOR,
    }
)
# Roles that see the customers of a subtree of the organisation.
SUBTREE = frozenset({Role.BRANCH_MANAGER})
# Roles that see the customers they are responsible for.
OWN = frozenset({Role.RELATIONSHIP_MANAGER, Role.TELLER})
HEADQUARTERS = WHOLE_BANK | {Role.LINE_DEPARTMENT}

_OWN, _BRANCH, _HQ = OWN, SUBTREE, HEADQUARTERS
_READERS = _OWN | _BRANCH | _HQ
_CREDIT = frozenset(
    {
        Role.LINE_DEPARTMENT,
        Role.CREDIT_REVIEWER,
        Role.COMMITTEE_MEMBER,
        Role.PRESIDENT,
        Role.RISK,
        Role.AUDITOR,
    }
)

# action -> roles that may do it. A misspelt action raises.
ACTIONS: dict[str, frozenset[Role]] = {
    "bank.manage": frozenset({Role.OPERATOR}),
    # Operators exist in the platform's bank alone and manage its people there.
    "organisation.manage": frozenset({Role.ADMINISTRATOR, Role.OPERATOR}),
    "staff.manage": frozenset({Role.ADMINISTRATOR, Role.OPERATOR}),
    "role.propose": frozenset({Role.ADMINISTRATOR, Role.OPERATOR}),
    "role.decide": frozenset({Role.ADMINISTRATOR, Role.OPERATOR}),
    "administration.read": frozenset({Role.ADMINISTRATOR}),
    "api_client.manage": frozenset({Role.ADMINISTRATOR}),
    "audit.read": frozenset({Role.AUDITOR, Role.ADMINISTRATOR}),
    "job.read": frozenset({Role.ADMINISTRATOR, Role.RISK, Role.AUDITOR}),
    "job.run": frozenset({Role.ADMINISTRATOR, Role.API}),
    "customer.read": _READERS | {Role.API},
    "customer.write": _OWN | _BRANCH | {Role.MARKETING, Role.API},
    "customer.reveal": _READERS - {Role.MARKETING},
    "customer.export": _BRANCH | {Role.RISK, Role.MARKETING, Role.AUDITOR, Role.RELATIONSHIP_MANAGER},
    "customer.locate": _READERS,
    "interaction.write": _OWN | _BRANCH | {Role.SERVICE_QUALITY, Role.LINE_DEPARTMENT, Role.API},
    "task.write": _READERS | {Role.API},
    # Ties between customers: who meets them, and who judges their credit.
    "tie.record": _BRANCH
    | {Role.RELATIONSHIP_MANAGER, Role.LINE_DEPARTMENT, Role.CREDIT_REVIEWER, Role.RISK},
    # That a tie was recorded by mistake, while cases count it: who makes none of them.
    "tie.correct": frozenset({Role.RISK}),
    "import.upload": frozenset({Role.ADMINISTRATOR, Role.MARKETING}),
    "import.undo": frozenset({Role.ADMINISTRATOR, Role.MARKETING}),
    "ingest.write": frozenset({Role.API}),
    "ingest.run": frozenset({Role.API, Role.ADMINISTRATOR, Role.MARKETING}),
    "credit.read": _OWN | _BRANCH | _CREDIT,
    "credit.overview": _BRANCH | _CREDIT,
    "credit.prepare": frozenset({Role.RELATIONSHIP_MANAGER, Role.BRANCH_MANAGER}),
    "credit.decide": frozenset(
        {Role.BRANCH_MANAGER, Role.CREDIT_REVIEWER, Role.COMMITTEE_MEMBER, Role.PRESIDENT}
    ),
    "scorecard.develop": frozenset({Role.RISK, Role.LINE_DEPARTMENT, Role.API}),
    "outcome.use": frozenset({Role.RISK, Role.API}),
    "rating.decide": frozenset({Role.BRANCH_MANAGER, Role.CREDIT_REVIEWER}),
    "credit_policy.draft": frozenset({Role.RISK, Role.LINE_DEPARTMENT}),
    "credit_policy.publish": frozenset({Role.RISK, Role.PRESIDENT}),
    "credit_policy.try": frozenset({Role.RISK, Role.LINE_DEPARTMENT, Role.PRESIDENT}),
    "credit_register.manage": frozenset({Role.RISK}),
    "line.manage": frozenset({Role.CREDIT_REVIEWER, Role.RISK}),
    "line.control": frozenset({Role.API}),
    "loan_class.lower": frozenset({Role.RISK}),
    "warning.handle": frozenset({Role.RELATIONSHIP_MANAGER, Role.BRANCH_MANAGER, Role.RISK}),
    "warning.raise": frozenset({Role.RISK, Role.API}),
    "campaign.manage": frozenset({Role.LINE_DEPARTMENT}),
    "campaign.zone": _BRANCH,
    "campaign.rate": _BRANCH | {Role.LINE_DEPARTMENT},
    "segmentation.read": _BRANCH | _HQ,
    "policy.read": _READERS | {Role.ADMINISTRATOR},
    "policy.draft": frozenset({Role.LINE_DEPARTMENT, Role.RISK, Role.MARKETING}),
    "policy.publish": frozenset({Role.RISK, Role.PRESIDENT, Role.MARKETING}),
    "model.read": _BRANCH | _HQ,
    "model.train": frozenset({Role.RISK, Role.PRESIDENT, Role.API}),
    "model.approve": frozenset({Role.RISK, Role.PRESIDENT}),
    "assignment.read": _READERS | {Role.API},
    "assignment.propose": _BRANCH,
    "assignment.approve": _BRANCH,
    "dashboard.branch": _BRANCH | _HQ,
    "dashboard.bank": _HQ,
}


class Place(Protocol):
    """Anything with an interval in the organisation tree (an org unit)."""

    lft: int
    rgt: int


@dataclass(frozen=True, slots=True)
class Grant:
    """A role held at a place: the organisation interval lft..rgt it reaches."""

    role: Role
    lft: int
    rgt: int


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: a person, a machine client or a job of one bank. Handed explicitly to selectors and services."""

    bank_id: int
    label: str
    staff_id: int | None = None
    client_id: str = ""
    run_id: int | None = None
    grants: tuple[Grant, ...] = ()
    scopes: frozenset[str] = frozenset()
    unit_id: int | None = None
    unit_name: str = ""
    line_department: str = ""
    covers: tuple[int, ...] = ()
    language: str = "en"
    request_id: str = ""
    address: str = ""
    reason: str = field(default="", compare=False)

    @property
    def roles(self) -> frozenset[Role]:
        return frozenset(grant.role for grant in self.grants)

    def has(self, roles: Iterable[Role]) -> bool:
        """Whether the actor holds any of the roles, anywhere."""
        return not self.roles.isdisjoint(roles)

    @property
    def portfolio(self) -> tuple[int, ...]:
        """Staff whose customers the actor looks after: itself and those it covers for."""
        return () if self.staff_id is None else (self.staff_id, *self.covers)

    def intervals(self, roles: Iterable[Role]) -> list[tuple[int, int]]:
        """Organisation intervals that the given roles of the actor reach."""
        wanted = frozenset(roles)
        return sorted({(g.lft, g.rgt) for g in self.grants if g.role in wanted})


SYSTEM_GRANT = (Grant(Role.API, 0, 2_147_483_647),)


def system_actor(bank_id: int, label: str, run_id: int | None = None) -> Actor:
    """The actor of a job or a command: no person, every row of the one bank, the actions of role `api`."""
    return Actor(bank_id=bank_id, label=label, run_id=run_id, grants=SYSTEM_GRANT)


def may(actor: Actor, action: str, place: Place | None = None) -> bool:
    """Whether the actor may do the action (at the place, when one is given). KeyError for an unknown action."""
    roles = ACTIONS[action]
    for grant in actor.grants:
        if grant.role not in roles:
            continue
        if place is None or grant.role in HEADQUARTERS or grant.role is Role.API:
            return True
        if grant.lft <= place.lft and place.rgt <= grant.rgt:
            return True
    return False


def require(actor: Actor, action: str, place: Place | None = None) -> None:
    """Raise PermissionDenied (403) unless the actor may do the action."""
    if not may(actor, action, place):
        raise PermissionDenied(action)


def require_person(actor: Actor, action: str) -> int:
    """The member of staff who acts, as `require`; machines and jobs are no person (403)."""
    require(actor, action)
    if actor.staff_id is None:
        raise PermissionDenied(action)
    return actor.staff_id


def check_actions(names: Iterable[Any]) -> None:
    """Raise KeyError for an action that the table does not know (used when URLs and panels register)."""
    for name in names:
        ACTIONS[name]
