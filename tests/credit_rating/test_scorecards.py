"""Scorecards: standard cards whole, points by hand, the engine's own scores again, two people, published for good."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from copy import deepcopy
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction

from credit_rating.default_cards import default_body
from credit_rating.engine.cards import developed_card
from credit_rating.engine.columns import column_of
from credit_rating.engine.scorecard import develop
from credit_rating.models import CreditKind, Scorecard
from credit_rating.policies import PolicyFault, read
from credit_rating.scorecards import card_of, shape_of
from credit_rating.selectors.scorecards import scorecard_on
from credit_rating.services import scorecards as services
from crm_site.accounts.versions import VersionError
from crm_site.lib.errors import Conflict
from tests.conftest import NOW, TODAY, House, Person

D = Decimal
TOMORROW = TODAY + dt.timedelta(days=1)


@pytest.mark.parametrize("kind", list(CreditKind))
def test_the_card_that_comes_with_a_bank_is_whole(kind: CreditKind) -> None:
    body = read(shape_of(kind, "expert"), default_body(kind))
    card = card_of("expert", body, None)
    assert card.most == 100
    worst = sum(min(b.points for b in f.bins) for f in card.factors)
    nothing_known = card.score({})
    assert worst < nothing_known < 75


def test_points_are_those_of_the_table_and_a_bound_belongs_to_the_bin_above() -> None:
    body = read(shape_of("corporate", "expert"), default_body(CreditKind.CORPORATE))
    factors = {f.code: f for f in card_of("expert", body, None).factors}
    debt, record = factors["debt_ratio"], factors["record"]
    assert [debt.bin_of(D(v)).points for v in ("0.3999", "0.4", "0.543", "0.8", "9")] == [12, 11, 9, 0, 0]
    assert debt.bin_of(None).points == 6  # missing is neutral
    assert [record.bin_of(v).points for v in ("clean", "long", "unheard of", None)] == [6, 0, 3, 3]


def test_one_customer_scores_what_the_engine_gives_the_sample() -> None:
    rng = np.random.default_rng(7)
    size = 600
    income = rng.gamma(2, 3000, size).round(2).astype(object)
    income[::17] = -9
    income[5::40] = ""
    housing = rng.choice(["own", "rent", "family", ""], size).astype(object)
    bad = rng.random(size) < np.where(housing == "rent", 0.4, 0.15)
    values = {"income": income, "housing": housing}
    card = develop({name: column_of(v) for name, v in values.items()}, bad, least_information=0.0).card
    scored = card.score({name: column_of(v) for name, v in values.items()})
    mine = developed_card(card.as_json())
    assert mine.scale is not None
    for i in range(size):
        row = {
            name: (D(str(v[i])) if name == "income" and v[i] != "" else v[i]) for name, v in values.items()
        }
        score = mine.score(row)
        assert float(score) == scored.scores[i]
        assert float(mine.scale.probability(score)) == pytest.approx(scored.probability[i], abs=1e-6)
    unseen = {"income": None, "housing": "castle"}
    assert float(mine.score(unseen)) == card.score({"income": [""], "housing": ["castle"]}).scores[0]


def changed(table: str, row: int, **cells: str) -> Mapping[str, Any]:
    body: dict[str, Any] = deepcopy(dict(default_body(CreditKind.CORPORATE)))
    body["tables"][table][row] |= cells
    return body


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (changed("factors", 0, weight="13"), "factors"),  # 101 points in all
        (changed("bins", 0, points="11"), "factors-0-weight"),  # no bin gives the full points
        (changed("factors", 0, neutral="13"), "factors-0-neutral"),
        (changed("bins", 2, **{"from": "30"}), "bins-0-from"),  # bounds fall
        (changed("bins", 0, **{"from": "10"}), "bins-0-from"),  # nothing below 10 %
        (changed("bins", 0, factor="nobody"), "bins-0-factor"),
        (changed("factors", 0, source="record"), "factors-0-source"),  # answers for bounds
        (changed("factors", 0, source="land_mu"), "factors-0-source"),  # a household's
        (changed("factors", 1, code="debt_ratio"), "factors-1-code"),
        (changed("bins", 0, points="x"), "bins-0-points"),
    ],
)
def test_a_fault_is_named_by_its_cell(body: Mapping[str, Any], field: str) -> None:
    with pytest.raises(PolicyFault) as caught:
        read(shape_of("corporate", "expert"), body)
    assert field in caught.value.fields


def draft(person: Person, **other: Any) -> Scorecard:
    given = {
        "kind": "corporate",
        "name": "standard",
        "body": default_body(CreditKind.CORPORATE),
        "note": "",
        "now": NOW,
    }
    return services.draft_expert_card(person.actor, **{**given, **other})


def test_another_person_publishes_and_what_is_published_stays(
    inside: House, hq_risk: Person, president: Person, rm: Person
) -> None:
    with pytest.raises(PermissionDenied):
        draft(rm)
    body = default_body(CreditKind.CORPORATE)
    made = draft(hq_risk, body=body | {"params": body["params"] | {"title_en": "Companies, sharper"}})
    assert made.version == 2
    with pytest.raises(VersionError):
        services.propose_scorecard(
            hq_risk.actor, scorecard_id=made.pk, valid_from=TODAY - dt.timedelta(days=1), today=TODAY, now=NOW
        )
    services.propose_scorecard(hq_risk.actor, scorecard_id=made.pk, valid_from=TOMORROW, today=TODAY, now=NOW)
    with pytest.raises(VersionError):
        services.publish_scorecard(hq_risk.actor, scorecard_id=made.pk, today=TODAY, now=NOW)
    with pytest.raises(PermissionDenied):
        services.publish_scorecard(rm.actor, scorecard_id=made.pk, today=TODAY, now=NOW)
    with pytest.raises(VersionError, match="say why"):  # no outcome measures it
        services.publish_scorecard(president.actor, scorecard_id=made.pk, today=TODAY, now=NOW)
    services.publish_scorecard(
        president.actor, scorecard_id=made.pk, today=TODAY, now=NOW, ground="nobody has been rated yet"
    )
    with pytest.raises(Conflict):
        services.publish_scorecard(president.actor, scorecard_id=made.pk, today=TODAY, now=NOW)
    before, after = scorecard_on("corporate", TODAY), scorecard_on("corporate", TOMORROW)
    assert before is not None and before.founding
    assert after is not None and after.pk == made.pk
    with pytest.raises(IntegrityError), transaction.atomic():
        Scorecard.objects.filter(pk=made.pk).update(body={})
    with pytest.raises(IntegrityError), transaction.atomic():
        Scorecard.objects.create(
            kind="sme", name="x", version=1, origin="expert", body={}, status="published", valid_from=TODAY,
            drafted_at=NOW, drafted_by=hq_risk.staff, proposed_by=president.staff, published_by=hq_risk.staff,
        )  # fmt: skip


def test_a_developed_cards_points_are_not_typed(inside: House, hq_risk: Person) -> None:
    rng = np.random.default_rng(1)
    values = rng.random(400)
    card = develop({"x": column_of(values)}, rng.random(400) < values / 2).card.as_json()
    made = services.draft_developed_card(
        hq_risk.actor,
        kind="personal",
        name="lab",
        card=card,
        record={},
        sources={"x": "monthly_income"},
        now=NOW,
    )
    assert made.body["tables"]["factors"][0]["source"] == "monthly_income"
    body = deepcopy(made.body)
    body["tables"]["factors"][0]["label_zh"] = "收入"
    named = services.name_developed_card(hq_risk.actor, scorecard_id=made.pk, body=body, note="", now=NOW)
    assert (named.pk, named.card) == (made.pk, card)
    body["tables"]["factors"].append(body["tables"]["factors"][0] | {"code": "y"})
    with pytest.raises(PolicyFault):
        services.name_developed_card(hq_risk.actor, scorecard_id=made.pk, body=body, note="", now=NOW)
