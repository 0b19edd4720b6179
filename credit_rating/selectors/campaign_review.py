"""Review by exception: which members of a campaign are decided by themselves, and why; read set-based (C9)."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from credit_rating.engine.campaigns import Seen, exceptions_of
from credit_rating.models import (
    Campaign,
    CampaignMember,
    CreditCase,
    CreditLine,
    LoanClass,
    Rating,
    RatingStatus,
    Signal,
)
from credit_rating.models.cases import OPEN as OPEN_CASES
from credit_rating.models.lines import LIVING
from credit_rating.policies.authority import route_of
from credit_rating.policies.campaign import rules_of
from credit_rating.policies.grades import GRADES
from credit_rating.selectors import cases
from credit_rating.selectors.campaigns import campaign_policy
from credit_rating.selectors.exposure import broken_caps, related_customers
from credit_rating.selectors.many import Reckoned, reckon_many
from credit_rating.selectors.warnings import OPEN as OPEN_WARNINGS
from customers.models import Customer

WAITING = (RatingStatus.DRAFT, RatingStatus.SUBMITTED)


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of a member's customer besides its rating and line. `line`: the living one of the campaign's
    product, where there is exactly one."""

    facts: frozenset[str]
    blocks: frozenset[str]
    line: CreditLine | None


def standing_of(
    campaign: Campaign, customers: Sequence[int], day: dt.date, currency: str
) -> dict[int, Standing]:
    """customer -> warnings, classes, register of related parties, lines and cases under way, exclusion list. Six statements."""
    ids = list(customers)
    barred = set(Customer.objects.filter(pk__in=ids, is_excluded=True).values_list("pk", flat=True))
    warned = set(
        Signal.objects.filter(OPEN_WARNINGS, customer_id__in=ids).values_list("customer_id", flat=True)
    )
    classed = set(
        LoanClass.objects.filter(customer_id__in=ids, until__isnull=True, level__gt=1).values_list(
            "customer_id", flat=True
        )
    )
    related = related_customers(day)
    lines: dict[int, list[CreditLine]] = defaultdict(list)
    living = CreditLine.objects.filter(customer_id__in=ids, status__in=LIVING, expires_on__gte=day)
    for line in living.filter(product=campaign.product_id, currency=currency).order_by("id"):
        lines[line.customer_id].append(line)
    under_way = CreditCase.objects.filter(
        customer_id__in=ids, product=campaign.product_id, status__in=OPEN_CASES
    )
    busy = set(under_way.values_list("customer_id", flat=True))
    found = {}
    for key in ids:
        facts = {"warning": key in warned, "class": key in classed, "related": key in related}
        blocks = {
            "excluded": key in barred,
            "case_open": key in busy,
            "several_lines": len(lines[key]) > 1,
        }
        own = lines[key][0] if len(lines[key]) == 1 else None
        found[key] = Standing(
            frozenset(c for c, holds in facts.items() if holds),
            frozenset(c for c, holds in blocks.items() if holds),
            own,
        )
    return found


def judge(
    campaign: Campaign,
    members: Sequence[CampaignMember],
    *,
    day: dt.date,
    currency: str,
    now_reckoned: Mapping[int, Reckoned] | None = None,
) -> dict[int, tuple[str, ...]]:
    """member -> why it is decided by itself; empty: it may go with a batch. Members come with rating and calculation.

    `now_reckoned`: customer -> what would come out now; another grade or line than is on record is "changed".
    """
    rules = rules_of(campaign_policy(day, campaign.kind))
    standings = standing_of(campaign, [m.customer_id for m in members], day, currency)
    found = {}
    for member in members:
        at = standings[member.customer_id]
        rating, calculation = member.rating, member.calculation
        facts, blocks = set(at.facts), set(at.blocks)
        if rating is not None:
            if rating.grade != rating.model_grade:
                facts.add("override")
            if rating.status not in WAITING:
                blocks.add("rating_decided")
            if now_reckoned is not None and _differs(member, rating, now_reckoned.get(member.customer_id)):
                blocks.add("changed")
            if calculation is not None and calculation.grade != rating.grade:
                blocks.add("changed")
        if "by_hand" in member.exceptions:
            blocks.add("by_hand")
        seen = Seen(
            grade=rating.grade if rating else "", limit=member.proposed, missing=member.missing,
            as_of=calculation.as_of if calculation else None,
            standing_limit=Decimal(at.line.limit) if at.line else None,
            facts=frozenset(facts), blocks=frozenset(blocks),
        )  # fmt: skip
        found[member.pk] = exceptions_of(seen, rules, GRADES, day)
    return found


def _differs(member: CampaignMember, rating: Rating, now: Reckoned | None) -> bool:
    if now is None:
        return True
    return (now.assessed.grade, now.proposed) != (rating.model_grade, member.proposed)


def reckon_again(
    campaign: Campaign, members: Sequence[CampaignMember], customers: Mapping[int, Customer], day: dt.date
) -> dict[int, Reckoned]:
    """customer -> what the members would be rated and given now, each with the grade that its rating says."""
    confirmed = {m.customer_id: m.rating.grade for m in members if m.rating is not None}
    return reckon_many(
        [customers[m.customer_id] for m in members], kind=campaign.kind, term_months=campaign.term_months,
        requested=Decimal(campaign.ceiling), day=day,
        grade_of=lambda found: confirmed.get(found.customer.pk, found.grade),
    )  # fmt: skip


def case_of(
    campaign: Campaign, member: CampaignMember, customer: Customer, line: CreditLine | None, currency: str
) -> CreditCase:
    """The case that a member would be, not saved: what the authority matrix is asked about."""
    return CreditCase(
        customer=customer, product=campaign.product, line=line, currency=currency, amount=member.proposed,
        term_months=campaign.term_months, calculation_id=member.calculation_id,
    )  # fmt: skip


def beyond_branch(found: Iterable[CreditCase], grades: Mapping[int, str], day: dt.date) -> set[int]:
    """`grades`: customer -> the grade that is decided with its case. Customers whose cases the branch does not decide finally: by the authority matrix, or for a broken cap."""
    would_be = list(found)
    grounds = cases.grounds_of(would_be, day)
    asked = {
        case.customer_id: cases.asked_by(grounds, case, grade=grades.get(case.customer_id))
        for case in would_be
    }
    broken = broken_caps({one: what.amount for one, what in asked.items()}, day)
    routes = {
        one: route_of(grounds.body, replace(what, breaks_cap=one in broken)) for one, what in asked.items()
    }
    return {one for one, route in routes.items() if route.stages != ("branch",)}
