"""Credit policies: typed data, checked cell by cell, published by a second person, never in the past."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from copy import deepcopy
from decimal import Decimal

import pytest
from django.db import IntegrityError
from django.test import Client

from credit_rating.forms import PolicyGrid
from credit_rating.models import CreditPolicy
from credit_rating.policies import SHAPES, PolicyFault, grades, read
from credit_rating.policies.wording import words_of
from credit_rating.selectors.policies import policy_on
from credit_rating.services import policies as services
from crm_site.accounts.versions import VersionError
from crm_site.lib.errors import Conflict
from crm_site.lib.tenancy import bank
from tests.conftest import NOW, TODAY, House, Person

TOMORROW = TODAY + dt.timedelta(days=1)
BODY = grades.default("")


def changed(row: int, column: str, value: str) -> dict[str, object]:
    body = deepcopy(dict(BODY))
    body["tables"]["scale"][row][column] = value
    return body


def test_a_new_bank_has_a_policy_for_every_subject(inside: House) -> None:
    found = policy_on("grades", TODAY)
    assert found.version.founding
    assert found.body.params["valid_months"] == 12
    assert grades.pd_of(found.body, "A") == Decimal("0.0025")


@pytest.mark.parametrize(
    ("score", "grade"),
    [
        ("100", "AAA"),
        ("90", "AAA"),
        ("89.99", "AA"),
        ("75", "A"),
        ("74.99", "BBB"),
        ("0", "D"),
        ("19.99", "D"),
    ],
)
def test_a_boundary_belongs_to_the_better_grade(score: str, grade: str) -> None:
    assert grades.grade_of(read(grades.SHAPE, BODY), Decimal(score)) == grade


@pytest.mark.parametrize(
    ("row", "column", "value", "field"),
    [
        (1, "score_from", "95", "scale-1-score_from"),
        (1, "pd_pct", "0.01", "scale-1-pd_pct"),
        (0, "pd_pct", "abc", "scale-0-pd_pct"),
        (0, "pd_pct", "120", "scale-0-pd_pct"),
        (2, "grade", "AA", "scale-2-grade"),
        (0, "grade", "X", "scale-0-grade"),
        (3, "score_from", "", "scale-3-score_from"),
        (9, "score_from", "5", "scale-9-score_from"),
    ],
)
def test_a_fault_is_named_by_its_cell(row: int, column: str, value: str, field: str) -> None:
    with pytest.raises(PolicyFault) as caught:
        read(grades.SHAPE, changed(row, column, value))
    assert field in caught.value.fields


def test_a_second_person_publishes_and_the_past_keeps_its_version(
    inside: House, hq_risk: Person, president: Person
) -> None:
    body = changed(2, "score_from", "76")
    draft = services.draft_policy(hq_risk.actor, subject="grades", kind="", body=body, note="why", now=NOW)
    with pytest.raises(VersionError):
        services.propose_policy(
            hq_risk.actor, policy_id=draft.pk, valid_from=TODAY - dt.timedelta(days=1), today=TODAY, now=NOW
        )
    services.propose_policy(hq_risk.actor, policy_id=draft.pk, valid_from=TOMORROW, today=TODAY, now=NOW)
    with pytest.raises(Conflict):
        services.draft_policy(hq_risk.actor, subject="grades", kind="", body=body, note="", now=NOW)
    with pytest.raises(VersionError):
        services.publish_policy(hq_risk.actor, policy_id=draft.pk, today=TODAY, now=NOW)
    services.publish_policy(president.actor, policy_id=draft.pk, today=TODAY, now=NOW)
    assert policy_on("grades", TODAY).version.version == 1
    assert policy_on("grades", TOMORROW).version.version == 2
    with pytest.raises(Conflict):
        services.publish_policy(president.actor, policy_id=draft.pk, today=TODAY, now=NOW)


def test_a_proposal_that_waited_past_its_date_begins_on_the_day_it_is_published(
    inside: House, hq_risk: Person, president: Person
) -> None:
    body = changed(2, "score_from", "76")
    draft = services.draft_policy(hq_risk.actor, subject="grades", kind="", body=body, note="", now=NOW)
    services.propose_policy(hq_risk.actor, policy_id=draft.pk, valid_from=TODAY, today=TODAY, now=NOW)
    late = TODAY + dt.timedelta(days=5)
    services.publish_policy(president.actor, policy_id=draft.pk, today=late, now=NOW)
    assert CreditPolicy.objects.get(pk=draft.pk).valid_from == late
    assert policy_on("grades", TOMORROW).version.version == 1


def test_a_kind_of_its_own_goes_before_the_policy_for_all(
    inside: House, hq_risk: Person, president: Person
) -> None:
    draft = services.draft_policy(hq_risk.actor, subject="grades", kind="sme", body=BODY, note="", now=NOW)
    services.propose_policy(hq_risk.actor, policy_id=draft.pk, valid_from=TODAY, today=TODAY, now=NOW)
    services.publish_policy(president.actor, policy_id=draft.pk, today=TODAY, now=NOW)
    assert policy_on("grades", TODAY, "sme").version.pk == draft.pk
    assert policy_on("grades", TODAY, "personal").version.founding


def test_the_database_itself_refuses_one_person(inside: House, hq_risk: Person) -> None:
    with pytest.raises(IntegrityError):
        CreditPolicy.objects.create(
            subject="grades", version=9, body={}, status="published", valid_from=TODAY, drafted_at=NOW,
            drafted_by=hq_risk.staff, proposed_by=hq_risk.staff, published_by=hq_risk.staff,
        )  # fmt: skip


def test_the_page_says_what_is_wrong_beside_the_cell_and_keeps_what_was_written(
    house: House, hq_risk: Person, president: Person, client_for: Callable[[Person], Client]
) -> None:
    with bank(house.id):
        first = CreditPolicy.objects.get(subject="grades")
    client = client_for(hq_risk)
    address = f"/credit/policies/{first.pk}/edit/"
    data: dict[str, str] = {"valid_months": "12", "notches_up": "1", "note": "tighter", "scale-rows": "10"}
    for i, row in enumerate(BODY["tables"]["scale"]):
        data |= {f"scale-{i}-{name}": value for name, value in row.items()}
    wrong = client.post(address, data | {"scale-1-score_from": "99"})
    assert wrong.status_code == 422
    assert 'id="id_scale-1-score_from_error"' in wrong.content.decode()
    assert 'value="99"' in wrong.content.decode()
    grown = client.post(address, data | {"add": "scale-0"})
    assert grown.status_code == 200
    assert 'name="scale-rows" value="11"' in grown.content.decode()
    form = grown.content.decode().partition('<form method="post" class="stack">')[2]
    assert form.partition("<button")[2].startswith(' class="visually-hidden" name="save"'), "Enter saves"
    saved = client.post(address, data | {"scale-1-score_from": "86"})
    assert saved.status_code == 302
    page = client.get(saved.headers["Location"])
    assert "86" in page.content.decode()
    assert client.get("/credit/policies/").status_code == 200


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ({"fact": "loans", "op": ">", "value": "50000"}, "50,000 CNY"),
        ({"fact": "adb_change_pct", "op": "<", "value": "-50"}, "−50%"),
        ({"fact": "days_past_due", "op": ">", "value": "7"}, "7 days"),
        ({"fact": "loans", "op": "between", "value": "1; 2000"}, "1; 2,000 CNY"),
        ({"fact": "loans", "op": ">", "value": "much"}, "much"),  # a draft with a fault
    ],
)
def test_a_threshold_names_its_unit(inside: House, where: dict[str, str], told: str) -> None:
    shape = SHAPES["warnings"]
    table = next(t for t in shape.tables if t.name == "conditions")
    body = {"tables": {"conditions": [{"rule": "x", "either": "", **where}]}}
    cells = next(rows for of, rows, _fault in PolicyGrid(shape, body).tables() if of is table)[0][1]
    assert cells[3].words == told
    assert any(words == told for words in words_of(shape, body).values())


def test_an_amount_of_a_policy_names_the_banks_currency(
    inside: House, hq_risk: Person, client_for: Callable[[Person], Client]
) -> None:
    found = CreditPolicy.objects.get(subject="authority", kind="")
    page = client_for(hq_risk).get(f"/credit/policies/{found.pk}/").content.decode()
    assert 'Amount up to <span class="meta">CNY</span>' in page
