"""Ratings and cases of a synthetic bank: what the services would have made, and explainable like theirs."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.db.models import F, Q, Sum

from credit_rating.factors import SOURCES
from credit_rating.models import (
    CampaignBatch,
    CreditCase,
    CreditLine,
    InformationForm,
    LineCalculation,
    Rating,
    RatingStatus,
    Statement,
)
from credit_rating.models.cases import STAGES
from credit_rating.policies import rating_rules
from credit_rating.policies.grades import grade_of
from credit_rating.policies.shapes import read
from credit_rating.scorecards import shape_of
from credit_rating.selectors import calculations
from credit_rating.selectors.calculations import Terms
from credit_rating.selectors.cases import dossier_of, inbox
from credit_rating.selectors.factors import Facts
from credit_rating.selectors.policies import policy_on
from credit_rating.selectors.ratings import Assessed, Line, as_content, graded, rules_on
from credit_rating.selectors.statements import finances_of
from crm_site.accounts.models import Bank, RoleGrant
from crm_site.accounts.selectors import actor_for
from crm_site.composition import demo_campaign
from crm_site.composition.synthetic.raters import busiest_manager
from crm_site.composition.synthetic_bank import make_bank
from crm_site.lib.permissions import Role, system_actor
from crm_site.lib.tenancy import bank
from crm_site.work.models import Task
from customers.figures import figures_sql
from customers.models import Customer, Loan

NOW = dt.datetime(2026, 3, 20, 3, 0, tzinfo=dt.UTC)
DATE = dt.date(2026, 2, 28)
FROM_STANDING = ("deposits_adb", "days_past_due", "worst_arrears")


@pytest.fixture(scope="module")
def living(django_db_setup: None, django_db_blocker: Any) -> Iterator[Bank]:
    """One bank for the module, undone at its end."""
    with django_db_blocker.unblock(), transaction.atomic():
        yield make_bank(code="lively", customers=600, seed=5, date=NOW.date(), now=NOW).founded.bank
        transaction.set_rollback(True)


@pytest.fixture
def inside(living: Bank, db: None) -> Iterator[Bank]:
    with bank(living.pk):
        yield living


def test_its_loan_prime_rate_is_published_every_month_up_to_its_business_date(inside: Bank) -> None:
    """The 20th, a Monday where that is a weekend; so that no page of a fresh bank says that its rate is old."""
    days = [dt.date.fromisoformat(row["date"]) for row in policy_on("pricing", DATE).body.tables["lpr"]]
    assert days[-3:] == [dt.date(2025, 12, 22), dt.date(2026, 1, 20), dt.date(2026, 2, 20)] or days[-1] > DATE
    assert all((later - earlier).days <= 35 for earlier, later in pairwise(days[1:]))


def test_one_customer_in_five_is_rated_at_every_stage_by_two_people(inside: Bank) -> None:
    rated = Rating.objects.values("customer_id").distinct().count()
    assert 100 <= rated <= 140
    found = Counter(Rating.objects.values_list("status", flat=True))
    assert found["approved"] > 80
    assert {"superseded", "expired"} <= set(found)
    for rating in Rating.objects.filter(status__in=("approved", "superseded", "expired")):
        assert rating.decided_by_id not in (None, rating.generated_by_id, rating.submitted_by_id)
        assert rating.expires_on is not None
        assert (rating.expires_on <= DATE) == (
            rating.status == RatingStatus.EXPIRED
        ) or rating.status == "superseded"
        assert rating.customer.customer_since is None or rating.customer.customer_since <= rating.as_of
    assert (
        Rating.objects.exclude(grade__in=("AAA", "AA", "A", "BBB", "BB", "B", "CCC", "CC", "C", "D")).count()
        == 0
    )
    assert len(set(Rating.objects.values_list("grade", flat=True))) >= 5


def test_a_made_rating_is_word_for_word_what_the_engine_says(inside: Bank) -> None:
    for rating in Rating.objects.select_related("customer", "scorecard"):
        assert rating.is_whole
        kind, day = rating.kind, rating.as_of
        table = rating.scorecard.table()
        rows = {
            r["code"]: r
            for r in read(shape_of(kind, rating.scorecard.origin), rating.scorecard.body).tables["factors"]
        }
        facts, told = (
            Facts(system_actor(inside.pk, "test"), rating.customer, day),
            {f["code"]: f for f in rating.factors},
        )
        found = {code: facts.of(code) for code in told if code not in FROM_STANDING}
        for code, one in found.items():
            assert told[code]["value"] == (None if one is None else str(one.value)), (rating.number, code)
            if one is not None:
                assert (told[code]["as_of"], told[code]["detail"]) == (one.as_of.isoformat(), one.detail)
        values = {c: _typed(c, f["value"]) for c, f in told.items()}
        score = table.score(values)
        assert score == rating.score == table.base + sum(Decimal(f["points"]) for f in rating.factors)
        scale, (rules, body) = policy_on("grades", day, kind), rules_on(day, kind)
        measures = {m: values[m] for m in rating_rules.MEASURES if values.get(m) is not None}
        if "days_past_due" not in values and rating.content["cap"]:
            continue  # a measure that is no factor of the card caps it: the cap names it
        score_pd, score_grade, cap, grade = graded(table, scale.body, body, score, measures)
        if rating.content["cap"] is None:
            assert (score_grade, grade) == (grade_of(scale.body, score), rating.model_grade)
            assert rating.model_grade == rating.grade or rating.reason
        assert rating.content["rules"] == {"id": rules.pk, "version": rules.version}
        again = as_content(
            Assessed(rating.customer, kind, day, rating.scorecard, table, scale, rules,
                     [Line(rows[f.code], f, b, found.get(f.code)) for f, b in table.bins(values)],
                     score, score_pd, score_grade, cap, grade, rating.pd, None)
        )  # fmt: skip
        assert again.keys() == rating.content.keys()
        assert [f.keys() for f in again["factors"]] == [f.keys() for f in rating.factors]
        for mine, theirs in zip(rating.factors, again["factors"], strict=True):
            if mine["code"] not in FROM_STANDING:
                assert mine == theirs


def _typed(code: str, value: str | None) -> Decimal | str | None:
    return Decimal(value) if value is not None and SOURCES[code].is_number else value


def test_a_made_rating_knows_what_the_night_of_its_day_would_have_known(inside: Bank) -> None:
    for rating in Rating.objects.order_by("-id")[:25]:
        with connection.cursor() as cursor:
            cursor.execute(figures_sql(inside.pk, rating.as_of, rating.customer_id, rating.customer_id))
            names = [column.name for column in cursor.description]
            row = dict(zip(names, cursor.fetchone(), strict=True))
        assert rating.deposits == Decimal(row["deposits_adb"]).scaleb(-2)
        told = {f["code"]: f["value"] for f in rating.factors}
        if "deposits_adb" in told:
            assert Decimal(told["deposits_adb"]) == rating.deposits
        if told.get("worst_arrears") is not None:
            assert Decimal(told["worst_arrears"]) >= row["days_past_due"]


def test_rated_companies_have_statements_and_everybody_a_form_of_before_the_rating(inside: Bank) -> None:
    companies = Rating.objects.filter(customer__kind="corporate").values_list("customer_id", flat=True)
    assert set(companies) <= set(Statement.objects.values_list("customer_id", flat=True))
    files = {form.customer_id: form for form in InformationForm.objects.filter(status="submitted")}
    assert set(Rating.objects.values_list("customer_id", flat=True)) <= set(files)
    for rating in Rating.objects.all():
        form = files[rating.customer_id]
        assert 0 < form.completeness_pct <= 100
        assert all(dt.date.fromisoformat(cell["as_of"]) <= rating.as_of for cell in form.values.values())


def test_credit_files_add_up_and_say_what_they_count_for(inside: Bank) -> None:
    actor = system_actor(inside.pk, "test")
    # Those with guarantees have a whole file; other rated companies may lack an answer.
    rated = Rating.objects.values("customer_id")
    companies = Customer.objects.filter(
        statements__isnull=False, guarantees__isnull=False, pk__in=rated
    ).distinct()
    assert companies
    for customer in companies:
        assert not [f for f in finances_of(actor, customer).faults if f.is_error]
        found = calculations.reckon(actor, customer, Terms("A", 12, Decimal(1_000_000)), day=NOW.date())
        assert not found.missing
        assert found.limit is not None
        assert found.guarantees
        assert found.concentration.uses


def test_cases_wait_in_inboxes_bound_to_the_dossier_that_is_there(inside: Bank) -> None:
    found = Counter(CreditCase.objects.values_list("status", flat=True))
    assert {"draft", "branch", "headquarters", "returned", "approved", "rejected"} <= set(found)
    for case in CreditCase.objects.filter(status__in=STAGES).select_related("customer", "product", "line"):
        assert dossier_of(case, case.as_of, DATE).hash == case.dossier_hash
        assert case.deadline >= DATE
        assert case.stage_since.date() <= DATE
        tasks = Task.objects.filter(source_key__startswith=f"case:{case.pk}:", status="open")
        assert tasks
        for task in tasks:
            assert case.pk in {c.pk for c in inbox(actor_for(task.owner, day=DATE), "todo", day=DATE).rows}
    reviewers = RoleGrant.objects.filter(role=Role.CREDIT_REVIEWER).select_related("staff")
    assert any(inbox(actor_for(g.staff, day=DATE), "todo", day=DATE).rows for g in reviewers)
    for case in CreditCase.objects.all():
        speakers = list(case.opinions.values_list("staff_id", flat=True))
        assert len(speakers) == len(set(speakers))
        assert case.prepared_by_id not in speakers
        if case.status == "approved":
            assert case.line is not None
            assert case.line.case_id == case.pk or case.kind != "new"
            assert set(case.opinions.values_list("stage", flat=True)) == set(case.route)


def test_an_open_case_rests_on_the_line_that_the_engine_calculates(inside: Bank) -> None:
    """Limit, steps, price and caps are the engine's of that day; nobody's saved calculation is as of before its inputs."""
    reader = system_actor(inside.pk, "test")
    cases = CreditCase.objects.filter(status__in=(*STAGES, "returned", "draft")).select_related("customer")
    without = 0
    for case in cases:
        if case.calculation_id is None:
            without += 1
            continue
        kept = LineCalculation.objects.get(pk=case.calculation_id)
        assert kept.is_whole and kept.created_by_id == case.prepared_by_id
        assert kept.as_of == case.prepared_at.date()
        assert kept.grade == Rating.objects.get(customer=case.customer, status="approved").grade
        assert (kept.requested, kept.rate_bp) == (case.amount, case.rate_bp)
        again = calculations.as_content(
            calculations.reckon(
                reader, case.customer, Terms(kept.grade, kept.term_months, kept.requested), day=kept.as_of
            )
        )
        for part in ("inputs", "steps", "limit", "usable", "guarantees", "price", "policies", "capital"):
            assert kept.content[part] == again[part], (case.number, part)
        assert kept.content["caps"] and kept.content["price"]
        assert all(given["as_of"] <= kept.as_of.isoformat() for given in kept.content["inputs"])
        owed = Loan.objects.filter(customer=case.customer, status="active").aggregate(sum=Sum("outstanding"))
        me = next(one for one in kept.content["group"] if one["self"])
        assert Decimal(me["lent"]) >= (owed["sum"] or 0)
    assert cases.count() >= 10 and without <= cases.count() // 10
    # Some ask for more than was calculated, most do not.
    above = [case for case in cases if case.route_why == "above_limit"]
    assert len(above) <= cases.count() // 2


def test_everybody_whom_the_demo_lets_sign_in_finds_something_to_decide(inside: Bank) -> None:
    def waiting(grant: RoleGrant) -> int:
        return len(inbox(actor_for(grant.staff, day=DATE), "todo", day=DATE).rows)

    first = {}
    for grant in RoleGrant.objects.select_related("staff").order_by("-staff__number"):
        first[grant.role] = grant
    assert waiting(first[Role.COMMITTEE_MEMBER]) >= 2
    assert waiting(first[Role.CREDIT_REVIEWER]) >= 1
    assert waiting(first[Role.PRESIDENT]) >= 1
    manager = busiest_manager()
    assert manager is not None
    leader = RoleGrant.objects.get(role=Role.BRANCH_MANAGER, unit_id=manager.unit_id)
    assert waiting(leader) >= 1
    mine = set(CreditCase.objects.filter(prepared_by=manager.staff).values_list("status", flat=True))
    assert {"branch", "returned"} <= mine


@pytest.mark.django_db
def test_a_bank_made_before_is_topped_up_once_and_no_other_bank_ever() -> None:
    made = make_bank(
        code="bare", customers=60, seed=3, date=NOW.date(), now=NOW, is_living=False
    ).founded.bank
    with bank(made.pk):
        assert not Rating.objects.exists()
    call_command("make_ratings", "bare")
    with bank(made.pk):
        first = Rating.objects.count()
        cases = CreditCase.objects.count()
        assert first
    call_command("make_ratings", "bare")
    with bank(made.pk):
        assert (Rating.objects.count(), CreditCase.objects.count()) == (first, cases)
        Customer.objects.filter(pk=Customer.objects.order_by("pk").values("pk")[:1]).update(source="core")
    with pytest.raises(CommandError, match="not a synthetic one"):
        call_command("make_ratings", "bare")


def test_the_ledger_of_a_line_tells_the_story_of_its_loans(inside: Bank) -> None:
    loans = {loan.number: loan for loan in Loan.objects.all()}
    drawn: Counter[str] = Counter()
    most_sub_limits = 0
    for line in CreditLine.objects.prefetch_related("entries__reservation", "events", "sub_limits").all():
        entries = sorted(line.entries.all(), key=lambda e: (e.at, e.pk))
        held = used = Decimal(0)
        for entry in entries:
            drawn[entry.kind] += 1
            held, used = held + entry.reserved_change, used + entry.utilised_change
            assert (entry.reserved_after, entry.utilised_after) == (held, used)
            assert 0 <= used <= line.limit
            assert entry.at > line.opened_at
            if entry.reference in loans:
                granted = loans[entry.reference].granted_date
                day = entry.at.astimezone(dt.UTC).date()
                assert granted <= line.starts_on if entry.kind == "brought_in" else day >= granted
            if entry.kind == "commit":
                assert entry.reservation is not None
                assert entry.reservation.committed == entry.amount
        assert (held, used) == (line.reserved, line.utilised)
        ended = next((e for e in line.events.all() if e.kind == "expired"), None)
        if ended:
            assert ended.utilised == sum(e.utilised_change for e in entries if e.at <= ended.at)
        for sub in line.sub_limits.all():
            told = [e for e in entries if e.product_id == sub.product_id]
            assert sub.utilised == sum(e.utilised_change for e in told)
            assert line.limit >= sub.limit
        most_sub_limits = max(most_sub_limits, len(line.sub_limits.all()))
    assert most_sub_limits == 2
    assert min(drawn[kind] for kind in ("brought_in", "reserve", "commit", "repay")) > 3


def test_the_demo_campaign_is_confirmed_after_it_was_reckoned(
    living: Bank, db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo_campaign, "LEAST", 1)  # a small bank has few households
    listed = demo_campaign.make_campaign(living, now=NOW)
    with bank(living.pk):
        batches = Counter(CampaignBatch.objects.values_list("status", flat=True))
        rated = Rating.objects.exclude(submitted_at=None)
        wrong = rated.filter(Q(generated_at__gt=F("submitted_at")) | Q(submitted_at__gt=F("decided_at")))
        assert (listed > 0, batches, list(wrong)) == (True, Counter({"approved": 1, "proposed": 1}), [])
