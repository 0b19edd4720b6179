"""What was seen beside a dossier stays what was seen: an examiner opens a case long after it was decided."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable

import pytest
from django.db import IntegrityError, transaction
from django.test import Client

from credit_rating.models import CaseSeen, CaseStatus, CreditCase, CreditLine, Guarantee, Opinion, Signal
from credit_rating.services import cases
from credit_rating.services.guarantees import value_again
from crm_site.lib import formats
from crm_site.lib.tenancy import bank
from customers.models import Relation, Standing
from tests.conftest import NOW, TODAY, House, Person
from tests.credit_rating import book
from tests.credit_rating import desk as tables
from tests.credit_rating.desk import D, Desk, a_case, say, to_president
from tests.customers.factories import make_customer

SignIn = Callable[[Person], Client]
YEARS = dt.timedelta(days=730)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[dt.date], None]:
    def at(day: dt.date) -> None:
        for module in ("cases", "case_page"):
            monkeypatch.setattr(f"credit_rating.views.{module}.bank_today", lambda _bank: day)

    at(TODAY)
    return at


@pytest.fixture
def desk(house: House) -> Desk:
    """A customer with a daughter of another branch, a mortgage, a warning and the bank's capital."""
    found = tables.staffed(house)
    with bank(house.id):
        found = tables.with_customer(found)
        daughter = make_customer("Daughter Casting", kind="corporate", home_branch=house.south)
        Relation.objects.create(customer=daughter, other=found.customer, kind="parent_company", share=1)
        Standing.objects.filter(customer=daughter).update(
            loans=D(7_000_000), overdue_amount=D(50_000), days_past_due=12
        )
        book.add_capital()
        book.mortgage(found.rm.actor, found.customer)
        _warn(found, "first_alarm")
    return found


def _warn(desk: Desk, name: str) -> None:
    Signal.objects.create(
        customer=desk.customer, code=name, name=name, level="watch", owner_kind="rm", is_raised=True,
        opened_on=TODAY, due_on=TODAY,
    )  # fmt: skip


def _change_everything(desk: Desk) -> None:
    """Two years pass: loans, arrears, valuations, warnings, lines are others."""
    Standing.objects.update(loans=D(99_000_000), overdue_amount=D(1_000_000), days_past_due=400)
    Signal.objects.update(ended_on=TODAY)
    _warn(desk, "later_alarm")
    value_again(
        desk.rm.actor, guarantee=Guarantee.objects.get(), value=D(1_000_000), valued_on=TODAY + YEARS,
        valuer="Somebody", today=TODAY + YEARS, now=NOW,
    )  # fmt: skip
    CreditLine.objects.update(limit=D(1))


def _told(client: Client, case: CreditCase) -> list[str]:
    """Page and paper without what belongs to the moment of reading."""
    told = []
    for address in (f"/credit/cases/{case.pk}/", f"/credit/cases/{case.pk}/print/"):
        text = client.get(address).content.decode()
        body = text[text.index("<main") if "<main" in text else 0 :]
        told.append(re.sub(r'value="[^"]*"|\d{2}:\d{2}(:\d{2})?|nonce-\S+', "", body))
    return told


def test_a_decided_case_shows_for_ever_what_its_decider_saw(
    house: House, desk: Desk, client_for: SignIn, clock: Callable[[dt.date], None]
) -> None:
    with bank(house.id):
        case = to_president(desk, a_case(desk))
        say(desk.president, case, "reject")
        kept = list(CaseSeen.objects.values_list("hash", flat=True))
        assert case.seen_hash == Opinion.objects.get(stage="president").seen_hash
    assert len(kept) == 1  # nothing had moved between the opinions: kept once
    client = client_for(desk.president)
    before = _told(client, case)
    with bank(house.id):
        _change_everything(desk)
    clock(TODAY + YEARS)
    after = _told(client, case)

    assert after == before
    for text in after:
        assert f"as seen on {formats.day(TODAY)} by {desk.president.staff.name}" in text
        assert "Daughter Casting" in text and "later_alarm" not in text
        assert "As it stands today" not in text and "this moment" not in text
    assert "first_alarm" in after[0]
    assert f'href="/credit/customers/{desk.customer.pk}/calculation/"' in after[0]


def test_who_does_not_see_a_member_is_not_told_its_name_by_what_was_kept(
    house: House, desk: Desk, client_for: SignIn, clock: object
) -> None:
    with bank(house.id):
        case = a_case(desk)
        say(desk.manager, case, "reject")
    page = client_for(desk.rm).get(f"/credit/cases/{case.pk}/").content.decode()
    assert "Daughter Casting" not in page and "another customer of the bank" in page


def test_a_case_that_ends_by_itself_keeps_what_stood_there(
    house: House, desk: Desk, client_for: SignIn, clock: Callable[[dt.date], None]
) -> None:
    with bank(house.id):
        case = a_case(desk)
        cases.withdraw_case(desk.rm.actor, case_id=case.pk, now=NOW, today=TODAY)
        case.refresh_from_db()
    before = _told(client_for(desk.manager), case)
    with bank(house.id):
        _change_everything(desk)
    clock(TODAY + YEARS)
    assert _told(client_for(desk.manager), case) == before


def test_a_case_under_way_is_live_and_says_what_moved_since_somebody_spoke(
    house: House, desk: Desk, client_for: SignIn, clock: object
) -> None:
    with bank(house.id):
        case = a_case(desk)
        say(desk.manager, case)
    client = client_for(desk.reviewer)
    assert "Since the opinion of" not in client.get(f"/credit/cases/{case.pk}/").content.decode()
    with bank(house.id):
        _warn(desk, "later_alarm")
        Standing.objects.filter(customer__name="Daughter Casting").update(loans=D(5_000_000_000))
    page = client.get(f"/credit/cases/{case.pk}/").content.decode()
    told = page[page.index("Since the opinion of") :]
    told = told[: told.index("</section>")]
    assert "later_alarm" in told and "first_alarm" not in told
    assert re.search(r"\d% → ", told)


def test_what_was_seen_is_never_changed(house: House, desk: Desk, clock: object) -> None:
    with bank(house.id):
        case = a_case(desk)
        say(desk.manager, case, "reject")
        for change in (
            lambda: CaseSeen.objects.update(content={}),
            lambda: CaseSeen.objects.all().delete(),
            lambda: Opinion.objects.update(seen_hash=""),
            lambda: CreditCase.objects.filter(status=CaseStatus.REJECTED).update(seen_hash=""),
        ):
            with pytest.raises(IntegrityError), transaction.atomic():
                change()


def test_a_case_of_which_nothing_was_kept_says_so(
    house: House, desk: Desk, client_for: SignIn, clock: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("credit_rating.services.cases.deciding.keep_seen", lambda *_given: "")
    with bank(house.id):
        case = a_case(desk)
        say(desk.manager, case, "reject")
    page = client_for(desk.manager).get(f"/credit/cases/{case.pk}/").content.decode()
    assert "was not kept" in page and "as seen on" not in page
