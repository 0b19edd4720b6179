"""A version is tried on the book before it is published: by the very rules and cards that decide, for the second person."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.test import Client

from credit_rating.models import CreditPolicy, Signal, Trial
from credit_rating.policies import warnings as rules
from credit_rating.services import policies
from credit_rating.services.trials import order_trial
from credit_rating.trial_jobs import carry_out
from crm_site.accounts.models import Bank
from crm_site.jobs.models import Run
from crm_site.jobs.services import run_to_end
from crm_site.lib.errors import Conflict, DomainError
from crm_site.lib.tenancy import bank
from crm_site.work.models import Task
from tests.conftest import NOW, TODAY, House, Person
from tests.credit_rating.test_ratings import company
from tests.credit_rating.test_warning_night import a_loan, night, set_days

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
