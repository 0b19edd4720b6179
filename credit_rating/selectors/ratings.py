"""What a customer would be rated today, what has been rated, and what waits for whom (C2)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db import models
from django.db.models import Case, CharField, Exists, F, OuterRef, Q, QuerySet, Subquery, When
from django.db.models.functions import Coalesce
from django.utils.translation import gettext as _

from credit_rating.engine.cards import Card, CardBin, CardFactor, Value
from credit_rating.factors import ANSWER, SOURCES
from credit_rating.models import DECIDED, CreditPolicy, Rating, RatingStatus, Scorecard, credit_kind
from credit_rating.policies import Body, grades, rating_rules, read
from credit_rating.policies.rating_rules import GradeCap
from credit_rating.scorecards import shape_of
from credit_rating.selectors.factors import Facts, Found
from credit_rating.selectors.policies import Policy, policy_on
from credit_rating.selectors.scorecards import scorecard_on
from credit_rating.selectors.waiting import ratings_to_decide
from crm_site.lib.dates import end_of
from crm_site.lib.errors import DomainError
from crm_site.lib.permissions import Actor
from customers.models import Customer


class NoScorecard(DomainError):
    """The kind of customers has no scorecard in force."""


def rules_on(day: dt.date, kind: str) -> tuple[CreditPolicy | None, Body]:
    """The rating rules in force; the defaults in a bank that was founded before they were known."""
    shape = rating_rules.SHAPE
    try:
        found = policy_on(shape.subject, day, kind)
    except CreditPolicy.DoesNotExist:
        return None, read(shape, shape.default(kind))
    return found.version, found.body


def review_due(rating: Rating | None, day: dt.date) -> dt.date | None:
    """By when a rating is to be looked at again; None while it is not due."""
    if rating is None or rating.review_since is None:
        return None
    days = rating_rules.review_days(rules_on(day, rating.kind)[1])
    return rating.review_since + dt.timedelta(days=days)


@dataclass(frozen=True, slots=True)
class Line:
    """A factor of a rating: its row in the card, its table, the bin its value fell in, and the value (None: missing)."""

    row: Mapping[str, Any]
    factor: CardFactor
    bin: CardBin
    found: Found | None


@dataclass(frozen=True, slots=True)
class Assessed:
    """A rating as it would be. `grade`: of the score, or less where a rule caps it (`cap`). `pd`: of that grade."""

    customer: Customer
    kind: str
    day: dt.date
    scorecard: Scorecard
    table: Card
    grade_policy: Policy
    rules: CreditPolicy | None
    lines: list[Line]
    score: Decimal
    score_pd: Decimal | None
    score_grade: str
    cap: GradeCap | None
    grade: str
    pd: Decimal
    deposits: Decimal | None

    @property
    def missing(self) -> int:
        """How many factors have no value."""
        return sum(line.found is None for line in self.lines)


@dataclass(frozen=True, slots=True)
class Yardstick:
    """By what a kind of customers is rated on a day: card, its rows by factor, grade scale and rating rules."""

    kind: str
    day: dt.date
    scorecard: Scorecard
    table: Card
    rows: Mapping[str, Mapping[str, Any]]
    scale: Policy
    rules: CreditPolicy | None
    rule_body: Body


def yardstick_on(kind: str, day: dt.date) -> Yardstick:
    """The yardstick in force on a day. Raises NoScorecard."""
    version = scorecard_on(kind, day)
    if version is None:
        raise NoScorecard(_("There is no scorecard in force for these customers."), code="no_scorecard")
    body = read(shape_of(kind, version.origin), version.body)
    rows = {row["code"]: row for row in body.tables["factors"]}
    scale = policy_on(grades.SHAPE.subject, day, kind)
    return Yardstick(kind, day, version, version.table(), rows, scale, *rules_on(day, kind))


def assess(actor: Actor, customer: Customer, answers: Mapping[str, str], *, day: dt.date) -> Assessed:
    """Score a customer by the card in force on a day. `answers`: what the rating form asks, by factor.

    Raises NoScorecard.
    """
    return assess_by(yardstick_on(credit_kind(customer), day), Facts(actor, customer, day), answers)


def assess_by(by: Yardstick, facts: Facts, answers: Mapping[str, str]) -> Assessed:
    """Score the customer of `facts`, who is of the yardstick's kind."""
    day, table, scale, rows = by.day, by.table, by.scale, by.rows
    found = {
        f.code: _value(facts, rows[f.code]["source"], answers.get(f.code, ""), day) for f in table.factors
    }
    values: dict[str, Value] = {code: None if f is None else f.value for code, f in found.items()}
    lines = [Line(rows[f.code], f, b, found[f.code]) for f, b in table.bins(values)]
    score = table.score(values)
    measures = {m: at.value for m in rating_rules.MEASURES if (at := facts.of(m)) is not None}
    score_pd, score_grade, cap, grade = graded(table, scale.body, by.rule_body, score, measures)
    deposits = facts.standing.deposits_adb if facts.standing else None
    return Assessed(
        facts.customer, by.kind, day, by.scorecard, table, scale, by.rules, lines, score, score_pd, score_grade,
        cap, grade, grades.pd_of(scale.body, grade), deposits,
    )  # fmt: skip


def graded(
    table: Card, scale: Body, rules: Body, score: Decimal, measures: Mapping[str, Value]
) -> tuple[Decimal | None, str, GradeCap | None, str]:
    """What a score comes to: its probability of default (developed cards), its grade, the cap that bites, the grade."""
    score_pd = table.scale.probability(score) if table.scale else None
    score_grade = grades.grade_of(scale, score) if score_pd is None else grades.grade_of_pd(scale, score_pd)
    cap = rating_rules.cap_of(rules, measures)
    if cap is None or grades.notches(score_grade, cap.grade) >= 0:
        return score_pd, score_grade, None, score_grade
    return score_pd, score_grade, cap, _on_scale(scale, cap.grade)


def _on_scale(body: Body, grade: str) -> str:
    """The grade, or the next lower one that the scale has."""
    known = [str(row["grade"]) for row in body.tables["scale"]]
    return next((g for g in known if grades.notches(grade, g) <= 0), known[-1])


def _value(facts: Facts, source: str, answer: str, day: dt.date) -> Found | None:
    if source != ANSWER:
        return facts.of(source)
    return Found(answer.strip(), day, "typed") if answer.strip() else None


def asked_factors(found: Assessed) -> list[Line]:
    """The factors that the rating form asks for."""
    return [line for line in found.lines if line.row["source"] == ANSWER]


def as_content(found: Assessed) -> dict[str, Any]:
    """Everything that the form shows, as the JSON that is saved and hashed; numbers as text."""
    policy = found.grade_policy.version
    return {
        "customer": {"number": found.customer.number, "name": found.customer.name},
        "kind": str(found.kind),
        "as_of": found.day.isoformat(),
        "scorecard": {"id": found.scorecard.pk, "version": found.scorecard.version, "name": found.scorecard.name},
        "grade_policy": {"id": policy.pk, "version": policy.version},
        "rules": {"id": found.rules.pk, "version": found.rules.version} if found.rules else None,
        "factors": [factor_content(line) for line in found.lines],
        "base": f"{found.table.base:f}",
        "score": f"{found.score:f}",
        "most": f"{found.table.most:f}",
        "score_pd": None if found.score_pd is None else f"{found.score_pd:f}",
        "score_grade": found.score_grade,
        "cap": {"measure": found.cap.measure, "over": found.cap.over, "grade": found.cap.grade} if found.cap else None,
        "grade": found.grade,
        "pd": f"{found.pd:f}",
        "notches_up": found.grade_policy.body.params["notches_up"],
        "valid_months": found.grade_policy.body.params["valid_months"],
    }  # fmt: skip


def factor_content(line: Line) -> dict[str, Any]:
    """A factor's row of the content."""
    b = line.bin
    return {
        **{name: line.row[name] for name in ("code", "label_zh", "label_en", "source", "group")},
        "style": SOURCES[line.row["source"]].style,
        "value": None if line.found is None else str(line.found.value),
        "as_of": None if line.found is None else line.found.as_of.isoformat(),
        "detail": "" if line.found is None else line.found.detail,
        "bin": {
            "kind": b.kind, "values": list(b.values), "lower": None if b.lower is None else str(b.lower),
            "upper": None if b.upper is None else str(b.upper),
        },
        "points": f"{b.points:f}",
        "most": f"{line.factor.most:f}",
    }  # fmt: skip


def content_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """What differs between two contents that a decision rests on: codes of factors, "scorecard", "grade_policy",
    "rules", "cap". Later dates of the same values are none."""
    changed = [name for name in ("scorecard", "grade_policy", "rules", "cap") if before[name] != after[name]]
    old = {f["code"]: (f["value"], f["points"]) for f in before["factors"]}
    new = {f["code"]: (f["value"], f["points"]) for f in after["factors"]}
    return changed + [code for code in {**old, **new} if old.get(code) != new.get(code)]


# -- what has been rated --------------------------------------------------------------------------------------------


def _seen(actor: Actor) -> QuerySet[Rating]:
    people = ("generated_by", "submitted_by", "decided_by")
    found = Rating.objects.visible_to(actor).select_related("customer", "scorecard", *people)
    return found.defer("scorecard__card", "scorecard__record")


def rating(actor: Actor, rating_id: int) -> Rating:
    """One. Raises Rating.DoesNotExist."""
    return _seen(actor).get(pk=rating_id)


def ratings_of(actor: Actor, customer: Customer) -> list[Rating]:
    """A customer's ratings, newest first, without those that were only tried."""
    found = _seen(actor).filter(customer=customer).exclude(status=RatingStatus.REPLACED)
    return list(found.defer("content")[:50])


def rating_before(actor: Actor, found: Rating) -> Rating | None:
    """The customer's rating that was decided before this one."""
    earlier = _seen(actor).filter(customer_id=found.customer_id, pk__lt=found.pk, expires_on__isnull=False)
    return earlier.defer("content").order_by("-pk").first()


def in_force(actor: Actor, customer: Customer, day: dt.date) -> Rating | None:
    """The rating that holds on a day."""
    found = _seen(actor).filter(customer=customer, status=RatingStatus.APPROVED, expires_on__gte=day)
    return found.defer("content").first()


def in_review(actor: Actor, customer: Customer) -> Rating | None:
    """The newest rating that was confirmed and waits for its decision."""
    found = _seen(actor).filter(customer=customer, status=RatingStatus.SUBMITTED)
    return found.defer("content").first()


LISTS = ("todo", "waiting", "mine", "due", "all", "decided")
MOVED = "moved"
UNRATED = "none"
LISTED = (
    *(
        "number",
        "status",
        "score",
        "grade",
        "model_grade",
        "as_of",
        "expires_on",
        "review_since",
        "review_reason",
    ),
    *("customer__name", "submitted_by__name"),
)
PAGE = 50
COUNT_LIMIT = 10_000


@dataclass(frozen=True, slots=True)
class Move:
    """Customers whose grade was `before` at the end of `then` and is `after` `now` (business dates).

    UNRATED before: no rating held then; after: none holds now, and the rating of then is shown. A rating's last day is
    still in force.
    """

    before: str
    after: str
    then: dt.date
    now: dt.date


MOST_COUNTED = 10_000


def moved(actor: Actor, move: Move, *, key: int = 0) -> list[Rating]:
    """A page of one more than PAGE of those who moved so, below id `key` (0: the first). Agrees with the migration of
    the overview (overview_night)."""
    found = _moved(actor, move)
    if key:
        found = found.filter(pk__lt=key)
    return list(found.defer("content").order_by("-pk")[: PAGE + 1])


def moved_count(actor: Actor, move: Move) -> int:
    """How many moved so; MOST_COUNTED + 1 for more than are counted."""
    return _moved(actor, move).order_by()[: MOST_COUNTED + 1].count()


def _moved(actor: Actor, move: Move) -> QuerySet[Rating]:
    past = Rating.objects.filter(
        customer_id=OuterRef("customer_id"), status__in=DECIDED, decided_at__lt=end_of(move.then)
    )
    newest = past.order_by("-pk")[:1]
    held = Case(
        When(expires_on__gt=move.then, then=F("grade")),
        default=models.Value(UNRATED),
        output_field=CharField(),
    )
    holds = {"status": RatingStatus.APPROVED, "expires_on__gt": move.now}
    if move.after == UNRATED:
        standing = Rating.objects.filter(customer_id=OuterRef("customer_id"), **holds)
        found = _seen(actor).filter(
            pk=Subquery(newest.values("pk")), grade=move.before, expires_on__gt=move.then
        )
        return found.filter(~Exists(standing))
    found = _seen(actor).filter(grade=move.after, **holds)
    found = found.annotate(
        grade_then=Coalesce(Subquery(newest.annotate(held=held).values("held")), models.Value(UNRATED))
    )
    return found.filter(grade_then=move.before)


def rating_list(
    actor: Actor, which: str, *, day: dt.date, grade: str = "", card: int = 0
) -> QuerySet[Rating]:
    """One of the lists of ratings. `card`: of one version of a scorecard (0: of any).

    todo: those that the actor may decide; waiting: for anybody; mine: drafts and returned ones that I made; due: in
    force and due for review or expired; all: in force; decided: in force or ended.
    """
    rule = {
        "todo": Q(pk__in=ratings_to_decide(actor, day).values("pk")),
        "waiting": Q(status=RatingStatus.SUBMITTED),
        "mine": Q(status__in=(RatingStatus.DRAFT, RatingStatus.RETURNED), generated_by=actor.staff_id),
        "due": Q(status=RatingStatus.EXPIRED) | Q(status=RatingStatus.APPROVED)
        & (Q(review_since__isnull=False) | Q(expires_on__lt=day)),
        "all": Q(status=RatingStatus.APPROVED),
        "decided": Q(status__in=DECIDED),
    }[which]  # fmt: skip
    found = Rating.objects.visible_to(actor).filter(rule)
    if grade:
        found = found.filter(grade=grade)
    if card:
        found = found.filter(scorecard_id=card)
    return found


def rating_count(found: QuerySet[Rating]) -> int | None:
    """How many ratings a `rating_list` has; None above COUNT_LIMIT, where counting would cost more than it tells."""
    count = found.values("pk")[: COUNT_LIMIT + 1].count()
    return count if count <= COUNT_LIMIT else None


def rating_page(found: QuerySet[Rating], after: int = 0) -> list[Rating]:
    """A page of one more than PAGE of a `rating_list`, newest first, below id `after` (0: the first)."""
    # The few columns that a row shows: with each scorecard's tables a page of fifty read half a megabyte.
    found = found.select_related("customer", "submitted_by").only(*LISTED)
    if after:
        found = found.filter(pk__lt=after)
    return list(found.order_by("-pk")[: PAGE + 1])


def ratings_for_api(
    actor: Actor, *, customer: str = "", grade: str = "", changed_since: dt.datetime | None = None
) -> QuerySet[Rating]:
    """Decided ratings: those in force, and those that have ended (their status says so)."""
    found = Rating.objects.visible_to(actor).filter(status__in=DECIDED)
    found = found.select_related("customer", "scorecard").defer("content")
    if customer:
        found = found.filter(customer__number=customer)
    if grade:
        found = found.filter(grade=grade)
    return found if changed_since is None else found.filter(changed_at__gte=changed_since)
