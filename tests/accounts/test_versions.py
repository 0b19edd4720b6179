"""How a version stands on a day, and what it changes: said once for policies, scorecards and tier policies."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from copy import deepcopy

import pytest
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.test import Client

from credit_rating.models import CreditPolicy, LoanClass, Scorecard
from credit_rating.policies import SHAPES
from credit_rating.policies.wording import words_of
from credit_rating.selectors.policies import before, changes, current
from credit_rating.selectors.scorecards import scorecard_on
from credit_rating.services import policies as services
from credit_rating.services import scorecards
from crm_site.accounts.models import Bank
from crm_site.accounts.versions import (
    Difference,
    Version,
    VersionError,
    VersionState,
    differences,
    predecessor,
    state_of,
    states,
)
from crm_site.audit.models import Entry
from crm_site.lib.errors import Conflict
from crm_site.lib.tenancy import bank
from segmentation import services as tiers
from segmentation.engine.policies import value_tiers
from segmentation.models import Scheme, TierPolicy
from tests.conftest import NOW, TODAY, House, Person
from tests.credit_rating.arrears import a_loan
from tests.customers.factories import make_customer

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
    scorecards.publish_scorecard(
        president.actor, scorecard_id=made.pk, today=TODAY, now=NOW, ground="nobody has been rated yet"
    )
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


# -- withdrawn before it begins -------------------------------------------------------------------------------------


def test_what_has_not_begun_is_withdrawn_for_a_reason_and_the_old_stays_in_force(
    inside: House, hq_risk: Person, president: Person, rm: Person
) -> None:
    founding = CreditPolicy.objects.get(subject="caps")
    made = sharper(hq_risk, president, LATER)
    with pytest.raises(PermissionDenied):
        services.withdraw_policy(rm.actor, policy_id=made.pk, reason="wrong cap", today=TODAY)
    with pytest.raises(VersionError) as caught:
        services.withdraw_policy(president.actor, policy_id=made.pk, reason=" ", today=TODAY)
    assert "reason" in caught.value.fields
    for late in (LATER, LATER + dt.timedelta(days=1)):
        with pytest.raises(VersionError, match="has begun"):
            services.withdraw_policy(president.actor, policy_id=made.pk, reason="wrong cap", today=late)
    with pytest.raises(VersionError, match="has begun"):
        services.withdraw_policy(president.actor, policy_id=founding.pk, reason="no more", today=TODAY)
    done = services.withdraw_policy(president.actor, policy_id=made.pk, reason="wrong cap", today=TODAY)
    assert (done.status, done.withdrawn_by_id, done.withdrawn_on) == ("withdrawn", president.staff.pk, TODAY)
    with pytest.raises(Conflict):  # a double click
        services.withdraw_policy(president.actor, policy_id=made.pk, reason="wrong cap", today=TODAY)
    assert states([founding, done], LATER) == {
        founding.pk: VersionState.IN_FORCE, done.pk: VersionState.WITHDRAWN,
    }  # fmt: skip
    again = sharper(hq_risk, president, LATER, single="7")  # the line is free, the day too
    assert (again.version, state_of(again, LATER)) == (done.version + 1, VersionState.IN_FORCE)
    entry = Entry.objects.filter(object_table="credit_rating_creditpolicy", object_id=made.pk).latest("id")
    assert entry.changes["withdrawal_reason"] == ["", "wrong cap"]


def test_the_database_itself_withdraws_nothing_that_began_or_was_used(
    inside: House, hq_risk: Person, president: Person
) -> None:
    made = sharper(hq_risk, president, LATER)

    def withdrawn(**fields: object) -> None:
        given = {
            "withdrawn_by": president.staff,
            "withdrawn_on": TODAY,
            "withdrawal_reason": "wrong",
            **fields,
        }
        with transaction.atomic():
            CreditPolicy.objects.filter(pk=made.pk).update(status="withdrawn", **given)

    for fault in ({"withdrawn_on": LATER}, {"withdrawal_reason": ""}, {"withdrawn_by": None}):
        with pytest.raises(IntegrityError):
            withdrawn(**fault)
    customer = make_customer("Silian", kind="corporate")
    loan = a_loan(customer, "L1")
    row = LoanClass.objects.create(
        loan=loan, customer=customer, level=1, reason="none", from_date=TODAY, policy=made
    )
    with pytest.raises(IntegrityError, match="has decided something"):
        withdrawn()
    row.delete()
    withdrawn()
    with pytest.raises(IntegrityError, match="stays withdrawn"), transaction.atomic():
        CreditPolicy.objects.filter(pk=made.pk).update(status="published")


def test_a_tier_policy_is_withdrawn_until_a_night_has_used_it(
    house: House, hq_risk: Person, president: Person, client_for: SignIn
) -> None:
    with bank(house.id):
        tiers.ensure_default_policies(NOW)
        scheme = Scheme.objects.get(code="value")
        draft = tiers.draft_policy(
            hq_risk.actor, scheme=scheme, tiers=value_tiers(800_000, 2_000_000, 150_000, 500_000), now=NOW
        )
        tiers.propose_policy(hq_risk.actor, policy_id=draft.pk, valid_from=LATER, now=NOW)
        tiers.publish_policy(president.actor, policy_id=draft.pk, now=NOW)
    Bank.objects.filter(pk=house.id).update(business_date=TODAY)
    page = f"/segmentation/policies/{draft.pk}/"
    client = client_for(president)
    assert "Withdraw it before it begins" in client.get(page).content.decode()
    Bank.objects.filter(pk=house.id).update(business_date=LATER)  # a night has decided by it
    refused = client.post(f"{page}withdraw/", {"reason": "wrong line"})
    assert (refused.status_code, "has begun" in refused.content.decode()) == (422, True)
    Bank.objects.filter(pk=house.id).update(business_date=TODAY)
    unsaid = client.post(f"{page}withdraw/", {"reason": ""})
    assert "Say why it is withdrawn." in unsaid.content.decode()
    assert client.post(f"{page}withdraw/", {"reason": "wrong line"}).status_code == 302
    assert "before it began. wrong line" in client.get(page).content.decode()


def test_the_policy_for_all_that_a_kinds_own_stands_on_is_not_withdrawn(
    inside: House, hq_risk: Person, president: Person
) -> None:
    draft = tiers.create_scheme(hq_risk.actor, code="size", name="Size", levels=["Big", "Small"], now=NOW)
    big = {"fact": "deposits_adb", "op": ">=", "value": "1000000"}
    said = [{**draft.tiers[0], "condition": big}, draft.tiers[1]]

    def published(kind: str) -> TierPolicy:
        made = tiers.draft_policy(hq_risk.actor, scheme=draft.scheme, kind=kind, tiers=said, now=NOW)
        tiers.propose_policy(hq_risk.actor, policy_id=made.pk, valid_from=LATER, now=NOW)
        return tiers.publish_policy(president.actor, policy_id=made.pk, now=NOW)

    base, own = published(""), published("corporate")
    with pytest.raises(VersionError, match="stands on it"):
        tiers.withdraw_policy(president.actor, policy_id=base.pk, reason="wrong line", today=TODAY)
    for version in (own, base):
        tiers.withdraw_policy(president.actor, policy_id=version.pk, reason="wrong line", today=TODAY)
