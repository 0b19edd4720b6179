"""The life of a credit line and its control, as staff and core banking meet them."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.db.models import Sum
from django.utils import translation

from credit_rating.models import CreditLine, EntryKind, LineEntry, LineEvent, Reservation
from credit_rating.services import control
from credit_rating.services import lines as services
from crm_site.audit.models import Entry
from crm_site.lib.errors import Conflict, DomainError
from customers.models import LoanStatus
from tests.conftest import NOW, TODAY, House, Person
from tests.credit_rating.lines import a_line, a_product, core_banking

LATER = NOW + dt.timedelta(minutes=31)


def amounts(line: CreditLine) -> tuple[Decimal, Decimal, Decimal]:
    """(reserved, utilised, available) as stored now; the ledger must say the same."""
    line.refresh_from_db()
    sums = LineEntry.objects.filter(line=line).aggregate(r=Sum("reserved_change"), u=Sum("utilised_change"))
    assert (sums["r"] or 0, sums["u"] or 0) == (line.reserved, line.utilised)
    assert line.limit == line.reserved + line.utilised + line.available
    return line.reserved, line.utilised, line.available


def reserve(house: House, line: CreditLine, amount: str, **more: object) -> control.ReservationState:
    given = {"currency": "CNY", "reference": "P-1", "day": TODAY, "now": NOW, **more}
    return control.reserve(core_banking(house), line_id=line.pk, amount=Decimal(amount), **given)


def refused(code: str, error: pytest.ExceptionInfo[DomainError]) -> None:
    assert error.value.code == code


def test_room_is_reserved_drawn_and_paid_back(inside: House) -> None:
    line, core = a_line(inside), core_banking(inside)
    held = reserve(inside, line, "600.00")
    assert (held.available, held.status) == (Decimal("400.00"), "reserved")
    drawn = control.commit(core, reservation_id=held.id, now=NOW)
    assert (drawn.committed, drawn.available) == (Decimal("600.00"), Decimal("400.00"))
    assert amounts(line) == (0, 600, 400)
    back = control.repay(
        core, line_id=line.pk, amount=Decimal("250.00"), currency="CNY", reference="R-1", now=NOW
    )
    assert back.available == Decimal("650.00")
    assert amounts(line) == (0, 350, 650)
    kinds = LineEntry.objects.filter(line=line).order_by("id").values_list("kind", flat=True)
    assert list(kinds) == ["reserve", "commit", "repay"]


def test_the_last_cent_fits_and_one_more_does_not(inside: House) -> None:
    line = a_line(inside)
    reserve(inside, line, "999.99")
    reserve(inside, line, "0.01")
    with pytest.raises(Conflict) as error:
        reserve(inside, line, "0.01")
    refused("insufficient_limit", error)
    assert amounts(line) == (1000, 0, 0)


def test_drawing_less_gives_the_rest_back(inside: House) -> None:
    line = a_line(inside)
    held = reserve(inside, line, "500.00")
    with pytest.raises(DomainError) as error:
        control.commit(core_banking(inside), reservation_id=held.id, amount=Decimal("500.01"), now=NOW)
    refused("exceeds_reservation", error)
    control.commit(core_banking(inside), reservation_id=held.id, amount=Decimal("120.00"), now=NOW)
    assert amounts(line) == (0, 120, 880)


def test_what_is_final_stays_and_the_same_act_again_answers_the_same(inside: House) -> None:
    line, core = a_line(inside), core_banking(inside)
    held = reserve(inside, line, "500.00")
    first = control.commit(core, reservation_id=held.id, now=NOW)
    assert control.commit(core, reservation_id=held.id, now=LATER) == first
    for act in (lambda: control.release(core, reservation_id=held.id, now=NOW),
                lambda: control.commit(core, reservation_id=held.id, amount=Decimal("1.00"), now=NOW)):  # fmt: skip
        with pytest.raises(Conflict) as error:
            act()
        refused("reservation_final", error)
    other = reserve(inside, line, "100.00")
    assert control.release(core, reservation_id=other.id, now=NOW).available == 500
    assert control.release(core, reservation_id=other.id, now=NOW).status == "released"
    assert amounts(line) == (0, 500, 500)


def test_a_reservation_that_has_run_out_cannot_be_drawn_and_gives_its_room_to_the_next(inside: House) -> None:
    line, core = a_line(inside), core_banking(inside)
    held = reserve(inside, line, "700.00")
    assert held.expires_at == NOW + dt.timedelta(minutes=30)
    with pytest.raises(Conflict) as error:
        control.commit(core, reservation_id=held.id, now=LATER)
    refused("reservation_expired", error)
    control.check(core, line_id=line.pk, amount=Decimal(900), currency="CNY", day=TODAY, now=LATER)
    next_one = reserve(inside, line, "900.00", now=LATER)
    assert next_one.available == 100
    assert Reservation.objects.get(pk=held.id).status == "expired"
    assert control.expire_all_due(now=LATER + dt.timedelta(hours=1)) == 1
    assert amounts(line) == (0, 0, 1000)


def test_a_sub_limit_binds_its_product_within_the_line(inside: House) -> None:
    bills = a_product("BILLS")
    line, core = a_line(inside, sub_limits={bills: Decimal(300)}), core_banking(inside)
    held = reserve(inside, line, "200.00", product="BILLS")
    for act in (
        lambda: reserve(inside, line, "100.01", product="BILLS"),
        lambda: control.check(core, line_id=line.pk, amount=Decimal(101), currency="CNY", product="BILLS",
                              day=TODAY, now=NOW),
    ):  # fmt: skip
        with pytest.raises(Conflict) as error:
            act()
        refused("insufficient_limit", error)
    reserve(inside, line, "100.00", product="BILLS")
    reserve(inside, line, "500.00")
    control.commit(core, reservation_id=held.id, amount=Decimal("150.00"), now=NOW)
    sub = line.sub_limits.get()
    assert (sub.reserved, sub.utilised, sub.available) == (100, 150, 50)
    with pytest.raises(Conflict) as error:
        control.repay(core, line_id=line.pk, amount=Decimal(151), currency="CNY", reference="R", product="BILLS",
                      now=NOW)  # fmt: skip
    refused("repayment_exceeds_utilised", error)
    control.expire_due(line.pk, now=LATER)
    sub.refresh_from_db()
    assert (sub.reserved, sub.utilised) == (0, 150)
    assert amounts(line) == (0, 150, 850)
    with pytest.raises(DomainError) as unknown:
        reserve(inside, line, "1.00", product="NONE")
    refused("unknown_product", unknown)
    with pytest.raises(DomainError):
        a_line(inside, sub_limits={bills: Decimal("1000.01")})


@pytest.mark.parametrize(
    ("terms", "status"),
    [
        ({"conditions_open": True}, "pending"),
        ({"starts_on": TODAY + dt.timedelta(days=1)}, "pending"),
        ({"expires_on": TODAY - dt.timedelta(days=1)}, "expired"),
        ({"expires_on": TODAY}, "active"),
    ],
)
def test_a_line_is_available_from_its_first_to_its_last_day(
    inside: House, terms: dict[str, object], status: str
) -> None:
    line = a_line(inside, **terms)
    assert line.status_on(TODAY) == status
    assert list(CreditLine.objects.in_status(status, TODAY)) == [line]
    if status == "active":
        assert reserve(inside, line, "1.00").available == 999
        return
    with pytest.raises(Conflict) as error:
        reserve(inside, line, "1.00")
    refused("line_not_available", error)


def test_another_currency_is_refused(inside: House) -> None:
    line, core = a_line(inside), core_banking(inside)
    for act in (
        lambda: reserve(inside, line, "1.00", currency="USD"),
        lambda: control.check(core, line_id=line.pk, amount=Decimal(1), currency="USD", day=TODAY, now=NOW),
        lambda: control.repay(
            core, line_id=line.pk, amount=Decimal(1), currency="USD", reference="R", now=NOW
        ),
    ):
        with pytest.raises(DomainError) as error:
            act()
        assert (error.value.status, error.value.code) == (422, "currency_mismatch")


def test_no_amount_moves_money_backwards(inside: House) -> None:
    line, core = a_line(inside), core_banking(inside)
    held = reserve(inside, line, "10.00")
    for amount in (Decimal(0), Decimal("-0.01")):
        for act in (
            lambda amount=amount: reserve(inside, line, str(amount)),
            lambda amount=amount: control.commit(core, reservation_id=held.id, amount=amount, now=NOW),
            lambda amount=amount: control.repay(
                core, line_id=line.pk, amount=amount, currency="CNY", reference="R", now=NOW
            ),
        ):
            with pytest.raises(DomainError):
                act()
    with pytest.raises(Conflict) as error:
        control.repay(core, line_id=line.pk, amount=Decimal(1), currency="CNY", reference="R", now=NOW)
    refused("repayment_exceeds_utilised", error)
    assert amounts(line) == (10, 0, 990)


def test_a_freeze_stops_new_reservations_and_keeps_given_promises(inside: House, hq_risk: Person) -> None:
    line, core = a_line(inside), core_banking(inside)
    held = reserve(inside, line, "300.00")
    services.freeze_line(hq_risk.actor, line_id=line.pk, reason="Court order", now=NOW)
    with pytest.raises(Conflict) as error:
        reserve(inside, line, "1.00")
    refused("line_not_available", error)
    control.commit(core, reservation_id=held.id, now=NOW)
    control.repay(core, line_id=line.pk, amount=Decimal(100), currency="CNY", reference="R", now=NOW)
    with pytest.raises(Conflict) as closing:
        services.close_line(hq_risk.actor, line_id=line.pk, reason="End", now=NOW)
    refused("line_in_use", closing)
    services.unfreeze_line(hq_risk.actor, line_id=line.pk, reason="Order lifted", now=NOW)
    control.repay(core, line_id=line.pk, amount=Decimal(200), currency="CNY", reference="R", now=NOW)
    services.close_line(hq_risk.actor, line_id=line.pk, reason="End", now=NOW)
    with pytest.raises(Conflict) as again:
        services.close_line(hq_risk.actor, line_id=line.pk, reason="End", now=NOW)
    refused("line_status", again)
    events = LineEvent.objects.filter(line=line).order_by("id")
    assert [(e.kind, e.reason, e.by_id) for e in events] == [
        ("opened", "", None),
        ("frozen", "Court order", hq_risk.staff.pk),
        ("unfrozen", "Order lifted", hq_risk.staff.pk),
        ("closed", "End", hq_risk.staff.pk),
    ]
    assert Entry.objects.filter(object_table="credit_rating_lineevent").count() == 4


def test_a_limit_is_lowered_never_below_use_and_never_raised(inside: House, hq_credit: Person) -> None:
    bills = a_product("BILLS")
    line = a_line(inside, sub_limits={bills: Decimal(800)})
    reserve(inside, line, "400.00")
    for limit, code in (
        ("399.99", "limit_below_use"),
        ("1000.00", "limit"),
        ("1000.01", "limit"),
        ("0", "limit"),
    ):
        with pytest.raises(DomainError) as error:
            services.lower_limit(
                hq_credit.actor, line_id=line.pk, limit=Decimal(limit), reason="Cut", now=NOW
            )
        refused(code, error)
    services.lower_limit(hq_credit.actor, line_id=line.pk, limit=Decimal("400.00"), reason="Cut", now=NOW)
    assert amounts(line) == (400, 0, 0)
    assert line.sub_limits.get().limit == 400


def test_what_no_approval_has_decided_the_database_neither_raises_nor_extends(
    inside: House, hq_credit: Person
) -> None:
    line = a_line(inside)
    longer = TODAY + dt.timedelta(days=400)
    for limit, until in ((Decimal(1001), line.expires_on), (Decimal(1000), longer)):
        with pytest.raises(IntegrityError, match="only an approval"), transaction.atomic():
            services.change_line(
                hq_credit.actor, line_id=line.pk, limit=limit, expires_on=until, case_id=7, now=NOW
            )
    services.change_line(
        hq_credit.actor, line_id=line.pk, limit=Decimal(500), expires_on=line.expires_on, case_id=7, now=NOW
    )
    line.refresh_from_db()
    assert line.limit == 500


def test_who_may_do_what(inside: House, rm: Person, hq_credit: Person, president: Person) -> None:
    line = a_line(inside)
    for person in (rm, president):
        with pytest.raises(PermissionDenied):
            services.freeze_line(person.actor, line_id=line.pk, reason="x", now=NOW)
    with pytest.raises(PermissionDenied):
        control.reserve(hq_credit.actor, line_id=line.pk, amount=Decimal(1), currency="CNY", reference="x",
                        day=TODAY, now=NOW)  # fmt: skip
    with pytest.raises(PermissionDenied):
        a_line_by(rm)
    with pytest.raises(DomainError):
        services.freeze_line(hq_credit.actor, line_id=line.pk, reason=" ", now=NOW)


def a_line_by(person: Person) -> None:
    customer, product = CreditLine.objects.get().customer, a_product()
    services.open_line(
        person.actor, customer=customer, product=product, currency="CNY", limit=Decimal(1), starts_on=TODAY,
        expires_on=TODAY, now=NOW,
    )  # fmt: skip


def test_numbers_run_on_within_a_year(inside: House) -> None:
    assert [a_line(inside).number for _ in range(2)] == ["ED-2026-000001", "ED-2026-000002"]
    assert a_line(inside, starts_on=dt.date(2025, 5, 1)).number == "ED-2025-000001"


@pytest.mark.parametrize(
    "change",
    [{"reserved": Decimal("1000.01")}, {"utilised": Decimal("-0.01")}, {"reserved": Decimal("-0.01")},
     {"limit": Decimal(0)}, {"status": "closed", "utilised": Decimal(1)}],
)  # fmt: skip
def test_the_database_itself_refuses_impossible_figures(inside: House, change: dict[str, object]) -> None:
    line = a_line(inside)
    with pytest.raises(IntegrityError), transaction.atomic():
        CreditLine.objects.filter(pk=line.pk).update(**change)


def test_a_review_sets_the_next_one(inside: House, hq_risk: Person) -> None:
    line = a_line(inside, expires_on=TODAY + dt.timedelta(days=1000))
    assert line.review_on == (TODAY - dt.timedelta(days=1)).replace(year=2027)
    services.record_review(hq_risk.actor, line_id=line.pk, reason="All well", now=NOW, today=TODAY)
    line.refresh_from_db()
    assert line.review_on == TODAY.replace(year=2027)


def test_a_repayment_in_the_ledger_settles_nothing_in_full() -> None:
    """What a loan is once it is repaid and one repayment are two things in Chinese."""
    with translation.override("zh-hans"):
        assert (str(EntryKind.REPAY.label), str(LoanStatus.REPAID.label)) == ("已还款", "已结清")
