"""What a case comes to: the dossier that is shown and hashed, the amount the matrix is asked about, the route (C6)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from django.utils.translation import gettext as _

from credit_rating.engine.authority import Asked, Route
from credit_rating.engine.exposure import CapUse
from credit_rating.evidence import Evidence, find_evidence
from credit_rating.models import (
    CaseDossier,
    CaseKind,
    CreditCase,
    CreditLine,
    CreditPolicy,
    ExternalExposure,
    Guarantee,
    credit_kind,
)
from credit_rating.models.calculations import content_hash
from credit_rating.models.cases import STAGES
from credit_rating.models.guarantees import LIVE
from credit_rating.models.lines import LIVING, PROMISED
from credit_rating.policies import SHAPES, Body, read
from credit_rating.policies.authority import calculation_days_of, kin_steps_of, route_of
from credit_rating.policies.grades import GRADES
from credit_rating.selectors.at_stake import home_rates
from credit_rating.selectors.cases.files import told_files
from credit_rating.selectors.cases.people import without_branch
from credit_rating.selectors.exposure import broken_caps, related_customers
from credit_rating.selectors.external import newest_report
from credit_rating.selectors.guarantees import newest_valuations, security_of
from credit_rating.selectors.makers import hands_on
from credit_rating.selectors.policies import policy_on
from crm_site.accounts.banks import home_currency
from crm_site.lib.errors import DomainError
from crm_site.lib.money import round_cents
from crm_site.lib.tenancy import require_bank
from customers.models import Customer, FxRate

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


def in_bank_currency(amount: Decimal, currency: str, day: dt.date) -> Decimal:
    """An amount in the bank's currency by the newest rate up to a day. Raises DomainError when there is none."""
    if currency == home_currency(require_bank()):
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
    lines = CreditLine.objects.filter(PROMISED, customer=case.customer)
    others = CreditCase.objects.filter(customer=case.customer, status__in=STAGES).exclude(pk=case.pk)
    return total_asked(case, lines, others, day)


def total_asked(
    case: CreditCase, living: Iterable[CreditLine], others: Iterable[CreditCase], day: dt.date
) -> Decimal:
    """`_asked_amount` of the customer's living lines and its other cases under way, read already."""
    others, lines = list(others), [line for line in living if line.pk != case.line_id]
    changed = {other.line_id for other in others if other.line_id}
    amounts = [(case.amount, case.currency)]
    amounts += [(other.amount, other.currency) for other in others]
    amounts += [(line.promised, line.currency) for line in lines if line.pk not in changed]
    rates = home_rates({currency for _amount, currency in amounts}, day)
    return sum((round_cents(Decimal(amount) * rates[currency]) for amount, currency in amounts), Decimal(0))


def broken_by(case: CreditCase, today: dt.date) -> tuple[CapUse, ...]:
    """The regulator's caps that are broken once the customer has all that is asked for, by what is at stake today."""
    amount = _asked_amount(case, case.as_of or today)
    return broken_caps({case.customer_id: amount}, today).get(case.customer_id, ())


def asked_of(
    case: CreditCase, day: dt.date, *, grade: str | None = None
) -> tuple[Asked, Evidence | None, Evidence | None]:
    """What the matrix is asked about a case, and the evidence it rests on: the calculation that it names, and the
    customer's rating in force, whichever the case began with. What a calculation assumes of somebody unrated is no
    grade. `grade`: of a rating that is decided together with the case. Raises DomainError when evidence is gone or no
    longer what was saved."""
    calculation = _named("calculation", case, case.calculation_id)
    _named("rating", case, case.rating_id)
    rating = find_evidence("rating", case.customer_id, None)
    grade = grade if grade is not None else rating.grade if rating else ""
    own = in_bank_currency(Decimal(case.amount), case.currency, day)
    above = calculation is not None and calculation.limit is not None and own > calculation.limit
    kinds, usable = security_of(case.customer, day)
    amount = _asked_amount(case, day)
    asked = Asked(
        amount, grade, str(credit_kind(case.customer)), kinds, above, usable=usable,
        uncalculated=_is_uncalculated(case, calculation, grade, day), excluded=case.customer.is_excluded,
    )  # fmt: skip
    return asked, calculation, rating


def _named(name: str, case: CreditCase, key: int | None) -> Evidence | None:
    found = find_evidence(name, case.customer_id, key) if key else None
    if key and found is None:
        message = _("The evidence is not there any more, or is not what was saved.")
        raise DomainError(message, code="evidence", fields={name: message})
    return found


def _is_uncalculated(case: CreditCase, calculation: Evidence | None, grade: str, day: dt.date) -> bool:
    """Whether no calculation carries the case: there is none, it is too old, or it takes the customer for better than
    his rating says. Less than there is needs none."""
    if case.kind == CaseKind.DECREASE:
        return False
    if calculation is None or grade not in GRADES or GRADES.index(calculation.grade) < GRADES.index(grade):
        return True
    return (day - calculation.as_of).days > calculation_days_of(authority_policy(day)[1])


def dossier_of(case: CreditCase, day: dt.date, today: dt.date) -> Dossier:
    """The dossier of a case as it is today, with the policy and rates of `day`."""
    asked, calculation, rating = asked_of(case, day)
    version, body = authority_policy(day)
    quorum, majority = int(body.params["quorum"]), int(body.params["majority_pct"])
    customer = case.customer
    guarantees = _guarantees(customer, today)
    makers = [(case.prepared_by_id, "case"), *sorted(hands_on([customer.pk], today)[customer.pk])]
    makers += [(s, "calculation") for s in (calculation.makers if calculation else ())]
    makers += [(s, "rating") for s in (rating.makers if rating else ())]
    steps = kin_steps_of(body)
    is_without = without_branch(case, [staff for staff, _part in makers], today, steps)
    breaks = bool(broken_caps({customer.pk: asked.amount}, today))
    asked = replace(asked, without_branch=is_without, breaks_cap=breaks)
    route = route_of(body, asked)
    content: dict[str, Any] = {
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
    # Only where there are any: a case that began before they were known keeps its hash.
    if asked.uncalculated:
        content["authority"]["uncalculated"] = True
    if breaks:  # that it does, not by how much: figures of the whole group move every day
        content["authority"]["breaks_cap"] = True
    if asked.excluded:
        content["authority"]["excluded"] = True
    if asked.covered_pct is not None:
        content["authority"]["covered_pct"] = asked.covered_pct
    if case.sub_limits:
        content["case"]["sub_limits"] = "; ".join(f"{p} {a}" for p, a in sorted(case.sub_limits.items()))
    if files := told_files(case):
        content["files"] = files
    if report := newest_report(ExternalExposure.objects.filter(customer=customer), today):
        content["other_banks"] = [_told_exposure(row) for row in report]
    return Dossier(
        content, route, quorum, majority, steps, tuple(dict.fromkeys(makers)), rating.id if rating else None
    )


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


def _guarantees(customer: Customer, day: dt.date) -> list[dict[str, Any]]:
    """The live guarantees as facts (without what a day makes of them)."""
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


def who_would_decide(asked: Asked, day: dt.date) -> tuple[Route, int | None]:
    """The route a case would take by the policy of a day, and the policy's version."""
    version, body = authority_policy(day)
    return route_of(body, asked), version
