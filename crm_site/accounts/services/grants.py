"""Role grants: one administrator proposes, another decides; nobody to himself."""

from __future__ import annotations

import datetime as dt

from django.db import IntegrityError, transaction
from django.utils.timezone import localdate
from django.utils.translation import gettext as _

from crm_site.accounts.models import Bank, GrantStatus, OrgUnit, RoleGrant, Staff
from crm_site.accounts.services.staff import end_sessions, locked, require_two_administrators
from crm_site.lib.errors import Conflict, DomainError
from crm_site.lib.permissions import HEADQUARTERS, Actor, Role, require

# So long one of the two who propose and decide may not have had his sign-in from the other.
FOREIGN_HANDS_HOURS = 72


def grantable(bank_id: int) -> list[Role]:
    """Roles that people of a bank may hold: operators exist at the platform alone, and nothing else does there."""
    if Bank.objects.filter(pk=bank_id, is_platform=True).exists():
        return [Role.OPERATOR]
    return [role for role in Role if role not in (Role.OPERATOR, Role.API)]


def propose_grant(
    actor: Actor, *, staff_id: int, role: str, unit_id: int, from_date: dt.date, to_date: dt.date | None,
    now: dt.datetime, comment: str = "",
) -> RoleGrant:  # fmt: skip
    """Propose a role of a person at a place from a day to a day (None: until revoked). Nothing holds before it is approved.

    A bank's only administrator may appoint the second one: that grant holds at once, as a founding one.
    Raises DomainError with fields; Conflict when the same role at the place is proposed or held in these days.
    """
    require(actor, "role.propose")
    if staff_id == actor.staff_id:
        text = _("Nobody gives himself a role: ask another administrator to propose it.")
        raise DomainError(text, code="oneself", fields={"role": text})
    wanted, staff = Role(role), locked(staff_id)
    _check_grant(actor, wanted, staff, unit_id, from_date, to_date)
    grant = RoleGrant(
        staff=staff, role=wanted, unit_id=unit_id, from_date=from_date, to_date=to_date, comment=comment,
        proposed_by_id=actor.staff_id, proposed_at=now,
    )  # fmt: skip
    if wanted in (Role.ADMINISTRATOR, Role.OPERATOR) and _is_first_of_two(actor, wanted):
        grant.status, grant.founding, grant.decided_at = GrantStatus.EFFECTIVE, True, now
    try:
        with transaction.atomic():
            grant.save()
    except IntegrityError as error:
        if "rolegrant_once" not in str(error):
            raise
        text = _("%(person)s has this role there already, or it waits for a decision, in these days.") % {
            "person": staff.name
        }
        raise Conflict(text, code="granted_already", fields={"role": text}) from error
    return grant


def decide_grant(
    actor: Actor, *, grant_id: int, approve: bool, now: dt.datetime, comment: str = ""
) -> RoleGrant:
    """Approve or reject what another administrator proposed. Conflict when it is decided already."""
    require(actor, "role.decide")
    grant = _locked_grant(grant_id)
    if grant.status != GrantStatus.PROPOSED:
        raise Conflict(
            _("Somebody was faster: this grant is %(state)s already.")
            % {"state": GrantStatus(grant.status).label.lower()},
            code="decided_already",
        )
    if grant.proposed_by_id == actor.staff_id:
        raise DomainError(
            _("You proposed this grant: another administrator decides on it."), code="second_person"
        )
    if grant.staff_id == actor.staff_id:
        raise DomainError(_("Nobody decides on his own role."), code="oneself")
    _check_hands(actor, grant, now)
    if approve and not grant.staff.is_active:
        raise DomainError(_("%s has left the bank.") % grant.staff.name, code="inactive")
    grant.status = GrantStatus.EFFECTIVE if approve else GrantStatus.REJECTED
    grant.decided_by_id, grant.decided_at = actor.staff_id, now
    grant.comment = comment or grant.comment
    grant.save(update_fields=["status", "decided_by", "decided_at", "comment"])
    return grant


def withdraw_grant(actor: Actor, *, grant_id: int) -> RoleGrant:
    """Take back what one proposed oneself, while nobody has decided on it. Twice: no change.

    Raises Conflict when it is decided already, DomainError for another's proposal (reject that instead).
    """
    require(actor, "role.propose")
    grant = _locked_grant(grant_id)
    if grant.proposed_by_id is None or grant.proposed_by_id != actor.staff_id:
        raise DomainError(_("Only who proposed it withdraws it."), code="not_yours")
    if grant.status == GrantStatus.WITHDRAWN:
        return grant
    if grant.status != GrantStatus.PROPOSED:
        raise Conflict(
            _("Somebody was faster: this grant is %(state)s already.")
            % {"state": GrantStatus(grant.status).label.lower()},
            code="decided_already",
        )
    grant.status = GrantStatus.WITHDRAWN
    grant.save(update_fields=["status"])
    return grant


def revoke_grant(actor: Actor, *, grant_id: int, now: dt.datetime, comment: str = "") -> RoleGrant:
    """Take a role away at once; the person's sessions end. Taking away needs no second person, giving does."""
    require(actor, "role.decide")
    grant = _locked_grant(grant_id)
    if grant.status != GrantStatus.EFFECTIVE:
        raise Conflict(
            _("Somebody was faster: this grant is %(state)s already.")
            % {"state": GrantStatus(grant.status).label.lower()},
            code="decided_already",
        )
    if grant.staff_id == actor.staff_id:
        raise DomainError(_("Not for yourself: ask another administrator."), code="oneself")
    if grant.role in (Role.ADMINISTRATOR, Role.OPERATOR):
        require_two_administrators(grant.staff, localdate(now))
    grant.status, grant.revoked_by_id, grant.revoked_at = GrantStatus.REVOKED, actor.staff_id, now
    grant.comment = comment or grant.comment
    grant.save(update_fields=["status", "revoked_by", "revoked_at", "comment"])
    end_sessions(grant.staff_id)
    return grant


def _check_grant(
    actor: Actor, role: Role, staff: Staff, unit_id: int, from_date: dt.date, to_date: dt.date | None
) -> None:
    fields: dict[str, str] = {}
    if role not in grantable(actor.bank_id):
        fields["role"] = _("People of this bank cannot hold this role.")
    if not staff.is_active:
        fields["role"] = _("%s has left the bank.") % staff.name
    unit = OrgUnit.objects.filter(pk=unit_id, is_open=True).first()
    if unit is None:
        fields["unit"] = _("There is no such open unit.")
    elif unit.parent_id is not None and role in HEADQUARTERS | {Role.ADMINISTRATOR, Role.OPERATOR}:
        fields["unit"] = _("This role reaches the whole bank: its place is the head office.")
    if to_date is not None and to_date < from_date:
        fields["to_date"] = _("The last day lies before the first.")
    if fields:
        raise DomainError(next(iter(fields.values())), code="grant", fields=fields)


def _is_first_of_two(actor: Actor, role: Role) -> bool:
    """Whether the actor is the only one who ever held the role here: the second one has nobody else to approve it."""
    given = RoleGrant.objects.filter(role=role).exclude(
        status__in=[GrantStatus.PROPOSED, GrantStatus.REJECTED]
    )
    return not given.exclude(staff=actor.staff_id).exists()


def _check_hands(actor: Actor, grant: RoleGrant, now: dt.datetime) -> None:
    """Who has just reset a colleague's sign-in could be that colleague, as decider or as proposer: the decision waits."""
    decider, proposer = Staff.objects.get(pk=actor.staff_id or 0), grant.proposed_by
    if proposer is not None and (
        _let_in(decider, by=proposer, used_at=now, now=now)
        or _let_in(proposer, by=decider, used_at=grant.proposed_at, now=now)
    ):
        raise DomainError(
            _(
                "One of you gave the other the sign-in less than 72 hours ago: somebody else decides, or you later."
            ),
            code="foreign_hands",
        )


def _let_in(person: Staff, *, by: Staff, used_at: dt.datetime, now: dt.datetime) -> bool:
    """Whether `person` acted at `used_at` with a sign-in that `by` gave lately.

    The sign-in that came before a founding appointment does not count: the first administrator chose the second one
    alone, and a new bank would have nobody to decide for three days. Any later reset does.
    """
    given = person.issued_at
    if person.issued_by_id != by.pk or given is None or given > used_at:
        return False
    if now - given >= dt.timedelta(hours=FOREIGN_HANDS_HOURS):
        return False
    return not RoleGrant.objects.filter(staff=person, founding=True, decided_at__gte=given).exists()


def _locked_grant(grant_id: int) -> RoleGrant:
    found = (
        RoleGrant.objects.select_for_update(of=("self",)).select_related("staff").filter(pk=grant_id).first()
    )
    if found is None:
        raise DomainError(_("There is no such grant."), code="no_grant")
    return found
