"""Who must not decide a rating: the grade sets the authority, so the four eyes of a case hold for it as well (C2, C6)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from django.db.models import Q, QuerySet

from credit_rating.models import Rating
from credit_rating.policies.authority import kin_steps_of
from credit_rating.selectors.cases import authority_policy
from credit_rating.selectors.cases.people import against, kin_of
from credit_rating.selectors.makers import typed_by
from crm_site.lib.permissions import Actor, may

PREPARE = "credit.prepare"


def rating_objections(found: Rating, staff_id: int, day: dt.date) -> list[str]:
    """Why a person must not decide a rating: "maker" (who reckoned or confirmed it, or typed statements or the form it
    rests on), "own", "relative"; empty: he may."""
    return objections_of([found], staff_id, day)[found.pk]


def objections_of(ratings: Sequence[Rating], staff_id: int, day: dt.date) -> dict[int, list[str]]:
    """rating -> why a person must not decide it (`rating_objections`), read together."""
    return {key: found[staff_id] for key, found in _against(ratings, [staff_id], day).items()}


def free_to_decide(found: Rating, people: Sequence[int], day: dt.date) -> list[int]:
    """Those of some people whom nothing keeps from deciding a rating."""
    return [staff_id for staff_id, codes in _against([found], people, day)[found.pk].items() if not codes]


def _against(
    ratings: Sequence[Rating], people: Sequence[int], day: dt.date
) -> dict[int, dict[int, list[str]]]:
    """rating -> person -> what keeps him from deciding it."""
    steps, typed = kin_steps_of(authority_policy(day)[1]), typed_by([one.customer_id for one in ratings])
    kin = {staff_id: kin_of(staff_id, day, steps) for staff_id in people}
    found = {}
    for one in ratings:
        makers = {one.generated_by_id, one.submitted_by_id, *(s for s, _part in typed[one.customer_id])}
        own = {one.customer_id}
        found[one.pk] = {
            staff_id: against(staff_id, makers, one.customer.responsible_id, own, kin[staff_id])
            for staff_id in people
        }
    return found


def free_of(waits: QuerySet[Rating], actor: Actor, day: dt.date) -> QuerySet[Rating]:
    """Of ratings that wait those that nothing keeps the actor from deciding; `rating_objections` says the same of one."""
    me = actor.staff_id or 0
    # A maker may be unknown (a job's), and so a manager: then nobody is refused for it.
    waits = waits.exclude(Q(generated_by=me) | Q(submitted_by=me) | Q(customer__responsible=me))
    if kin_of(me, day, 0):
        waits = waits.exclude(customer__in=kin_of(me, day, kin_steps_of(authority_policy(day)[1])))
    if may(actor, PREPARE):  # who types figures leads a branch: its few ratings that wait
        found = list(waits.order_by().values_list("pk", "customer_id"))
        hands = typed_by(sorted({customer for _pk, customer in found}))
        typed = {key for key, people in hands.items() if me in {staff for staff, _part in people}}
        # By their ids, which have been read: a branch's customers are not looked through once more.
        waits = Rating.objects.filter(pk__in=[pk for pk, customer in found if customer not in typed])
    return waits
