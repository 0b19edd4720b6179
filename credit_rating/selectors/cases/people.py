"""Who may speak of a case, in what part and in whose place, and what speaks against it (C6)."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from django.db import connection
from django.db.models import Exists, OuterRef, QuerySet

from credit_rating.models import (
    CaseMaker,
    CaseSeat,
    CaseStatus,
    CreditCase,
    Delegation,
    Guarantee,
    Opinion,
    OpinionPart,
    SeatKind,
)
from credit_rating.models.cases import STAGES
from credit_rating.models.guarantees import LIVE
from crm_site.accounts.models import RoleGrant, Staff
from crm_site.lib.permissions import ACTIONS, SUBTREE, WHOLE_BANK, Actor, Role
from crm_site.lib.tenancy import require_bank
from customers.models import Customer

STAGE_ROLES = {
    CaseStatus.BRANCH: Role.BRANCH_MANAGER,
    CaseStatus.HEADQUARTERS: Role.CREDIT_REVIEWER,
    CaseStatus.COMMITTEE: Role.COMMITTEE_MEMBER,
    CaseStatus.PRESIDENT: Role.PRESIDENT,
}


def role_holders(role: Role, day: dt.date, customer: Customer | None = None) -> list[int]:
    """Active staff who hold a role on a day; with a customer: those whose place reaches its home branch."""
    found = RoleGrant.objects.in_force(day).filter(role=role, staff__is_active=True)
    if customer is not None:
        branch = customer.home_branch
        if branch is None:
            return []
        found = found.filter(unit__lft__lte=branch.lft, unit__rgt__gte=branch.rgt)
    return sorted(set(found.values_list("staff_id", flat=True)))


def kin_of(staff_id: int, day: dt.date, steps: int) -> set[int]:
    """Customers that a person is related to by the register, and all within `steps` family or group relations of them.

    The function is the database's: its guard of opinions (migration 0070_case_files) asks the same one.
    """
    with connection.cursor() as cursor:
        cursor.execute("select credit_rating_kin(%s, %s, %s, %s)", [require_bank(), staff_id, day, steps])
        return {key for (key,) in cursor.fetchall()}


class Branches:
    """Who decides at which branch or stage on a day, and whose relatives they are: each is read once, however many cases,
    or parts of one page, ask."""

    def __init__(self, day: dt.date) -> None:
        self.day = day
        self._at: dict[int | None, list[int]] = {}
        self._holding: dict[Role, list[int]] = {}
        self._kin: dict[tuple[int, int], set[int]] = {}

    def deciding(self, customer: Customer) -> list[int]:
        """Whose place reaches the customer's home branch."""
        branch = customer.home_branch_id
        if branch not in self._at:
            self._at[branch] = role_holders(Role.BRANCH_MANAGER, self.day, customer)
        return self._at[branch]

    def holding(self, role: Role) -> list[int]:
        """Who holds a role anywhere in the bank."""
        if role not in self._holding:
            self._holding[role] = role_holders(role, self.day)
        return self._holding[role]

    def kin(self, staff_id: int, steps: int) -> set[int]:
        if (staff_id, steps) not in self._kin:
            self._kin[staff_id, steps] = kin_of(staff_id, self.day, steps)
        return self._kin[staff_id, steps]


def without_branch(case: CreditCase, makers: Iterable[int], day: dt.date, steps: int) -> bool:
    """Whether nobody who decides at the customer's branch may decide this case, so that headquarters does instead.

    Asked while no stage above the branch has the case; from there on it stays what it was, so that a change of staff
    voids nobody's opinion.
    """
    return case.customer_id in without_branch_of([case], {case.customer_id: makers}, steps, Branches(day))


def without_branch_of(
    cases: Sequence[CreditCase], makers: Mapping[int, Iterable[int]], steps: int, branches: Branches
) -> set[int]:
    """Of cases of different customers those (by customer) that nobody at their branch may decide, as `without_branch`
    says of one. `makers`: by customer."""
    kept = [case.pk for case in cases if case.pk]  # what is not kept yet has neither makers nor seats
    known: dict[int, set[int]] = defaultdict(set)
    for key, staff_id in CaseMaker.objects.filter(case_id__in=kept).values_list("case_id", "staff_id"):
        known[key].add(staff_id)
    rounds = {case.pk: case.round for case in cases}
    seats = CaseSeat.objects.filter(case_id__in=kept).exclude(recused="")
    for key, round_, staff_id in seats.values_list("case_id", "round", "staff_id"):
        if rounds[key] == round_:
            known[key].add(staff_id)
    debtors = debtors_of([case.customer_id for case in cases])
    found = set()
    for case in cases:
        if case.status in STAGES and case.status != CaseStatus.BRANCH and case.route:
            if CaseStatus.BRANCH.value not in case.route:
                found.add(case.customer_id)
            continue
        own = makers[case.customer_id]
        apart = {*own, case.prepared_by_id, case.customer.responsible_id, *known.get(case.pk, ())}
        if all(
            staff_id in apart or debtors[case.customer_id] & branches.kin(staff_id, steps)
            for staff_id in branches.deciding(case.customer)
        ):
            found.add(case.customer_id)
    return found


def debtors_of(customers: Sequence[int]) -> dict[int, set[int]]:
    """customer -> itself and who promises for it."""
    found = {customer: {customer} for customer in customers}
    promised = Guarantee.objects.filter(customer_id__in=customers, status__in=LIVE, guarantor__isnull=False)
    for customer, guarantor in promised.values_list("customer_id", "guarantor_id"):
        found[customer].add(guarantor)
    return found


def objections(case: CreditCase, staff_id: int, day: dt.date, known: Branches | None = None) -> list[str]:
    """Why a person must not decide a case: "maker", "own", "relative", "decided", "recused"; empty: he may.

    `known`: what other parts of a page have read already.
    """
    # `all()` instead of filters: the page of a case has read these rows together (record.with_record).
    spoken = {who for o in _said(case) for who in (o.staff_id, o.on_behalf_of_id)}
    makers = {case.prepared_by_id, *(m.staff_id for m in case.makers.all())}
    kin = (known or Branches(day)).kin(staff_id, case.kin_steps)
    debtors = debtors_of([case.customer_id])[case.customer_id] if kin else set()
    found = against(staff_id, makers, case.customer.responsible_id, debtors, kin)
    if staff_id in spoken:
        found.append("decided")
    if any(s.staff_id == staff_id and s.recused for s in _seats(case)):
        found.append("recused")
    return found


def against(
    staff_id: int,
    makers: Collection[int | None],
    responsible_id: int | None,
    debtors: set[int],
    kin: set[int],
) -> list[str]:
    """What keeps a person from deciding anything of credit, a case or a rating: "maker", "own", "relative"."""
    found = {
        "maker": staff_id in makers,
        "own": responsible_id == staff_id,
        "relative": not debtors.isdisjoint(kin),
    }
    return [code for code, holds in found.items() if holds]


def _said(case: CreditCase) -> list[Opinion]:
    """The opinions of this round that count."""
    return [o for o in case.opinions.all() if o.round == case.round and o.voided_at is None]


def _seats(case: CreditCase) -> list[CaseSeat]:
    """The seats of this round."""
    return [seat for seat in case.seats.all() if seat.round == case.round]


@dataclass(frozen=True, slots=True)
class Capacity:
    """In what part a person may speak at the stage a case is at, in whose place, and what speaks against it."""

    part: OpinionPart
    on_behalf_of: int | None = None
    objections: tuple[str, ...] = ()


def delegations_to(staff_id: int, day: dt.date) -> dict[int, Delegation]:
    """Who is away on a day and has named this person: by whom, the one that lasts longest, with who it is."""
    found = Delegation.objects.filter(
        to_id=staff_id, from_date__lte=day, to_date__gte=day, ended_at__isnull=True
    )
    return {one.staff_id: one for one in found.select_related("staff").order_by("to_date", "id")}


def capacity(actor: Actor, case: CreditCase, day: dt.date, known: Branches | None = None) -> Capacity | None:
    """What the actor may be at the case's stage: signer, voter or decider, of his own or for somebody away.

    None: nothing at all. One without objections goes before one with.
    """
    if actor.staff_id is None or not case.is_waiting:
        return None
    known = known or Branches(day)
    against = objections(case, actor.staff_id, day, known)
    found = []
    for person in (actor.staff_id, *delegations_to(actor.staff_id, day)):
        part = _part(case, person, known)
        if part is None:
            continue
        if person == actor.staff_id:
            found.append(Capacity(part, None, tuple(against)))
        elif part != OpinionPart.SIGNER:
            both = dict.fromkeys([*against, *objections(case, person, day, known)])
            found.append(Capacity(part, person, tuple(both)))
    return min(found, key=lambda c: len(c.objections), default=None)


def _part(case: CreditCase, staff_id: int, known: Branches) -> OpinionPart | None:
    of_stage = (s for s in _seats(case) if s.stage == case.status)
    seat = next((s for s in of_stage if s.staff_id == staff_id), None)
    if seat is not None:
        return OpinionPart.VOTE if seat.kind == SeatKind.MEMBER else OpinionPart.SIGNER
    if case.status == CaseStatus.COMMITTEE:
        return None
    return OpinionPart.DECISION if staff_id in stage_people(case, known.day, known) else None


def stage_people(case: CreditCase, day: dt.date, known: Branches | None = None) -> list[int]:
    """Who decides at the case's stage by role (the committee: by seat)."""
    status = CaseStatus(case.status)
    if status == CaseStatus.COMMITTEE:
        seats = case.seats.filter(round=case.round, stage=status, kind=SeatKind.MEMBER, recused="")
        return list(seats.values_list("staff_id", flat=True))
    if status not in STAGE_ROLES:
        return []
    known = known or Branches(day)
    return (
        known.deciding(case.customer) if status == CaseStatus.BRANCH else known.holding(STAGE_ROLES[status])
    )


def open_signers(case: CreditCase) -> list[CaseSeat]:
    """Signers of the stage whose opinion is outstanding."""
    spoken = {o.staff_id for o in _said(case) if o.stage == case.status and o.part == OpinionPart.SIGNER}
    asked = [s for s in _seats(case) if s.stage == case.status and s.kind == SeatKind.SIGNER]
    return [seat for seat in asked if not seat.recused and seat.staff_id not in spoken]


def deciding_staff(day: dt.date) -> QuerySet[Staff]:
    """Active staff with a role that decides on credit: who may be a signer or stand in for another."""
    roles = [role.value for role in ACTIONS["credit.decide"]]
    held = RoleGrant.objects.in_force(day).filter(staff_id=OuterRef("pk"), role__in=roles)
    return Staff.objects.active().filter(Exists(held)).order_by("number")


def deciding_roles(staff: Iterable[int], day: dt.date) -> dict[int, list[Role]]:
    """person -> the roles by which he decides on credit on a day."""
    roles = [role.value for role in ACTIONS["credit.decide"]]
    held = RoleGrant.objects.in_force(day).filter(staff_id__in=list(staff), role__in=roles)
    found: dict[int, list[Role]] = defaultdict(list)
    for staff_id, role in held.order_by("staff_id", "role").values_list("staff_id", "role").distinct():
        found[staff_id].append(Role(role))
    return found


def stand_ins(actor: Actor, day: dt.date) -> QuerySet[Staff]:
    """Whom one may name to decide in one's place: of the deciding staff those who see whatever one decides on."""
    found = deciding_staff(day).exclude(pk=actor.staff_id or 0)
    held = RoleGrant.objects.in_force(day).filter(staff_id=OuterRef("pk"))
    sees_all = Exists(held.filter(role__in=WHOLE_BANK))
    if actor.has(WHOLE_BANK):
        return found.filter(sees_all)
    for lft, rgt in actor.intervals(SUBTREE):
        found = found.filter(
            sees_all | Exists(held.filter(role__in=SUBTREE, unit__lft__lte=lft, unit__rgt__gte=rgt))
        )
    return found
