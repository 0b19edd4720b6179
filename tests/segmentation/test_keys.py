"""Keys of tier history, scores, month-ends and tasks are checked once a statement: they hold as firmly as a constraint's."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from crm_site.accounts.models import Staff
from crm_site.lib.tenancy import bank
from crm_site.work.models import Task
from segmentation.models import TierHistory, TierPolicy
from segmentation.services import ensure_default_policies
from tests.conftest import NOW, House, Person
from tests.customers import night_factories as make

DAY = dt.date(2026, 11, 16)
ABSENT = 10**12


def row(customer_id: int, policy_id: int, day: dt.date = DAY) -> TierHistory:
    nothing = dict.fromkeys(("deposits_adb", "deposits_balance", "loans", "aum"), 0)
    return TierHistory(
        customer_id=customer_id, policy_id=policy_id, scheme="value", rank=1, from_date=day, **nothing
    )


@pytest.fixture
def theirs(other_house: House) -> tuple[int, int]:
    """A customer and a policy of another bank."""
    with bank(other_house.id):
        ensure_default_policies()
        return make.customer().pk, TierPolicy.objects.values_list("pk", flat=True)[0]


@pytest.fixture
def ours(theirs: tuple[int, int], inside: House) -> tuple[int, int]:
    ensure_default_policies()
    return make.customer().pk, TierPolicy.objects.values_list("pk", flat=True)[0]


def refused(do: Callable[[], Any]) -> bool:
    """Whether the database takes it for a violated foreign key."""
    with pytest.raises(IntegrityError) as caught, transaction.atomic():
        do()
    return getattr(caught.value.__cause__, "sqlstate", "") == "23503"


def test_a_row_refers_to_parents_of_its_own_bank_alone(
    ours: tuple[int, int], theirs: tuple[int, int]
) -> None:
    customer, policy = ours
    for wrong in (
        row(theirs[0], policy),
        row(ABSENT, policy),
        row(customer, theirs[1]),
        row(customer, ABSENT),
    ):
        good = row(customer, policy, DAY + dt.timedelta(days=1))
        assert refused(lambda wrong=wrong, good=good: TierHistory.objects.bulk_create([good, wrong]))
    assert not TierHistory.objects.exists()
    TierHistory.objects.bulk_create([row(customer, policy)])
    assert TierHistory.objects.count() == 1


def test_a_row_cannot_be_turned_to_another_banks_parent(
    ours: tuple[int, int], theirs: tuple[int, int]
) -> None:
    kept = row(*ours)
    kept.save()
    for column, value in (("customer_id", theirs[0]), ("policy_id", theirs[1]), ("policy_id", ABSENT)):
        assert refused(lambda c=column, v=value: TierHistory.objects.filter(pk=kept.pk).update(**{c: v}))
    TierHistory.objects.filter(pk=kept.pk).update(rank=2, policy_id=ours[1])
    kept.refresh_from_db()
    assert (kept.rank, kept.customer_id, kept.policy_id) == (2, *ours)


def test_a_parent_with_history_cannot_be_deleted(ours: tuple[int, int]) -> None:
    row(*ours).save()

    def delete(table: str, key: int) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"DELETE FROM {table} WHERE id = %s", [key])

    assert refused(lambda: delete("segmentation_tierpolicy", ours[1]))
    with connection.cursor() as cursor:  # what else refers to the customer goes first
        cursor.execute("DELETE FROM customers_standing WHERE customer_id = %s", [ours[0]])
    assert refused(lambda: delete("customers_customer", ours[0]))
    TierHistory.objects.all().delete()
    delete("customers_customer", ours[0])


PARTITIONED = {
    "segmentation_churnscore": "as_of, customer_id, model_id, score_bp, reason_1, value_1, reason_2, value_2, reason_3, value_3"
    ") SELECT %s, %s, unnest(%s::bigint[]), 1, 1, 0, 0, 0, 0, 0, 0",
    "customers_monthend": "month_end, customer_id, deposits_adb, deposits_balance, loans, aum, open_accounts, transactions,"
    " inflow, outflow, overdue_amount, days_past_due, value_tier, wealth_level"
    ") SELECT %s, %s, unnest(%s::bigint[]), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0",
}


@pytest.mark.parametrize("table", PARTITIONED)
def test_a_partitioned_table_refers_to_customers_of_its_own_bank_alone(
    table: str, ours: tuple[int, int], theirs: tuple[int, int], inside: House
) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT banyan_ensure_month(%s, %s)", [table, DAY])

        def write(*customers: int) -> None:
            cursor.execute(
                f"INSERT INTO {table} (bank_id, {PARTITIONED[table]}", [inside.id, DAY, list(customers)]
            )

        def run(sql: str, key: int) -> None:
            cursor.execute(sql, [key])

        assert refused(lambda: write(ours[0], theirs[0]))
        assert refused(lambda: write(ours[0], ABSENT))
        write(ours[0])
        assert refused(lambda: run(f"UPDATE {table} SET customer_id = %s", theirs[0]))
        cursor.execute("DELETE FROM customers_standing WHERE customer_id = %s", [ours[0]])
        assert refused(lambda: run("DELETE FROM customers_customer WHERE id = %s", ours[0]))
        cursor.execute(f"DELETE FROM {table}")
        run("DELETE FROM customers_customer WHERE id = %s", ours[0])


@pytest.fixture
def strangers(other_house: House) -> tuple[int, int]:
    """A person and a unit of another bank."""
    with bank(other_house.id):
        return Staff.objects.values_list("pk", flat=True)[0], other_house.north.pk


def test_a_task_belongs_to_people_and_units_of_its_own_bank(
    strangers: tuple[int, int], inside: House, rm: Person
) -> None:
    person, unit = strangers
    values = {"reason": "promise", "created_at": NOW, "due_date": DAY, "show_from": DAY}
    for wrong in (
        {"owner_id": person, "unit_id": inside.north.pk},
        {"owner_id": rm.staff.pk, "unit_id": unit},
        {"owner_id": ABSENT, "unit_id": inside.north.pk},
    ):
        assert refused(lambda row=wrong: Task.objects.create(**values, **row))
    task = Task.objects.create(**values, owner_id=rm.staff.pk, unit_id=inside.north.pk)
    assert refused(lambda: Task.objects.filter(pk=task.pk).update(owner_id=person))
    assert refused(lambda: Task.objects.filter(pk=task.pk).update(unit_id=unit))
