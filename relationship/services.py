"""What is decided about who looks after whom: one function per business action (D1, D2)."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from django.db import connection, transaction
from django.utils.translation import gettext as _

from crm_site.accounts.models import OrgUnit, Staff
from crm_site.accounts.selectors import subtree
from crm_site.lib.errors import Conflict, DomainError
from crm_site.lib.money import to_minor
from crm_site.lib.permissions import Actor, require
from crm_site.lib.tenancy import act_as
from crm_site.work.services import notify, reassign_tasks
from customers.models import Customer
from customers.services.placement import Placement, place_customers
from relationship.engine.rules import WON_BY, Colleague
from relationship.models import Assignment, AssignmentProposal, ProposalStatus, Rule
from relationship.placement import refresh_loads
from relationship.proposing import colleagues, make_proposals

MAX_AHEAD_DAYS = 92  # an approval may take effect at most a quarter ahead
MAX_AT_ONCE = 20_000


class NotInQueue(DomainError):
    """The proposal is not in a queue that the actor may see."""

    status = 404


@dataclass(frozen=True)
class Refusal:
    """A proposal that was not approved, and why in words."""

    customer: str
    why: str


@dataclass(frozen=True)
class Outcome:
    """What an approval did. `already`: decided before, by this person's double click or by somebody else."""

    approved: int
    already: int
    refused: tuple[Refusal, ...]


def _lock(actor: Actor, action: str, ids: Collection[int]) -> list[AssignmentProposal]:
    """The proposals, locked in one order, after the permission check at each one's unit."""
    wanted = set(ids)
    if not wanted:
        raise DomainError(_("Select at least one customer."), code="nothing_selected")
    if len(wanted) > MAX_AT_ONCE:
        raise DomainError(_("At most %d customers at once.") % MAX_AT_ONCE, code="too_many")
    rows = list(
        AssignmentProposal.objects.visible_to(actor)
        .filter(pk__in=wanted)
        .select_related("unit", "customer", "manager")
        .order_by("pk")
        .select_for_update(of=("self",))
    )
    if len(rows) != len(wanted):
        raise NotInQueue(_("This proposal is not in your queue."), code="not_in_queue")
    for unit in {row.unit_id: row.unit for row in rows}.values():
        require(actor, action, unit)
    return rows


def approve_proposals(
    actor: Actor,
    *,
    proposals: Collection[int],
    effective_date: dt.date,
    working_day: dt.date,
    now: dt.datetime,
) -> Outcome:
    """Make the proposed people responsible from `effective_date` on; from `working_day` or before: at once.

    Approving twice, or two managers at once, approves once: what is decided already is counted, not repeated.
    A grade's bounds hold, except for who won the customer. Tasks go along, the new owner is told.
    Raises NotInQueue, PermissionDenied, DomainError for a date out of range.
    """
    if effective_date < working_day:
        raise DomainError(
            _("The date has passed."),
            code="date_passed",
            fields={"effective_date": _("The date has passed.")},
        )
    if effective_date > working_day + dt.timedelta(days=MAX_AHEAD_DAYS):
        message = _("At most %d days ahead.") % MAX_AHEAD_DAYS
        raise DomainError(message, code="date_far", fields={"effective_date": message})
    with transaction.atomic():
        act_as(actor)
        rows = _lock(actor, "assignment.approve", proposals)
        waiting = [row for row in rows if row.status == ProposalStatus.PROPOSED]
        accepted, refused = _within_bounds(actor.bank_id, waiting, effective_date)
        if accepted:
            _assign(actor, accepted, effective_date, working_day, now)
    return Outcome(len(accepted), len(rows) - len(waiting), tuple(refused))


def _within_bounds(
    bank_id: int, rows: Sequence[AssignmentProposal], day: dt.date
) -> tuple[list[AssignmentProposal], list[Refusal]]:
    """Which proposals can take effect. Locks the managers, so that two approvals never fill the same place."""
    managers = sorted({row.manager_id for row in rows if row.manager_id is not None})
    list(Staff.objects.filter(pk__in=managers).order_by("pk").select_for_update(no_key=True).values("pk"))
    staff = colleagues(bank_id, day)
    planned = set(
        Assignment.objects.filter(customer__in=[row.customer_id for row in rows], applied=False).values_list(
            "customer_id", flat=True
        )
    )
    accepted, refused = [], []
    for row in sorted(rows, key=lambda r: (-r.tier, -r.value, r.customer_id)):
        why = _obstacle(row, staff.get(row.manager_id or 0), row.customer_id in planned)
        if why:
            refused.append(Refusal(row.customer.name, why))
            continue
        staff[row.manager_id or 0].take(to_minor(row.value))
        accepted.append(row)
    return accepted, refused


def _obstacle(row: AssignmentProposal, colleague: Colleague | None, planned: bool) -> str:
    if row.manager is None:
        return _("Choose a manager first.")
    if colleague is None:
        return _("%s may not look after customers any more.") % row.manager.name
    if planned:
        return _("A change on a later date is decided already.")
    if row.rule != WON_BY and not colleague.has_room(to_minor(row.value)):
        return _("%s has no room left within the grade.") % row.manager.name
    return ""


def _assign(
    actor: Actor,
    rows: Sequence[AssignmentProposal],
    effective_date: dt.date,
    working_day: dt.date,
    now: dt.datetime,
) -> None:
    at_once = effective_date <= working_day
    customers = {
        c.pk: c
        for c in Customer.objects.filter(pk__in=[r.customer_id for r in rows])
        .order_by("pk")
        .select_for_update()
    }
    before = {c.responsible_id for c in customers.values() if c.responsible_id}
    Assignment.objects.filter(customer__in=list(customers), to_date__isnull=True).update(
        to_date=effective_date
    )
    Assignment.objects.bulk_create(
        [
            Assignment(
                customer_id=row.customer_id,
                manager_id=row.manager_id or 0,  # none is refused before
                unit_id=row.unit_id,
                from_date=effective_date,
                rule=row.rule,
                params=row.params,
                decided_by_id=actor.staff_id,
                decided_at=now,
                applied=at_once,
            )
            for row in rows
        ],
        batch_size=2000,
    )
    AssignmentProposal.objects.filter(pk__in=[row.pk for row in rows]).update(
        status=ProposalStatus.APPROVED,
        effective_date=effective_date,
        decided_by=actor.staff_id,
        decided_at=now,
    )
    counts: dict[int, int] = defaultdict(int)
    for row in rows:
        counts[row.manager_id or 0] += 1
    if at_once:
        place_customers(
            actor.bank_id,
            [Placement(r.customer_id, customers[r.customer_id].home_branch_id, r.manager_id) for r in rows],
        )
        reassign_tasks(actor.bank_id, {row.customer_id: row.manager_id for row in rows if row.manager_id})
        refresh_loads(actor.bank_id, working_day, sorted(before | set(counts)))
    for staff_id, count in counts.items():
        notify(
            [staff_id],
            "assignment",
            {"customers": count, "from": effective_date.isoformat()},
            "/customers/",
        )


def change_manager(
    actor: Actor, *, proposal_id: int, manager_id: int, day: dt.date, now: dt.datetime
) -> AssignmentProposal:
    """Put another person of the branch into an open proposal: the branch manager's choice.

    Raises NotInQueue, PermissionDenied, Conflict when it is decided already, DomainError for a person who cannot
    look after customers of this branch.
    """
    with transaction.atomic():
        act_as(actor)
        (row,) = _lock(actor, "assignment.propose", [proposal_id])
        if row.status != ProposalStatus.PROPOSED:
            raise Conflict(_("This proposal is decided already."), code="already_decided")
        if manager_id == row.manager_id:
            return row
        colleague = colleagues(actor.bank_id, day, branch_units(row.unit)).get(manager_id)
        if colleague is None or row.unit_id not in colleague.reach:
            raise DomainError(
                _("Choose a manager or a teller of this branch."),
                fields={"manager": _("Not of this branch.")},
            )
        row.params = {
            "rule": row.params.get("rule", row.rule),
            "instead_of": row.manager.name if row.manager else "",
            "customers": colleague.customers,
            "max_customers": colleague.max_customers,
        }
        row.manager_id, row.rule, row.proposed_by_id = manager_id, Rule.CHOSEN, actor.staff_id
        row.save(update_fields=["manager", "rule", "params", "proposed_by"])
        row.manager = Staff.objects.get(pk=manager_id)
    return row


def reject_proposals(
    actor: Actor, *, proposals: Collection[int], comment: str, working_day: dt.date, now: dt.datetime
) -> int:
    """Refuse proposals with a reason; the customers stay in the queue with the rules' next choice.

    Returns how many were refused; those decided already are left alone.
    """
    if not comment.strip():
        raise DomainError(_("Say why."), code="comment_missing", fields={"comment": _("Say why.")})
    with transaction.atomic():
        act_as(actor, reason=comment.strip())
        rows = [
            r for r in _lock(actor, "assignment.approve", proposals) if r.status == ProposalStatus.PROPOSED
        ]
        AssignmentProposal.objects.filter(pk__in=[row.pk for row in rows]).update(
            status=ProposalStatus.REJECTED,
            decided_by=actor.staff_id,
            decided_at=now,
            comment=comment.strip()[:200],
        )
        by_unit: dict[int, list[AssignmentProposal]] = defaultdict(list)
        for row in rows:
            by_unit[row.unit_id].append(row)
        for of_unit in by_unit.values():
            make_proposals(
                actor.bank_id,
                working_day,
                branch_units(of_unit[0].unit),
                customers=[row.customer_id for row in of_unit],
            )
    return len(rows)


def propose_for_branch(actor: Actor, *, unit: OrgUnit, working_day: dt.date) -> int:
    """Run the rules for a branch's queue now instead of tonight. Returns how many proposals changed."""
    require(actor, "assignment.propose", unit)
    with transaction.atomic(), connection.cursor() as cursor:
        act_as(actor)
        cursor.execute("select pg_advisory_xact_lock(%s, %s)", [actor.bank_id % 2**31, unit.pk % 2**31])
        refresh_loads(actor.bank_id, working_day)
        return make_proposals(actor.bank_id, working_day, branch_units(unit))[1]


def branch_units(unit: OrgUnit) -> list[OrgUnit]:
    """The units of the branch below the head office that the unit belongs to; people serve within it."""
    top = OrgUnit.objects.filter(
        lft__lte=unit.lft, rgt__gte=unit.rgt, parent__parent__isnull=True, parent__isnull=False
    ).first()
    return list(subtree(top or unit))
