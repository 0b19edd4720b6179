"""A rating that waits is somebody's work: on his worklist, in the credit inbox and on his home; its makers hear of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client

from credit_rating.models import CreditPolicy, InformationForm, Rating, StaffRelation, Statement
from credit_rating.selectors.waiting import ratings_to_decide
from credit_rating.services.ratings import RatingFault
from crm_site.lib.permissions import Role
from crm_site.lib.registry import NOTICES, WORK_REASONS
from crm_site.work.models import Notification, Task
from customers.models import Customer, Relation
from tests.conftest import NOW, TODAY, House, Person, hire
from tests.credit_rating import book
from tests.credit_rating.test_ratings import COLLECTED, company, decide, make, submit
from tests.customers.factories import make_customer

SignIn = Callable[[Person], Client]


@pytest.fixture
def firm(inside: House, rm: Person, branch_manager: Person, hq_credit: Person) -> Customer:
    found = company(inside, rm)
    book.add_statements(found)
    book.collect(rm.actor, found, COLLECTED)
    return found


def work() -> dict[str, int | None]:
    return dict(
        Task.objects.open().filter(source_key__startswith="rating:").values_list("reason", "owner_id")
    )


def numbers(person: Person) -> list[str]:
    return [r.number for r in ratings_to_decide(person.actor, TODAY)]


def test_what_waits_is_the_branch_managers_work_and_the_reviewers_list(
    firm: Customer, rm: Person, branch_manager: Person, hq_credit: Person, inside: House
) -> None:
    made = make(rm, firm)
    assert work() == {} and numbers(hq_credit) == []
    waits = submit(rm, made)
    assert work() == {"rating_decide": branch_manager.staff.pk}
    submit(rm, made)  # a double click asks nobody twice
    assert Task.objects.filter(reason="rating_decide").count() == 1
    elsewhere = hire(inside, "other_manager", Role.BRANCH_MANAGER, inside.south)
    assert (numbers(branch_manager), numbers(hq_credit)) == ([waits.number], [waits.number])
    assert (numbers(rm), numbers(elsewhere)) == ([], [])
    task = Task.objects.get(reason="rating_decide")
    assert waits.number in WORK_REASONS["rating_decide"].sentence(task.params)


def test_a_manager_who_rated_himself_leaves_it_to_the_reviewers(
    firm: Customer, branch_manager: Person, hq_credit: Person
) -> None:
    submit(branch_manager, make(branch_manager, firm))
    assert work() == {"rating_decide": hq_credit.staff.pk}
    assert numbers(branch_manager) == []


def test_the_decision_ends_the_work_and_is_told_to_who_made_it(
    firm: Customer, rm: Person, branch_manager: Person, hq_credit: Person
) -> None:
    waits = submit(rm, make(rm, firm))
    decide(hq_credit, waits)
    decide(hq_credit, waits)
    assert work() == {} and numbers(branch_manager) == []
    told = Notification.objects.get(code="rating.decided")
    assert (told.staff_id, told.url) == (rm.staff.pk, f"/credit/ratings/{waits.pk}/")
    assert waits.number in NOTICES["rating.decided"].sentence(told.params)


def test_a_returned_rating_is_its_makers_work_until_it_is_reckoned_again(
    firm: Customer, rm: Person, branch_manager: Person
) -> None:
    decide(branch_manager, submit(rm, make(rm, firm)), approve=False, note="The outlook is not steady.")
    assert work() == {"rating_returned": rm.staff.pk}
    assert Task.objects.get(reason="rating_decide").status == "done"
    make(rm, firm)
    assert work() == {}


def own(firm: Customer, manager: Person) -> None:
    Customer.objects.filter(pk=firm.pk).update(responsible=manager.staff)


def relative(firm: Customer, manager: Person) -> None:
    """His wife holds a company that holds this one: two relations away."""
    other = make_customer("Holding", kind="corporate", home_branch=firm.home_branch)
    Relation.objects.create(customer=firm, other=other, kind="parent_company", share=1)
    StaffRelation.objects.create(
        staff=manager.staff, customer=other, basis="wife", from_date=TODAY, entered_at=NOW
    )


def typed_accounts(firm: Customer, manager: Person) -> None:
    Statement.objects.filter(customer=firm, year=2024).update(entered_by=manager.staff)


def typed_form(firm: Customer, manager: Person) -> None:
    InformationForm.objects.filter(customer=firm).update(submitted_by=manager.staff)


def _by_sql(waits: Rating, person: Person) -> None:
    """Past every service: the decision as a statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE credit_rating_rating SET status = 'approved', decided_by_id = %s, decided_at = %s, expires_on = %s"
            " WHERE bank_id = %s AND id = %s",
            [person.staff.pk, NOW, TODAY, waits.bank_id, waits.pk],
        )


def test_the_database_goes_as_far_as_the_policy_and_no_further(
    inside: House, firm: Customer, branch_manager: Person
) -> None:
    relative(firm, branch_manager)
    second = hire(inside, "second", Role.BRANCH_MANAGER, inside.north)
    waits = submit(second, make(second, firm))
    body = CreditPolicy.objects.get(subject="authority").body
    for steps, refused in (("1", True), (None, True), ("0", False)):
        body["params"]["kin_steps"] = steps
        CreditPolicy.objects.filter(subject="authority").update(body=body)
        if refused:
            with pytest.raises(IntegrityError, match="relative"), transaction.atomic():
                _by_sql(waits, branch_manager)
        else:
            _by_sql(waits, branch_manager)
    assert Rating.objects.get(pk=waits.pk).decided_by_id == branch_manager.staff.pk


@pytest.mark.parametrize(
    ("tie", "code", "said"),
    [
        (own, "own", "Nobody decides on his own customer."),
        (relative, "relative", "Nobody decides on a relative or a company of his."),
        (typed_accounts, "maker", "Who made a rating or typed what it rests on does not decide it."),
        (typed_form, "maker", "Who made a rating or typed what it rests on does not decide it."),
    ],
)
def test_the_grade_of_ones_own_a_relatives_or_ones_own_figures_is_anothers_to_decide(
    inside: House,
    firm: Customer,
    branch_manager: Person,
    hq_credit: Person,
    client_for: SignIn,
    tie: Callable[[Customer, Person], None],
    code: str,
    said: str,
) -> None:
    """The manager neither has it on his worklist and list nor decides it, by page or service; headquarters does."""
    tie(firm, branch_manager)
    second = hire(inside, "second", Role.BRANCH_MANAGER, inside.north)
    waits = submit(second, make(second, firm))
    assert work() == {"rating_decide": hq_credit.staff.pk}
    assert (numbers(branch_manager), numbers(hq_credit)) == ([], [waits.number])
    for approve in (True, False):
        with pytest.raises(RatingFault) as refused:
            decide(branch_manager, waits, approve=approve, note="x")
        assert (refused.value.code, refused.value.message) == (f"four_eyes_{code}", said)
    if code != "maker":
        in_words = "nobody decides on " + ("his own customer" if code == "own" else "a relative")
        with pytest.raises(IntegrityError, match=in_words), transaction.atomic():
            _by_sql(waits, branch_manager)
    assert said in client_for(branch_manager).get(f"/credit/ratings/{waits.pk}/").content.decode()
    assert decide(hq_credit, waits).status == "approved"


def test_inbox_and_homes_name_it(
    firm: Customer, rm: Person, branch_manager: Person, hq_credit: Person, client_for: SignIn
) -> None:
    waits = submit(rm, make(rm, firm))
    for person, home in ((branch_manager, "/credit/desk-counts/"), (hq_credit, "/relationship/bank/")):
        client = client_for(person)
        assert "1 rating waits for your decision" in client.get("/credit/").content.decode()
        assert "/credit/ratings/?list=todo" in client.get(home).content.decode(), home
        assert f"/credit/ratings/{waits.pk}/" in client.get("/credit/ratings/").content.decode()
    assert "waits for your decision" not in client_for(rm).get("/credit/").content.decode()
    assert Rating.objects.get(pk=waits.pk).status == "submitted"
