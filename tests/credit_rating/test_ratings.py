"""Ratings: reckoned from the data with every source, overridden within policy, decided by another, kept for good."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, connection, transaction

from credit_rating import rating_night
from credit_rating.models import ExternalExposure, Rating, RatingStatus, Signal, Statement
from credit_rating.policies import read
from credit_rating.policies.rating_rules import REVIEW, ReviewReason, events_of, has_grown, review_days
from credit_rating.policies.rating_rules import SHAPE as RATING_RULES
from credit_rating.selectors.ratings import assess
from credit_rating.selectors.scorecards import backtest
from credit_rating.services import collection
from credit_rating.services.ratings import RatingFault, decide_rating, generate_rating, submit_rating
from crm_site.lib.errors import Conflict
from crm_site.lib.permissions import Actor
from crm_site.lib.registry import WORK_REASONS, RunContext
from crm_site.lib.tenancy import bank
from crm_site.work.models import Task
from customers.conditions import Matches
from customers.models import Customer, MonthEnd, Standing
from customers.nightly import customer_ranges
from tests.conftest import NOW, TODAY, House, Person
from tests.credit_rating import book
from tests.customers.factories import make_customer

D = Decimal
COLLECTED = book.COMPANY | {
    "settlement_share": "63", "manager_years": "18", "outlook": "steady", "top_five_share": "58",
    "record": "clean", "environment": "b",
}  # fmt: skip


def company(house: House, rm: Person, **fields: Any) -> Customer:
    given = {"kind": "corporate", "size": "medium", "home_branch": house.north, "responsible": rm.staff}
    return make_customer("Silian", **{**given, **fields})


@pytest.fixture
def firm(inside: House, rm: Person) -> Customer:
    found = company(inside, rm)
    book.add_statements(found)
    book.collect(rm.actor, found, COLLECTED)
    return found


def owe(customer: Customer, days: int, loans: str = "1000000", deposits: str = "200000") -> None:
    """The customer's standing today."""
    Standing.objects.update_or_create(
        customer=customer,
        defaults={
            "kind": customer.kind, "home_branch": customer.home_branch, "responsible": customer.responsible,
            "as_of": TODAY, "loans": D(loans), "days_past_due": days, "deposits_adb": D(deposits),
        },
    )  # fmt: skip


def make(person: Person, customer: Customer, day: dt.date = TODAY) -> Rating:
    return generate_rating(person.actor, customer=customer, answers={}, day=day, now=NOW)


def submit(person: Person, made: Rating, **other: Any) -> Rating:
    given = {"seen": made.stamp, "grade": made.model_grade, "reason": "", "day": TODAY, "now": NOW}
    return submit_rating(person.actor, rating_id=made.pk, **{**given, **other})


def decide(person: Person, made: Rating, **other: Any) -> Rating:
    given = {"seen": made.stamp, "approve": True, "note": "", "day": TODAY, "now": NOW}
    return decide_rating(person.actor, rating_id=made.pk, **{**given, **other})


def test_every_factor_says_value_source_date_and_points(firm: Customer, rm: Person) -> None:
    made = make(rm, firm)
    factors = {f["code"]: f for f in made.factors}
    assert factors["debt_ratio"]["value"] == "0.5000"
    assert (factors["debt_ratio"]["as_of"], factors["debt_ratio"]["detail"]) == ("2025-12-31", "2025")
    assert factors["debt_ratio"]["points"] == "9"
    assert (factors["manager_years"]["value"], factors["manager_years"]["points"]) == ("18", "6")
    assert factors["manager_years"]["detail"] == "document"
    assert made.score == sum(D(f["points"]) for f in made.factors)
    assert made.is_whole
    assert make(rm, firm).pk == made.pk  # a double click


def test_what_the_data_do_not_give_is_missing_and_neutral(inside: House, rm: Person) -> None:
    bare = company(inside, rm)
    found = assess(rm.actor, bare, {}, day=TODAY)
    assert found.missing == len(found.lines)
    assert found.score == sum(
        next(b for b in line.factor.bins if b.kind == "missing").points for line in found.lines
    )
    assert all(f["value"] is None for f in make(rm, bare).factors)


def test_arrears_cap_the_grade_whatever_the_score(firm: Customer, rm: Person) -> None:
    free = make(rm, firm)
    owe(firm, 91)
    capped = make(rm, firm)
    assert (capped.score, capped.score_grade) == (free.score, free.score_grade)
    assert capped.model_grade == "D"
    assert capped.content["cap"] == {"measure": "days_past_due", "over": 90, "grade": "D"}
    with pytest.raises(RatingFault) as caught:
        submit(rm, capped, grade="C", reason="good people")
    assert caught.value.code == "grade_capped"
    owe(firm, 90)
    assert make(rm, firm).model_grade == "CCC"


@pytest.mark.parametrize(
    ("steps", "reason", "code"),
    [(0, "", ""), (1, "new contract", ""), (1, " ", "reason"), (2, "new contract", "grade_up"), (-4, "strike", ""),
     (-1, "", "reason")],
)  # fmt: skip
def test_one_notch_up_any_number_down_with_a_reason(
    firm: Customer, rm: Person, steps: int, reason: str, code: str
) -> None:
    scale = ["AAA", "AA", "A", "BBB", "BB", "B", "CCC", "CC", "C", "D"]
    made = make(rm, firm)
    grade = scale[scale.index(made.model_grade) - steps]
    if code:
        with pytest.raises(RatingFault) as caught:
            submit(rm, made, grade=grade, reason=reason)
        assert caught.value.code == code
        return
    done = submit(rm, made, grade=grade, reason=reason)
    assert (done.grade, done.status) == (grade, RatingStatus.SUBMITTED)
    rows = {r["grade"]: r["pd_pct"] for r in done.grade_policy.body["tables"]["scale"]}
    assert done.pd == D(rows[grade]) / 100


def test_a_reviewer_decides_and_it_holds_for_a_year(
    firm: Customer, rm: Person, branch_manager: Person, hq_credit: Person
) -> None:
    done = decide(branch_manager, submit(rm, make(rm, firm)))
    assert done.expires_on == dt.date(2027, 11, 20)
    assert decide(branch_manager, done).decided_at == done.decided_at  # a double click
    with pytest.raises(Conflict):
        decide(hq_credit, done, approve=False, note="late")
    book.add_statements(firm, (2026,))
    newer = decide(hq_credit, submit(rm, make(rm, firm)))
    done.refresh_from_db()
    assert (done.status, newer.status) == (RatingStatus.SUPERSEDED, RatingStatus.APPROVED)


def test_nobody_decides_what_he_made(
    inside: House, firm: Customer, rm: Person, branch_manager: Person, hq_credit: Person, hq_risk: Person,
    rm_other_branch: Person,
) -> None:  # fmt: skip
    mine = submit(branch_manager, make(branch_manager, firm))
    with pytest.raises(RatingFault) as caught:
        decide(branch_manager, mine)
    assert caught.value.code == "four_eyes_maker"
    for other in (rm, hq_risk):  # the role does not decide
        with pytest.raises(PermissionDenied):
            decide(other, mine)
    with pytest.raises(Rating.DoesNotExist):  # another branch does not even see it
        submit(rm_other_branch, mine)
    decide(hq_credit, mine, approve=False, note="statements are old")
    # Reckoned by the manager, confirmed by the RM: still not the manager's to decide.
    made = make(branch_manager, firm)
    half = submit(rm, made)
    with pytest.raises(RatingFault):
        decide(branch_manager, half)
    for person in (rm, branch_manager):
        with pytest.raises(IntegrityError), transaction.atomic():
            Rating.objects.filter(pk=half.pk).update(
                status="approved", decided_by=person.staff, decided_at=NOW, expires_on=TODAY
            )
    with pytest.raises(IntegrityError), transaction.atomic():
        Rating.objects.filter(pk=half.pk).update(status="approved", expires_on=TODAY)


def test_the_database_keeps_what_a_rating_says(firm: Customer, rm: Person, hq_credit: Person) -> None:
    made = make(rm, firm)
    for change in ({"content": {}}, {"score": D(99)}, {"as_of": dt.date(2026, 1, 1)}, {"status": "approved"}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Rating.objects.filter(pk=made.pk).update(**change)
    done = decide(hq_credit, submit(rm, made))
    for change in ({"grade": "AAA", "reason": "x"}, {"expires_on": TODAY}, {"status": "submitted"}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Rating.objects.filter(pk=done.pk).update(**change)
    with pytest.raises(IntegrityError), transaction.atomic():
        done.delete()


def test_data_that_changed_since_are_named(firm: Customer, rm: Person) -> None:
    made = make(rm, firm)
    said = {"typed": {"outlook": "falling"}, "base": {"outlook": "steady"}, "source": "seen"}
    collection.save_draft(rm.actor, customer=firm, now=NOW, today=TODAY, **said)
    collection.submit_form(rm.actor, customer=firm, now=NOW)
    with pytest.raises(Conflict) as caught:
        submit(rm, made)
    assert "Outlook of the industry" in caught.value.message
    assert submit(rm, make(rm, firm)).status == RatingStatus.SUBMITTED


def test_a_reviewer_does_not_approve_what_he_did_not_see(
    firm: Customer, rm: Person, branch_manager: Person, hq_credit: Person
) -> None:
    made = make(rm, firm)
    seen = made.stamp
    down = submit(branch_manager, made, grade="CC", reason="strike")
    with pytest.raises(Conflict) as caught:
        decide(hq_credit, down, seen=seen)
    assert "CC" in caught.value.message
    with pytest.raises(Conflict):  # it waits: no new one meanwhile
        make(rm, firm)
    with pytest.raises(RatingFault):  # returned without a word
        decide(hq_credit, down, approve=False)


def test_grades_are_held_against_what_came_later(firm: Customer, rm: Person, hq_credit: Person) -> None:
    done = decide(hq_credit, submit(rm, make(rm, firm)))
    (open_row,) = backtest(TODAY + dt.timedelta(days=300))
    assert (open_row.grade, open_row.count, open_row.whole, open_row.observed) == (done.grade, 1, 0, None)
    (whole,) = backtest(TODAY + dt.timedelta(days=365))
    assert (whole.whole, whole.defaults, whole.expected) == (1, 0, done.pd)


def month_end(customer: Customer, day: dt.date, late: int) -> None:
    """How many days past due the customer was at a month-end."""
    with connection.cursor() as cursor:
        cursor.execute("select banyan_ensure_month('customers_monthend', %s)", [day])
    money = dict.fromkeys(("deposits_adb", "deposits_balance", "loans", "aum", "inflow", "outflow"), D(0))
    MonthEnd.objects.create(
        bank_id=customer.bank_id, customer=customer, month_end=day, days_past_due=late, open_accounts=1,
        transactions=0, value_tier=1, wealth_level=1, **money,
    )  # fmt: skip


def test_defaults_are_counted_by_grade_as_one_counts_by_hand(
    inside: House, rm: Person, hq_credit: Person
) -> None:
    firms = [company(inside, rm) for _ in range(6)]
    for n, firm in enumerate(firms):
        made = make(rm, firm)
        grade = {} if n < 4 else {"grade": "CC", "reason": "strike"}
        decide(hq_credit, submit(rm, made, **grade))
    over = TODAY + dt.timedelta(days=365)
    inside_it, after = over.replace(day=1) - dt.timedelta(days=1), over + dt.timedelta(days=40)
    month_end(firms[0], inside_it, 91)  # a default, and once however often it is late
    month_end(firms[0], inside_it.replace(day=1) - dt.timedelta(days=1), 200)
    month_end(firms[1], inside_it, 90)  # to the day is not beyond
    month_end(firms[2], after, 400)  # after its year
    month_end(firms[3], TODAY, 400)  # known on the day of the rating
    month_end(firms[4], inside_it, 180)  # a default of the lower grade
    own = Rating.objects.filter(customer=firms[0]).get()
    low = Rating.objects.filter(customer=firms[4]).get()
    found = {row.grade: row for row in backtest(over)}
    assert set(found) == {own.grade, "CC"} and own.grade != "CC"
    assert [(r.count, r.whole, r.defaults) for r in (found[own.grade], found["CC"])] == [(4, 4, 1), (2, 2, 1)]
    assert (found[own.grade].observed, found["CC"].observed) == (D("0.25"), D("0.5"))
    assert (found[own.grade].expected, found["CC"].expected) == (4 * own.pd, 2 * low.pd)
    assert [r.whole for r in backtest(over - dt.timedelta(days=1))] == [0, 0], "the year is not over yet"


@pytest.mark.django_db(transaction=True)
def test_of_two_who_decide_at_once_one_does(
    house: House, rm: Person, branch_manager: Person, hq_credit: Person
) -> None:
    with bank(house.id):
        firm = company(house, rm)
        made = submit(rm, make(rm, firm))
    people = [(branch_manager.actor, True), (hq_credit.actor, False)]

    def act(who: tuple[Actor, bool]) -> str:
        try:
            with bank(house.id):
                done = decide_rating(
                    who[0], rating_id=made.pk, seen=made.stamp, approve=who[1], note="x", day=TODAY, now=NOW
                )
        except Conflict as error:
            return error.code
        else:
            return str(done.status)
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        said = list(pool.map(act, people))
    (won,) = (word for word in said if word != "rating_changed")
    assert won in ("approved", "returned")
    with bank(house.id):
        made.refresh_from_db()
        assert made.status == won

    def reckon(number: int) -> int:
        try:
            with bank(house.id):
                return generate_rating(rm.actor, customer=firm, answers={}, day=TODAY, now=NOW).pk
        finally:
            connection.close()

    with ThreadPoolExecutor(3) as pool:  # a phone that repeats itself: one draft
        assert len(set(pool.map(reckon, range(3)))) == 1


def night(house: House, day: dt.date) -> list[str]:
    """Run the step; the reasons of the tasks that are open then."""
    context = RunContext(house.id, 1, 1, day, True)
    for chunk in customer_ranges(house.id):
        rating_night.ratings(context, chunk)
    return sorted(Task.objects.open().values_list("reason", flat=True))


def test_the_night_reminds_expires_and_asks_for_a_review(
    inside: House, firm: Customer, rm: Person, hq_credit: Person
) -> None:
    owe(firm, 0)
    done = decide(hq_credit, submit(rm, make(rm, firm)))
    assert done.expires_on is not None
    assert night(inside, TODAY) == []
    owe(firm, 0, deposits="100001")
    assert night(inside, TODAY) == []
    owe(firm, 0, deposits="100000")
    assert night(inside, TODAY) == ["rating_review"]
    task = Task.objects.open().get()
    assert task.owner_id == rm.staff.pk
    assert "Deposits have fallen" in WORK_REASONS["rating_review"].sentence(task.params)
    newer = decide(hq_credit, submit(rm, make(rm, firm)))
    assert night(inside, TODAY) == []
    owe(firm, 30, deposits="100000")
    assert night(inside, TODAY) == ["rating_review"]
    newer.refresh_from_db()
    assert (newer.review_reason, newer.review_since) == ("arrears", TODAY)
    third = decide(hq_credit, submit(rm, make(rm, firm)))
    assert third.expires_on is not None
    owe(firm, 0, deposits="100000")
    assert night(inside, third.expires_on - dt.timedelta(days=32)) == []
    assert night(inside, third.expires_on - dt.timedelta(days=31)) == ["rating_expiring"]
    assert night(inside, third.expires_on) == ["rating_expired"]
    third.refresh_from_db()
    assert third.status == RatingStatus.EXPIRED


def reviewed(house: House, day: dt.date) -> str:
    """Run the step after the warnings; why the rating in force is due, "" while it is not."""
    context = RunContext(house.id, 1, 1, day, True)
    for chunk in customer_ranges(house.id):
        rating_night.reviews(context, chunk)
    return Rating.objects.get(status=RatingStatus.APPROVED).review_reason


def warned(customer: Customer, code: str, on: dt.date, **more: Any) -> Signal:
    return Signal.objects.create(
        customer=customer, code=code, level="risk", owner_kind="manager", opened_on=on, due_on=on, **more
    )


@pytest.mark.parametrize(("code", "reason"), [
    ("class_worse", "class"), ("guarantor", "guarantor"), ("group_member", "group"), ("key_person", "key_person"),
    ("excluded", "excluded"), ("unusual_activity", "activity"), ("line_use", ""),
])  # fmt: skip
def test_a_warning_that_a_rating_did_not_know_of_makes_it_due_once(
    inside: House, firm: Customer, rm: Person, hq_credit: Person, code: str, reason: str
) -> None:
    owe(firm, 0)
    known = warned(firm, code, TODAY - dt.timedelta(days=1))
    decide(hq_credit, submit(rm, make(rm, firm)))
    assert reviewed(inside, TODAY) == ""
    known.delete()
    warned(firm, code, TODAY)
    assert reviewed(inside, TODAY) == reason
    if not reason:
        return
    task = Task.objects.open().get()
    label = str(ReviewReason(reason).label)
    assert (task.due_date, label in WORK_REASONS["rating_review"].sentence(task.params)) == (
        TODAY + dt.timedelta(days=14), True,
    )  # fmt: skip
    assert reviewed(inside, TODAY + dt.timedelta(days=1)) == reason
    assert Rating.objects.get().review_since == TODAY  # not anew each night
    assert Task.objects.open().count() == 1
    Rating.objects.update(status="superseded")
    Signal.objects.update(opened_on=TODAY - dt.timedelta(days=1))
    decide(hq_credit, submit(rm, make(rm, firm)))  # in knowledge of it
    assert reviewed(inside, TODAY + dt.timedelta(days=2)) == ""


def test_a_policy_says_which_news_count_and_by_when(
    inside: House, firm: Customer, rm: Person, hq_credit: Person
) -> None:
    body = read(RATING_RULES, {**RATING_RULES.default(""), "params": {
        **RATING_RULES.default("")["params"], "review_events": ["statement"], "review_days": "5",
    }})  # fmt: skip
    assert (events_of(body), review_days(body)) == ({"statement"}, 5)
    older = {
        k: v for k, v in RATING_RULES.default("")["params"].items() if k not in ("review_events", *REVIEW)
    }
    before = read(RATING_RULES, {**RATING_RULES.default(""), "params": older})
    assert (len(events_of(before)), review_days(before)) == (8, 14)
    grown = [has_grown(before, D(was), D(now)) for was, now in (
        (1_000_000, 1_500_000), (1_000_000, "1499999.99"), (1_000_001, 1_500_001), (0, 500_000), (0, 499_999),
    )]  # fmt: skip
    assert grown == [True, False, False, True, False]


def test_a_later_statement_and_grown_debts_elsewhere_are_news(
    inside: House, firm: Customer, rm: Person, hq_credit: Person
) -> None:
    owe(firm, 0)
    _owes_elsewhere(firm, "600000", TODAY)
    decide(hq_credit, submit(rm, make(rm, firm)))
    assert reviewed(inside, TODAY) == ""
    ExternalExposure.objects.update(report_date=TODAY + dt.timedelta(days=1))
    assert reviewed(inside, TODAY + dt.timedelta(days=1)) == ""  # the first report tells of no growth
    ExternalExposure.objects.update(report_date=TODAY)
    _owes_elsewhere(firm, "1099999", TODAY + dt.timedelta(days=1))
    assert reviewed(inside, TODAY + dt.timedelta(days=1)) == ""
    _owes_elsewhere(firm, "1100000", TODAY + dt.timedelta(days=3))
    assert reviewed(inside, TODAY + dt.timedelta(days=2)) == ""  # told of a later day
    assert reviewed(inside, TODAY + dt.timedelta(days=3)) == "elsewhere"
    Rating.objects.update(review_since=None, review_reason="")
    ExternalExposure.objects.all().delete()
    newest = Statement.objects.filter(customer=firm).latest("year")
    Statement.objects.filter(pk=newest.pk).update(entered_at=NOW + dt.timedelta(hours=1))
    assert reviewed(inside, TODAY) == ""  # the year that was used, delivered again
    Statement.objects.create(
        customer=firm, year=newest.year + 1, report_date=newest.report_date.replace(year=newest.year + 1),
        figures=newest.figures, source="feed", entered_at=NOW + dt.timedelta(hours=1),
    )  # fmt: skip
    assert reviewed(inside, TODAY) == "statement"


def _owes_elsewhere(customer: Customer, amount: str, told_on: dt.date) -> None:
    ExternalExposure.objects.create(
        customer=customer, source="credit_bureau", report_date=told_on, lender="Other", currency="CNY", reference="A",
        kind="loan", outstanding=amount, source_as_of=NOW,
    )  # fmt: skip


def test_lists_ask_for_the_grade_that_holds(
    inside: House, firm: Customer, rm: Person, hq_credit: Person
) -> None:
    def asked(fact: str, op: str, value: object, day: dt.date = TODAY) -> bool:
        matches = Matches({"fact": fact, "op": op, "value": value}, as_of=day, actor=hq_credit.actor)
        return Standing.objects.filter(matches, customer=firm).exists()

    owe(firm, 0)
    done = submit(rm, make(rm, firm))
    assert asked("grade", "=", "none")  # nothing holds before it is decided
    decide(hq_credit, done)
    assert asked("grade", "=", done.grade) and asked("grade", ">=", "BB") and not asked("grade", ">=", "AAA")
    assert asked("pd", "=", str(done.pd * 100)) and asked("rating_expires_days", "=", 365)
    assert asked("grade", "=", "none", TODAY + dt.timedelta(days=366))
