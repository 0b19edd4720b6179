"""Home branches, the history's exclusion constraint, gaps and what the night leaves behind."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest
from django.db import IntegrityError, connection, transaction

from crm_site.accounts.models import GradeCapacity, Staff
from crm_site.lib.money import to_minor
from crm_site.lib.permissions import Role
from crm_site.lib.registry import RunContext
from customers.models import Customer, Interaction, Relation, Standing
from relationship import nightly
from relationship.models import Assignment, AssignmentProposal, ManagerLoad
from relationship.selectors.loads import loads
from tests.conftest import NOW, TODAY, House, Person, hire
from tests.relationship.factories import DAY, account, customer

TOMORROW = DAY + dt.timedelta(days=1)


def night(house: House, day: dt.date = DAY, *, newest: bool = True) -> int:
    """Run placement and proposals as the job runner would; returns rows changed."""
    ctx = RunContext(house.id, 1, 1, day, newest)
    changed = 0
    for step in (nightly.PLACEMENT, nightly.PROPOSALS):
        assert step.plan is not None
        changed += sum(step.work(ctx, chunk).rows_changed for chunk in step.plan(ctx))
        if step.finish:
            step.finish(ctx)
    return changed


def entries(owner: Customer, branch: object, count: int, day: dt.date, amount: str = "100.00") -> None:
    """`count` ledger entries at a branch, booked on `day`."""
    held = owner.accounts.first() or account(owner, branch)
    with connection.cursor() as cursor:
        cursor.execute("select banyan_ensure_month('customers_transaction', %s)", [day])
        for _ in range(count):
            cursor.execute(
                "insert into customers_transaction (bank_id, account_id, booked_date, reference, amount, branch_id)"
                " values (%s, %s, %s, gen_random_uuid()::text, %s, %s)",
                [owner.bank_id, held.pk, day, to_minor(Decimal(amount)), branch.pk],
            )


def home_of(one: Customer) -> int | None:
    one.refresh_from_db()
    assert Standing.objects.get(customer=one).home_branch_id == one.home_branch_id
    return one.home_branch_id


def test_home_is_where_most_business_was_done_in_the_last_months(inside: House) -> None:
    one = customer(None, opening_branch=inside.north)
    account(one, inside.north)
    entries(one, inside.north, 2, DAY - dt.timedelta(days=20), "90000.00")
    entries(one, inside.south, 3, DAY - dt.timedelta(days=10))
    entries(one, inside.north, 9, DAY - dt.timedelta(days=100))  # too long ago
    night(inside)
    assert home_of(one) == inside.south.pk


def test_home_moves_when_business_moves_and_stays_without_any(inside: House) -> None:
    mover, quiet = customer(inside.north), customer(inside.north)
    account(mover, inside.north)
    entries(mover, inside.south, 2, DAY - dt.timedelta(days=3))
    night(inside)
    assert home_of(mover) == inside.south.pk
    assert home_of(quiet) == inside.north.pk


def test_a_newcomer_without_entries_belongs_where_the_money_is_then_where_it_was_opened(
    inside: House,
) -> None:
    rich, bare = customer(None, opening_branch=inside.north), customer(None, opening_branch=inside.north)
    small, large = account(rich, inside.north), account(rich, inside.south)
    with connection.cursor() as cursor:
        cursor.execute("select banyan_ensure_month('customers_balancechange', %s)", [DAY])
        for held, balance in ((small, 100), (large, 900)):
            cursor.execute(
                "insert into customers_balancechange (bank_id, account_id, date, balance, positive_days, negative_days)"
                " values (%s, %s, %s, %s, 0, 0)",
                [inside.id, held.pk, DAY, balance],
            )
    night(inside)
    assert home_of(rich) == inside.south.pk
    assert home_of(bare) == inside.north.pk


def test_the_database_allows_one_manager_at_a_time_over_the_whole_history(
    inside: House, rm: Person, rm_other_branch: Person
) -> None:
    one = customer(inside.north, rm.staff)

    def period(start: dt.date, end: dt.date | None, who: Person = rm) -> Assignment:
        return Assignment.objects.create(
            customer=one, manager=who.staff, from_date=start, to_date=end, rule="chosen", decided_at=NOW
        )

    period(dt.date(2026, 1, 1), dt.date(2026, 3, 1))
    period(dt.date(2026, 3, 1), None, rm_other_branch)  # the day of the change belongs to the new one
    for start, end in (
        (dt.date(2025, 1, 1), None),
        (dt.date(2026, 2, 28), dt.date(2026, 3, 1)),
        (dt.date(2027, 1, 1), dt.date(2027, 1, 2)),
    ):
        with pytest.raises(IntegrityError, match="assignment_one_at_a_time"), transaction.atomic():
            period(start, end)
    period(dt.date(2025, 1, 1), dt.date(2026, 1, 1))


def test_the_night_proposes_by_the_rules_and_again_changes_nothing(
    inside: House, rm: Person, rm_other_branch: Person, teller: Person
) -> None:
    won = customer(inside.north, won_by=rm_other_branch.staff)
    borrower = customer(inside.north, loans="5000.00")
    mid = customer(inside.north, tier=2, wealth=3)
    general = customer(inside.north)
    nobody = customer(inside.south, tier=1, loans="9999999999.00")  # more than any grade may hold
    assert night(inside) > 0
    got = {p.customer_id: (p.rule, p.manager_id) for p in AssignmentProposal.objects.open()}
    assert got == {
        won.pk: ("won_by", rm_other_branch.staff.pk),
        borrower.pk: ("borrower", rm.staff.pk),
        mid.pk: ("depositor", rm.staff.pk),
        general.pk: ("general", teller.staff.pk),
        nobody.pk: ("borrower", None),
    }
    before = list(AssignmentProposal.objects.order_by("pk").values())
    assert night(inside) == 0
    assert list(AssignmentProposal.objects.order_by("pk").values()) == before


def test_a_borrower_with_a_teller_waits_for_a_manager_unless_the_teller_won_it(
    inside: House, rm: Person, teller: Person
) -> None:
    borrower = customer(inside.north, teller.staff, loans="1.00")
    customer(inside.north, teller.staff, loans="1.00", won_by=teller.staff)
    customer(inside.north, teller.staff)
    night(inside)
    assert [p.customer_id for p in AssignmentProposal.objects.open()] == [borrower.pk]


def test_who_is_known_goes_before_who_is_lightly_loaded(inside: House, rm: Person) -> None:
    friend = hire(inside, "friend", Role.RELATIONSHIP_MANAGER, inside.north, grade="level_2")
    for _ in range(3):
        customer(inside.north, friend.staff)
    met, related = customer(inside.north, tier=2), customer(inside.north, tier=3)
    Interaction.objects.create(customer=met, channel="call", at=NOW, author=friend.staff)
    Relation.objects.create(
        customer=related, other=Customer.objects.filter(responsible=friend.staff)[0], kind="family"
    )
    night(inside)
    assert {p.manager_id for p in AssignmentProposal.objects.open()} == {friend.staff.pk}
    assert {p.params["known"] for p in AssignmentProposal.objects.open()} == {"contact", "relative"}


def test_proposals_never_promise_more_room_than_a_grade_has(inside: House, rm: Person) -> None:
    GradeCapacity.objects.filter(grade="level_2").update(max_customers=2)
    customer(inside.north, rm.staff)
    for _ in range(3):
        customer(inside.north, tier=2)
    night(inside)
    night(inside)
    assert AssignmentProposal.objects.open().filter(manager=rm.staff).count() == 1
    assert AssignmentProposal.objects.open().filter(manager=None).count() == 2


def test_a_manager_without_a_grade_is_a_manager_within_the_lowest_grades_bounds(
    inside: House, rm: Person, teller: Person
) -> None:
    Staff.objects.filter(pk=rm.staff.pk).update(grade="")
    Staff.objects.filter(pk=teller.staff.pk).update(
        grade="senior"
    )  # a teller has no bounds, whatever the grade
    GradeCapacity.objects.filter(grade="trainee").update(max_customers=2)
    for _ in range(3):
        customer(inside.north, tier=2)
    night(inside)
    assert AssignmentProposal.objects.open().filter(manager=rm.staff).count() == 2
    people = list(Staff.objects.filter(pk__in=[rm.staff.pk, teller.staff.pk]))
    seen = {load.staff.pk: load for load in loads(people, TODAY)}
    mine, tellers = seen[rm.staff.pk], seen[teller.staff.pk]
    assert (mine.is_teller, mine.max_customers, mine.grade) == (False, 2, "no grade set: as Trainee")
    assert (tellers.is_teller, tellers.fill) == (True, None)


def test_customers_of_a_leaver_wait_in_the_queue_and_the_history_ends(
    inside: House, rm: Person, teller: Person
) -> None:
    kept = customer(inside.north, teller.staff)
    one = customer(inside.north, rm.staff, tier=2)
    night(inside, DAY - dt.timedelta(days=1))
    rm.staff.is_active = False
    rm.staff.save(update_fields=["is_active"])
    night(inside)
    one.refresh_from_db()
    assert one.responsible_id is None
    history = Assignment.objects.get(customer=one)
    assert (history.rule, history.to_date) == ("adopted", DAY)
    assert AssignmentProposal.objects.open().get().customer_id == one.pk
    assert Assignment.objects.get(customer=kept).to_date is None


def test_what_was_approved_for_a_later_day_takes_effect_on_that_day(
    inside: House, rm: Person, teller: Person
) -> None:
    one = customer(inside.north, teller.staff)
    Assignment.objects.create(
        customer=one, manager=teller.staff, from_date=DAY, to_date=TOMORROW, rule="general", decided_at=NOW
    )
    Assignment.objects.create(
        customer=one, manager=rm.staff, from_date=TOMORROW, rule="chosen", decided_at=NOW, applied=False
    )
    night(inside, DAY - dt.timedelta(days=1))
    one.refresh_from_db()
    assert one.responsible_id == teller.staff.pk
    night(inside)
    one.refresh_from_db()
    assert one.responsible_id == rm.staff.pk


def test_a_night_for_a_past_date_places_nobody(inside: House) -> None:
    one = customer(None, opening_branch=inside.north)
    assert night(inside, DAY - dt.timedelta(days=40), newest=False) == 0
    assert home_of(one) is None


def test_loads_agree_with_the_customers_to_the_unit(inside: House, rm: Person) -> None:
    customer(inside.north, rm.staff, tier=3, deposits="10.01", loans="5.00")
    customer(inside.north, rm.staff, tier=3, deposits="0.02", standing={"last_contact_date": DAY})
    gone = customer(inside.north, rm.staff, tier=1)
    night(inside)
    Standing.objects.filter(customer=gone).update(value_tier=2)
    night(inside)
    loads = {row.value_tier: row for row in ManagerLoad.objects.filter(manager=rm.staff)}
    assert sorted(loads) == [2, 3]
    assert (loads[3].customers, loads[3].deposits_adb, loads[3].loans, loads[3].contacted) == (
        2,
        Decimal("10.03"),
        Decimal("5.00"),
        1,
    )
