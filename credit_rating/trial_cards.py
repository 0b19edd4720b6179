"""An expert's card tried on the bank's own ratings before it is published (C1, C12).

A rating keeps the values that it was reckoned from, so that another card can be asked what it would have said of them:
nothing of a later day than the rating reaches it. What no rating has kept is unknown to the card, with its neutral points.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.db.models import Q

from credit_rating.engine.card_trials import LEAST_CASES, Scored, is_enough, measure, shift
from credit_rating.engine.cards import Card, Value
from credit_rating.factors import ANSWER
from credit_rating.models import DECIDED, Rating, RatingStatus, Scorecard
from credit_rating.policies import Body, grades, read
from credit_rating.scorecards import shape_of
from credit_rating.selectors.policies import policy_on
from credit_rating.selectors.scorecards import WINDOW, with_outcomes
from crm_site.accounts.versions import predecessor

READ_AT_ONCE = 2000
Kept = Iterable[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Judge:
    """A card with the rows that say where its values come from, and the scale of its grades."""

    table: Card
    rows: Mapping[str, Mapping[str, Any]]
    scale: Body

    def values(self, kept: Kept) -> dict[str, Value]:
        """What a rating's factors tell this card: by the source, an answer by its factor's own name."""
        known: dict[tuple[str, str], Value] = {}
        for factor in kept:
            source = factor["source"]
            known[source, factor["code"] if source == ANSWER else ""] = factor["value"]
        return {
            code: known.get((row["source"], code if row["source"] == ANSWER else ""))
            for code, row in self.rows.items()
        }

    def add(self, scored: Scored, values: Mapping[str, Value]) -> None:
        """Score a case; its grade is that of the score, before caps and what people chose."""
        score = self.table.score(values)
        odds = self.table.scale
        grade = (
            grades.grade_of_pd(self.scale, odds.probability(score))
            if odds
            else grades.grade_of(self.scale, score)
        )
        scored.add(float(score), grade, float(grades.pd_of(self.scale, grade)))


def judge_of(card: Scorecard, day: dt.date) -> Judge:
    """The card with the grade scale of a day."""
    body = read(shape_of(card.kind, card.origin), card.body)
    scale = policy_on(grades.SHAPE.subject, day, card.kind).body
    return Judge(card.table(), {row["code"]: row for row in body.tables["factors"]}, scale)


def try_card(card: Scorecard, day: dt.date, progress: Callable[[int, int], None]) -> dict[str, Any]:
    """A card against the one in force before it, on the decided ratings of its kind.

    {"rows", "against": {"id"} | None, "current": card_trials.shift over the ratings in force (None without a
    card before), "outcomes": of the ratings whose year is over: {"cases", "bads", "first", "last", "least", "enough",
    "new", "old": card_trials.measure, None unless enough}, "known": [{"code", label_zh, label_en, "known"}]: of how many
    of the ratings each factor's value was kept}.
    """
    base = predecessor(card, day)
    mine, theirs = judge_of(card, day), judge_of(base, day) if base is not None else None
    past, now = _Sides(), _Sides()
    bad: list[bool] = []
    known = dict.fromkeys(mine.rows, 0)
    first = last = None
    whole = Q(as_of__lte=day - WINDOW)
    held = Q(status=RatingStatus.APPROVED, expires_on__gte=day)
    ratings = with_outcomes(Rating.objects.filter(kind=card.kind, status__in=DECIDED)).filter(whole | held)
    asked = ratings.order_by("as_of", "pk").values_list(
        "as_of", "status", "expires_on", "defaulted", "content__factors"
    )
    total, count = ratings.count(), 0
    for as_of, status, expires_on, defaulted, kept in asked.iterator(chunk_size=READ_AT_ONCE):
        values = mine.values(kept)
        for code, value in values.items():
            known[code] += value not in (None, "")
        others = theirs.values(kept) if theirs else {}
        if as_of <= day - WINDOW:
            past.add(mine, values, theirs, others)
            bad.append(bool(defaulted))
            first, last = first or as_of, as_of
        if status == RatingStatus.APPROVED and expires_on >= day:
            now.add(mine, values, theirs, others)
        count += 1
        if count % READ_AT_ONCE == 0:
            progress(count, total)
    outcome, names = np.asarray(bad, bool), [str(row["grade"]) for row in mine.scale.tables["scale"]]
    enough = is_enough(outcome)
    is_one_scale = theirs is not None and theirs.table.scale is None and mine.table.scale is None
    return {
        "rows": count,
        "against": {"id": base.pk} if base else None,
        "current": shift(now.old, now.new, names, is_one_scale=is_one_scale) if theirs else None,
        "outcomes": {
            "cases": len(bad), "bads": int(outcome.sum()), "first": first and first.isoformat(),
            "last": last and last.isoformat(), "least": LEAST_CASES, "enough": enough,
            "new": measure(past.new, outcome, names) if enough else None,
            "old": measure(past.old, outcome, names) if enough and theirs else None,
        },
        "known": [
            {"code": code, "label_zh": row["label_zh"], "label_en": row["label_en"], "known": known[code]}
            for code, row in mine.rows.items()
        ],
    }  # fmt: skip


class _Sides:
    """The same cases by the card and by the one before it."""

    def __init__(self) -> None:
        self.new, self.old = Scored(), Scored()

    def add(
        self, mine: Judge, values: Mapping[str, Value], theirs: Judge | None, others: Mapping[str, Value]
    ) -> None:
        mine.add(self.new, values)
        if theirs is not None:
            theirs.add(self.old, others)
