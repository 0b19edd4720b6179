"""Which cases under way count a tie between two customers, or may, and which ties a case counts (C5, C6)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping
from decimal import Decimal

from django.db.models import Exists, Max, OuterRef, Q, QuerySet
from django.utils.timezone import localdate

from credit_rating.models import CreditCase, Guarantee, TieCorrection
from credit_rating.models.cases import OPEN
from credit_rating.models.guarantees import LIVE
from credit_rating.policies.authority import kin_steps_of
from credit_rating.selectors.cases import authority_policy, promised_by
from credit_rating.selectors.exposure import circle_of
from credit_rating.selectors.groups import circles_of, kin_around, tied_around
from crm_site.lib.errors import DomainError
from customers.models import RecordedTie


def cases_counting(ends: Collection[int], day: dt.date) -> QuerySet[CreditCase]:
    """Cases under way of anybody whose group, connected customers, relatives or fellow related parties either end may be
    among, or whose guarantors are. More than must be: a tie too many kept is no harm.

    Kin is asked as far as each case was computed with, and as far as the policy of the day goes: the next act may ask it.
    """
    steps = kin_steps_of(authority_policy(day)[1])
    open_ones = CreditCase.objects.filter(status__in=OPEN)
    most = open_ones.order_by().aggregate(most=Max("kin_steps"))["most"] or 0
    near = tied_around(ends, day)
    near |= circle_of(near, day)
    waves = kin_around(ends, max(steps, most) - 1)  # the tie itself is one step
    counts = _of(near.union(*waves[:steps]))
    for away, people in enumerate(waves[steps:], start=steps):
        counts |= _of(people) & Q(kin_steps__gt=away)
    return open_ones.filter(counts).order_by("id")


def ties_counted(case: CreditCase, day: dt.date) -> QuerySet[RecordedTie]:
    """Ties that staff recorded among a case's group and connected customers, as of a day or of its end: those that ended
    while it was under way too, and those that were declared mistaken in it."""
    if case.closed_at:
        day = localdate(case.closed_at)
    try:
        limits: Mapping[int, Decimal | None] = promised_by([case], case.as_of or day)
    except DomainError:
        limits = {case.customer_id: None}
    circle = {case.customer_id, *circles_of(limits, day, case.prepared_at)[case.customer_id]}
    counted = Q(customer_id__in=circle, other_id__in=circle) & (
        Q(ended_at__isnull=True) | Q(ended_at__gte=case.prepared_at)
    )
    if case.closed_at:
        counted &= Q(recorded_at__lte=case.closed_at)
    mistaken = TieCorrection.objects.filter(case=case).values("record")
    return RecordedTie.objects.filter(counted | Q(pk__in=mistaken))


def _of(people: Collection[int]) -> Q:
    promised = Guarantee.objects.filter(
        customer_id=OuterRef("customer_id"), status__in=LIVE, guarantor_id__in=people
    )
    return Q(customer_id__in=people) | Q(Exists(promised))
