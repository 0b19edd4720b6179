"""Reads about churn models and scores."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db.models import QuerySet

from crm_site.accounts.models import Bank
from crm_site.jobs.models import UNFINISHED, Run
from crm_site.lib.permissions import Actor, require
from crm_site.lib.tenancy import require_bank
from customers.facts import CHURN_ALARM_BP, CHURN_ALARM_PCT
from customers.models import Standing
from customers.models.parties import visible_rows
from segmentation.churn_nightly import TRAIN, month_ends_until
from segmentation.churn_reasons import label, sentence
from segmentation.engine.churn import BY_NAME, MONTHS_NEEDED, Scorecard
from segmentation.models import ChurnModel, ChurnScore, ModelStatus
from segmentation.selectors.positions import runs_since

ALARM_BP, ALARM_PCT = CHURN_ALARM_BP, CHURN_ALARM_PCT


@dataclass(frozen=True)
class History:
    """How much a bank has to learn from: month-ends on record without a gap, and how many are needed."""

    months: int
    needed: int = MONTHS_NEEDED

    @property
    def is_enough(self) -> bool:
        return self.months >= self.needed


@dataclass(frozen=True)
class Why:
    """A customer's newest score: probability as a fraction, reasons in words, the model and the date."""

    score: ChurnScore
    model: ChurnModel
    probability: float
    reasons: list[str]
    is_alarm: bool


@dataclass(frozen=True)
class Line:
    """A feature of a model: its range of log-odds, for the table of what matters. `width`: 0-1 of the widest."""

    label: str
    lowest: float
    highest: float
    width: float


def models_of(actor: Actor) -> QuerySet[ChurnModel]:
    """Every version, newest first."""
    require(actor, "model.read")
    return ChurnModel.objects.select_related("proposed_by", "decided_by").order_by("-id")


def history() -> History:
    """Of the active bank, up to its business date."""
    day = Bank.objects.values_list("business_date", flat=True).get(pk=require_bank())
    return History(len(month_ends_until(day)) if day else 0)


def training() -> Run | None:
    """A training run under way."""
    return Run.objects.filter(pipeline=TRAIN, status__in=UNFINISHED).first()


@dataclass(frozen=True)
class Reach:
    """How many visible customers have a score, and how many are at or above the alarm."""

    scored: int
    alarm: int


def reach(actor: Actor) -> Reach:
    rows = Standing.objects.visible_to(actor)
    return Reach(rows.filter(churn_bp__gte=0).count(), rows.filter(churn_bp__gte=ALARM_BP).count())


def why(actor: Actor, customer_id: int, currency: str) -> Why | None:
    """Why a customer that the actor sees has its churn score; None when it has none now."""
    standing = Standing.objects.visible_to(actor).filter(customer_id=customer_id).first()
    if standing is None or standing.churn_bp < 0:
        return None
    found = ChurnScore.objects.filter(customer_id=customer_id).order_by("-as_of").first()
    if found is None:
        return None
    return Why(
        score=found,
        model=ChurnModel.objects.get(pk=found.model_id),
        probability=found.score_bp / 10_000,
        reasons=[sentence(code, value, currency) for code, value in found.reasons],
        is_alarm=found.score_bp >= ALARM_BP,
    )


def current_scores(
    actor: Actor, *, customer: str = "", changed_since: dt.datetime | None = None
) -> QuerySet[ChurnScore]:
    """Scores of the newest date scored, of customers the actor sees, with customer and model."""
    newest = ChurnScore.objects.order_by("-as_of").values_list("as_of", flat=True).first()
    found = ChurnScore.objects.filter(as_of=newest) if newest else ChurnScore.objects.none()
    found = found.filter(visible_rows(actor, "customer__")).select_related("customer", "model")
    if customer:
        found = found.filter(customer__number=customer)
    if changed_since is not None:
        found = found.filter(run_id__in=runs_since(changed_since))
    return found


def score_rows(scores: Iterable[ChurnScore], currency: str) -> list[dict[str, Any]]:
    """Rows of the API's list: the probability as a fraction, the reasons in words."""
    return [
        {
            "customer": score.customer.number,
            "model": f"churn_{score.model.kind}" if score.model.kind else "churn",
            "version": score.model.version,
            "score": Decimal(score.score_bp) / 10_000,
            "as_of": score.as_of,
            "reasons": [sentence(code, value, currency) for code, value in score.reasons],
        }
        for score in scores
    ]


def what_matters(model: ChurnModel) -> list[Line]:
    """The features of a model by the spread of their log-odds, widest first."""
    if not model.card:
        return []
    card = Scorecard.from_json(model.card)
    spans = [
        (name, min(points[:-1]), max(points[:-1]))
        for name, points in zip(card.names, card.points, strict=True)
    ]
    widest = max((high - low for _name, low, high in spans), default=1.0) or 1.0
    lines = [
        Line(label(name), low, high, (high - low) / widest) for name, low, high in spans if name in BY_NAME
    ]
    return sorted(lines, key=lambda line: -line.width)


def champions() -> list[ChurnModel]:
    return list(ChurnModel.objects.filter(status=ModelStatus.CHAMPION).order_by("kind"))


def churn_known(likely: int) -> bool:
    """Whether a 0 of the likely leavers means nobody: without an approved model there is no score to count."""
    return bool(likely) or ChurnModel.objects.filter(status=ModelStatus.CHAMPION).exists()
