"""What waits in credit, whoever's turn it is: cases by stage and age, ratings to decide."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.db.models import Case, CharField, Count, Exists, OuterRef, Q, QuerySet, Value, When

from credit_rating.models import BatchStatus, CampaignMember, CreditCase, Rating, RatingStatus
from credit_rating.models.cases import STAGES
from credit_rating.selectors.cases import as_listed, counted
from credit_rating.selectors.rating_people import free_of
from crm_site.lib.dates import end_of
from crm_site.lib.permissions import SUBTREE, Actor, Role, may

DECIDE_RATING = "rating.decide"

EVERYBODY = "waiting"  # the tab of every case that waits
PAGE = 100
# How long a case has been where it is: from so many days (inclusive). LATE, past its deadline, goes before all of them.
AGES = {"new": 0, "days": 3, "week": 6, "long": 11}
LATE = "late"


def age_of(age: str, today: dt.date) -> Q:
    """Cases of an age: past their deadline, or so long at their stage and not past it."""
    if age == LATE:
        return Q(deadline__lt=today)
    order = list(AGES)
    following = order.index(age) + 1
    found = Q(stage_since__lt=end_of(today - dt.timedelta(days=AGES[age])))
    if following < len(order):
        found &= Q(stage_since__gte=end_of(today - dt.timedelta(days=AGES[order[following]])))
    return found & (Q(deadline__gte=today) | Q(deadline__isnull=True))


def stage_ages(actor: Actor, today: dt.date) -> dict[tuple[str, str], int]:
    """(stage, age) -> cases that wait there; one statement."""
    ages = Case(
        *(When(age_of(age, today), then=Value(age)) for age in (LATE, *AGES)),
        default=Value("new"), output_field=CharField(),
    )  # fmt: skip
    waiting = CreditCase.objects.visible_to(actor).filter(status__in=STAGES)
    rows = waiting.order_by().annotate(age=ages).values_list("status", "age").annotate(n=Count("pk"))
    return {(status, age): n for status, age, n in rows}


@dataclass(frozen=True, slots=True)
class CasePage:
    """A page of cases `as_listed`, soonest deadline first; how many there are on all pages (MOST_COUNTED + 1: more than
    are counted); and the key of the next page ("" at the end)."""

    rows: list[CreditCase]
    count: int
    following: str


def waiting_cases(actor: Actor, *, stage: str, age: str, today: dt.date, after: str = "") -> CasePage:
    """Every case that waits at a stage, whoever's turn it is. `stage`, `age` (of AGES or LATE): "" means all."""
    found = CreditCase.objects.visible_to(actor).filter(status__in=[stage] if stage in STAGES else STAGES)
    if age in (*AGES, LATE):
        found = found.filter(age_of(age, today))
    count = counted(found)
    due, _colon, key = after.partition(":")
    try:
        at, last = dt.date.fromisoformat(due), int(key)
        found = found.filter(deadline__gte=at).filter(Q(deadline__gt=at) | Q(pk__gt=min(last, 2**63 - 1)))
    except ValueError:
        pass  # no key, or a broken one: the first page
    rows = list(as_listed(found).order_by("deadline", "pk")[: PAGE + 1])
    following = f"{rows[PAGE - 1].deadline}:{rows[PAGE - 1].pk}" if len(rows) > PAGE else ""
    return CasePage(rows[:PAGE], count, following)


def waiting_ratings(actor: Actor) -> int:
    """Ratings that wait for somebody to decide, of the customers that the actor sees."""
    return Rating.objects.visible_to(actor).filter(status=RatingStatus.SUBMITTED).count()


def ratings_to_decide(actor: Actor, day: dt.date) -> QuerySet[Rating]:
    """Ratings that wait and that the actor may decide: of his branch or, as a reviewer, of the bank; never his own, of
    his own customer or of a relative.

    Those of a campaign's batch are decided by the one signature for it and are nobody's work one by one.
    """
    waits = Rating.objects.visible_to(actor).filter(status=RatingStatus.SUBMITTED)
    if actor.staff_id is None or not may(actor, DECIDE_RATING):
        return waits.none()
    if not actor.has({Role.CREDIT_REVIEWER}):
        branches = Q(pk__in=[])
        for lft, rgt in actor.intervals(SUBTREE):
            branches |= Q(customer__home_branch__lft__gte=lft, customer__home_branch__rgt__lte=rgt)
        waits = waits.filter(branches)
    batched = CampaignMember.objects.filter(rating=OuterRef("pk"), batch__status=BatchStatus.PROPOSED)
    return free_of(waits.exclude(Exists(batched)), actor, day)
