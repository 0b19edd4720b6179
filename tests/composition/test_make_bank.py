"""A synthetic bank: believable, right to the cent, the same for the same seed, and never made twice."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from django.db.models import Count, F, Q
from stdnum import lei
from stdnum.cn import ric, uscc

from crm_site.accounts.banks import vault_of
from crm_site.accounts.models import Bank, Grade, OrgUnit, RoleGrant, Staff
from crm_site.composition.synthetic.book import Book, make_chunk
from crm_site.composition.synthetic.organisation import make_organisation
from crm_site.composition.synthetic.plan import make_plan
from crm_site.composition.synthetic_bank import make_bank
from crm_site.lib.permissions import Role
from crm_site.lib.tenancy import bank
from customers.models import (
    Account,
    BalanceChange,
    ContactPerson,
    ContactPoint,
    Customer,
    Identifier,
    Loan,
    SearchToken,
    Standing,
    Transaction,
)

NOW = dt.datetime(2026, 3, 20, 3, 0, tzinfo=dt.UTC)
DATE = dt.date(2026, 3, 20)  # the history ends at the month-end before


def chunk(customers: int, seed: int = 3, *, to_the_day: bool = False) -> Book:
    plan = make_plan(customers=customers, seed=seed, date=DATE, to_the_day=to_the_day)
    return make_chunk(plan, make_organisation(plan), 0)


@pytest.fixture(scope="module")
def book() -> Book:
    return chunk(5_000)


def test_the_history_is_thirteen_month_ends_before_the_date() -> None:
    plan = make_plan(customers=500, seed=1, date=DATE)
    assert plan.date == dt.date(2026, 2, 28)
    assert plan.end_dates[0] == dt.date(2025, 2, 28)
    assert len(plan.month_ends) == 13
    assert make_plan(customers=500, seed=1, date=dt.date(2026, 3, 31)).date == dt.date(2026, 3, 31)


def test_a_history_to_the_day_goes_on_through_the_running_month(book: Book) -> None:
    plan = make_plan(customers=500, seed=1, date=DATE, to_the_day=True)
    assert (plan.date, plan.end_dates[-2:]) == (DATE, [dt.date(2026, 2, 28), DATE])
    assert len(plan.month_ends) == 13
    end = dt.date(2026, 3, 31)
    whole = make_plan(customers=500, seed=1, date=end, to_the_day=True)
    assert whole.ends == make_plan(customers=500, seed=1, date=end).ends

    running = chunk(5_000, to_the_day=True)
    last, month_end = plan.day, plan.month_ends[-1]
    for dates in (
        running.ledger.date,
        running.entries.date,
        running.loans.balance_date,
        running.loans.granted,
    ):
        assert dates.max() <= last
    assert {month_end, last} <= set(running.ledger.date.tolist())
    assert ((running.ledger.date > month_end) & (running.ledger.date < last)).sum() > 1_000
    key = np.stack([running.ledger.account, running.ledger.date])
    assert np.unique(key, axis=1).shape == key.shape
    assert running.loans.overdue_since.max() <= last

    # The days of a running month move deposits no more than those of other months.
    def held(of: Book, day: int) -> int:
        upto = of.ledger.date <= day
        newest = np.zeros(len(of.accounts["owner"]), np.int64)
        newest[of.ledger.account[upto]] = of.ledger.balance[upto]
        return int(newest[np.array(of.accounts["currency"]) == "CNY"].sum())

    assert 0.85 < held(running, last) / held(running, month_end) < 1.15


def test_instalments_of_the_running_month_are_paid_when_due() -> None:
    loans = chunk(5_000, to_the_day=True).loans
    plan = make_plan(customers=5_000, seed=3, date=DATE, to_the_day=True)
    paid = loans.balance_loan[(loans.balance_date == plan.day) & (loans.balance_overdue == 0)]
    due = dict(
        zip(zip(loans.due_loan.tolist(), loans.due_date.tolist(), strict=True), loans.due_amount, strict=True)
    )
    first = plan.month_ends[-1] + 1
    with_due = {loan for loan, day in due if first <= day <= plan.day}
    repaid = set(np.nonzero(loans.closed)[0].tolist())
    assert len(paid) > 20
    assert set(paid.tolist()) - repaid <= with_due | set(np.nonzero(loans.granted >= first)[0].tolist())


@pytest.mark.parametrize("customers", [0, 19, 5_000_001])
def test_a_senseless_size_is_refused(customers: int) -> None:
    with pytest.raises(ValueError, match="number of customers"):
        make_plan(customers=customers, seed=1, date=DATE)


def test_the_same_seed_gives_the_same_book_and_another_seed_another(book: Book) -> None:
    again, other = chunk(5_000), chunk(5_000, seed=4)
    assert again.customers["name"] == book.customers["name"]
    assert again.identifiers["value"] == book.identifiers["value"]
    assert again.tables["people"]["submission"] == book.tables["people"]["submission"]
    np.testing.assert_array_equal(again.ledger.balance, book.ledger.balance)
    np.testing.assert_array_equal(again.loans.outstanding, book.loans.outstanding)
    assert other.customers["name"] != book.customers["name"]


def test_identifiers_have_right_check_digits(book: Book) -> None:
    checks = {"resident_id": ric.is_valid, "uscc": uscc.is_valid, "lei": lei.is_valid}
    wrong = [
        value
        for scheme, value in zip(book.identifiers["scheme"], book.identifiers["value"], strict=True)
        if not checks[scheme](value)
    ]
    assert wrong == []


def test_a_persons_number_agrees_with_birth_date(book: Book) -> None:
    births = book.customers["birth_date"]
    for at, scheme, value in zip(
        book.identifiers["customer"].tolist(),
        book.identifiers["scheme"],
        book.identifiers["value"],
        strict=True,
    ):
        if scheme == "resident_id" and births[at]:
            born = dt.date(1970, 1, 1) + dt.timedelta(days=int(births[at]))
            assert value[6:14] == born.strftime("%Y%m%d")


@pytest.mark.parametrize("to_the_day", [False, True])
def test_running_balance_days_are_the_sum_over_the_days(book: Book, to_the_day: bool) -> None:
    """The oracle walks day by day, for accounts of every sort."""
    book = chunk(5_000, to_the_day=True) if to_the_day else book
    ledger, rng = book.ledger, np.random.default_rng(0)
    for account in rng.choice(np.unique(ledger.account), size=60, replace=False).tolist():
        rows = np.nonzero(ledger.account == account)[0]
        dates, balances = ledger.date[rows].tolist(), ledger.balance[rows].tolist()
        assert dates == sorted(set(dates))
        plus = minus = held = 0
        expected = {}
        changes = dict(zip(dates, balances, strict=True))
        for day in range(dates[0], dates[-1] + 1):
            if day in changes:
                expected[day] = (plus, minus)
                held = changes[day]
            plus, minus = plus + max(held, 0), minus + max(-held, 0)
        got = zip(ledger.positive[rows].tolist(), ledger.negative[rows].tolist(), strict=True)
        assert dict(zip(dates, got, strict=True)) == expected


def test_entries_of_a_day_sum_to_the_change_of_balance(book: Book) -> None:
    ledger, entries = book.ledger, book.entries
    booked: dict[tuple[int, int], int] = {}
    for account, date, amount in zip(
        entries.account.tolist(), entries.date.tolist(), entries.amount.tolist(), strict=True
    ):
        booked[account, date] = booked.get((account, date), 0) + amount
    first = ledger.date.min()
    for account, date, now, before in zip(
        ledger.account.tolist(),
        ledger.date.tolist(),
        ledger.balance.tolist(),
        ledger.previous.tolist(),
        strict=True,
    ):
        if date > first:
            assert booked.get((account, date), 0) == now - before


def test_the_tiers_are_as_heavy_tailed_as_a_county_bank() -> None:
    """High 1.5-2.5 %, mid 5-9 %, and the top fifth brings most of the deposits."""
    book = chunk(20_000)
    size = len(book.customers["number"])
    ledger = book.ledger
    last = np.append(np.diff(ledger.account) > 0, True)
    deposits = np.zeros(size)
    owners = book.accounts["owner"][ledger.account[last]]
    np.add.at(deposits, owners, ledger.balance[last].clip(0) / 100)
    loans = np.zeros(size)
    np.add.at(loans, book.loans.customer, book.loans.outstanding / 100)
    real = ~np.array(book.customers["is_prospect"])
    high = ((deposits >= 1_000_000) | (loans >= 2_000_000)) & real
    mid = ((deposits >= 100_000) | (loans >= 500_000)) & real & ~high
    assert 0.013 < high.sum() / real.sum() < 0.025
    assert 0.05 < mid.sum() / real.sum() < 0.09
    ranked = np.sort(deposits[real])[::-1]
    assert ranked[: len(ranked) // 5].sum() / ranked.sum() > 0.8


def test_arrears_reach_from_days_to_more_than_a_year() -> None:
    book = chunk(20_000)
    plan = make_plan(customers=20_000, seed=3, date=DATE)
    late = book.loans.overdue_since[book.loans.overdue > 0]
    days = plan.day - late
    assert days.min() >= 1
    assert days.min() < 30
    assert 300 < days.max() < 430
    assert 0.01 < len(days) / len(book.loans.customer) < 0.1


def test_every_loan_has_its_balance_from_the_day_it_was_granted(book: Book) -> None:
    loans = book.loans
    first = np.full(len(loans.customer), 10**9)
    np.minimum.at(first, loans.balance_loan, loans.balance_date)
    plan = make_plan(customers=5_000, seed=3, date=DATE)
    np.testing.assert_array_equal(first, np.maximum(loans.granted, plan.start))
    newest = dict(zip(loans.balance_loan.tolist(), loans.balance_outstanding.tolist(), strict=True))
    assert [newest[i] for i in range(len(loans.customer))] == loans.outstanding.tolist()


def test_deposits_mature_within_one_three_and_seven_days(book: Book) -> None:
    plan = make_plan(customers=5_000, seed=3, date=DATE)
    left = book.accounts["maturity"][book.accounts["maturity"] > 0] - plan.day
    assert left.min() >= 1
    assert {1, 3, 7} <= set(left.tolist())


def test_nobody_is_a_customer_before_birth_or_after_the_date(book: Book) -> None:
    plan = make_plan(customers=5_000, seed=3, date=DATE)
    since, births = book.customers["customer_since"], book.customers["birth_date"]
    real = since > 0
    assert (since[real] <= plan.day).all()
    assert (since[real & (births > 0)] > births[real & (births > 0)]).all()
    assert (book.accounts["opened"] >= since[book.accounts["owner"]]).all()
    closed = book.accounts["closed"]
    assert (closed[closed > 0] > book.accounts["opened"][closed > 0]).all()
    assert closed.max() <= plan.day


@pytest.fixture
def made(db: None) -> Iterator[Bank]:
    result = make_bank(code="synthetic", customers=400, seed=5, date=DATE, now=NOW, is_living=False)
    with bank(result.founded.bank.pk):
        yield result.founded.bank


def test_a_bank_has_exactly_its_customers_and_a_standing_each(made: Bank) -> None:
    assert Customer.objects.customers().count() == 400
    assert Customer.objects.filter(is_prospect=True).count() == 16
    assert Standing.objects.count() == 416
    same = Standing.objects.filter(Q(kind=F("customer__kind")) & Q(home_branch=F("customer__home_branch")))
    assert same.count() == Customer.objects.filter(home_branch__isnull=False).count()


def test_every_role_and_grade_works_there_by_grants_of_two_people(made: Bank) -> None:
    roles = set(RoleGrant.objects.values_list("role", flat=True))
    assert roles == {r.value for r in Role} - {Role.API.value, Role.OPERATOR.value}
    assert set(Staff.objects.exclude(grade="").values_list("grade", flat=True)) == set(Grade.values)
    assert not RoleGrant.objects.filter(founding=False, proposed_by=F("decided_by")).exists()
    assert RoleGrant.objects.filter(founding=True).count() == 2
    assert OrgUnit.objects.filter(lft__gte=F("rgt")).count() == 0


def test_protected_values_open_again_and_are_found_by_their_token(made: Bank) -> None:
    vault = vault_of(made.pk)
    one = Identifier.objects.select_related("customer").first()
    assert one is not None
    value = vault.decrypt(one.value, place="identifier.value", row=f"{one.customer.number}|{one.scheme}")
    assert bytes(one.blind_index) == vault.blind_index(one.scheme, value)
    assert value not in one.masked
    phone = ContactPoint.objects.select_related("customer").first()
    assert phone is not None
    clear = vault.decrypt(
        phone.value, place="contactpoint.value", row=f"{phone.customer.number}|phone|{phone.position}"
    )
    assert clear.startswith("+86")
    person = ContactPerson.objects.filter(phone__isnull=False).select_related("customer").first()
    assert person is not None
    clear_too = vault.decrypt(person.phone, place="contactperson.phone", row=person.phone_row)
    assert clear_too.endswith(person.phone_masked[-4:])
    for token in (f"x:{bytes(one.blind_index).hex()}", f"#{one.customer.number}"):
        assert SearchToken.objects.get(token=token).customer_id == one.customer_id
    assert SearchToken.objects.filter(token=f"t:{clear[-4:]}", customer=phone.customer_id).exists()


def test_accounts_have_one_owner_and_balances_from_their_first_day(made: Bank) -> None:
    owners = Account.objects.annotate(owners=Count("holders", filter=Q(holders__role="owner")))
    assert not owners.exclude(owners=1).exists()
    assert BalanceChange.objects.filter(date__lt=F("account__opened_date")).count() == 0
    assert Transaction.objects.count() > 0
    assert Loan.objects.filter(days_past_due__gt=0, overdue_amount=0).count() == 0


def test_an_existing_bank_is_refused_in_one_line(made: Bank) -> None:
    before = Customer.objects.count()
    with pytest.raises(CommandError, match="exists already") as refusal:
        call_command("make_bank", "synthetic", customers=50)
    assert "\n" not in str(refusal.value)
    assert Customer.objects.count() == before


@pytest.mark.django_db
def test_a_bank_that_cannot_be_finished_does_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_arguments: object) -> None:
        raise RuntimeError("the disk is full")

    monkeypatch.setattr("crm_site.composition.synthetic_bank._load", broken)
    with pytest.raises(RuntimeError, match="disk"):
        make_bank(code="half", customers=30, seed=1, date=DATE, now=NOW)
    assert not Bank.objects.filter(code="half").exists()
