"""Two steps of the night: `ratings` expire or fall due for review by arrears and deposits; `reviews`, after the early
warnings, by what these and new statements and reports tell (review_news).

Both become tasks of the relationship manager: a rating that has expired or soon will, and one that is due for review.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from django.db.models import Exists, F, OuterRef, Q
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from credit_rating.models import Rating, RatingStatus
from credit_rating.nightly import plan_customers
from credit_rating.policies import Body
from credit_rating.policies.rating_rules import ReviewReason, review_days
from credit_rating.review_news import news_of
from credit_rating.selectors.ratings import rules_on
from crm_site.lib import formats
from crm_site.lib.registry import Counts, RunContext, Step, WorkReason, add_step, add_work_reason
from crm_site.work.services import TaskRow, put_tasks
from crm_site.work.urgency import pressing

EXPIRED_DAYS = 30  # how long an expired rating stays on the list of who should renew it
SOURCES = ("rating_expired:", "rating_expiring:", "rating_review:")


def ratings(context: RunContext, chunk: Mapping[str, Any]) -> Counts:
    """See to the ratings of a range of customers. A night for a past date leaves them alone."""
    if not context.is_newest:
        return Counts()
    first, last = int(chunk["lo"]), int(chunk["hi"])
    day = context.business_date
    here = Rating.objects.filter(customer_id__gte=first, customer_id__lte=last)
    expired = here.filter(status=RatingStatus.APPROVED, expires_on__lte=day).update(
        status=RatingStatus.EXPIRED
    )
    rules = _rules(here, day)
    due = _mark_due(here.filter(status=RatingStatus.APPROVED, review_since=None), rules, day)
    return Counts(int(chunk["rows"]), expired + due + _put(context, chunk, rules))


def reviews(context: RunContext, chunk: Mapping[str, Any]) -> Counts:
    """What the night's warnings, statements and reports of other banks say that a rating did not know."""
    if not context.is_newest:
        return Counts()
    day = context.business_date
    here = Rating.objects.filter(customer_id__gte=int(chunk["lo"]), customer_id__lte=int(chunk["hi"]))
    standing = here.filter(status=RatingStatus.APPROVED, review_since=None)
    rules = _rules(standing, day)
    found = news_of(standing, rules, day) if rules else {}
    if not found:
        return Counts(int(chunk["rows"]))
    for reason in sorted(set(found.values())):
        keys = [key for key, why in found.items() if why == reason]
        Rating.objects.filter(pk__in=keys).update(review_since=day, review_reason=reason)
    return Counts(int(chunk["rows"]), len(found) + _put(context, chunk, _rules(here, day)))


def _rules(ratings: Any, day: dt.date) -> dict[str, Body]:
    return {
        kind: rules_on(day, kind)[1] for kind in ratings.order_by().values_list("kind", flat=True).distinct()
    }


def _put(context: RunContext, chunk: Mapping[str, Any], rules: Mapping[str, Body]) -> int:
    span = int(chunk["lo"]), int(chunk["hi"])
    here = Rating.objects.filter(customer_id__gte=span[0], customer_id__lte=span[1])
    day = context.business_date
    counts = put_tasks(
        context.bank_id,
        list(_tasks(here, rules, day)),
        sources=SOURCES,
        as_of=day,
        run_id=context.run_id,
        customers=span,
    )
    return counts.changed + counts.cancelled


def _mark_due(standing: Any, rules: Mapping[str, Body], day: dt.date) -> int:
    if not rules:
        return 0
    # Only who is in arrears, or had deposits that count and has no more than then, can be due: few of a bank's ratings.
    late_from, drop_from = (
        min(body.params[name] for body in rules.values())
        for name in ("review_arrears_days", "review_drop_from")
    )
    rows = standing.filter(
        Q(customer__standings__days_past_due__gte=late_from)
        | Q(deposits__gte=drop_from, customer__standings__deposits_adb__lte=F("deposits"))
    ).values_list(
        "pk", "kind", "as_of", "deposits", "customer__standings__days_past_due", "customer__standings__deposits_adb",
        "content__cap",
    )  # fmt: skip
    found: dict[ReviewReason, list[int]] = {ReviewReason.ARREARS: [], ReviewReason.DEPOSITS: []}
    for key, kind, _as_of, before, late, deposits, cap in rows.iterator():
        params = rules[kind].params
        # A rating that arrears already capped was made in knowledge of them.
        if late is not None and late >= params["review_arrears_days"] and cap is None:
            found[ReviewReason.ARREARS].append(key)
        elif _has_fallen(before, deposits, params):
            found[ReviewReason.DEPOSITS].append(key)
    return sum(
        Rating.objects.filter(pk__in=keys).update(review_since=day, review_reason=reason)
        for reason, keys in found.items()
        if keys
    )


def _has_fallen(before: Decimal | None, now: Decimal | None, params: Mapping[str, Any]) -> bool:
    if before is None or now is None or before < params["review_drop_from"]:
        return False
    return bool(now <= before * (1 - params["review_drop_pct"]))


def _tasks(here: Any, rules: Mapping[str, Body], day: dt.date) -> Iterator[TaskRow]:
    working_day = day + dt.timedelta(days=1)
    since = day - dt.timedelta(days=EXPIRED_DAYS)
    untils = {
        kind: working_day + dt.timedelta(days=int(body.params["expiring_days"]))
        for kind, body in rules.items()
    }
    newer = Rating.objects.filter(status=RatingStatus.APPROVED, customer_id=OuterRef("customer_id"))
    expired = Q(status=RatingStatus.EXPIRED) & ~Exists(newer)
    standing = Q(review_since__isnull=False) | Q(expires_on__lte=max(untils.values(), default=day))
    rows = (
        here.filter(expired | Q(status=RatingStatus.APPROVED) & standing, expires_on__gte=since)
        .defer("content")
        .annotate(owner=F("customer__responsible_id"), unit=F("customer__home_branch_id"))
    )
    for row in rows.iterator():
        ends = row.expires_on
        more: dict[str, str] = {"date": ends.isoformat()}
        if row.status == RatingStatus.EXPIRED:
            reason, due, urgency = "rating_expired", ends + dt.timedelta(days=EXPIRED_DAYS), 60
        elif row.review_since is not None:
            reason, urgency = "rating_review", 65
            due = row.review_since + dt.timedelta(days=review_days(rules[row.kind]))
            more = {"date": row.review_since.isoformat(), "cause": row.review_reason}
        elif ends <= untils[row.kind]:
            reason, due, urgency = "rating_expiring", ends, 45
        else:
            continue
        params = {"grade": row.grade, "rating_id": row.pk, **more}
        yield TaskRow(
            reason=reason, source_key=f"{reason}:{row.pk}", due_date=due, customer_id=row.customer_id,
            owner_id=row.owner, unit_id=row.unit, params=params, stake=Decimal(0), urgency=pressing(due, working_day, urgency),
        )  # fmt: skip


def _day(params: Mapping[str, Any]) -> str:
    return formats.day(dt.date.fromisoformat(str(params["date"])))


def _say_expired(params: Mapping[str, Any]) -> str:
    return _("Grade %(grade)s expired on %(day)s") % {"grade": params["grade"], "day": _day(params)}


def _say_expiring(params: Mapping[str, Any]) -> str:
    return _("Grade %(grade)s expires on %(day)s") % {"grade": params["grade"], "day": _day(params)}


def _say_review(params: Mapping[str, Any]) -> str:
    return _("Grade %(grade)s is due for review: %(cause)s") % {
        "grade": params["grade"], "cause": ReviewReason(params["cause"]).label,
    }  # fmt: skip


REASONS = (
    WorkReason("rating_expired", gettext_lazy("Rating expired"), "calendar-x", _say_expired, "watch"),
    WorkReason("rating_expiring", gettext_lazy("Rating expires"), "calendar-due", _say_expiring),
    WorkReason("rating_review", gettext_lazy("Rating review"), "clipboard-check", _say_review, "watch"),
)


def register() -> None:
    """Make the step and its reasons known (AppConfig.ready)."""
    add_step(
        Step("ratings", gettext_lazy("Credit ratings"), ratings, after=("placement",), plan=plan_customers)
    )
    add_step(
        Step("reviews", gettext_lazy("Reviews of ratings"), reviews, after=("warnings",), plan=plan_customers)
    )
    for reason in REASONS:
        add_work_reason(reason)
