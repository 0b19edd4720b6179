"""What a case comes to: the dossier that is shown and hashed, the amount the matrix is asked about, the route (C6)."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from django.db.models import Q
from django.utils.translation import gettext as _

from credit_rating.engine.authority import Asked, Route
from credit_rating.engine.exposure import CapUse
from credit_rating.evidence import Evidence, find_evidence_of
from credit_rating.models import (
    CaseDossier,
    CaseKind,
    CreditCase,
    CreditLine,
    CreditPolicy,
    ExternalExposure,
    Guarantee,
    TieCorrection,
    credit_kind,
)
from credit_rating.models.calculations import content_hash
from credit_rating.models.cases import ENDED, STAGES
from credit_rating.models.guarantees import LIVE
from credit_rating.models.lines import HELD, LIVING, PROMISED
from credit_rating.policies import SHAPES, Body, read
from credit_rating.policies.authority import calculation_days_of, kin_steps_of, route_of
from credit_rating.policies.grades import GRADES
from credit_rating.selectors.at_stake import home_rates
from credit_rating.selectors.cases.files import told_files_of
from credit_rating.selectors.cases.people import Branches, without_branch_of
from credit_rating.selectors.exposure import broken_caps, related_customers
from credit_rating.selectors.external import newest_reports
from credit_rating.selectors.guarantees import Security, newest_valuations, security_of
from credit_rating.selectors.makers import Hand, hands_on
from credit_rating.selectors.policies import policy_on
from crm_site.lib.errors import DomainError
from crm_site.lib.money import round_cents
from customers.models import Customer

SUBJECT = "authority"
CENT = Decimal("0.01")


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
    kin_steps: int
    makers: tuple[tuple[int, str], ...]
    rating_id: int | None

    @property
    def hash(self) -> str:
        return content_hash(self.content)


def above_limit(case: CreditCase, limit: Decimal | None, amount: Decimal) -> Decimal:
    """By how much `amount`, all that the customer then has, is more than was calculated; 0 within the limit, without one,
    and for less than there is. A calculated limit is all that he can carry: two lines of it are an exception as much as
    one of twice its size."""
    if limit is None or case.kind == CaseKind.DECREASE:
        return Decimal(0)
    return max(amount - limit, Decimal(0))


def _asked_amount(case: CreditCase, day: dt.date, *, counting: Q = HELD) -> Decimal:
    """All that the customer then has: this case, his other lines, of ended ones what is drawn, and his other cases under
    way. So that nobody stays below an authority by asking in pieces, or while he owes what has run out.

    `counting`: HELD; PROMISED for what his lines then come to, beside which the caps count his loans themselves.
    """
    lines = CreditLine.objects.filter(counting, customer=case.customer)
    others = CreditCase.objects.filter(customer=case.customer, status__in=STAGES).exclude(pk=case.pk)
    return total_asked(case, lines, others, day)


def total_asked(
    case: CreditCase, lines: Iterable[CreditLine], others: Iterable[CreditCase], day: dt.date
) -> Decimal:
    """`_asked_amount` of the customer's lines and his other cases under way, read already."""
    return _together([line for line in lines if line.pk != case.line_id], [case, *others], day)


def asked_beside(customer: Customer, day: dt.date) -> Decimal:
    """All that the customer has, in the bank's currency, before he asks for anything new: his lines, changed as his cases
    under way ask, of ended ones what is drawn, and those cases. Raises DomainError without an exchange rate."""
    lines = CreditLine.objects.filter(HELD, customer=customer)
    return _together(lines, CreditCase.objects.filter(customer=customer, status__in=STAGES), day)


def _together(lines: Iterable[CreditLine], cases: Iterable[CreditCase], day: dt.date) -> Decimal:
    """What cases ask for and customers have of lines, a line that a case changes counted once."""
    cases = list(cases)
    changed = {case.line_id for case in cases if case.line_id}
    amounts = [(case.amount, case.currency) for case in cases]
    amounts += [(line.held, line.currency) for line in lines if line.pk not in changed]
    rates = home_rates({currency for _amount, currency in amounts}, day)
    return sum((round_cents(Decimal(amount) * rates[currency]) for amount, currency in amounts), Decimal(0))


def asked_in_all(case: CreditCase, day: dt.date) -> Decimal:
    """All that the customer then has, in the bank's currency, of a `seen_case`: as its dossier says; while its maker may
    still change it as it is on a day. Raises DomainError without an exchange rate."""
    told: str | None = getattr(case, "asked_told", None)
    return Decimal(told) if told and case.status in (*STAGES, *ENDED) else _asked_amount(case, day)


def asked_alone(case: CreditCase, day: dt.date) -> Decimal:
    """What a case asks for by itself, in the bank's currency. Raises DomainError without an exchange rate."""
    return _together([], [case], day)


def broken_by(case: CreditCase, today: dt.date) -> tuple[CapUse, ...]:
    """The regulator's caps that are broken once the customer has all that is asked for, by what is at stake today."""
    amount = _asked_amount(case, case.as_of or today, counting=PROMISED)
    return broken_caps({case.customer_id: amount}, today).get(case.customer_id, ())


@dataclass(frozen=True, slots=True)
class Grounds:
    """What the matrix is asked by, of cases of different customers, read together; by customer."""

    day: dt.date
    version: int | None
    body: Body
    calculations: Mapping[int, Evidence]
    named: Mapping[int, Evidence]
    ratings: Mapping[int, Evidence]
    security: Mapping[int, Security]
    lines: Mapping[int, list[CreditLine]]
    others: Mapping[int, list[CreditCase]]

    def asked(self, case: CreditCase) -> Decimal:
        """All that a case's customer then has."""
        return self._asked(case, self.lines.get(case.customer_id, []))

    def promised(self, case: CreditCase) -> Decimal:
        """What his lines then come to, without those that have ended."""
        return self._asked(case, [line for line in self.lines.get(case.customer_id, []) if line.is_promised])

    def _asked(self, case: CreditCase, lines: Iterable[CreditLine]) -> Decimal:
        return total_asked(case, lines, self.others.get(case.customer_id, []), self.day)


def grounds_of(cases: Sequence[CreditCase], day: dt.date) -> Grounds:
    """Read what the matrix is asked by; the cases are of different customers."""
    ids = [case.customer_id for case in cases]
    version, body = authority_policy(day)
    lines, others = _beside(cases)
    return Grounds(
        day, version, body,
        find_evidence_of("calculation", {c.customer_id: c.calculation_id for c in cases if c.calculation_id}),
        find_evidence_of("rating", {c.customer_id: c.rating_id for c in cases if c.rating_id}),
        find_evidence_of("rating", dict.fromkeys(ids)), security_of(ids, day), lines, others,
    )  # fmt: skip


def promised_by(cases: Sequence[CreditCase], day: dt.date) -> dict[int, Decimal]:
    """customer -> what its lines come to by its case (`Grounds.promised`), by which its group is asked; the cases are of
    different customers. Raises DomainError without an exchange rate."""
    lines, others = _beside(cases)
    return {
        one: total_asked(
            case, [line for line in lines.get(one, []) if line.is_promised], others.get(one, []), day
        )
        for case in cases
        for one in (case.customer_id,)
    }


def _beside(
    cases: Sequence[CreditCase],
) -> tuple[Mapping[int, list[CreditLine]], Mapping[int, list[CreditCase]]]:
    """Of the customers of some cases the lines that they have and the other cases under way."""
    ids = [case.customer_id for case in cases]
    lines: dict[int, list[CreditLine]] = defaultdict(list)
    for line in CreditLine.objects.filter(HELD, customer_id__in=ids).order_by("id"):
        lines[line.customer_id].append(line)
    others: dict[int, list[CreditCase]] = defaultdict(list)
    kept = [case.pk for case in cases if case.pk]
    for other in CreditCase.objects.filter(customer_id__in=ids, status__in=STAGES).exclude(pk__in=kept):
        others[other.customer_id].append(other)
    return lines, others


def asked_by(grounds: Grounds, case: CreditCase, *, grade: str | None = None) -> Asked:
    """What the matrix is asked about a case by the calculation that it names and the customer's rating in force,
    whichever the case began with. What a calculation assumes of somebody unrated is no grade. `grade`: of a rating that
    is decided together with the case. Raises DomainError when evidence is gone or no longer what was saved."""
    one = case.customer_id
    for name, key, found in (
        ("calculation", case.calculation_id, grounds.calculations),
        ("rating", case.rating_id, grounds.named),
    ):
        if key and one not in found:
            message = _("The evidence is not there any more, or is not what was saved.")
            raise DomainError(message, code="evidence", fields={name: message})
    calculation, rating = grounds.calculations.get(one), grounds.ratings.get(one)
    grade = grade if grade is not None else rating.grade if rating else ""
    kinds, usable = grounds.security[one]
    amount = grounds.asked(case)
    above = above_limit(case, calculation.limit if calculation else None, amount) > 0
    return Asked(
        amount, grade, str(credit_kind(case.customer)), kinds, above, usable=usable,
        uncalculated=_is_uncalculated(case, calculation, grade, grounds), excluded=case.customer.is_excluded,
    )  # fmt: skip


def asked_of(case: CreditCase, day: dt.date) -> Asked:
    """What the matrix is asked about a case (`asked_by`)."""
    return asked_by(grounds_of([case], day), case)


def _is_uncalculated(case: CreditCase, calculation: Evidence | None, grade: str, grounds: Grounds) -> bool:
    """Whether no calculation carries the case: there is none, it is too old, or it takes the customer for better than
    his rating says. Less than there is needs none."""
    if case.kind == CaseKind.DECREASE:
        return False
    if calculation is None or grade not in GRADES or GRADES.index(calculation.grade) < GRADES.index(grade):
        return True
    return (grounds.day - calculation.as_of).days > calculation_days_of(grounds.body)


def dossier_of(case: CreditCase, day: dt.date, today: dt.date) -> Dossier:
    """The dossier of a case as it is today, with the policy and rates of `day`."""
    return dossiers_of([case], day, Branches(today))[case.customer_id]


def dossiers_of(cases: Sequence[CreditCase], day: dt.date, branches: Branches) -> dict[int, Dossier]:
    """customer -> the dossier of its case; the cases are of different customers, and what they rest on is read together.
    `branches` says what day it is. Raises DomainError for what one of them lacks."""
    today, ids = branches.day, [case.customer_id for case in cases]
    grounds = grounds_of(cases, day)
    asked = {case.customer_id: asked_by(grounds, case) for case in cases}
    limits = {case.customer_id: grounds.promised(case) for case in cases}
    hands = hands_on(limits, today)
    makers = {case.customer_id: _makers(case, grounds, hands[case.customer_id]) for case in cases}
    staff = {one: [staff_id for staff_id, _part in found] for one, found in makers.items()}
    without = without_branch_of(cases, staff, kin_steps_of(grounds.body), branches)
    broken = broken_caps(limits, today)
    beside = Beside(
        related_customers(today), _guarantees(ids, today), told_files_of([c.pk for c in cases if c.pk]),
        newest_reports(ids, today), _corrections([c.pk for c in cases if c.pk]),
    )  # fmt: skip
    return {
        one: _composed(
            case, grounds, replace(asked[one], without_branch=one in without, breaks_cap=one in broken),
            makers[one], beside,
        )
        for case in cases
        for one in (case.customer_id,)
    }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Beside:
    """What else a dossier shows, read together: related parties, guarantees and newest reports of other banks by
    customer, files and mistaken ties by case."""

    related: Collection[int]
    guarantees: Mapping[int, list[dict[str, Any]]]
    files: Mapping[int, list[dict[str, object]]]
    reports: Mapping[int, list[ExternalExposure]]
    corrections: Mapping[int, list[dict[str, Any]]]


def _makers(case: CreditCase, grounds: Grounds, hands: Collection[Hand]) -> list[Hand]:
    calculation, rating = grounds.calculations.get(case.customer_id), grounds.ratings.get(case.customer_id)
    makers = [(case.prepared_by_id, "case"), *sorted(hands)]
    makers += [(s, "calculation") for s in (calculation.makers if calculation else ())]
    return makers + [(s, "rating") for s in (rating.makers if rating else ())]


def _composed(
    case: CreditCase, grounds: Grounds, asked: Asked, makers: Sequence[Hand], beside: Beside
) -> Dossier:
    customer, body = case.customer, grounds.body
    quorum, majority = int(body.params["quorum"]), int(body.params["majority_pct"])
    calculation, rating = grounds.calculations.get(customer.pk), grounds.ratings.get(customer.pk)
    living = [line for line in grounds.lines.get(customer.pk, []) if line.status in LIVING]
    route = route_of(body, asked)
    content: dict[str, Any] = {
        "case": {
            "number": case.number, "round": case.round, "kind": case.kind, "product": case.product.code,
            "currency": case.currency, "amount": str(case.amount), "term_months": case.term_months,
            "rate_bp": case.rate_bp, "purpose": case.purpose, "investigation": case.investigation,
            "prepared_by": case.prepared_by_id, "line": case.line.hashed_number if case.line else None,
        },
        "customer": {
            "id": customer.pk, "number": customer.number, "name": customer.name, "kind": asked.kind,
            "is_related": customer.pk in beside.related,
        },
        "calculation": _told(calculation), "rating": _told(rating),
        "guarantees": beside.guarantees.get(customer.pk, []),
        "lines": [
            {"number": x.hashed_number, "limit": str(x.limit), "currency": x.currency, "status": x.status,
             "expires_on": x.expires_on.isoformat()}
            for x in living
        ],
        "authority": {
            "policy_version": grounds.version, "amount": str(asked.amount), "grade": asked.grade,
            "guarantees": sorted(asked.guarantees), "above_limit": asked.above_limit, "route": list(route.stages),
            "why": route.why, "quorum": quorum, "majority_pct": majority,
        },
    }  # fmt: skip
    # Only where there are any: a case that began before they were known keeps its hash.
    if asked.uncalculated:
        content["authority"]["uncalculated"] = True
    if asked.breaks_cap:  # that it does, not by how much: figures of the whole group move every day
        content["authority"]["breaks_cap"] = True
    if asked.excluded:
        content["authority"]["excluded"] = True
    if asked.covered_pct is not None:
        content["authority"]["covered_pct"] = asked.covered_pct
    if case.sub_limits:
        content["case"]["sub_limits"] = "; ".join(f"{p} {a}" for p, a in sorted(case.sub_limits.items()))
    if case.pk in beside.files:
        content["files"] = beside.files[case.pk]
    if case.pk in beside.corrections:
        content["mistaken_ties"] = beside.corrections[case.pk]
    if report := beside.reports.get(customer.pk):
        content["other_banks"] = [_told_exposure(row) for row in report]
    return Dossier(
        content, route, quorum, majority, kin_steps_of(body), tuple(dict.fromkeys(makers)),
        rating.id if rating else None,
    )  # fmt: skip


def _corrections(cases: Sequence[int]) -> dict[int, list[dict[str, Any]]]:
    """case -> the ties that were declared mistaken while it was under way."""
    told: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for row in TieCorrection.objects.filter(case_id__in=cases).order_by("id"):
        told[row.case_id].append({"tie": row.record_id, "why": row.why, "by": row.by_id})
    return told


def _told_exposure(row: ExternalExposure) -> dict[str, Any]:
    return {
        "source": row.source, "report_date": row.report_date.isoformat(), "lender": row.lender,
        "reference": row.reference, "kind": row.kind, "currency": row.currency, "granted": str(row.granted),
        "outstanding": str(row.outstanding), "overdue": str(row.overdue), "level": row.level,
    }  # fmt: skip


def _told(evidence: Evidence | None) -> dict[str, Any] | None:
    if evidence is None:
        return None
    return {
        "number": evidence.number, "hash": evidence.hash, "as_of": evidence.as_of.isoformat(), "grade": evidence.grade,
        "limit": None if evidence.limit is None else str(evidence.limit), "rate_bp": evidence.rate_bp,
    }  # fmt: skip


def _guarantees(customers: Sequence[int], day: dt.date) -> dict[int, list[dict[str, Any]]]:
    """customer -> its live guarantees as facts (without what a day makes of them)."""
    found = Guarantee.objects.filter(customer_id__in=customers, status__in=LIVE).order_by("id")
    rows = list(found.select_related("collateral"))
    values = newest_valuations([g.collateral_id for g in rows if g.collateral_id], day)
    told: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for g in rows:
        value = values.get(g.collateral_id) if g.collateral_id else None
        told[g.customer_id].append({
            "id": g.pk, "kind": g.kind, "name": g.collateral.name if g.collateral else "", "guarantor": g.guarantor_id,
            "amount": str(g.amount), "lien_order": g.lien_order, "prior_liens": str(g.prior_liens),
            "value": str(value.value) if value else None,
            "valued_on": value.valued_on.isoformat() if value else None,
        })  # fmt: skip
    return told


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
        yield place, _leaf_text(value)


def _leaf_text(value: Any) -> str:
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    return "–" if value is None else str(value)


def changes_since(case: CreditCase, hash_seen: str) -> list[tuple[str, str, str]]:
    """What has changed in a case since the dossier of a hash; empty for a hash that never was."""
    kept = {d.hash: d.content for d in CaseDossier.objects.filter(case=case)}
    if hash_seen not in kept or case.dossier_hash not in kept:
        return []
    return changes(kept[hash_seen], kept[case.dossier_hash])


# What moves of a dossier when somebody repays what is drawn on a line that has ended.
_OWED = {"authority.amount", "authority.covered_pct"}


def still_holds(case: CreditCase, found: Dossier) -> bool:
    """Whether what was said of a case stands by its dossier of now: nothing has changed, or the customer only has less than
    was weighed, and the same people decide. Repayments come every month, and each would begin the case again."""
    if found.hash == case.dossier_hash:
        return True
    kept = case.dossiers.get(hash=case.dossier_hash).content
    moved = {place for place, _old, _new in changes(kept, found.content)}
    is_less = Decimal(found.content["authority"]["amount"]) < Decimal(kept["authority"]["amount"])
    return moved <= _OWED and is_less


def who_would_decide(asked: Asked, day: dt.date) -> tuple[Route, int | None]:
    """The route a case would take by the policy of a day, and the policy's version."""
    version, body = authority_policy(day)
    return route_of(body, asked), version
