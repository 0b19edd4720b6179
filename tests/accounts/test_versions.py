"""How a version stands on a day, and what it changes: said once for policies, scorecards and tier policies."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from copy import deepcopy

import pytest
from django.test import Client

from credit_rating.models import CreditPolicy, Scorecard
from credit_rating.policies import SHAPES
from credit_rating.policies.wording import words_of
from credit_rating.selectors.policies import before, changes, current
from credit_rating.selectors.scorecards import scorecard_on
from credit_rating.services import policies as services
from credit_rating.services import scorecards
from crm_site.accounts.versions import (
    Difference,
    Version,
    VersionState,
    differences,
    predecessor,
    state_of,
    states,
)
from crm_site.lib.tenancy import bank
from segmentation import services as tiers
from segmentation.models import TierPolicy
from tests.conftest import NOW, TODAY, House, Person

LATER = TODAY + dt.timedelta(days=30)
SignIn = Callable[[Person], Client]


def sharper(
    maker: Person, second: Person, day: dt.date, *, publish: bool = True, single: str = "8"
) -> CreditPolicy:
    """A next version of the caps: single customers at 8 instead of 10 per cent of net capital."""
    base = CreditPolicy.objects.filter(subject="caps", status="published").latest("version")
    body = deepcopy(base.body)
    body["params"]["single_loan_pct"] = single
    made = services.draft_policy(maker.actor, subject="caps", kind="", body=body, note="", now=NOW)
    services.propose_policy(maker.actor, policy_id=made.pk, valid_from=day, today=TODAY, now=NOW)
    if publish:
        services.publish_policy(second.actor, policy_id=made.pk, today=TODAY, now=NOW)
    return CreditPolicy.objects.get(pk=made.pk)


def test_what_is_published_is_in_force_from_its_date_only(
    inside: House, hq_risk: Person, president: Person
) -> None:
    founding = CreditPolicy.objects.get(subject="caps")
    later = sharper(hq_risk, president, LATER)
    today = {founding.pk: VersionState.IN_FORCE, later.pk: VersionState.PENDING}
    then = {founding.pk: VersionState.SUPERSEDED, later.pk: VersionState.IN_FORCE}
    both = [founding, later]
    assert states(both, TODAY) == states(both, LATER - dt.timedelta(days=1)) == today
    assert states(both, LATER) == then
    assert [state_of(v, LATER) for v in both] == list(then.values())
    assert current(TODAY)["caps"] == [(founding, VersionState.IN_FORCE), (later, VersionState.PENDING)]
    assert current(LATER)["caps"] == [(later, VersionState.IN_FORCE)]


def test_a_version_is_compared_with_what_is_in_force_when_it_begins(
    inside: House, hq_risk: Person, president: Person
) -> None:
    founding = CreditPolicy.objects.get(subject="caps")
    assert predecessor(founding, TODAY) is None
    later = sharper(hq_risk, president, LATER)
    after = sharper(hq_risk, president, LATER + dt.timedelta(days=1), publish=False, single="7")
    assert (before(later, TODAY), before(after, TODAY)) == (founding, later)
    assert changes(later, founding) == [Difference("Loans to one customer, of net capital", "10 %", "8 %")]
    assert [(one.was, one.becomes) for one in changes(after, later)] == [("8 %", "7 %")]


def test_a_kinds_first_version_is_compared_with_that_for_all(inside: House, hq_risk: Person) -> None:
    base = CreditPolicy.objects.get(subject="grades")
    body = deepcopy(base.body)
    body["tables"]["scale"].append(body["tables"]["scale"].pop(0))  # a row that only moved
    body["tables"]["scale"][0]["pd_pct"] = "0.07"
    found = CreditPolicy(subject="grades", kind="sme", version=1, body=body, status="draft", drafted_at=NOW)
    assert before(found, TODAY) == base
    said = changes(found, base)
    assert [one.becomes for one in said] == ["0.07 %"]
    assert "AA" in said[0].what


def test_rows_that_come_and_go_are_named(inside: House) -> None:
    shape = SHAPES["haircuts"]
    body = shape.default("")
    fewer = deepcopy(dict(body))
    gone = fewer["tables"][shape.tables[0].name].pop()
    said = differences(words_of(shape, body), words_of(shape, fewer))
    assert said and all(one.was and not one.becomes for one in said)
    assert differences(words_of(shape, fewer), words_of(shape, body)) and gone


def test_one_card_a_kind_is_in_force_whatever_its_name(
    inside: House, hq_risk: Person, president: Person
) -> None:
    first = Scorecard.objects.get(kind="sme")
    made = scorecards.draft_expert_card(
        hq_risk.actor, kind="sme", name="other", body=first.body, note="", now=NOW
    )
    scorecards.propose_scorecard(hq_risk.actor, scorecard_id=made.pk, valid_from=TODAY, today=TODAY, now=NOW)
    scorecards.publish_scorecard(president.actor, scorecard_id=made.pk, today=TODAY, now=NOW)
    assert states(Scorecard.objects.filter(kind="sme"), TODAY) == {
        first.pk: VersionState.SUPERSEDED, made.pk: VersionState.IN_FORCE,
    }  # fmt: skip
    assert scorecard_on("sme", TODAY) == made
    assert predecessor(Scorecard.objects.get(pk=made.pk), TODAY) == first


def unchanged_policy(maker: Person, now: dt.datetime) -> Version:
    body = CreditPolicy.objects.get(subject="caps").body
    return services.draft_policy(maker.actor, subject="caps", kind="", body=body, note="again", now=now)


def unchanged_card(maker: Person, now: dt.datetime) -> Version:
    card = Scorecard.objects.get(kind="sme")
    return scorecards.draft_expert_card(
        maker.actor, kind="sme", name=card.name, body=card.body, note="again", now=now
    )


def unchanged_tiers(maker: Person, now: dt.datetime) -> Version:
    tiers.ensure_default_policies(now)
    policy = TierPolicy.objects.get(scheme__code="value", kind="")
    return tiers.draft_policy(maker.actor, scheme=policy.scheme, tiers=policy.tiers, note="again", now=now)


@pytest.mark.parametrize(
    ("unchanged", "address"),
    [
        (unchanged_policy, "/credit/policies"),
        (unchanged_card, "/credit/scorecards"),
        (unchanged_tiers, "/segmentation/policies"),
    ],
)
def test_a_version_that_changes_nothing_is_not_proposed(
    house: House, hq_risk: Person, client_for: SignIn, unchanged: Callable[..., Version], address: str
) -> None:
    with bank(house.id):
        draft = unchanged(hq_risk, NOW)
    page = client_for(hq_risk).post(f"{address}/{draft.pk}/propose/", {"valid_from": "2099-01-01"})
    assert page.status_code == 422
    assert "It changes nothing: version 1, in force by then, says the same." in page.content.decode()


def test_going_back_on_what_begins_later_is_a_change(
    inside: House, hq_risk: Person, president: Person
) -> None:
    sharper(hq_risk, president, LATER)
    assert sharper(hq_risk, president, LATER + dt.timedelta(days=9), publish=False, single="10")


def test_the_second_person_sees_what_he_publishes(
    house: House, hq_risk: Person, president: Person, client_for: SignIn
) -> None:
    with bank(house.id):
        asked = sharper(hq_risk, president, dt.date(2099, 1, 1), publish=False)
    second = client_for(president)
    address = f"/credit/policies/{asked.pk}/"
    page = second.get(address).content.decode()
    assert "What it changes" in page and "10 %" in page and "8 %" in page
    assert second.post(f"{address}publish/").status_code == 302
    for where in (address, "/credit/policies/"):
        assert "in force from 1 Jan 2099" in second.get(where).content.decode(), where
    assert second.post(f"{address}publish/").status_code == 409  # a double click
    with bank(house.id):
        card = Scorecard.objects.get(kind="sme")
    assert "In force" in second.get(f"/credit/scorecards/{card.pk}/").content.decode()
