"""Which cases under way count a tie between two customers, or may (C5, C6)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection

from django.db.models import Exists, Max, OuterRef, Q, QuerySet

from credit_rating.models import CreditCase, Guarantee
from credit_rating.models.cases import OPEN
from credit_rating.models.guarantees import LIVE
from credit_rating.policies.authority import kin_steps_of
from credit_rating.selectors.cases import authority_policy
from credit_rating.selectors.exposure import circle_of
from credit_rating.selectors.groups import kin_around, tied_around


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


def _of(people: Collection[int]) -> Q:
    promised = Guarantee.objects.filter(
        customer_id=OuterRef("customer_id"), status__in=LIVE, guarantor_id__in=people
    )
    return Q(customer_id__in=people) | Q(Exists(promised))
