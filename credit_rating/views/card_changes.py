"""What a scorecard changes of the one before it, factor by factor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from credit_rating.models import Scorecard
from credit_rating.policies.wording import words_of
from credit_rating.scorecards import shape_of
from credit_rating.views.card_rows import factor_cards
from crm_site.accounts.versions import Difference, differences


@dataclass(frozen=True, slots=True)
class FactorChange:
    """A factor that two cards have in different words or points. `state`: "changed", "new" or "dropped"; `bins`: how many
    the factor has, `least` and `most` the points they give (of a dropped one as they were)."""

    label: str
    state: str
    bins: int
    least: str
    most: str
    details: list[Difference]


@dataclass(frozen=True, slots=True)
class CardChanges:
    """`factors`: those that differ, changed ones first; `same`: how many do not; `rest`: base, scale and the like."""

    factors: list[FactorChange]
    same: int
    rest: list[Difference]

    @property
    def is_other(self) -> bool:
        """Whether it is another card altogether: it shares no factor with the one before."""
        return not self.same and bool(self.factors) and self.count("changed") == 0

    def count(self, state: str) -> int:
        return sum(one.state == state for one in self.factors)

    @property
    def counts(self) -> list[tuple[str, int]]:
        """(state, how many factors) of the states that there are, "same" the last."""
        found = [(state, self.count(state)) for state in ("changed", "new", "dropped")]
        return [(state, n) for state, n in [*found, ("same", self.same)] if n]

    def __bool__(self) -> bool:
        return bool(self.factors or self.rest)


def card_changes(before: Scorecard, card: Scorecard) -> CardChanges:
    """What a card changes of the one before it. Factors are the same by their code."""
    old, new = _factors(before), _factors(card)
    found: dict[str, list[tuple[Mapping[str, Any], Mapping[str, Any]]]] = {
        "changed": [(old[c], new[c]) for c in new if c in old and old[c]["words"] != new[c]["words"]],
        "new": [({}, new[code]) for code in new if code not in old],
        "dropped": [(old[code], {}) for code in old if code not in new],
    }
    factors = [_change(state, was, becomes) for state, pairs in found.items() for was, becomes in pairs]
    same = sum(1 for code in new if code in old) - len(found["changed"])
    return CardChanges(factors, same, differences(_rest(before), _rest(card)))


def _change(state: str, was: Mapping[str, Any], becomes: Mapping[str, Any]) -> FactorChange:
    shown = becomes or was
    points = sorted(b["points"] for b in shown["bins"])
    details = differences(was.get("words", {}), becomes.get("words", {}))
    return FactorChange(
        shown["label"], state, len(points), f"{points[0]:f}" if points else "", f"{points[-1]:f}" if points else "",
        details,
    )  # fmt: skip


def _rest(card: Scorecard) -> dict[str, str]:
    return words_of(shape_of(card.kind, card.origin), card.body, without=("factors", "bins"))


def _factors(card: Scorecard) -> dict[str, dict[str, Any]]:
    """code -> the factor as its page draws it, with all that it says in words: its row, then the points of each bin."""
    rows = card.body["tables"]["factors"]
    shape, drawn = shape_of(card.kind, card.origin), factor_cards(card)
    found = {}
    for factor in drawn:
        row = next(row for row in rows if row["code"] == factor["code"])
        told = words_of(shape, {"tables": {"factors": [row]}}, without=("bins",))
        words = {
            what.rpartition(" · ")[2]: said
            for what, said in told.items()
            if what.startswith(str(shape.tables[0].label))
        }
        points = {b["text"]: _("%s points") % f"{b['points']:f}" for b in factor["bins"]}
        found[factor["code"]] = {**factor, "words": {_("Name"): factor["label"]} | words | points}
    return found
