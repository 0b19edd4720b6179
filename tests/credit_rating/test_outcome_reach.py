"""A loan's outcome reaches nobody who looks at the customer: no page, no answer of the API, no fact, no warning rule."""

from __future__ import annotations

import datetime as dt
import json
import re
from decimal import Decimal
from pathlib import Path

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from credit_rating.models import LoanOutcome
from credit_rating.selectors.outcomes import outcome_rows
from credit_rating.services.outcomes import take_outcomes
from crm_site.accounts.models import RoleGrant
from crm_site.audit.models import Entry
from crm_site.jobs.models import Run
from crm_site.lib.errors import DomainError
from crm_site.lib.permissions import Role, system_actor
from crm_site.lib.tenancy import bank
from customers.facts import FACTS
from customers.models import (
    Account,
    BalanceChange,
    Card,
    Customer,
    Loan,
    LoanInstalment,
    StandingOrder,
    Transaction,
)
from tests.architecture.permission_matrix import MATRIX
from tests.architecture.places import a_customer
from tests.architecture.test_permissions import address_of
from tests.composition.test_api import caller
from tests.conftest import TODAY, House, Person
from tests.credit_rating.test_samples import SignIn

ROOT = Path(__file__).resolve().parents[2]
TABLE = "credit_rating_loanoutcome"
SECRET = "ZZ-BAD-LOAN"
# Who may name the model or its table, and why nothing of a customer's page is among them.
READERS = {
    "credit_rating/models/samples.py": "declares it",
    "credit_rating/models/__init__.py": "names it",
    "credit_rating/services/outcomes.py": "takes outcomes in",
    "credit_rating/selectors/outcomes.py": "makes samples of them",
    "crm_site/audit/subjects.py": "names the load, as a whole, in the record",
}
SAMPLES = "credit_rating:sample-list"  # where those who may use outcomes see how many there are of each
ROOMS = ("crm_site", "customers", "credit_rating", "segmentation", "relationship")


def test_only_the_sample_reads_outcomes() -> None:
    found = {
        str(path.relative_to(ROOT))
        for room in ROOMS
        for path in (ROOT / room).rglob("*.py")
        if "migrations" not in path.parts and re.search("LoanOutcome|loanoutcome", path.read_text())
    }
    assert found == set(READERS)
    assert not [fact.name for fact in FACTS if TABLE in str(fact.sql)]
    assert not [
        field
        for field in Loan._meta.related_objects
        if field.related_model is LoanOutcome and not field.hidden
    ]


def a_loan(customer: Customer) -> Loan:
    loan: Loan = Loan.objects.create(
        number="L-1", customer=customer, currency="CNY", amount=Decimal(10_000), outstanding=Decimal(4_000),
        granted_date=TODAY - dt.timedelta(days=400), maturity_date=TODAY + dt.timedelta(days=400), as_of=TODAY,
    )  # fmt: skip
    take_outcomes(system_actor(customer.bank_id, "test"), codes={"L-1": SECRET}, observed_on=TODAY)
    return loan


@pytest.fixture
def everybody(house: House, hq_risk: Person) -> Person:
    """A person with every role, who sees all there is."""
    with bank(house.id):
        grant = RoleGrant.objects.get(staff=hq_risk.staff)
        for role in set(Role) - {Role.RISK, Role.API, Role.OPERATOR}:
            grant.pk, grant.role, grant._state.adding = None, role, True
            grant.save()
    return hq_risk


def test_nothing_about_the_customer_reaches_its_loans_outcome(
    house: House, client_for: SignIn, everybody: Person
) -> None:
    """Every page and every list of the site is fetched by somebody who may see everything, and every list of the API
    with every scope: no statement touches the table but where samples are made, and no answer holds the outcome."""
    with bank(house.id):
        a_loan(a_customer(house, everybody.staff))
    client, call = (
        client_for(everybody),
        caller(house, "customers:read customers:write lines:control jobs:run"),
    )
    fetched = 0
    for name, line in MATRIX.items():
        if "GET" not in line.methods or name == SAMPLES or line.methods["GET"] == "bank.manage":
            continue
        with bank(house.id):
            Run.objects.update(status="done")  # one of a date at a time
        url = address_of(name, line, house, everybody)
        with CaptureQueriesContext(connection) as asked:
            answer = (
                call("get", url.removeprefix("/api/v1/")) if url.startswith("/api/v1/") else client.get(url)
            )
            body = b"".join(answer.streaming_content) if answer.streaming else answer.content
        assert SECRET.encode() not in body, name
        assert not [query["sql"] for query in asked if TABLE in query["sql"]], name
        fetched += answer.status_code == 200
    assert fetched > 80
    assert SECRET in client.get(reverse(SAMPLES)).content.decode()  # the watch sees it where it is


def test_the_night_and_the_record_do_not_tell_it(inside: House, everybody: Person) -> None:
    loan = a_loan(a_customer(inside, everybody.staff))
    told = json.dumps(list(Entry.objects.values("changes", "reason", "object_table")), default=str)
    assert SECRET not in told and "credit_rating_loanoutcome" in told
    assert not Entry.objects.filter(object_table=TABLE, customer_id=loan.customer_id).exists()


def test_an_outcome_is_observed_after_the_loan_and_known_from_then_on(
    inside: House, everybody: Person
) -> None:
    loan, actor = a_loan(a_customer(inside, everybody.staff)), system_actor(inside.id, "test")
    assert list(outcome_rows(actor, TODAY - dt.timedelta(days=1))) == []
    assert [row["code"] for row in outcome_rows(actor, TODAY)] == [SECRET]
    assert take_outcomes(actor, codes={"L-1": SECRET}, observed_on=TODAY) == (0, 0)
    with pytest.raises(DomainError):
        take_outcomes(actor, codes={"L-1": "B"}, observed_on=loan.granted_date)
    with pytest.raises(IntegrityError), transaction.atomic():
        LoanOutcome.objects.update(observed_on=loan.granted_date)


def test_nothing_of_the_loans_own_day_or_later_enters_the_sample(inside: House, everybody: Person) -> None:
    """A loan granted on a day with a history before it: whatever is dated that day or later changes no feature."""
    customer = a_customer(inside, everybody.staff)
    loan = a_loan(customer)
    day = loan.granted_date
    account = Account.objects.create(
        number="A-1", owner=customer, currency="CNY", opened_date=day - dt.timedelta(days=300)
    )
    Loan.objects.update(account=account)
    LoanInstalment.objects.create(loan=loan, due_date=day + dt.timedelta(days=30), amount=Decimal(900))
    order = StandingOrder.objects.create(
        reference="S-1", account=account, amount=Decimal(50), currency="CNY", to_account="X"
    )
    for back, amount, to in ((250, 1000, ""), (20, -50, "X"), (1, 30, "")):
        entry(account, day - dt.timedelta(days=back), Decimal(amount), to)
    actor = system_actor(inside.id, "test")
    (before,) = outcome_rows(actor, TODAY)
    assert (before["balance_last"], before["orders"], before["cards"], before["earlier_loans"]) == (
        980,
        1,
        0,
        0,
    )
    assert (before["payment"], before["account_days"]) == (900, 300)
    entry(account, day, Decimal(-5000), "Y")
    entry(account, day + dt.timedelta(days=5), Decimal(70_000), "")
    StandingOrder.objects.create(
        reference="S-2", account=account, amount=Decimal(5000), currency="CNY", to_account="Y"
    )
    Card.objects.create(reference="K-1", customer=customer, issued_date=day)
    Loan.objects.create(
        number="L-2", customer=customer, currency="CNY", amount=Decimal(1), outstanding=Decimal(1), granted_date=day,
        maturity_date=TODAY,
    )  # fmt: skip
    (after,) = outcome_rows(actor, TODAY)
    assert after == before
    order.delete()
    Card.objects.update(issued_date=day - dt.timedelta(days=1))
    (changed,) = outcome_rows(actor, TODAY)
    assert (changed["orders"], changed["cards"]) == (0, 1)


def entry(account: Account, day: dt.date, amount: Decimal, to: str) -> None:
    """A ledger entry with the day's end that it leads to."""
    with connection.cursor() as cursor:
        for table in ("customers_transaction", "customers_balancechange"):
            cursor.execute("select banyan_ensure_month(%s, %s)", [table, day])
    known = BalanceChange.objects.filter(account=account, date__lt=day).order_by("-date").first()
    number = Transaction.objects.count() + 1
    Transaction.objects.create(
        bank_id=account.bank_id, id=number, account=account, booked_date=day, reference=str(number), amount=amount,
        counterparty_account=to,
    )  # fmt: skip
    BalanceChange.objects.create(
        bank_id=account.bank_id, account=account, date=day, balance=(known.balance if known else 0) + amount,
        positive_days=0, negative_days=0,
    )  # fmt: skip
