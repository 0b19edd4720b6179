"""Sub-limits: asked for by a case, part of what is decided, carried out with the line, changed later, freed by repayments."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from decimal import Decimal

import pytest
from django.test import Client

from credit_rating.models import CreditCase, CreditLine, LineEntry, LineEvent
from credit_rating.selectors import cases as selectors
from credit_rating.services import cases, control
from credit_rating.services.cases import CaseFault
from crm_site.lib.errors import Conflict, DomainError
from crm_site.lib.tenancy import bank
from customers.models import Product
from tests.conftest import NOW, TODAY, House, Person
from tests.credit_rating import desk as tables
from tests.credit_rating.desk import LATER, Desk, a_case, say, to_president
from tests.credit_rating.lines import a_line, a_product, core_banking
from tests.credit_rating.test_line_changes import meet, put_into_effect

D = Decimal
SignIn = Callable[[Person], Client]


@pytest.fixture
def desk(house: House) -> Iterator[Desk]:
    found = tables.staffed(house)
    with bank(house.id):
        a_product("BILLS")
        a_product("FX")
        yield tables.with_customer(found)


def decided(desk: Desk, amount: int, verdict: str = "approve", **terms: object) -> CreditCase:
    case = to_president(desk, a_case(desk, amount, **terms))
    say(desk.president, case, verdict)
    return case


def subs(line: CreditLine) -> dict[str, tuple[Decimal, Decimal]]:
    """product -> (limit, in use)"""
    found = line.sub_limits.select_related("product").order_by("product__code")
    return {s.product.code: (D(s.limit), s.used) for s in found}


def draw(desk: Desk, line: CreditLine, amount: str, product: str, reference: str = "P") -> None:
    core = core_banking(desk.house)
    held = control.reserve(core, line_id=line.pk, amount=D(amount), currency="CNY", reference=reference,
                           product=product, day=TODAY, now=NOW)  # fmt: skip
    control.commit(core, reservation_id=held.id, now=NOW)


def test_a_case_asks_for_them_and_its_line_has_them(desk: Desk) -> None:
    case = decided(desk, 20_000_000, sub_limits={"BILLS": "8000000.00", "FX": "5000000.00"})
    assert case.line is not None
    assert subs(case.line) == {"BILLS": (D(8_000_000), D(0)), "FX": (D(5_000_000), D(0))}
    (kept,) = {d.content["case"]["sub_limits"] for d in case.dossiers.all()}
    assert kept == "BILLS 8000000.00; FX 5000000.00"


def test_what_is_decided_is_what_was_shown(desk: Desk) -> None:
    case = a_case(desk, sub_limits={"BILLS": "8000000.00"})
    plain = selectors.dossier_of(case, TODAY, TODAY)
    assert plain.hash == case.dossier_hash
    case.sub_limits = {"BILLS": "9000000.00"}
    assert selectors.dossier_of(case, TODAY, TODAY).hash != case.dossier_hash


@pytest.mark.parametrize(
    "wrong", [{"BILLS": "20000000.01"}, {"BILLS": "0.00"}, {"CARDS": "1.00"}, {"NONE": "1.00"}]
)
def test_what_cannot_be_a_sub_limit_is_refused(desk: Desk, wrong: dict[str, str]) -> None:
    Product.objects.create(code="CARDS", name="Card", family="loan", customer_kinds="personal")
    with pytest.raises(CaseFault) as refused:
        a_case(desk, sub_limits=wrong)
    assert list(refused.value.fields) == ["sub_limits"]


def test_a_later_case_changes_what_it_names_once_its_conditions_are_met(desk: Desk) -> None:
    limits = {a_product("BILLS"): D(600), a_product("FX"): D(300)}
    line = a_line(
        desk.house, customer=desk.customer, sub_limits=limits, expires_on=TODAY + dt.timedelta(days=90)
    )
    draw(desk, line, "100.00", "WC")
    draw(desk, line, "250.00", "FX")
    asked = {"FX": "0.00", "WC": "400.00"}
    case = decided(desk, 1000, "conditional", kind="review", line=line, sub_limits=asked)
    assert subs(line) == {"BILLS": (D(600), D(0)), "FX": (D(300), D(250))}
    meet(desk, case)
    line.refresh_from_db()
    put_into_effect(desk, line)
    assert subs(line) == {"BILLS": (D(600), D(0)), "WC": (D(400), D(100))}
    assert LineEvent.objects.filter(line=line, kind="subs_changed", case_id=case.pk).exists()
    with pytest.raises(Conflict):
        draw(desk, line, "300.01", "WC")


def test_none_goes_below_what_is_in_use(desk: Desk) -> None:
    line = a_line(desk.house, customer=desk.customer, sub_limits={a_product("BILLS"): D(600)})
    draw(desk, line, "500.00", "BILLS")
    with pytest.raises(DomainError) as refused:
        decided(desk, 1000, kind="review", line=line, sub_limits={"BILLS": "499.99"})
    assert refused.value.code == "limit_below_use"
    assert subs(line) == {"BILLS": (D(600), D(500))}


def test_a_repayment_that_names_no_product_frees_what_it_pays_back(desk: Desk) -> None:
    line = a_line(desk.house, sub_limits={a_product("BILLS"): D(400), a_product("FX"): D(400)})
    draw(desk, line, "300.00", "BILLS", "A")
    draw(desk, line, "200.00", "FX", "B")
    draw(desk, line, "100.00", "", "C")

    def repay(amount: str, reference: str, product: str = "") -> None:
        control.repay(core_banking(desk.house), line_id=line.pk, amount=D(amount), currency="CNY",
                      reference=reference, product=product, now=LATER)  # fmt: skip

    def used() -> list[Decimal]:
        line.refresh_from_db()
        return [D(line.utilised), *(used for _limit, used in subs(line).values())]

    repay("150.00", "B")  # its own drawing
    assert used() == [D(450), D(300), D(50)]
    repay("80.00", "other")  # outside every sub-limit
    assert used() == [D(370), D(300), D(50)]
    repay("100.00", "B")  # what is left of its own, outside, then the oldest
    assert used() == [D(270), D(270), D(0)]
    with pytest.raises(Conflict):
        repay("270.01", "A")
    repay("20.00", "x", "BILLS")
    repay("250.00", "A")
    assert used() == [D(0), D(0), D(0)]
    repaid = LineEntry.objects.filter(line=line, kind="repay")
    assert sum(entry.amount for entry in repaid) == D(600)
    assert repaid.filter(reference="B").count() == 4


def test_they_are_written_in_the_form_and_shown_wherever_the_case_is(desk: Desk, client_for: SignIn) -> None:
    maker = client_for(desk.rm)
    url = f"/credit/customers/{desk.customer.pk}/cases/new/"
    given = {
        "kind": "new", "product": str(a_product().pk), "amount": "20000000", "currency": "CNY", "term_months": "12",
        "purpose": "Working capital", "investigation": "Orders are there.", "sub_product_0": "BILLS",
        "sub_amount_0": "8000000",
    }  # fmt: skip
    for fault in (
        {"sub_amount_0": ""},
        {"sub_amount_0": "20000001"},
        {"sub_product_1": "BILLS", "sub_amount_1": "1"},
    ):
        assert maker.post(url, given | fault).status_code == 422
    page = maker.post(url, given).headers["Location"]
    assert 'value="8000000.00"' in maker.get(f"{page}edit/").content.decode()
    for address in (page, f"{page}print/"):
        text = maker.get(address).content.decode()
        assert "Loan BILLS" in text and "8,000,000" in text, address
    case = cases.submit_case(desk.rm.actor, case_id=CreditCase.objects.get().pk, now=NOW, today=TODAY)
    to_president(desk, case)
    say(desk.president, case)
    for address in (f"/credit/lines/{case.line_id}/", f"/credit/lines/{case.line_id}/print/"):
        assert "Loan BILLS" in maker.get(address).content.decode()
