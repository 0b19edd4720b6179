"""Which scorecard a kind of customers is scored by, the versions of each, and what came of those it graded (C12)."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db.models import (
    Count,
    DateField,
    Exists,
    ExpressionWrapper,
    F,
    Max,
    Min,
    OuterRef,
    Q,
    QuerySet,
    Sum,
)

from credit_rating.engine.classes import Level
from credit_rating.models import DECIDED, DevelopmentSample, LoanClass, Rating, Scorecard
from credit_rating.policies.grades import GRADES
from crm_site.accounts.versions import OPEN, VersionStatus
from crm_site.lib.permissions import Actor
from customers.models import MonthEnd

DEFAULT_DAYS = 90  # more days past due than these at a month-end are a default
WINDOW = dt.timedelta(days=365)


def scorecard_on(kind: str, day: dt.date) -> Scorecard | None:
    """The card of a kind in force on a day: the published one that began last, whatever its name."""
    published = Scorecard.objects.filter(kind=kind, status=VersionStatus.PUBLISHED, valid_from__lte=day)
    return published.order_by("-valid_from", "-published_at", "-id").first()


def scorecard(scorecard_id: int) -> Scorecard:
    """A version. Raises Scorecard.DoesNotExist."""
    return Scorecard.objects.select_related("drafted_by", "proposed_by", "published_by", "withdrawn_by").get(
        pk=scorecard_id
    )


def version_or_none(scorecard_id: int) -> Scorecard | None:
    """A version by key; None when there is none."""
    return Scorecard.objects.filter(pk=scorecard_id).first()


def scorecard_versions() -> QuerySet[Scorecard]:
    """Every version with its people and how many decisions used it (`decisions`), by kind, newest first."""
    found = Scorecard.objects.select_related(
        "drafted_by", "proposed_by", "published_by", "withdrawn_by"
    ).defer("body", "card")
    used = Count("ratings", filter=Q(ratings__status__in=DECIDED))
    return found.annotate(decisions=used).order_by("kind", "-pk")


def under_way(found: Scorecard) -> Scorecard | None:
    """The draft or proposal of a card's line, if there is one."""
    return Scorecard.objects.filter(**found.line, status__in=OPEN).first()


@dataclass(frozen=True, slots=True)
class Use:
    """Decided ratings of a version: how many, in how many of them people chose another grade, and their first and
    last day."""

    decisions: int
    overridden: int
    first: dt.date | None
    last: dt.date | None


def use_of(scorecard_id: int) -> Use:
    """What a version has decided."""
    found = Rating.objects.filter(scorecard_id=scorecard_id, status__in=DECIDED).aggregate(
        decisions=Count("pk"),
        overridden=Count("pk", filter=~Q(grade=F("model_grade"))),
        first=Min("as_of"),
        last=Max("as_of"),
    )
    return Use(**found)


def sample_of(actor: Actor, found: Scorecard) -> DevelopmentSample | None:
    """The sample a version was developed from, for those who may see samples."""
    return DevelopmentSample.objects.visible_to(actor).filter(developments__scorecard=found).first()


@dataclass(frozen=True, slots=True)
class Outcome:
    """Decided ratings of a grade. `whole`: those whose year is over, `defaults` of them; `expected`: the sum
    of their probabilities of default."""

    grade: str
    count: int
    whole: int
    defaults: int
    expected: Decimal

    @property
    def observed(self) -> Decimal | None:
        """Share of defaults among the whole ones."""
        return Decimal(self.defaults) / self.whole if self.whole else None

    @property
    def predicted(self) -> Decimal | None:
        """Mean probability of default of the whole ones."""
        return self.expected / self.whole if self.whole else None


def with_outcomes(ratings: QuerySet[Rating]) -> QuerySet[Any]:
    """Ratings with `defaulted`: more than 90 days past due at a month-end of the year after, or a loan classed
    substandard or worse in it."""
    until = ExpressionWrapper(F("as_of") + WINDOW, output_field=DateField())
    late = MonthEnd.objects.filter(
        customer_id=OuterRef("customer_id"),
        month_end__gt=OuterRef("as_of"),
        month_end__lte=OuterRef("until"),
        days_past_due__gt=DEFAULT_DAYS,
    )
    classed = LoanClass.objects.filter(
        customer_id=OuterRef("customer_id"),
        from_date__gt=OuterRef("as_of"),
        from_date__lte=OuterRef("until"),
        level__gte=Level.SUBSTANDARD,
    )
    return ratings.annotate(until=until).annotate(defaulted=Exists(late) | Exists(classed))


def backtest(day: dt.date, scorecard_id: int | None = None) -> list[Outcome]:
    """Decided ratings against what came later, by grade (with_outcomes).

    Of the whole bank, or of one version. A rating that followed another within the year counts from its own day.
    """
    ratings = Rating.objects.filter(status__in=DECIDED)
    if scorecard_id is not None:
        ratings = ratings.filter(scorecard_id=scorecard_id)
    whole = Q(as_of__lte=day - WINDOW)
    rows = (
        with_outcomes(ratings.order_by())
        .values("grade")
        .annotate(
            count=Count("pk"),
            whole=Count("pk", filter=whole),
            defaults=Count("pk", filter=whole & Q(defaulted=True)),
            expected=Sum("pd", filter=whole, default=Decimal(0)),
        )
    )
    found = {row["grade"]: Outcome(**row) for row in rows}
    return [found[grade] for grade in GRADES if grade in found]
