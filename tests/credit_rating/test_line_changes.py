"""What an approval changes of a line that is there already: at once, or when its conditions are met."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from decimal import Decimal

import pytest
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.test import Client

from credit_rating import nightly
from credit_rating.models import CaseCondition, CreditCase, CreditLine, LineEvent
from credit_rating.selectors import cases as selectors
from credit_rating.services import cases, control, lines
from crm_site.lib.errors import Conflict
from crm_site.lib.registry import RunContext
from crm_site.lib.tenancy import bank
from customers.nightly import customer_ranges
from tests.conftest import TODAY, House, Person
from tests.credit_rating import desk as tables
from tests.credit_rating.desk import LATER, Desk, a_case, say, terms, to_committee, to_president
from tests.credit_rating.lines import a_line, a_product, core_banking

D = Decimal
LIMIT = D(10_000_000)
SignIn = Callable[[Person], Client]


@pytest.fixture
def desk(house: House) -> Iterator[Desk]:
    found = tables.staffed(house)
    with bank(house.id):
        yield tables.with_customer(found)


def own_line(desk: Desk) -> CreditLine:
    return a_line(desk.house, customer=desk.customer, limit=LIMIT, expires_on=TODAY + dt.timedelta(days=100))


def approved(desk: Desk, line: CreditLine, amount: int, kind: str, *, conditional: bool = True) -> CreditCase:
    """A case about a line that everybody agrees with, the president under a condition."""
    case = to_president(desk, a_case(desk, amount, kind=kind, line=line))
    say(desk.president, case, "conditional" if conditional else "approve")
    line.refresh_from_db()
    return case


def meet(desk: Desk, case: CreditCase) -> None:
    for condition in CaseCondition.objects.filter(case=case):
        cases.evidence_condition(desk.rm.actor, condition_id=condition.pk, evidence="Seen", now=LATER)
        cases.accept_condition(desk.reviewer.actor, condition_id=condition.pk, now=LATER)


def put_into_effect(desk: Desk, line: CreditLine) -> None:
    lines.effect_change(desk.reviewer.actor, line_id=line.pk, reason="Conditions met", now=LATER)
    line.refresh_from_db()


def stands(line: CreditLine) -> tuple[Decimal, dt.date, str]:
    line.refresh_from_db()
    return Decimal(line.limit), line.expires_on, line.status


def kinds(line: CreditLine) -> list[str]:
    return list(LineEvent.objects.filter(line=line).order_by("id").values_list("kind", flat=True))


def draw(desk: Desk, line: CreditLine, amount: Decimal) -> None:
    control.reserve(core_banking(desk.house), line_id=line.pk, amount=amount, currency="CNY", reference="x",
                    day=TODAY, now=LATER)  # fmt: skip


def test_a_raise_gives_no_room_before_its_conditions_are_met(desk: Desk) -> None:
    line = own_line(desk)
    before = stands(line)
    case = approved(desk, line, 30_000_000, "increase")
    assert stands(line) == before
    assert (line.waiting_limit, line.waiting_case_id) == (D(30_000_000), case.pk)
    assert selectors.turn_of(selectors.with_record(case), TODAY).change == "waits"
    with pytest.raises(Conflict) as over:
        draw(desk, line, LIMIT + 1)
    assert over.value.code == "insufficient_limit"
    with pytest.raises(Conflict) as early:
        put_into_effect(desk, line)
    assert early.value.code == "conditions_open"
    for past_the_services in (
        {"limit": D(30_000_000), "terms_case_id": case.pk},
        {"expires_on": line.waiting_until, "terms_case_id": case.pk},
    ):
        with pytest.raises(IntegrityError, match="conditions of the approval"), transaction.atomic():
            CreditLine.objects.filter(pk=line.pk).update(**past_the_services)
    meet(desk, case)
    assert stands(line) == before
    with pytest.raises(PermissionDenied):
        lines.effect_change(desk.rm.actor, line_id=line.pk, reason="x", now=LATER)
    until = line.waiting_until
    put_into_effect(desk, line)
    assert stands(line) == (D(30_000_000), until, "active")
    assert line.waiting_case_id is None
    draw(desk, line, LIMIT + 1)
    assert kinds(line) == ["opened", "change_waits", "extended", "limit_changed"]
    assert set(LineEvent.objects.filter(line=line)[:3].values_list("case_id", flat=True)) == {case.pk}
    with pytest.raises(Conflict) as twice:
        put_into_effect(desk, line)
    assert twice.value.code == "no_change"
    with pytest.raises(IntegrityError, match="only an approval"), transaction.atomic():
        CreditLine.objects.filter(pk=line.pk).update(limit=D(30_000_001))  # the approval is used up


def test_a_renewal_waits_while_its_line_ends_and_revives_it(desk: Desk) -> None:
    line = own_line(desk)
    case = approved(desk, line, int(LIMIT), "renewal")
    lines.expire_lines([line.pk], now=LATER)
    meet(desk, case)
    put_into_effect(desk, line)
    assert line.status == "active"
    assert line.expires_on > TODAY + dt.timedelta(days=300)


def test_what_lowers_a_line_does_not_wait(desk: Desk) -> None:
    line = own_line(desk)
    until = line.expires_on
    case = approved(desk, line, 4_000_000, "decrease")
    assert stands(line) == (D(4_000_000), until, "active")
    assert line.waiting_limit == D(4_000_000)  # its longer term waits
    meet(desk, case)
    put_into_effect(desk, line)
    assert line.limit == D(4_000_000)
    assert line.expires_on > until


def test_without_conditions_a_change_is_in_effect_with_the_last_signature(desk: Desk) -> None:
    line = own_line(desk)
    approved(desk, line, 30_000_000, "increase", conditional=False)
    assert stands(line)[0] == D(30_000_000)
    assert line.waiting_case_id is None


def test_a_change_lapses_with_its_own_end_the_lines_end_or_a_later_decision(desk: Desk) -> None:
    line = own_line(desk)
    first = approved(desk, line, 30_000_000, "increase")
    second = approved(desk, line, 20_000_000, "increase")
    assert line.waiting_case_id == second.pk
    assert selectors.turn_of(selectors.with_record(first), TODAY).change == "lapsed"
    assert line.waiting_until is not None
    night = RunContext(desk.house.id, 1, 1, line.waiting_until, is_newest=True)
    for chunk in customer_ranges(desk.house.id):
        nightly.lines(night, chunk)
    assert stands(line)[0] == LIMIT
    assert line.waiting_case_id is None
    meet(desk, second)
    with pytest.raises(Conflict):
        put_into_effect(desk, line)
    other = a_line(desk.house, customer=desk.customer, product=a_product("FX"), limit=LIMIT)
    last = approved_of(desk, other, "FX")
    lines.close_line(desk.reviewer.actor, line_id=other.pk, reason="Not wanted", now=LATER)
    assert kinds(other)[-2:] == ["change_lapsed", "closed"]
    assert selectors.turn_of(selectors.with_record(last), TODAY).change == "lapsed"


def approved_of(desk: Desk, line: CreditLine, product: str) -> CreditCase:
    case = to_president(
        desk, a_case(desk, 20_000_000, kind="increase", line=line, product=a_product(product))
    )
    say(desk.president, case, "conditional")
    line.refresh_from_db()
    return case


def test_a_promised_raise_counts_when_more_is_asked_for(desk: Desk) -> None:
    line = own_line(desk)
    approved(desk, line, 30_000_000, "increase")
    more = terms(1_000_000, product=a_product("FX"))
    asked = cases.create_case(desk.rm.actor, customer=desk.customer, terms=more, now=LATER)
    assert selectors.asked_of(asked, TODAY).amount == D(31_000_000)


def test_the_pages_say_what_waits_and_put_it_into_effect(desk: Desk, client_for: SignIn) -> None:
    line = own_line(desk)
    case = to_committee(desk, a_case(desk, 30_000_000, kind="increase", line=line))
    for member in desk.members:
        say(member, case)
    say(desk.president, case, "conditional")
    client = client_for(desk.reviewer)
    address = f"/credit/lines/{line.pk}/"
    for page in (address, f"{address}print/", f"/credit/cases/{case.pk}/"):
        assert "30,000,000.00 until" in client.get(page).content.decode(), page
    posted = {"act": "effect", "reason": "Conditions met"}
    assert client.post(f"{address}act/", posted).status_code == 409
    meet(desk, case)
    assert "put the change into effect" in client.get(f"/credit/cases/{case.pk}/").content.decode()
    assert client.post(f"{address}act/", posted).status_code == 302
    assert stands(line)[0] == D(30_000_000)
    assert "30,000,000.00 until" not in client.get(address).content.decode()
