"""What the night puts on worklists: each cause once, what people did stays, what is gone goes."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from crm_site.lib.registry import WORK_REASONS, RunContext
from crm_site.work.models import Task
from crm_site.work.selectors import worklist
from crm_site.work.services import create_task, finish_task, hand_over_task, postpone_task
from customers.models import Customer, Holding, Product, Standing
from relationship import nightly
from segmentation.engine.churn import BY_CODE
from tests.conftest import NOW, TODAY, House, Person, hire
from tests.relationship.factories import DAY, account, customer


def run(house: House, day: dt.date = DAY) -> int:
    ctx = RunContext(house.id, 1, 1, day, True)
    return sum(nightly.fill_worklists(ctx, chunk).rows_changed for chunk in nightly.id_ranges(house.id))


def tasks(reason: str = "") -> list[Task]:
    found = Task.objects.open().order_by("-urgency", "-stake", "id")
    return [task for task in found if not reason or task.reason == reason]


def known(home: object, owner: Person, **fields: object) -> Customer:
    """A customer of whom nothing is missing but the phone (which a general customer without deposits need not have)."""
    return customer(home, owner.staff, deposits="0.00", **fields)


def balance(held: object, amount: int, day: dt.date = DAY) -> None:
    with connection.cursor() as cursor:
        cursor.execute("select banyan_ensure_month('customers_balancechange', %s)", [day])
        cursor.execute(
            "insert into customers_balancechange (bank_id, account_id, date, balance, positive_days, negative_days)"
            " values (%s, %s, %s, %s, 0, 0)",
            [held.bank_id, held.pk, day, amount],
        )


def score(one: Customer, feature: str, value: float) -> None:
    """A churn score of the night with one reason."""
    code = next(code for code, known in BY_CODE.items() if known.name == feature)
    with connection.cursor() as cursor:
        cursor.execute("select banyan_ensure_month('segmentation_churnscore', %s)", [DAY])
        cursor.execute(
            "insert into segmentation_churnscore (bank_id, as_of, customer_id, model_id, score_bp, reason_1, value_1,"
            " reason_2, value_2, reason_3, value_3) values (%s, %s, %s, 1, 7100, %s, %s, 0, 0, 0, 0)",
            [one.bank_id, DAY, one.pk, code, value],
        )


def test_maturities_within_seven_days_grow_urgent(inside: House, rm: Person) -> None:
    one = known(inside.north, rm)
    for days, amount in ((0, 100), (1, 200), (3, 300), (7, 400), (8, 500), (-1, 600)):
        held = account(one, inside.north, kind="term", maturity_date=TODAY + dt.timedelta(days=days))
        balance(held, amount)
    empty = account(one, inside.north, kind="term", maturity_date=TODAY)
    balance(empty, 0)
    run(inside)
    assert [(task.stake, task.urgency) for task in tasks("maturity")] == [
        (Decimal("1.00"), 90),
        (Decimal("2.00"), 85),
        (Decimal("3.00"), 70),
        (Decimal("4.00"), 50),
    ]
    assert WORK_REASONS["maturity"].sentence(tasks("maturity")[0].params).startswith("Deposit account …")


def test_a_promise_comes_before_what_can_wait_as_its_day_comes_near(inside: House, rm: Person) -> None:
    late = known(inside.north, rm)
    week = TODAY + dt.timedelta(days=7)
    promise = create_task(
        rm.actor, reason="promise", due_date=week, now=NOW, customer_id=late.pk, owner_id=rm.staff.pk
    )
    rating = create_task(
        rm.actor, reason="rating_expired", due_date=week, now=NOW, owner_id=rm.staff.pk, urgency=60
    )

    def night(day: dt.date) -> list[int]:
        nightly.age_worklists(RunContext(inside.id, 1, 1, day, True))
        listed = worklist(rm.actor, day + dt.timedelta(days=1))
        return [task.pk for task in listed if task.reason != "missing"]

    assert night(DAY) == [rating.pk, promise.pk]
    eve = week - dt.timedelta(days=1)
    assert night(eve - dt.timedelta(days=1)) == [promise.pk, rating.pk]
    promise.refresh_from_db()
    assert promise.urgency == 85
    again = nightly.age_worklists(RunContext(inside.id, 1, 1, eve - dt.timedelta(days=1), True))
    assert again.rows_changed == 0
    made = create_task(rm.actor, reason="promise", due_date=TODAY, now=NOW, owner_id=rm.staff.pk)
    assert made.urgency == 90  # from its first minute


def test_every_source_speaks(inside: House, rm: Person) -> None:
    late = known(
        inside.north, rm, standing={"overdue_amount": Decimal("12.00"), "days_past_due": 3}, loans="900.00"
    )
    leaving = known(inside.north, rm, tier=3, standing={"churn_bp": 7100})
    falling = customer(
        inside.north, rm.staff, tier=2, deposits="79.00", standing={"adb_previous": Decimal("100.00")}
    )
    customer(inside.north, rm.staff, tier=2, deposits="80.00", standing={"adb_previous": Decimal("100.00")})
    born = known(inside.north, rm, tier=2, birth_date=dt.date(1980, 11, 23))
    wealth = Product.objects.create(code="W", name="Steady growth 90", family="wealth")
    for reference, maturity in (("H1", TODAY), ("H2", TODAY + dt.timedelta(days=30))):
        Holding.objects.create(
            reference=reference, customer=born, product=wealth, date=DAY, value=Decimal("50.00"), currency="CNY",
            maturity_date=maturity,
        )  # fmt: skip
    score(leaving, "falling_months", 3)
    run(inside)
    said = {
        (task.reason, task.customer_id): WORK_REASONS[task.reason].sentence(task.params)
        for task in tasks()
        if task.reason != "missing"
    }
    assert said == {
        ("overdue", late.pk): "CNY 12.00 overdue for 3 days",
        ("churn", leaving.pk): "71% likely to leave: Deposits fell for 3 months in a row",
        ("drop", falling.pk): "Average deposits −21.0% since month-end: CNY 100.00 to CNY 79.00",
        ("birthday", born.pk): "Turns 46 on 23 Nov",
        ("holding", born.pk): "Steady growth 90, CNY 50.00, matures on 20 Nov",
    }
    assert {task.customer_id for task in tasks("missing")} == {
        leaving.pk, falling.pk, born.pk, *Customer.objects.filter(standings__deposits_adb__gt=0).values_list("pk", flat=True)
    }  # fmt: skip


@given(
    st.dates(dt.date(1930, 1, 1), dt.date(2010, 12, 31)), st.dates(dt.date(2026, 1, 1), dt.date(2028, 12, 31))
)
def test_birthday_window(birth: dt.date, day: dt.date) -> None:
    """The oracle walks the window day by day; 29 February is kept on the 28th in other years."""

    def keeps(on: dt.date) -> bool:
        if (birth.month, birth.day) == (2, 29) and on.month == 2 and on.day == 28:
            return not (on.year % 4 == 0 and (on.year % 100 != 0 or on.year % 400 == 0))
        return (on.month, on.day) == (birth.month, birth.day)

    expected = [d for d in (day + dt.timedelta(days=i) for i in range(4)) if keeps(d)]
    years = sorted({day.year, (day + dt.timedelta(days=3)).year})
    anniversaries = []
    for year in years:
        try:
            anniversaries.append(birth.replace(year=year))
        except ValueError:
            anniversaries.append(dt.date(year, 2, 28))
    assert [d for d in anniversaries if day <= d <= day + dt.timedelta(days=3)] == expected


def test_a_leap_day_birthday_around_the_end_of_february(inside: House, rm: Person) -> None:
    known(inside.north, rm, tier=2, birth_date=dt.date(1988, 2, 29))
    run(inside, dt.date(2027, 2, 25))
    assert [task.due_date for task in tasks("birthday")] == [dt.date(2027, 2, 28)]


def test_the_same_night_again_makes_nothing_twice(inside: House, rm: Person) -> None:
    known(
        inside.north,
        rm,
        tier=3,
        standing={"churn_bp": 7100, "overdue_amount": Decimal(1), "days_past_due": 1},
    )
    assert run(inside) == 2
    before = list(Task.objects.order_by("pk").values())
    assert run(inside) == 0
    assert list(Task.objects.order_by("pk").values()) == before


def test_done_stays_done_and_postponed_stays_postponed(inside: House, rm: Person) -> None:
    known(inside.north, rm, tier=3, standing={"churn_bp": 7100})
    run(inside)
    churn, missing = tasks("churn")[0], tasks("missing")[0]
    finish_task(rm.actor, task_id=churn.pk, now=NOW, result="called")
    later = TODAY + dt.timedelta(days=5)
    postpone_task(rm.actor, task_id=missing.pk, until=later, as_of=TODAY)
    run(inside)
    run(inside, DAY + dt.timedelta(days=1))
    churn.refresh_from_db()
    missing.refresh_from_db()
    assert churn.status == "done"
    assert missing.show_from == later
    assert Task.objects.count() == 2


def test_a_task_whose_cause_is_gone_is_closed_and_one_handed_over_stays(inside: House, rm: Person) -> None:
    colleague = hire(inside, "colleague", rm.actor.grants[0].role, inside.north, grade="level_3")
    paid = known(inside.north, rm, standing={"overdue_amount": Decimal(1), "days_past_due": 1})
    other = known(inside.north, rm, standing={"overdue_amount": Decimal(1), "days_past_due": 1})
    run(inside)
    kept = Task.objects.get(customer_id=other.pk)
    hand_over_task(rm.actor, task_id=kept.pk, to_id=colleague.staff.pk, now=NOW)
    Standing.objects.filter(customer=paid).update(overdue_amount=Decimal(0), days_past_due=0)
    run(inside)
    assert Task.objects.get(customer_id=paid.pk).status == "cancelled"
    kept.refresh_from_db()
    assert (kept.status, kept.owner_id) == ("open", colleague.staff.pk)


def test_who_waits_in_a_queue_makes_no_work_yet(inside: House) -> None:
    customer(inside.north, None, tier=3, standing={"churn_bp": 9000})
    assert run(inside) == 0


def test_an_overdue_customer_is_asked_nothing_trivial(inside: House, rm: Person) -> None:
    late = customer(
        inside.north, rm.staff, tier=2, birth_date=dt.date(1980, 11, 21),
        standing={"overdue_amount": Decimal("12.00"), "days_past_due": 252}, loans="900.00",
    )  # fmt: skip
    run(inside)
    assert [task.reason for task in tasks() if task.customer_id == late.pk] == ["overdue"]
    Standing.objects.filter(customer=late).update(overdue_amount=0, days_past_due=0)
    run(inside)
    assert {t.reason for t in tasks() if t.customer_id == late.pk} == {"birthday", "missing"}
