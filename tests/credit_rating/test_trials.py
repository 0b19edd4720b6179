"""A version is tried on the book before it is published: by the very rules and cards that decide, for the second person."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.test import Client

from credit_rating.default_cards import default_body
from credit_rating.models import CreditKind, CreditPolicy, Rating, Scorecard, Signal, Trial
from credit_rating.policies import warnings as rules
from credit_rating.services import policies, scorecards
from credit_rating.services.trials import order_trial
from credit_rating.trial_jobs import carry_out
from crm_site.accounts.models import Bank
from crm_site.accounts.versions import VersionError
from crm_site.jobs.models import Run
from crm_site.jobs.services import run_to_end
from crm_site.lib.errors import Conflict, DomainError
from crm_site.lib.tenancy import bank
from crm_site.work.models import Task
from tests.conftest import NOW, TODAY, House, Person
from tests.credit_rating.arrears import a_loan, night, set_days
from tests.credit_rating.test_ratings import company, month_end

TOMORROW = TODAY + dt.timedelta(days=1)


@pytest.fixture
def dated(house: House) -> House:
    """The bank has run a night."""
    Bank.objects.filter(pk=house.id).update(business_date=TODAY)
    return house


def later(days: str = "30") -> dict[str, Any]:
    """Arrears warn later, a rule is dropped and another is new."""
    body: dict[str, Any] = deepcopy(dict(rules.default("")))
    tables = body["tables"]
    next(c for c in tables["conditions"] if c["rule"] == "overdue")["value"] = days
    for name, key in (("rules", "code"), ("conditions", "rule")):
        tables[name] = [row for row in tables[name] if row[key] != "churn"]
    tables["rules"].append(
        {"code": "any_loan", "name": "Owes", "level": "watch", "owner": "risk", "days": "5"}
    )
    tables["conditions"].append({"rule": "any_loan", "fact": "loans", "op": ">", "value": "0", "either": ""})
    return body


def drafted(author: Person) -> CreditPolicy:
    return policies.draft_policy(
        author.actor, subject="warnings", kind="", body=later(), note="less noise", now=NOW
    )


def test_warning_rules_are_tried_by_the_engine_of_the_night_and_change_nothing(
    dated: House, hq_risk: Person, rm: Person
) -> None:
    with bank(dated.id):
        for name, days in (("Eight days", 8), ("Forty days", 40), ("Ninety days", 90)):
            set_days(a_loan(company(dated, rm), name, days), days)
        night(dated, step="warnings")
        signals, tasks = Signal.objects.count(), Task.objects.count()
        draft = drafted(hq_risk)
        with pytest.raises(PermissionDenied):
            order_trial(rm.actor, draft, now=NOW)
        trial = order_trial(hq_risk.actor, draft, now=NOW)
        assert order_trial(hq_risk.actor, draft, now=NOW) == trial  # a double click
        run = Run.objects.get(pk=trial.run_id)
    run_to_end(run)
    with bank(dated.id):
        trial.refresh_from_db()
        found = {row["code"]: row for row in trial.result["rules"]}
        told = {
            code: (row["before"], row["after"], row["same"], row["new"], row["gone"])
            for code, row in found.items()
        }
        assert told["overdue"] == (3, 2, 2, 0, 1)
        assert told["overdue_long"] == (1, 1, 1, 0, 0)
        assert told["any_loan"] == (0, 3, 0, 3, 0)
        assert (found["any_loan"]["kept"], found["churn"]["kept"]) == ("new", "gone")
        assert trial.result["customers"] == [3, 3]
        assert (Signal.objects.count(), Task.objects.count()) == (signals, tasks)
        by_night = Signal.objects.filter(code="overdue").count()
        assert by_night == told["overdue"][0]


def test_a_proposal_is_tried_for_its_second_person_who_finds_names_that_open(
    dated: House, hq_risk: Person, president: Person, rm: Person, client_for: Callable[[Person], Client]
) -> None:
    with bank(dated.id):
        customer = company(dated, rm)
        set_days(a_loan(customer, "L1", 8), 8)
        draft = drafted(hq_risk)
        policies.propose_policy(hq_risk.actor, policy_id=draft.pk, valid_from=TOMORROW, today=TODAY, now=NOW)
        trial = Trial.objects.get()
    page = f"/credit/policies/{draft.pk}/"
    waiting = client_for(president).get(page).content.decode()
    assert 'id="job-progress"' in waiting
    with bank(dated.id):
        carry_out(trial.pk, progress=lambda done, total: None)
    seen = client_for(president).get(page).content.decode()
    assert "What it would signal" in seen
    assert f'<a href="/customers/{customer.pk}/">{customer.name}</a>' in seen
    assert "rule dropped" in seen
    assert "What it would signal" not in client_for(rm).get(page).content.decode()
    with bank(dated.id):
        policies.publish_policy(president.actor, policy_id=draft.pk, today=TODAY, now=NOW)
        with pytest.raises(Conflict):
            order_trial(hq_risk.actor, draft, now=NOW)
    assert "What it would signal" in client_for(president).get(page).content.decode()  # what was known then


def test_a_changed_draft_says_that_it_was_tried_before(
    dated: House, hq_risk: Person, client_for: Callable[[Person], Client]
) -> None:
    with bank(dated.id):
        draft = drafted(hq_risk)
        trial = order_trial(hq_risk.actor, draft, now=NOW)
        carry_out(trial.pk, progress=lambda done, total: None)
        policies.draft_policy(hq_risk.actor, subject="warnings", kind="", body=later("60"), note="", now=NOW)
    page = client_for(hq_risk).get(f"/credit/policies/{draft.pk}/").content.decode()
    assert "has been changed since" in page
    with bank(dated.id):
        assert order_trial(hq_risk.actor, draft, now=NOW) != trial
        policies.discard_draft(hq_risk.actor, policy_id=draft.pk)
        assert carry_out(trial.pk, progress=lambda done, total: None) is None


def test_before_the_first_night_there_is_nothing_to_try_it_on(house: House, hq_risk: Person) -> None:
    with bank(house.id), pytest.raises(DomainError, match="No night"):
        order_trial(hq_risk.actor, drafted(hq_risk), now=NOW)


# -- cards ----------------------------------------------------------------------------------------------------------

YEAR_AGO = TODAY - dt.timedelta(days=365)


def milder() -> dict[str, Any]:
    """The standard card with another step for debts."""
    body: dict[str, Any] = deepcopy(dict(default_body(CreditKind.CORPORATE)))
    row = next(b for b in body["tables"]["bins"] if b["factor"] == "debt_ratio" and b["points"] == "0")
    row["points"] = "2"
    return body


def rated(house: House, rm: Person, second: Person, debts: str, *, as_of: dt.date, bad: bool) -> None:
    """A decided rating that keeps one factor's value, and what became of the customer."""
    card, scale = Scorecard.objects.get(kind="corporate"), CreditPolicy.objects.get(subject="grades")
    customer = company(house, rm)
    kept = [{"code": "debt_ratio", "source": "debt_ratio", "value": debts}]
    Rating.objects.create(
        customer=customer, kind="corporate", number=f"T{customer.pk}", status="approved", scorecard=card,
        grade_policy=scale, as_of=as_of, score=50, score_grade="B", model_grade="B", grade="B", grade_rank=5,
        pd="0.04", content={"factors": kept}, content_hash="x", generated_by=rm.staff, generated_at=NOW,
        submitted_by=rm.staff, decided_by=second.staff, decided_at=NOW, expires_on=TODAY + dt.timedelta(days=9),
    )  # fmt: skip
    if bad:
        month_end(customer, (as_of.replace(day=1) + dt.timedelta(days=190)).replace(day=1), 120)


def proposed(maker: Person, name: str = "standard") -> Scorecard:
    made = scorecards.draft_expert_card(
        maker.actor, kind="corporate", name=name, body=milder(), note="", now=NOW
    )
    return scorecards.propose_scorecard(
        maker.actor, scorecard_id=made.pk, valid_from=TOMORROW, today=TODAY, now=NOW
    )


def carried_out(card: Scorecard) -> Trial:
    done = carry_out(card.trials.get().pk, progress=lambda done, total: None)
    assert done is not None
    return done


def test_an_experts_card_is_measured_by_the_banks_own_defaults(
    dated: House, hq_risk: Person, president: Person, rm: Person, hq_credit: Person,
    client_for: Callable[[Person], Client],
) -> None:  # fmt: skip
    with bank(dated.id):
        for debts, bad, count in (("0.9", True, 30), ("0.3", True, 5), ("0.9", False, 5), ("0.3", False, 35)):
            for _ in range(count):
                rated(dated, rm, hq_credit, debts, as_of=YEAR_AGO, bad=bad)
        card = proposed(hq_risk)
        with pytest.raises(VersionError, match="has not been tried"):
            scorecards.publish_scorecard(president.actor, scorecard_id=card.pk, today=TODAY, now=NOW)
        result = carried_out(card).result
        out, now = result["outcomes"], result["current"]
        assert (out["cases"], out["bads"], out["enough"]) == (75, 35, True)
        by_hand = (30 * 35 + (30 * 5 + 5 * 35) / 2) / (35 * 40)
        assert out["new"]["auc"] == out["old"]["auc"] == pytest.approx(by_hand)
        assert [(band["count"], band["bad"]) for band in out["new"]["by_grade"]] == [(40, 5), (35, 30)]
        known = {row["code"]: row["known"] for row in result["known"]}
        assert known["debt_ratio"] == 75
        assert {n for code, n in known.items() if code != "debt_ratio"} == {0}
        assert (now["count"], sum(row["after"] for row in now["grades"])) == (75, 75)
        assert now["psi_scores"] is not None
    page = client_for(president).get(f"/credit/scorecards/{card.pk}/").content.decode()
    assert "75 decided ratings" in page and f"{by_hand:.3f}" in page
    assert 'name="reason"' not in page  # measured: nothing is to be excused
    with bank(dated.id):
        scorecards.publish_scorecard(president.actor, scorecard_id=card.pk, today=TODAY, now=NOW)


def test_where_outcomes_are_too_few_the_publisher_says_why(
    dated: House, hq_risk: Person, president: Person, rm: Person, hq_credit: Person,
    client_for: Callable[[Person], Client],
) -> None:  # fmt: skip
    with bank(dated.id):
        rated(dated, rm, hq_credit, "0.9", as_of=YEAR_AGO, bad=True)
        rated(dated, rm, hq_credit, "0.9", as_of=TODAY, bad=False)
        card = proposed(hq_risk)
        out = carried_out(card).result["outcomes"]
        assert (out["cases"], out["bads"], out["enough"], out["new"]) == (1, 1, False, None)
    client, page = client_for(president), f"/credit/scorecards/{card.pk}/"
    seen = client.get(page).content.decode()
    assert "1 decided ratings whose year is over, 1 of them defaulted" in seen
    refused = client.post(f"{page}publish/", {"reason": "ok"})
    assert refused.status_code == 422
    assert "say why it is published all the same" in refused.content.decode()
    said = "Debts told too much against young firms"
    assert client.post(f"{page}publish/", {"reason": said}).status_code == 302
    assert said in client.get(page).content.decode()
    with bank(dated.id):
        card.refresh_from_db()
        assert (card.status, card.ground) == ("published", said)


def test_a_trial_that_broke_off_is_ordered_again_or_excused(
    dated: House, hq_risk: Person, president: Person
) -> None:
    with bank(dated.id):
        card = proposed(hq_risk)
        Trial.objects.update(status="failed", fault="broke", fault_params={"why": "MemoryError"})
        again = order_trial(president.actor, card, now=NOW)
        assert again.status == "waiting"
        given: dict[str, Any] = {"scorecard_id": card.pk, "today": TODAY, "now": NOW}
        with pytest.raises(VersionError, match="has not been tried"):
            scorecards.publish_scorecard(president.actor, ground="it broke off twice", **given)
        Trial.objects.update(status="failed")
        with pytest.raises(VersionError, match="say why"):
            scorecards.publish_scorecard(president.actor, **given)
        scorecards.publish_scorecard(president.actor, ground="it broke off twice", **given)
