"""The feed `external-exposures`: what lands, again, older, wrong; and what a line calculation makes of it."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest

from credit_rating.engine.elsewhere import counted
from credit_rating.models import ExternalExposure, Impairment
from credit_rating.selectors.calculations import Terms, reckon
from credit_rating.selectors.external import elsewhere_of
from credit_rating.services import collection
from customers.models import Customer, FxRate, Loan
from tests.conftest import NOW, TODAY, House, Person
from tests.credit_rating import book
from tests.customers.factories import make_customer
from tests.customers.ingest.conftest import Deliver, counts, deliver, errors

__all__ = ["deliver"]  # the fixture
D = Decimal
HEAD = "customer,source,report_date,lender,reference,kind,currency,granted,outstanding,overdue,level,source_as_of"
AS_OF = "2026-03-31T18:00:00+08:00"


def _report(*rows: str) -> str:
    return "\n".join([HEAD, *rows]) + "\n"


def _row(
    reference: str, outstanding: str, *, kind: str = "loan", day: str = "2026-03-31", granted: str = "0.00",
    currency: str = "CNY", source: str = "credit_bureau", as_of: str = AS_OF, level: str = "normal",
) -> str:  # fmt: skip
    return f"C1,{source},{day},Bank {reference},{reference},{kind},{currency},{granted},{outstanding},0.00,{level},{as_of}"


@pytest.fixture
def company(inside: House, rm: Person) -> Customer:
    return make_customer(
        "Silian", number="C1", kind="corporate", size="medium", home_branch=inside.north, responsible=rm.staff
    )


def test_a_report_lands_again_changes_nothing_and_older_loses(company: Customer, deliver: Deliver) -> None:
    first = _report(_row("A", "2000000.00"), _row("B", "500000.00", kind="line", granted="800000.00"))
    assert counts(deliver("external-exposures", first)) == (2, 2, 0, 0, 0)
    assert counts(deliver("external-exposures", first)) == (2, 0, 0, 2, 0)
    newer = _report(_row("A", "1500000.00", as_of="2026-04-02T18:00:00+08:00"))
    assert counts(deliver("external-exposures", newer)) == (1, 0, 1, 0, 0)
    assert counts(deliver("external-exposures", first)) == (2, 0, 0, 2, 0)
    stands = ExternalExposure.objects.get(customer=company, reference="A")
    assert (stands.outstanding, stands.level, stands.maturity_date) == (D(1_500_000), "normal", None)


def test_wrong_rows_are_refused_by_their_column(company: Customer, deliver: Deliver) -> None:
    batch = deliver(
        "external-exposures",
        _report(
            _row("A", "-1.00"),
            _row("B", "1.00", kind="mystery"),
            _row("C", "1.00", level="fine"),
            _row("D", "1.00").replace("C1,", "C9,", 1),
            _row("E", "1.00", source="hearsay"),
            _row("F", "7.00"),
        ),
    )
    assert counts(batch) == (6, 1, 0, 0, 5)
    assert {(field, code) for _line, field, code in errors(batch)} == {
        ("outstanding", "negative"),
        ("kind", "bad_choice"),
        ("level", "bad_choice"),
        ("customer", "unknown_reference"),
        ("source", "bad_choice"),
    }


@pytest.mark.parametrize(
    ("kind", "granted", "outstanding", "comes_to"),
    [("loan", 9, 4, 4), ("line", 9, 4, 9), ("line", 3, 4, 4), ("card", 2, 0, 2), ("contingent", 9, 5, 5), ("promise", 9, 9, 0)],
)  # fmt: skip
def test_what_an_exposure_counts_for(kind: str, granted: int, outstanding: int, comes_to: int) -> None:
    assert counted(kind, D(granted), D(outstanding)) == comes_to


def test_the_newest_report_is_whole_and_the_bureau_goes_before_the_core(
    company: Customer, rm: Person, deliver: Deliver
) -> None:
    old = _report(_row("A", "2000000.00"), _row("B", "700000.00"))
    deliver("external-exposures", old)
    later = _report(
        _row("A", "1800000.00", day="2026-06-30"), _row("Z", "9.00", day="2026-06-30", source="core")
    )
    deliver("external-exposures", later)
    found = elsewhere_of(rm.actor, company, TODAY)
    assert found is not None
    assert (found.source, found.report_date, found.total, found.lenders) == (
        "credit_bureau", dt.date(2026, 6, 30), D(1_800_000), 1,
    )  # fmt: skip
    before = elsewhere_of(rm.actor, company, dt.date(2026, 5, 1))
    assert before is not None
    assert before.total == 2_700_000
    assert elsewhere_of(rm.actor, company, dt.date(2026, 1, 1)) is None


def _other_banks(rm: Person, company: Customer) -> tuple[D, str, dt.date]:
    found = reckon(rm.actor, company, Terms("A", 12, D(3_000_000)), day=TODAY)
    told = next(i for i in found.inputs if i.code == "other_banks")
    assert {s.code: s.amount for s in found.steps}["other_banks"] == -told.value
    return told.value, told.source, told.as_of


def test_the_newer_of_report_and_collection_is_deducted(
    company: Customer, rm: Person, deliver: Deliver
) -> None:
    book.add_statements(company)
    book.collect(rm.actor, company)  # 500,000, collected TODAY
    assert _other_banks(rm, company) == (D(500_000), "collected", TODAY)
    deliver("external-exposures", _report(_row("A", "300000.00")))
    assert _other_banks(rm, company) == (D(500_000), "collected", TODAY)
    same_day = _report(_row("A", "2000000.00", day=TODAY.isoformat()), _row("B", "100000.00", day=TODAY.isoformat(), kind="line", granted="400000.00"))  # fmt: skip
    deliver("external-exposures", same_day)
    assert _other_banks(rm, company) == (D(2_400_000), "credit_bureau", TODAY)


def test_a_currency_without_a_rate_is_missing_and_not_nothing(
    company: Customer, rm: Person, deliver: Deliver
) -> None:
    book.add_statements(company)
    values = {code: text for code, text in book.COMPANY.items() if code != "other_banks"}
    base = dict.fromkeys(values, "")
    collection.save_draft(
        rm.actor, customer=company, typed=values, base=base, source="interview", now=NOW, today=TODAY
    )
    collection.submit_form(rm.actor, customer=company, now=NOW)
    batch = deliver("external-exposures", _report(_row("A", "100000.00", currency="USD")))
    assert counts(batch) == (1, 1, 0, 0, 0), errors(batch)
    found = reckon(rm.actor, company, Terms("A", 12, D(3_000_000)), day=TODAY)
    assert "other_banks" in found.missing
    assert found.limit is None
    FxRate.objects.create(currency="USD", rate_date=dt.date(2026, 1, 2), rate=D("7.10"))
    assert _other_banks(rm, company) == (D(710_000), "credit_bureau", dt.date(2026, 3, 31))


def test_an_expected_loss_lands_newest_first_and_never_above_its_balance(
    company: Customer, deliver: Deliver
) -> None:
    Loan.objects.create(
        number="L1", customer=company, currency="CNY", amount=D(900), outstanding=D(800), granted_date=dt.date(2025, 1, 1),
        maturity_date=dt.date(2027, 1, 1),
    )  # fmt: skip
    head = "loan,report_date,stage,balance,expected_loss\n"
    assert counts(deliver("impairments", f"{head}L1,2026-02-28,2,800.00,800.00\n")) == (1, 1, 0, 0, 0)
    assert counts(deliver("impairments", f"{head}L1,2026-01-31,1,900.00,9.00\n")) == (1, 0, 0, 1, 0)
    assert counts(deliver("impairments", f"{head}L1,2026-03-31,3,700.00,350.00\n")) == (1, 0, 1, 0, 0)
    stands = Impairment.objects.get(loan__number="L1")
    assert (stands.report_date, stands.stage, stands.share) == (dt.date(2026, 3, 31), "3", D("0.5"))
    bad = deliver("impairments", f"{head}L1,2026-04-30,4,1.00,1.00\nL9,2026-04-30,1,1.00,1.01\n")
    assert counts(bad) == (2, 0, 0, 0, 2)
    above = deliver("impairments", f"{head}L1,2026-04-30,1,1.00,1.01\n")
    assert errors(above) == [(2, "expected_loss", "beyond_balance")]


def test_days_overdue_are_told_or_not_told(company: Customer, deliver: Deliver) -> None:
    late = (
        _report(_row("A", "5.00"))
        .replace(",level,", ",days_past_due,level,")
        .replace(",normal,", ",120,normal,")
    )
    assert counts(deliver("external-exposures", late)) == (1, 1, 0, 0, 0)
    deliver("external-exposures", _report(_row("B", "5.00")))
    assert dict(ExternalExposure.objects.values_list("reference", "days_past_due")) == {"A": 120, "B": None}
