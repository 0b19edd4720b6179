"""Churn in the bank: trained on what was known, approved by a second person, scored with reasons, repeatable."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import translation

from crm_site.jobs.models import Run
from crm_site.lib.errors import Conflict, DomainError
from crm_site.lib.permissions import Role
from crm_site.lib.registry import WORK_REASONS, Counts, RunContext
from crm_site.lib.tenancy import bank
from crm_site.work.models import Task
from customers.models import Customer, Standing
from segmentation import churn_nightly, churn_services
from segmentation.models import ChurnModel, ChurnScore, ModelStatus
from segmentation.selectors import churn as selectors
from tests.conftest import NOW, House, Person, hire
from tests.segmentation.test_churn_engine import random_panel

SIZE = 700
LAST = dt.date(2026, 10, 31)


def month_ends(count: int) -> list[dt.date]:
    found = [LAST]
    while len(found) < count:
        found.append(found[-1].replace(day=1) - dt.timedelta(days=1))
    return found[::-1]


def book(house: House, *, months: int = 13) -> list[int]:
    """Customers with month-ends on record; the first has a loan alone, the second is dormant, the last a prospect."""
    panel = random_panel(4, size=SIZE)
    people = Customer.objects.bulk_create(
        [
            Customer(
                number=f"{i:05d}", name=f"C{i}", kind="personal", home_branch=house.north, birth_date=dt.date(1980, 1, 1),
                customer_since=dt.date(2015, 1, 1), is_prospect=i == SIZE - 1,
            )
            for i in range(SIZE)
        ]
    )  # fmt: skip
    ids = [customer.pk for customer in people]
    Standing.objects.bulk_create(
        Standing(customer=c, kind=c.kind, home_branch=house.north, as_of=LAST) for c in people
    )
    adb, balance = panel.adb.copy(), panel.balance.copy()
    adb[0] = balance[0] = 0
    adb[1] = balance[1] = 5_000_000
    rows = []
    for column, day in enumerate(month_ends(13)):
        if column < 13 - months:
            continue
        rows += [
            (house.id, day, ids[i], int(adb[i, column]), int(balance[i, column]), 0, int(balance[i, column]),
             int(panel.accounts[i, column]), int(panel.entries[i, column]), int(panel.inflow[i, column]),
             int(panel.outflow[i, column]))
            for i in range(SIZE)
        ]  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(
            "select banyan_ensure_month('customers_monthend', d) from unnest(%s::date[]) d", [month_ends(13)]
        )
        cursor.executemany(
            "insert into customers_monthend (bank_id, month_end, customer_id, deposits_adb, deposits_balance, loans, aum,"
            " open_accounts, transactions, inflow, outflow, overdue_amount, days_past_due, value_tier, wealth_level)"
            " values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, 0, 0, 1, 1)",
            rows,
        )
    house.bank.business_date = LAST
    house.bank.save(update_fields=["business_date"])
    return ids


def context(house: House, *, run: int = 1, day: dt.date = LAST, newest: bool = True) -> RunContext:
    return RunContext(bank_id=house.id, run_id=run, step_id=1, business_date=day, is_newest=newest)


def score(house: House, **options: object) -> Counts:
    """The step as the executor works it off."""
    at = context(house, **options)
    done = [churn_nightly.score(at, chunk) for chunk in list(churn_nightly.plan_churn(at))]
    churn_nightly.finish_churn(at)
    return Counts(sum(c.rows_in for c in done), sum(c.rows_changed for c in done))


@pytest.fixture
def risk(house: House) -> Person:
    return hire(house, "risk_one", Role.RISK, house.head_office)


@pytest.fixture
def president(house: House) -> Person:
    return hire(house, "president", Role.PRESIDENT, house.head_office)


def trained(house: House) -> ChurnModel:
    churn_nightly.train(context(house), {})
    return ChurnModel.objects.get(kind="")


def championed(house: House, risk: Person, president: Person) -> ChurnModel:
    model = trained(house)
    churn_services.propose_model(risk.actor, model_id=model.pk, now=NOW)
    return churn_services.approve_model(president.actor, model_id=model.pk, now=NOW)


def test_a_model_is_trained_on_earlier_months_and_validated_on_a_later_one(inside: House) -> None:
    book(inside)
    model = trained(inside)
    assert model.status == ModelStatus.TRAINED
    assert model.validation_month == month_ends(13)[9]
    assert model.train_months == month_ends(13)[5:7]
    assert model.auc is not None
    assert 0.6 < model.auc <= 1
    assert model.train_leavers >= 50
    assert sum(g["customers"] for g in model.calibration) == model.validation_rows


def test_training_again_for_the_same_run_makes_no_second_version(inside: House) -> None:
    book(inside)
    trained(inside)
    churn_nightly.train(context(inside), {})
    assert ChurnModel.objects.count() == 1
    churn_nightly.train(context(inside, run=2), {})
    assert sorted(ChurnModel.objects.values_list("version", flat=True)) == [1, 2]


def test_too_little_history_makes_no_model_and_the_page_says_so(
    house: House, risk: Person, client_for
) -> None:
    with bank(house.id):
        book(house, months=8)
        churn_nightly.train(context(house), {})
        assert not ChurnModel.objects.exists()
        assert score(house) == Counts()
        assert not Standing.objects.filter(churn_bp__gte=0).exists()
    page = client_for(risk).get("/segmentation/churn/", HTTP_ACCEPT_LANGUAGE="en")
    assert page.status_code == 200
    assert "8 month-ends are on record" in page.content.decode()


def test_too_few_leavers_are_said_and_never_score(inside: House, risk: Person) -> None:
    book(inside)
    with connection.cursor() as cursor:
        cursor.execute(
            "update customers_monthend set deposits_adb = 5000000 + customer_id %% 1000 where bank_id = %s",
            [inside.id],
        )
        cursor.execute("update customers_monthend set open_accounts = 1 where bank_id = %s", [inside.id])
    model = trained(inside)
    assert model.status == ModelStatus.INSUFFICIENT
    with pytest.raises(Conflict):
        churn_services.propose_model(risk.actor, model_id=model.pk, now=NOW)


def test_nobody_scores_before_a_second_person_approved(
    inside: House, risk: Person, president: Person
) -> None:
    book(inside)
    model = trained(inside)
    assert score(inside) == Counts()
    with pytest.raises(Conflict):
        churn_services.approve_model(president.actor, model_id=model.pk, now=NOW)
    churn_services.propose_model(risk.actor, model_id=model.pk, now=NOW)
    with pytest.raises(DomainError, match="second person"):
        churn_services.approve_model(risk.actor, model_id=model.pk, now=NOW)
    assert score(inside) == Counts()
    churn_services.approve_model(president.actor, model_id=model.pk, now=NOW)
    assert score(inside).rows_changed > 0
    run = Run.objects.get(pipeline="nightly")
    assert list(run.steps.order_by("position").values_list("name", flat=True)) == [
        "churn",
        "worklists",
        "summaries",
    ]


def test_the_database_refuses_a_champion_of_one_person(inside: House, risk: Person) -> None:
    book(inside)
    model = trained(inside)
    with pytest.raises(IntegrityError), transaction.atomic():
        ChurnModel.objects.filter(pk=model.pk).update(
            status="champion", proposed_by=risk.staff, decided_by=risk.staff
        )


def test_a_double_click_approves_once(inside: House, risk: Person, president: Person) -> None:
    book(inside)
    model = championed(inside, risk, president)
    assert churn_services.approve_model(president.actor, model_id=model.pk, now=NOW).pk == model.pk
    assert Run.objects.filter(pipeline="nightly").count() == 1


def test_a_new_champion_retires_the_one_before(inside: House, risk: Person, president: Person) -> None:
    book(inside)
    first = championed(inside, risk, president)
    churn_nightly.train(context(inside, run=2), {})
    second = ChurnModel.objects.get(version=2)
    churn_services.propose_model(president.actor, model_id=second.pk, now=NOW)
    churn_services.approve_model(risk.actor, model_id=second.pk, now=NOW)
    first.refresh_from_db()
    assert first.status == ModelStatus.RETIRED


def test_scores_stand_with_their_reasons_and_a_second_run_changes_nothing(
    inside: House, risk: Person, president: Person
) -> None:
    ids = book(inside)
    championed(inside, risk, president)
    counts = score(inside)
    assert counts.rows_in == SIZE - 1
    scores = {s.customer_id: s for s in ChurnScore.objects.filter(as_of=LAST)}
    assert counts.rows_changed == len(scores) > 100
    for left_out in (ids[0], ids[1], ids[-1]):  # loans alone, dormant, prospect
        assert left_out not in scores
    for customer_id, points in Standing.objects.values_list("customer_id", "churn_bp"):
        exact = scores[customer_id].score_bp if customer_id in scores else -1
        assert points == (0 if 0 <= exact < 50 else exact)  # below half a per cent pages say "<1%"
    before = list(ChurnScore.objects.order_by("customer_id").values_list("customer_id", "score_bp", "run_id"))
    assert score(inside, run=2).rows_changed == 0
    assert (
        list(ChurnScore.objects.order_by("customer_id").values_list("customer_id", "score_bp", "run_id"))
        == before
    )
    riskiest = max(scores.values(), key=lambda s: s.score_bp)
    assert riskiest.reasons
    why = selectors.why(risk.actor, riskiest.customer_id, "CNY")
    assert why is not None
    assert all(why.reasons)
    with translation.override("zh-hans"):
        chinese = selectors.why(risk.actor, riskiest.customer_id, "CNY")
    assert chinese is not None
    assert all(any("\u4e00" <= c <= "\u9fff" for c in reason) for reason in chinese.reasons)


def test_a_past_date_gets_no_scores(inside: House, risk: Person, president: Person) -> None:
    book(inside)
    championed(inside, risk, president)
    assert score(inside, day=month_ends(13)[-2], newest=False) == Counts()
    assert not ChurnScore.objects.exists()


def test_within_a_month_the_newest_score_takes_the_place_of_the_one_before(
    inside: House, risk: Person, president: Person
) -> None:
    book(inside)
    championed(inside, risk, president)
    with connection.cursor() as cursor:
        cursor.execute(
            "update customers_standing s set deposits_adb = m.deposits_adb, deposits_balance = m.deposits_balance,"
            " aum = m.aum from customers_monthend m where m.bank_id = %s and m.month_end = %s"
            " and s.bank_id = m.bank_id and s.customer_id = m.customer_id",
            [inside.id, LAST],
        )
        cursor.execute(
            "insert into customers_account (bank_id, number, owner_id, kind, currency, opened_date)"
            " select bank_id, number, id, 'savings', 'CNY', '2015-01-01' from customers_customer where bank_id = %s",
            [inside.id],
        )
    for day in (dt.date(2026, 11, 9), dt.date(2026, 11, 10)):
        assert score(inside, day=day).rows_changed > 0
    assert not ChurnModel.objects.filter(drift__isnull=False).exists(), (
        "what knows no entries is not measured"
    )
    assert set(ChurnScore.objects.values_list("as_of", flat=True)) == {dt.date(2026, 11, 10)}


def test_a_manager_sees_the_reasons_of_own_customers_alone(
    house: House, rm: Person, risk: Person, president: Person, client_for
) -> None:
    with bank(house.id):
        book(house)
        championed(house, risk, president)
        score(house)
        points = np.array(ChurnScore.objects.order_by("customer_id").values_list("customer_id", "score_bp"))
        mine, other = (int(i) for i in points[np.argsort(-points[:, 1])[:2], 0])
        for table in (Customer, Standing):
            key = {"pk": mine} if table is Customer else {"customer_id": mine}
            table.objects.filter(**key).update(responsible=rm.staff)
    client = client_for(rm)
    page = client.get(f"/segmentation/customers/{mine}/churn/", headers={"HX-Request": "true"})
    assert page.status_code == 200
    assert "<ol" in page.content.decode()
    assert client.get(f"/segmentation/customers/{other}/churn/").status_code == 404
    assert client.get("/segmentation/churn/").status_code == 403


def test_scores_that_have_drifted_are_work_for_risk_once_a_version_and_month(
    inside: House, risk: Person, president: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    book(inside)
    model = championed(inside, risk, president)
    with monkeypatch.context() as still:
        still.setattr(churn_nightly.validation, "stability", lambda *_given: 0.25)
        score(inside)
    assert not Task.objects.filter(reason="churn_drift").exists(), "not above the alarm: nothing to do"
    ChurnScore.objects.filter(model=model).update(score_bp=0)  # everybody stands in the lowest tenth now
    for _night in range(2):
        churn_nightly.finish_churn(context(inside))
    (task,) = Task.objects.filter(reason="churn_drift")
    model.refresh_from_db()
    assert model.drift is not None and model.drift > 0.25
    assert (task.owner_id, task.status) == (risk.staff.pk, "open")
    assert f"{model.drift:.2f}" in WORK_REASONS["churn_drift"].sentence(task.params)
    Task.objects.filter(pk=task.pk).update(status="done")
    churn_nightly.finish_churn(context(inside))
    assert Task.objects.get(reason="churn_drift").status == "done", "told once a month"
    monkeypatch.setattr(churn_nightly.validation, "stability", lambda *_given: 0.05)
    Task.objects.filter(pk=task.pk).update(status="open")
    churn_nightly.finish_churn(context(inside))
    assert Task.objects.get(reason="churn_drift").status == "cancelled", "it ends with its cause"
