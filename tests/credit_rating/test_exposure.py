"""Groups over the relation graph, and caps against the bank's capital, from what is on record."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied

from credit_rating.models.lines import CreditLine
from credit_rating.selectors.exposure import concentration_of, quarter_end_before
from credit_rating.services import exposure as services
from credit_rating.services.exposure import RegisterFault
from crm_site.lib.errors import Conflict, DomainError
from customers.models import Customer, FxRate
from tests.conftest import NOW, TODAY, House, Person
from tests.credit_rating import book
from tests.customers.factories import make_customer, make_product, relate

D = Decimal


@pytest.fixture
def group(inside: House, rm: Person) -> list[Customer]:
    """A parent and two more members in a ring of control; the manager sees the first alone."""
    first = make_customer(
        "First", kind="corporate", home_branch=inside.north, responsible=rm.staff, loans=D(90_000_000)
    )
    second = make_customer("Second", kind="corporate", home_branch=inside.south, loans=D(80_000_000))
    third = make_customer("Third", kind="corporate", home_branch=inside.south, loans=D(70_000_000))
    relate(first, second, "parent_company", share=D("0.6"))
    relate(second, third, "common_control")
    relate(third, first, "shareholder", share=D("0.5"))
    stranger = make_customer("Minor", kind="corporate", home_branch=inside.south, loans=D(500_000_000))
    relate(stranger, first, "shareholder", share=D("0.2"))
    return [first, second, third]


def test_a_group_is_consolidated_over_the_whole_bank(group: list[Customer], rm: Person) -> None:
    book.add_capital()
    found = concentration_of(rm.actor, group[0], day=TODAY)
    assert [m.customer_id for m in found.members] == [c.pk for c in (group[0], group[1], group[2])]
    assert [m.name for m in found.members] == ["First", "", ""]
    assert (found.lent, found.credit) == (240_000_000, 240_000_000)
    uses = {u.code: u for u in found.uses}
    # 240 of 279 million: 86% of the cap
    assert (uses["single_group"].cap, uses["single_group"].level) == (279_000_000, "warn")
    assert not found.breaches


def test_a_case_that_breaks_a_cap_says_which_and_by_how_much(group: list[Customer], rm: Person) -> None:
    book.add_capital()
    found = concentration_of(rm.actor, group[0], day=TODAY, limit=D(200_000_000))
    assert {(u.code, u.over) for u in found.breaches} == {
        ("single_loan", D(104_000_000)), ("single_exposure", D(47_000_000)),
        ("single_group", D(161_000_000)), ("connected_group", D(116_000_000)),
    }  # fmt: skip


def _line(customer: Customer, serial: int, limit: int, drawn: int, **changed: Any) -> None:
    CreditLine.objects.create(
        year=2026, serial=serial, customer=customer, product=make_product("WCL", "Working capital", "loan"),
        limit=D(limit), utilised=D(drawn), opened_at=NOW, changed_at=NOW,
        **{"currency": "CNY", "starts_on": TODAY, "expires_on": TODAY, **changed},
    )  # fmt: skip


def test_lines_count_beside_the_loans_that_they_do_not_carry(group: list[Customer], rm: Person) -> None:
    book.add_capital()
    _line(group[0], 1, 100_000_000, 95_000_000)
    _line(group[0], 2, 50_000_000, 0, starts_on=dt.date(2025, 1, 1), expires_on=TODAY - dt.timedelta(days=1))
    found = concentration_of(rm.actor, group[0], day=TODAY)
    assert found.members[0].stake.lent == 95_000_000
    assert found.credit == 250_000_000
    _line(group[1], 3, 20_000_000, 0, currency="USD")
    with pytest.raises(DomainError, match="USD"):
        concentration_of(rm.actor, group[0], day=TODAY)
    FxRate.objects.create(currency="USD", rate_date=TODAY, rate=D("7.1"))
    credit = concentration_of(rm.actor, group[0], day=TODAY).credit
    assert credit == 100_000_000 + (142_000_000 + 80_000_000) + 70_000_000


def test_without_capital_nothing_is_called_fine(group: list[Customer], rm: Person) -> None:
    found = concentration_of(rm.actor, group[0], day=TODAY)
    assert (found.uses, found.capital) == ((), None)


def test_related_parties_are_measured_against_last_quarters_capital(
    group: list[Customer], rm: Person, hq_risk: Person
) -> None:
    book.add_capital()
    services.report_capital(
        hq_risk.actor, as_of=dt.date(2026, 10, 31), net_capital=D(9_000_000_000), tier1_net_capital=D(8_000_000_000),
        source="1104", today=TODAY, now=NOW,
    )  # fmt: skip
    entry = services.enter_related_party(
        hq_risk.actor, customer_number=group[1].number, kind="shareholder", basis="holds 6%", from_date=TODAY,
        to_date=None, now=NOW,
    )  # fmt: skip
    found = concentration_of(rm.actor, group[0], day=TODAY)
    uses = {u.code: u for u in found.uses}
    assert found.is_related
    assert uses["single_loan"].base == 9_000_000_000
    assert uses["related_single"].base == 1_860_000_000
    assert uses["related_all"].amount == 240_000_000
    before = concentration_of(rm.actor, group[0], day=TODAY - dt.timedelta(days=1))
    assert not before.is_related
    services.end_related_party(hq_risk.actor, entry=entry, to_date=TODAY)
    assert concentration_of(rm.actor, group[0], day=TODAY).is_related
    assert not concentration_of(rm.actor, group[0], day=TODAY + dt.timedelta(days=1)).is_related
    with pytest.raises(Conflict):
        services.end_related_party(hq_risk.actor, entry=entry, to_date=TODAY)


def test_registers_are_kept_by_risk_alone_and_checked(
    group: list[Customer], rm: Person, hq_risk: Person
) -> None:
    given = {
        "as_of": TODAY,
        "net_capital": D(5),
        "tier1_net_capital": D(6),
        "source": "x",
        "today": TODAY,
        "now": NOW,
    }
    with pytest.raises(PermissionDenied):
        services.report_capital(rm.actor, **given)
    with pytest.raises(RegisterFault) as fault:
        services.report_capital(hq_risk.actor, **given)
    assert list(fault.value.fields) == ["tier1_net_capital"]


@pytest.mark.parametrize(
    ("day", "end"),
    [
        ("2026-11-20", "2026-09-30"),
        ("2026-10-01", "2026-09-30"),
        ("2026-01-01", "2025-12-31"),
        ("2026-03-31", "2025-12-31"),
    ],
)
def test_the_quarter_before(day: str, end: str) -> None:
    assert quarter_end_before(dt.date.fromisoformat(day)) == dt.date.fromisoformat(end)
