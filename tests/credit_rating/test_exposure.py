"""Groups over the relation graph, and caps against the bank's capital, from what is on record."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.utils import translation

from credit_rating.engine.groups import CONTROL
from credit_rating.engine.steps import ZERO
from credit_rating.models import CreditPolicy, Guarantee, GuarantorCapacity
from credit_rating.models.lines import CreditLine
from credit_rating.selectors.at_stake import quarter_end_before
from credit_rating.selectors.exposure import cap_uses, concentration_of
from credit_rating.selectors.groups import connected_with, grouped, groups_reached
from credit_rating.services import exposure as services
from credit_rating.services.exposure import RegisterFault
from credit_rating.views.tie_words import told_ties
from crm_site.lib.errors import Conflict, DomainError
from customers.models import Customer, FxRate, Standing
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


def _promise(
    guarantor: Customer, debtor: Customer, amount: int, can: int | None = None, **more: Any
) -> Guarantee:
    if can is not None:
        GuarantorCapacity.objects.create(
            guarantor=guarantor, capacity=D(can), assessed_on=TODAY, basis="2025", entered_at=NOW
        )
    return Guarantee.objects.create(
        customer=debtor, kind="guarantor", guarantor=guarantor, amount=D(amount), from_date=TODAY, entered_at=NOW,
        **{"status": "active", **more},
    )  # fmt: skip


def _told(customer: Customer, rm: Person, limit: int | None = None) -> dict[str, tuple[str, bool]]:
    """name -> (tie, whether it is of the group itself), of those whom the manager sees."""
    found = concentration_of(rm.actor, customer, day=TODAY, limit=None if limit is None else D(limit))
    return {m.name: (m.tie, m.is_core) for m in found.members}


def test_a_guarantor_beyond_half_of_his_strength_is_connected_and_no_member_of_the_group(
    inside: House, rm: Person
) -> None:
    book.add_capital()  # tier-1 net capital 1,620 million: dependence is asked above 81 million
    mine = {"kind": "corporate", "home_branch": inside.north, "responsible": rm.staff}
    debtor = make_customer("Debtor", loans=D(81_000_000), **mine)
    guarantor, strong = (make_customer(name, loans=D(3_000_000), **mine) for name in ("Guarantor", "Strong"))
    promise = _promise(guarantor, debtor, 5_000_000, can=10_000_000)
    _promise(strong, debtor, 5_000_000, can=10_000_001)
    _promise(make_customer("Unknown", loans=D(9_000_000), **mine), debtor, 50_000_000)
    assert _told(debtor, rm) == {"Debtor": ("", True)}
    assert _told(debtor, rm, 81_000_001)["Guarantor"] == (
        "guarantor",
        False,
    )  # what is asked for makes it great
    Standing.objects.filter(customer=debtor).update(loans=D("81000000.01"))
    assert _told(debtor, rm) == {"Debtor": ("", True), "Guarantor": ("guarantor", False)}
    assert _told(guarantor, rm) == {"Guarantor": ("", True), "Debtor": ("guarantor", False)}
    found = concentration_of(rm.actor, debtor, day=TODAY)
    uses = {u.code: u.amount for u in found.uses}
    assert (uses["single_group"], uses["connected_group"]) == (D("81000000.01"), D("84000000.01"))
    listed = cap_uses({debtor.pk: ZERO, guarantor.pk: ZERO}, TODAY)
    assert {u.code: u.amount for u in listed[debtor.pk]} == uses
    assert {u.amount for u in listed[guarantor.pk] if u.code == "connected_group"} == {D("84000000.01")}
    assert grouped([debtor.pk, guarantor.pk], TODAY) == {debtor.pk, guarantor.pk}
    assert connected_with(debtor.pk, TODAY) == (debtor.pk, guarantor.pk)
    _line(guarantor, 9, 1000, 0, currency="USD")
    assert connected_with(debtor.pk, TODAY) == (debtor.pk,)  # without a rate nobody can say who is great
    CreditLine.objects.all().delete()
    promise.status = "released"
    promise.save()
    assert _told(debtor, rm) == {"Debtor": ("", True)}


def test_kin_of_who_controls_are_of_the_group_and_say_through_whom(inside: House, rm: Person) -> None:
    book.add_capital()
    mine = {"home_branch": inside.north, "responsible": rm.staff}
    works = make_customer("Works", kind="corporate", loans=D(1), **mine)
    owner, husband, brother = (
        make_customer(n, kind="personal", loans=D(1), **mine) for n in ("Wu", "He", "Bo")
    )
    relate(owner, works, "beneficial_owner", share=D("0.7"))
    relate(owner, husband, "family")
    relate(brother, husband, "family")
    assert _told(works, rm) == {
        "Works": ("", True), "Wu": ("beneficial_owner", True), "He": ("family", True),
    }  # fmt: skip
    assert _told(husband, rm).keys() == {"He", "Wu", "Works"}
    assert _told(brother, rm).keys() == {"Bo"}
    assert groups_reached([husband.pk], TODAY) == [sorted((works.pk, owner.pk, husband.pk))]
    assert grouped([works.pk, husband.pk, brother.pk], TODAY) == {works.pk, husband.pk}
    members = concentration_of(rm.actor, works, day=TODAY).members
    with translation.override("en"):
        assert told_ties(members) == ["", "Beneficial ownership 70.0%", "Family of who controls · through Wu"]


def test_ties_that_the_policy_leaves_out_join_nobody(inside: House, rm: Person) -> None:
    book.add_capital()
    mine = {"kind": "corporate", "home_branch": inside.north, "responsible": rm.staff}
    one, other = (make_customer(name, loans=D(90_000_000), **mine) for name in ("One", "Other"))
    _promise(one, other, 1)
    _promise(other, one, 1)
    assert _told(one, rm)["Other"] == ("mutual", False)
    body = CreditPolicy.objects.get(subject="caps").body
    body["params"]["ties"] = [*CONTROL, "guarantor"]
    CreditPolicy.objects.filter(subject="caps").update(body=body)
    assert _told(one, rm) == {"One": ("", True)}


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
