"""Who typed what a case or a rating rests on is a maker of it: he never decides it, on the page or past it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction
from django.test import Client

from credit_rating.models import CreditCase, Guarantee, Opinion, Statement
from credit_rating.services import collection, guarantees
from credit_rating.services.cases import CaseFault
from crm_site.lib.permissions import Role
from crm_site.lib.tenancy import bank
from tests.conftest import NOW, TODAY, House, Person, hire
from tests.credit_rating import book
from tests.credit_rating import desk as tables
from tests.credit_rating.desk import LATER, Desk, a_case, say
from tests.customers.factories import make_customer

D = Decimal
SignIn = Callable[[Person], Client]
Typing = Callable[[Desk], object]


@pytest.fixture
def desk(house: House) -> Desk:
    """A branch with a second manager, so that a case stays there when the first has made what it rests on."""
    found = tables.staffed(house)
    hire(house, "second", Role.BRANCH_MANAGER, house.north)
    with bank(house.id):
        return tables.with_customer(found)


def _accounts(desk: Desk) -> None:
    book.add_statements(desk.customer)
    Statement.objects.filter(customer=desk.customer, year=2024).update(entered_by=desk.manager.staff)


def _form(desk: Desk) -> None:
    book.collect(desk.manager.actor, desk.customer)


def _answer(desk: Desk) -> None:
    """He types one figure into a form that another submits."""
    collection.save_draft(
        desk.manager.actor, customer=desk.customer, typed={"growth": "10"}, base={}, source="document", now=NOW, today=TODAY
    )  # fmt: skip
    book.collect(desk.rm.actor, desk.customer, {"own_funds": "1000000"})


def _valuation(desk: Desk) -> None:
    pledged = book.mortgage(desk.rm.actor, desk.customer)
    _value(desk, pledged)


def _value(desk: Desk, pledged: Guarantee) -> None:
    guarantees.value_again(
        desk.manager.actor, guarantee=pledged, value=D(9_000_000), valued_on=TODAY, valuer="himself", today=TODAY,
        now=NOW,
    )  # fmt: skip


def _promise(desk: Desk, amount: int = 1_000_000) -> Guarantee:
    other = make_customer("Guarantor", kind="corporate", home_branch=desk.house.north)
    return guarantees.promise(
        desk.rm.actor, customer=desk.customer, guarantor_number=other.number, amount=D(amount), is_joint=True,
        from_date=TODAY, to_date=None, note="", now=NOW,
    )  # fmt: skip


def _capacity(desk: Desk) -> None:
    _value(desk, _promise(desk))


def _guarantors_accounts(desk: Desk) -> None:
    """Nobody has assessed the guarantor: it carries what its accounts say, and he typed those."""
    given = _promise(desk)
    assert given.guarantor is not None
    book.add_statements(given.guarantor, (2025,))
    Statement.objects.filter(customer=given.guarantor).update(entered_by=desk.manager.staff)


@pytest.mark.parametrize(
    ("typing", "part", "said"),
    [
        (_accounts, "statement", "Statements"),
        (_form, "collection", "Collection form"),
        (_answer, "collection", "Collection form"),
        (_valuation, "valuation", "Valuation"),
        (_capacity, "capacity", "Guarantor&#x27;s capacity"),
        (_guarantors_accounts, "capacity", "Guarantor&#x27;s capacity"),
    ],
)
def test_who_typed_what_a_case_rests_on_does_not_decide_it(
    desk: Desk,
    client_for: SignIn,
    monkeypatch: pytest.MonkeyPatch,
    typing: Typing,
    part: str,
    said: str,
) -> None:
    for module in ("cases", "case_page"):
        monkeypatch.setattr(f"credit_rating.views.{module}.bank_today", lambda _bank: TODAY)
    with bank(desk.house.id):
        typing(desk)
        case = a_case(desk)
        assert set(case.makers.filter(staff=desk.manager.staff).values_list("part", flat=True)) == {part}
        with pytest.raises(CaseFault) as refused:
            say(desk.manager, case)
        assert refused.value.code == "four_eyes_maker"
        with pytest.raises(IntegrityError, match="a maker is never the checker"), transaction.atomic():
            _past_the_services(desk, case)
    shown = client_for(desk.manager).get(f"/credit/cases/{case.pk}/").content.decode()
    assert f"Here: {said}." in shown


def _past_the_services(desk: Desk, case: CreditCase) -> None:
    Opinion.objects.create(
        case=case, round=1, stage="branch", part="decision", staff=desk.manager.staff, verdict="approve", text="x",
        dossier_hash=case.dossier_hash, at=LATER, day=TODAY,
    )  # fmt: skip


def test_what_is_typed_while_a_case_is_under_way_has_a_maker_as_well(desk: Desk) -> None:
    """An assessment that moves nothing of what the dossier says voids no opinion; who typed it is out all the same."""
    with bank(desk.house.id):
        given = _promise(desk, 100_000)  # of 20 million: less than a hundredth, before and after
        case = a_case(desk)
        seal = case.dossier_hash
        _value(desk, given)
        with pytest.raises(CaseFault) as refused:
            say(desk.manager, case)
        case.refresh_from_db()
    assert (refused.value.code, case.dossier_hash) == ("four_eyes_maker", seal)


def test_old_accounts_and_an_older_valuation_make_nobody_a_maker(desk: Desk) -> None:
    with bank(desk.house.id):
        book.add_statements(desk.customer, (2021, 2023, 2024, 2025))
        Statement.objects.filter(customer=desk.customer, year=2021).update(entered_by=desk.manager.staff)
        pledged = book.mortgage(desk.rm.actor, desk.customer)
        guarantees.value_again(
            desk.manager.actor, guarantee=pledged, value=D(1), valued_on=dt.date(2024, 1, 1), valuer="x", today=TODAY,
            now=NOW,
        )  # fmt: skip
        assert say(desk.manager, a_case(desk)).verdict == "approve"
