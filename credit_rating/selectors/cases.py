"""Reads of approval cases: the dossier and its route, who may decide what, the inbox and one case (C6)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.utils.translation import gettext as _

from credit_rating.engine.authority import Asked, Route
from credit_rating.evidence import Evidence, find_evidence
from credit_rating.models import (
    CaseCondition,
    CaseCopy,
    CaseDossier,
    CaseMaker,
    CaseSeat,
    CaseStatus,
    CreditCase,
    CreditLine,
    CreditPolicy,
    Delegation,
    Guarantee,
    Opinion,
    OpinionPart,
    SeatKind,
    StaffRelation,
    Verdict,
    credit_kind,
)
from credit_rating.models.calculations import content_hash
from credit_rating.models.cases import APPROVING, STAGES
from credit_rating.models.guarantees import LIVE
from credit_rating.models.lines import LIVING
from credit_rating.policies import SHAPES, Body, read
from credit_rating.policies.authority import route_of
from credit_rating.selectors.exposure import related_customers
from credit_rating.selectors.guarantees import newest_valuations
from credit_rating.selectors.policies import policy_on
from crm_site.accounts.models import Bank, RoleGrant, Staff
from crm_site.lib.errors import DomainError
from crm_site.lib.permissions import ACTIONS, Actor, Role
from crm_site.lib.tenancy import require_bank
from customers.models import Customer, FxRate

SUBJECT = "authority"
CENT = Decimal("0.01")
STAGE_ROLES = {
    CaseStatus.BRANCH: Role.BRANCH_MANAGER,
    CaseStatus.HEADQUARTERS: Role.CREDIT_REVIEWER,
    CaseStatus.COMMITTEE: Role.COMMITTEE_MEMBER,
    CaseStatus.PRESIDENT: Role.PRESIDENT,
}


def authority_policy(day: dt.date) -> tuple[int | None, Body]:
    """(version, what it says) on a day; the defaults in a bank that was founded before the policy was known."""
    try:
        found = policy_on(SUBJECT, day)
    except CreditPolicy.DoesNotExist:
        return None, read(SHAPES[SUBJECT], SHAPES[SUBJECT].default(""))
    return found.version.version, found.body


# -- the dossier ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Dossier:
    """Everything that is shown to who decides, in JSON; its hash; the route; and who had a hand in what it rests on."""

    content: dict[str, Any]
    route: Route
    quorum: int
    majority_pct: int
    makers: tuple[tuple[int, str], ...]

    @property
    def hash(self) -> str:
        return content_hash(self.content)


def in_bank_currency(amount: Decimal, currency: str, day: dt.date) -> Decimal:
    """An amount in the bank's currency by the newest rate up to a day. Raises DomainError when there is none."""
    if currency == Bank.objects.values_list("currency", flat=True).get(pk=require_bank()):
        return amount
    rate = FxRate.objects.filter(currency=currency, rate_date__lte=day).order_by("-rate_date").first()
    if rate is None:
        message = _("There is no exchange rate for %s.") % currency
        raise DomainError(message, code="no_rate", fields={"currency": message})
    return (amount * rate.rate).quantize(CENT, rounding=ROUND_HALF_UP)


def _asked_amount(case: CreditCase, day: dt.date) -> Decimal:
    """All that the customer then has: this case, its other living lines and its other cases under way.

    So that nobody stays below an authority by asking in pieces.
    """
    lines = CreditLine.objects.filter(customer=case.customer, status__in=LIVING).exclude(pk=case.line_id or 0)
    others = CreditCase.objects.filter(customer=case.customer, status__in=STAGES).exclude(pk=case.pk)
    changed = {other.line_id for other in others if other.line_id}
    amounts = [(case.amount, case.currency)]
    amounts += [(other.amount, other.currency) for other in others]
    amounts += [(line.limit, line.currency) for line in lines if line.pk not in changed]
    return sum((in_bank_currency(Decimal(a), c, day) for a, c in amounts), Decimal(0))


def asked_of(case: CreditCase, day: dt.date) -> tuple[Asked, Evidence | None, Evidence | None]:
    """What the matrix is asked about a case, and the evidence it rests on. The rating's grade goes before the
    calculation's. Raises DomainError when named evidence is gone or no longer what was saved."""
    found = {}
    for name, key in (("calculation", case.calculation_id), ("rating", case.rating_id)):
        found[name] = find_evidence(name, case.customer_id, key) if key else None
        if key and found[name] is None:
            message = _("The evidence is not there any more, or is not what was saved.")
            raise DomainError(message, code="evidence", fields={name: message})
    calculation, rating = found["calculation"], found["rating"]
    grade = next((e.grade for e in (rating, calculation) if e is not None), "")
    own = in_bank_currency(Decimal(case.amount), case.currency, day)
    above = calculation is not None and calculation.limit is not None and own > calculation.limit
    kinds = Guarantee.objects.filter(customer=case.customer, status__in=LIVE).values_list("kind", flat=True)
    amount = _asked_amount(case, day)
    return Asked(amount, grade, str(credit_kind(case.customer)), frozenset(kinds), above), calculation, rating


def dossier_of(case: CreditCase, day: dt.date, today: dt.date) -> Dossier:
    """The dossier of a case as it is today, with the policy and rates of `day`."""
    asked, calculation, rating = asked_of(case, day)
    version, body = authority_policy(day)
    route = route_of(body, asked)
    quorum, majority = int(body.params["quorum"]), int(body.params["majority_pct"])
    customer = case.customer
    guarantees, enterers = _guarantees(customer, today)
    content = {
        "case": {
            "number": case.number, "round": case.round, "kind": case.kind, "product": case.product.code,
            "currency": case.currency, "amount": str(case.amount), "term_months": case.term_months,
            "rate_bp": case.rate_bp, "purpose": case.purpose, "investigation": case.investigation,
            "prepared_by": case.prepared_by_id, "line": case.line.number if case.line else None,
        },
        "customer": {
            "id": customer.pk, "number": customer.number, "name": customer.name, "kind": asked.kind,
            "is_related": customer.pk in related_customers(today),
        },
        "calculation": _told(calculation), "rating": _told(rating), "guarantees": guarantees,
        "lines": [
            {"number": x.number, "limit": str(x.limit), "currency": x.currency, "status": x.status,
             "expires_on": x.expires_on.isoformat()}
            for x in CreditLine.objects.filter(customer=customer, status__in=LIVING).order_by("id")
        ],
        "authority": {
            "policy_version": version, "amount": str(asked.amount), "grade": asked.grade,
            "guarantees": sorted(asked.guarantees), "above_limit": asked.above_limit, "route": list(route.stages),
            "why": route.why, "quorum": quorum, "majority_pct": majority,
        },
    }  # fmt: skip
    makers = [(case.prepared_by_id, "case"), *((s, "guarantee") for s in enterers)]
    makers += [(s, "calculation") for s in (calculation.makers if calculation else ())]
    makers += [(s, "rating") for s in (rating.makers if rating else ())]
    return Dossier(content, route, quorum, majority, tuple(dict.fromkeys(makers)))


def _told(evidence: Evidence | None) -> dict[str, Any] | None:
    if evidence is None:
        return None
    return {
        "number": evidence.number, "hash": evidence.hash, "as_of": evidence.as_of.isoformat(), "grade": evidence.grade,
        "limit": None if evidence.limit is None else str(evidence.limit), "rate_bp": evidence.rate_bp,
    }  # fmt: skip


def _guarantees(customer: Customer, day: dt.date) -> tuple[list[dict[str, Any]], list[int]]:
    """The live guarantees as facts (without what a day makes of them), and who entered them."""
    found = Guarantee.objects.filter(customer=customer, status__in=LIVE).order_by("id")
    rows = list(found.select_related("collateral"))
    values = newest_valuations([g.collateral_id for g in rows if g.collateral_id], day)
    told = []
    for g in rows:
        value = values.get(g.collateral_id) if g.collateral_id else None
        told.append({
            "id": g.pk, "kind": g.kind, "name": g.collateral.name if g.collateral else "", "guarantor": g.guarantor_id,
            "amount": str(g.amount), "lien_order": g.lien_order, "prior_liens": str(g.prior_liens),
            "value": str(value.value) if value else None,
            "valued_on": value.valued_on.isoformat() if value else None,
        })  # fmt: skip
    return told, [g.entered_by_id for g in rows if g.entered_by_id]


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """What differs between two dossiers: (place, before, after), in order of place."""
    old, new = dict(_leaves(before)), dict(_leaves(after))
    places = sorted(old.keys() | new.keys())
    return [(p, old.get(p, "–"), new.get(p, "–")) for p in places if old.get(p) != new.get(p)]


def _leaves(value: Any, place: str = "") -> Iterable[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, f"{place}.{key}" if place else str(key))
    elif isinstance(value, list):
        for number, inner in enumerate(value, start=1):
            yield from _leaves(inner, f"{place} {number}")
    else:
        yield place, "–" if value is None else str(value)


def changes_since(case: CreditCase, hash_seen: str) -> list[tuple[str, str, str]]:
    """What has changed in a case since the dossier of a hash; empty for a hash that never was."""
    kept = {d.hash: d.content for d in CaseDossier.objects.filter(case=case)}
    if hash_seen not in kept or case.dossier_hash not in kept:
        return []
    return changes(kept[hash_seen], kept[case.dossier_hash])


# -- who may decide -------------------------------------------------------------------------------------------------


def role_holders(role: Role, day: dt.date, customer: Customer | None = None) -> list[int]:
    """Active staff who hold a role on a day; with a customer: those whose place reaches its home branch."""
    found = RoleGrant.objects.in_force(day).filter(role=role, staff__is_active=True)
    if customer is not None:
        branch = customer.home_branch
        if branch is None:
            return []
        found = found.filter(unit__lft__lte=branch.lft, unit__rgt__gte=branch.rgt)
    return sorted(set(found.values_list("staff_id", flat=True)))


def objections(case: CreditCase, staff_id: int, day: dt.date) -> list[str]:
    """Why a person must not decide a case: "maker", "own", "relative", "decided", "recused"; empty: he may."""
    customers = {case.customer_id} | set(
        Guarantee.objects.filter(
            customer_id=case.customer_id, status__in=LIVE, guarantor__isnull=False
        ).values_list("guarantor_id", flat=True)
    )
    related = StaffRelation.objects.filter(
        Q(to_date__isnull=True) | Q(to_date__gte=day), staff_id=staff_id, from_date__lte=day
    )
    this_round = case.opinions.filter(round=case.round, voided_at__isnull=True)
    found = {
        "maker": case.prepared_by_id == staff_id or case.makers.filter(staff_id=staff_id).exists(),
        "own": case.customer.responsible_id == staff_id,
        "relative": related.filter(customer_id__in=customers).exists(),
        "decided": this_round.filter(Q(staff_id=staff_id) | Q(on_behalf_of_id=staff_id)).exists(),
        "recused": case.seats.filter(round=case.round, staff_id=staff_id).exclude(recused="").exists(),
    }
    return [code for code, holds in found.items() if holds]


@dataclass(frozen=True, slots=True)
class Capacity:
    """In what part a person may speak at the stage a case is at, in whose place, and what speaks against it."""

    part: OpinionPart
    on_behalf_of: int | None = None
    objections: tuple[str, ...] = ()


def delegators(staff_id: int, day: dt.date) -> list[int]:
    """Who is away on a day and has named this person."""
    found = Delegation.objects.filter(
        to_id=staff_id, from_date__lte=day, to_date__gte=day, ended_at__isnull=True
    )
    return list(found.order_by("id").values_list("staff_id", flat=True))


def capacity(actor: Actor, case: CreditCase, day: dt.date) -> Capacity | None:
    """What the actor may be at the case's stage: signer, voter or decider, of his own or for somebody away.

    None: nothing at all. One without objections goes before one with.
    """
    if actor.staff_id is None or not case.is_waiting:
        return None
    against = objections(case, actor.staff_id, day)
    found = []
    for person in (actor.staff_id, *delegators(actor.staff_id, day)):
        part = _part(case, person, day)
        if part is None:
            continue
        if person == actor.staff_id:
            found.append(Capacity(part, None, tuple(against)))
        elif part != OpinionPart.SIGNER:
            both = dict.fromkeys([*against, *objections(case, person, day)])
            found.append(Capacity(part, person, tuple(both)))
    return min(found, key=lambda c: len(c.objections), default=None)


def _part(case: CreditCase, staff_id: int, day: dt.date) -> OpinionPart | None:
    seat = case.seats.filter(round=case.round, stage=case.status, staff_id=staff_id).first()
    if seat is not None:
        return OpinionPart.VOTE if seat.kind == SeatKind.MEMBER else OpinionPart.SIGNER
    if case.status == CaseStatus.COMMITTEE:
        return None
    return OpinionPart.DECISION if staff_id in stage_people(case, day) else None


def stage_people(case: CreditCase, day: dt.date) -> list[int]:
    """Who decides at the case's stage by role (the committee: by seat)."""
    status = CaseStatus(case.status)
    if status == CaseStatus.COMMITTEE:
        seats = case.seats.filter(round=case.round, stage=status, kind=SeatKind.MEMBER, recused="")
        return list(seats.values_list("staff_id", flat=True))
    if status not in STAGE_ROLES:
        return []
    return role_holders(STAGE_ROLES[status], day, case.customer if status == CaseStatus.BRANCH else None)


def open_signers(case: CreditCase) -> list[CaseSeat]:
    """Signers of the stage whose opinion is outstanding."""
    spoken = case.opinions.filter(
        round=case.round, stage=case.status, part=OpinionPart.SIGNER, voided_at__isnull=True
    )
    seats = case.seats.filter(round=case.round, stage=case.status, kind=SeatKind.SIGNER, recused="")
    return list(seats.exclude(staff_id__in=spoken.values("staff_id")).select_related("staff"))


def deciding_staff(day: dt.date) -> QuerySet[Staff]:
    """Active staff with a role that decides on credit: who may be a signer or stand in for another."""
    roles = [role.value for role in ACTIONS["credit.decide"]]
    held = RoleGrant.objects.in_force(day).filter(staff_id=OuterRef("pk"), role__in=roles)
    return Staff.objects.active().filter(Exists(held)).order_by("number")


# -- inbox ----------------------------------------------------------------------------------------------------------

TABS = ("todo", "decided", "mine", "copied")
# What a row of the inbox shows and its stage's rules ask.
LISTED = (
    *("year", "serial", "kind", "currency", "amount", "status", "round", "prepared_at", "stage_since", "deadline"),
    *("dossier_hash", "customer__name", "customer__number", "product__name", "prepared_by__name"),
)


def inbox(actor: Actor, tab: str, *, day: dt.date) -> list[CreditCase]:
    """A person's cases: those that wait for him (soonest deadline first), that he has decided, made, or has copies of.

    At most 200 of the newest. `todo` leaves out what he must not decide.
    """
    seen = CreditCase.objects.visible_to(actor).select_related("customer", "product", "prepared_by").only(*LISTED)
    staff_id = actor.staff_id or 0
    if tab == "decided":
        said = Opinion.objects.filter(case_id=OuterRef("pk"), staff_id=staff_id)
        return list(seen.filter(Exists(said)).order_by("-id")[:200])
    if tab == "mine":
        return list(seen.filter(prepared_by_id=staff_id).order_by("-id")[:200])
    if tab == "copied":
        copied = CaseCopy.objects.filter(case_id=OuterRef("pk"), staff_id=staff_id)
        return list(seen.filter(Exists(copied)).order_by("-id")[:200])
    return _todo(actor, seen, day)


def _todo(actor: Actor, seen: Any, day: dt.date) -> list[CreditCase]:
    """Set-based for oneself and for each person one stands in for; `capacity` says the same of one case."""
    if actor.staff_id is None:
        return []
    own = actor.staff_id
    waiting = _free(_asked_of(seen.filter(status__in=STAGES), own, day), own, day)
    found = {case.pk: case for case in waiting.order_by("deadline", "id")[:200]}
    for away in delegators(own, day):
        both = _free(_free(_asked_of(seen.filter(status__in=STAGES), away, day), own, day), away, day)
        found |= {
            case.pk: case
            for case in both.order_by("deadline", "id")[:200]
            if not case.seats.filter(round=case.round, staff_id=away, kind=SeatKind.SIGNER).exists()
        }
    returned = seen.filter(status=CaseStatus.RETURNED, prepared_by_id=own)
    return [*sorted(found.values(), key=lambda c: (c.deadline, c.pk)), *returned.order_by("id")[:50]]


def _asked_of(cases: Any, staff_id: int, day: dt.date) -> Any:
    """Cases at a stage where a person speaks: by seat, or by a role whose place reaches the customer."""
    seat = CaseSeat.objects.filter(
        case_id=OuterRef("pk"), round=OuterRef("round"), stage=OuterRef("status"), staff_id=staff_id
    )
    asked = Q(Exists(seat))
    held = RoleGrant.objects.in_force(day).filter(staff_id=staff_id, staff__is_active=True)
    for role, lft, rgt in held.values_list("role", "unit__lft", "unit__rgt"):
        if role == Role.BRANCH_MANAGER:
            asked |= Q(
                status=CaseStatus.BRANCH,
                customer__home_branch__lft__gte=lft,
                customer__home_branch__rgt__lte=rgt,
            )
        elif role in (Role.CREDIT_REVIEWER, Role.PRESIDENT):
            asked |= Q(status=next(stage for stage, r in STAGE_ROLES.items() if r == role))
    return cases.filter(asked)


def _free(cases: Any, staff_id: int, day: dt.date) -> Any:
    """Cases that a person may decide as far as the four eyes go; `objections` says the same of one case."""
    guarantors = Guarantee.objects.filter(
        customer_id=OuterRef(OuterRef("customer_id")), status__in=LIVE, guarantor__isnull=False
    )
    related = StaffRelation.objects.filter(
        Q(to_date__isnull=True) | Q(to_date__gte=day), staff_id=staff_id, from_date__lte=day
    ).filter(Q(customer_id=OuterRef("customer_id")) | Q(customer_id__in=guarantors.values("guarantor_id")))
    of_case = {"case_id": OuterRef("pk")}
    of_round = {**of_case, "round": OuterRef("round")}
    spoken = Opinion.objects.filter(
        Q(staff_id=staff_id) | Q(on_behalf_of_id=staff_id), voided_at__isnull=True, **of_round
    )
    recused = CaseSeat.objects.filter(staff_id=staff_id, **of_round).exclude(recused="")
    return cases.exclude(prepared_by_id=staff_id).filter(
        ~Exists(CaseMaker.objects.filter(staff_id=staff_id, **of_case)),
        ~Exists(related),
        ~Exists(spoken),
        ~Exists(recused),
        Q(customer__responsible__isnull=True) | ~Q(customer__responsible_id=staff_id),
    )


def seen_case(actor: Actor, case_id: int) -> CreditCase:
    """A case that the actor may see. Raises CreditCase.DoesNotExist."""
    related = ("customer__home_branch", "customer__responsible", "product", "prepared_by", "line")
    found: CreditCase = CreditCase.objects.visible_to(actor).select_related(*related).get(pk=case_id)
    return found


def votes_are_hidden(case: CreditCase) -> bool:
    """Whether the committee is still voting: nobody sees anybody else's vote until it is closed."""
    return case.status == CaseStatus.COMMITTEE


@dataclass(frozen=True, slots=True)
class Record:
    """What has been said of a case as a reader may see it: opinions, and how many votes are in while they are hidden."""

    opinions: list[Opinion]
    hidden_votes: int = 0
    seats: list[CaseSeat] = field(default_factory=list)


def record_of(actor: Actor, case: CreditCase) -> Record:
    """Opinions, newest first. While the committee votes a reader sees of its votes his own alone."""
    found = case.opinions.select_related("staff", "on_behalf_of").prefetch_related("conditions")
    seats = list(case.seats.filter(round=case.round).select_related("staff"))
    if not votes_are_hidden(case):
        return Record(list(found), 0, seats)
    hidden = Q(round=case.round, part=OpinionPart.VOTE, voided_at__isnull=True) & ~Q(staff_id=actor.staff_id)
    return Record(list(found.exclude(hidden)), found.filter(hidden).count(), seats)


def conditions_of(case: CreditCase) -> list[CaseCondition]:
    """Conditions precedent of this round's approvals."""
    shown = ~Q(opinion__part=OpinionPart.VOTE) if votes_are_hidden(case) else Q()
    return list(
        case.conditions.filter(
            shown, opinion__round=case.round, opinion__voided_at__isnull=True,
            opinion__verdict=Verdict.CONDITIONAL,
        ).select_related("opinion__staff", "evidenced_by", "accepted_by")
    )  # fmt: skip


def open_conditions(case_id: int) -> int:
    """Conditions of an approval that nobody has accepted as met."""
    case = CreditCase.objects.filter(pk=case_id).first()
    return 0 if case is None else sum(1 for one in conditions_of(case) if one.accepted_at is None)


def vote_counts(case: CreditCase) -> dict[str, int]:
    """verdict -> votes of this round that count."""
    votes = case.opinions.filter(
        round=case.round, stage=CaseStatus.COMMITTEE, part=OpinionPart.VOTE, voided_at__isnull=True
    )
    return dict(votes.values_list("verdict").annotate(n=Count("id")).order_by())


def approving(verdict: str) -> bool:
    return verdict in [v.value for v in APPROVING]


def who_would_decide(asked: Asked, day: dt.date) -> tuple[Route, int | None]:
    """The route a case would take by the policy of a day, and the policy's version."""
    version, body = authority_policy(day)
    return route_of(body, asked), version
