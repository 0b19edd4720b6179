"""develop_scorecard: a file becomes a draft with its validation, and customers are scored by it once it is published."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from credit_rating.models import Scorecard
from credit_rating.policies.grades import SHAPE, grade_of_pd
from credit_rating.selectors.policies import policy_on
from credit_rating.selectors.ratings import assess
from credit_rating.services import scorecards as services
from crm_site.accounts.versions import VersionError
from crm_site.lib.tenancy import bank
from tests.conftest import NOW, TODAY, House, Person
from tests.customers.factories import make_customer


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    """600 applicants; who asks for much and rents defaults more often."""
    rng = np.random.default_rng(3)
    amount = rng.integers(1, 100, 600)
    home = rng.choice(["own", "rent"], 600)
    bad = rng.random(600) < 0.05 + 0.004 * amount + 0.2 * (home == "rent")
    file = tmp_path / "sample.csv"
    rows = (f"{a},{h},{'bad' if b else 'good'}" for a, h, b in zip(amount, home, bad, strict=True))
    file.write_text("amount,home,outcome\n" + "\n".join(rows) + "\n")
    return file


def develop(house: House, file: Path, **options: object) -> dict[str, object]:
    out = StringIO()
    given = {
        "target": "outcome",
        "bank": house.bank.code,
        "kind": "personal",
        "name": "lab",
        "json": True,
        "folds": 2,
    }
    call_command("develop_scorecard", str(file), stdout=out, **{**given, **options})
    return dict(json.loads(out.getvalue()))


def test_a_file_becomes_a_draft_that_two_people_put_in_force(
    house: House, sample: Path, hq_risk: Person, president: Person, rm: Person
) -> None:
    said = develop(house, sample, window="2024", positive=["bad"])
    with bank(house.id):
        draft = Scorecard.objects.get(pk=said["scorecard"])
        assert (draft.status, draft.origin, draft.drafted_by) == ("draft", "developed", None)
        record = draft.record or {}
        assert (record["rows"], record["positive"], record["window"]) == (600, "bad", "2024")
        assert 0.6 < record["folds"]["auc"] < 0.9
        held = record["parts"][1]
        assert (held["name"], held["rows"]) == ("held_back", 180)
        assert held["psi"] is not None
        assert sum(row["count"] for row in record["by_grade"]) == 180
        services.propose_scorecard(
            hq_risk.actor, scorecard_id=draft.pk, valid_from=TODAY, today=TODAY, now=NOW
        )
        with pytest.raises(VersionError):
            services.publish_scorecard(hq_risk.actor, scorecard_id=draft.pk, today=TODAY, now=NOW)
        services.publish_scorecard(president.actor, scorecard_id=draft.pk, today=TODAY, now=NOW)
        person = make_customer("Li", kind="personal", home_branch=house.north, responsible=rm.staff)
        safe = assess(rm.actor, person, {"amount": "3", "home": "own"}, day=TODAY)
        risky = assess(rm.actor, person, {"amount": "97", "home": "rent"}, day=TODAY)
        unknown = assess(rm.actor, person, {}, day=TODAY)
        assert safe.score > unknown.score > risky.score
        assert unknown.score == safe.table.base and unknown.missing == 2
        assert safe.score_pd is not None and risky.score_pd is not None
        assert safe.score_pd < Decimal("0.2") < risky.score_pd
        scale = policy_on(SHAPE.subject, TODAY, "personal").body
        assert risky.score_grade == grade_of_pd(scale, risky.score_pd)
        assert assess(rm.actor, person, {}, day=TODAY - dt.timedelta(days=1)).scorecard.founding


def test_what_is_no_sample_is_said_in_a_line(house: House, sample: Path) -> None:
    with pytest.raises(CommandError, match="no column nothing"):
        develop(house, sample, target="nothing")
    with pytest.raises(CommandError, match="no source 'moon'"):
        develop(house, sample, source=["amount=moon"])
