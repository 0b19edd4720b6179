"""Many at once on one line, over real connections; and any order of acts against a ledger kept by hand."""

from __future__ import annotations

import datetime as dt
import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal

import pytest
from django.db import connection, transaction
from django.db.models import Sum
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from credit_rating.models import CreditLine, LineEntry, Reservation
from credit_rating.services import control
from credit_rating.services import lines as services
from crm_site.lib.errors import DomainError
from crm_site.lib.tenancy import bank
from tests.conftest import NOW, TODAY, House, Person
from tests.credit_rating.lines import LIMIT, a_line, a_product, core_banking

THREADS, CALLS = 8, 200


def books(line_id: int) -> CreditLine:
    """The line, after its counters, its ledger and its reservations were found to say the same."""
    line = CreditLine.objects.get(pk=line_id)
    sums = LineEntry.objects.filter(line=line).aggregate(r=Sum("reserved_change"), u=Sum("utilised_change"))
    open_now = Reservation.objects.filter(line=line, status="reserved").aggregate(r=Sum("amount"))
    assert (sums["r"] or 0, sums["u"] or 0) == (line.reserved, line.utilised)
    assert (open_now["r"] or 0) == line.reserved
    assert 0 <= line.available == line.limit - line.reserved - line.utilised
    return line


@pytest.mark.django_db(transaction=True)
def test_callers_at_once_never_overdraw_a_line_and_lose_nothing(house: House) -> None:
    """Every sixth reservation has run out long since when it is made, so that expiry takes part in the race."""
    with bank(house.id):
        line = a_line(house, sub_limits={a_product("BILLS"): Decimal(400)})
    core = core_banking(house)

    def call(number: int) -> str:
        dice = random.Random(number)
        amount = Decimal(dice.randint(1, 9000)).scaleb(-2)
        now = NOW - dt.timedelta(hours=1) if number % 6 == 0 else NOW
        product = "BILLS" if number % 3 == 0 else ""
        try:
            with bank(house.id):
                held = control.reserve(
                    core, line_id=line.pk, amount=amount, currency="CNY", reference=f"P-{number}",
                    product=product, day=TODAY, now=now,
                )  # fmt: skip
            with bank(house.id):
                act = dice.choice(("commit", "part", "release", "keep"))
                if act == "commit":
                    control.commit(core, reservation_id=held.id, now=now)
                elif act == "part":
                    control.commit(core, reservation_id=held.id, amount=Decimal("0.01"), now=now)
                elif act == "release":
                    control.release(core, reservation_id=held.id, now=now)
            if act == "commit":
                with bank(house.id):
                    control.repay(core, line_id=line.pk, amount=amount, currency="CNY", reference="back",
                                  product=product, now=now)  # fmt: skip
        except DomainError as error:
            return error.code
        else:
            return "done"
        finally:
            connection.close()

    with ThreadPoolExecutor(THREADS) as pool:
        outcomes = Counter(pool.map(call, range(CALLS)))
    assert set(outcomes) <= {"done", "insufficient_limit", "reservation_expired"}, outcomes
    assert outcomes["done"] > CALLS // 4
    assert outcomes["insufficient_limit"] > 0
    with bank(house.id):
        books(line.pk)
        control.expire_all_due(now=NOW + dt.timedelta(days=1))
        settled = books(line.pk)
        assert settled.reserved == 0
        sub = settled.sub_limits.get()
        assert sub.reserved == 0
        assert not Reservation.objects.filter(status="reserved").exists()


@pytest.mark.django_db(transaction=True)
def test_a_freeze_among_reservations_leaves_the_books_right(house: House, hq_risk: Person) -> None:
    with bank(house.id):
        line = a_line(house)
    core = core_banking(house)

    def call(number: int) -> str:
        try:
            with bank(house.id):
                if number == 20:
                    services.freeze_line(hq_risk.actor, line_id=line.pk, reason="Order", now=NOW)
                elif number == 10:
                    services.lower_limit(
                        hq_risk.actor, line_id=line.pk, limit=Decimal(500), reason="Cut", now=NOW
                    )
                else:
                    control.reserve(core, line_id=line.pk, amount=Decimal(5), currency="CNY", reference="x",
                                    day=TODAY, now=NOW)  # fmt: skip
        except DomainError as error:
            return error.code
        else:
            return "done"
        finally:
            connection.close()

    with ThreadPoolExecutor(THREADS) as pool:
        outcomes = Counter(pool.map(call, range(60)))
    assert set(outcomes) <= {"done", "line_not_available"}, outcomes
    with bank(house.id):
        found = books(line.pk)
        assert (found.status, found.limit) == ("frozen", 500)
        assert found.reserved == (outcomes["done"] - 2) * 5


@dataclass
class Held:
    """What the oracle knows of a reservation."""

    id: int
    amount: Decimal
    until: dt.datetime
    status: str = "reserved"
    committed: Decimal = Decimal(0)


class LineMachine(RuleBasedStateMachine):
    """A line against a ledger kept by hand: a limit, what is held, what is drawn, a clock, and a switch."""

    house: House
    reviewer: Person
    held = Bundle("held")

    def __init__(self) -> None:
        super().__init__()
        self.savepoint = transaction.atomic()
        self.savepoint.__enter__()
        self.line = a_line(self.house)
        self.core = core_banking(self.house)
        self.now, self.limit, self.drawn, self.frozen = NOW, LIMIT, Decimal(0), False
        self.known: list[Held] = []

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.savepoint.__exit__(None, None, None)

    def run_out(self) -> None:
        for one in self.known:
            if one.status == "reserved" and one.until <= self.now:
                one.status = "expired"

    def room(self) -> Decimal:
        """What could be reserved, once what has run out has given its room back."""
        open_now = (one for one in self.known if one.status == "reserved" and one.until > self.now)
        return self.limit - self.drawn - sum((one.amount for one in open_now), Decimal(0))

    amounts = st.one_of(
        st.integers(1, 120_000).map(lambda minor: Decimal(minor).scaleb(-2)),
        st.just(LIMIT),
        st.just(Decimal("0.01")),
    )

    @rule(target=held, amount=amounts)
    def reserve(self, amount: Decimal) -> Held | None:
        code, found = self._try(
            lambda: control.reserve(self.core, line_id=self.line.pk, amount=amount, currency="CNY", reference="x",
                                    day=TODAY, now=self.now)
        )  # fmt: skip
        assert code == self._answer(amount)
        if code:
            return None
        one = Held(found.id, amount, found.expires_at)
        self.known.append(one)
        return one

    @rule(amount=amounts)
    def check(self, amount: Decimal) -> None:
        code, _line = self._try(
            lambda: control.check(self.core, line_id=self.line.pk, amount=amount, currency="CNY", day=TODAY,
                                  now=self.now)
        )  # fmt: skip
        assert code == self._answer(amount)

    @rule(one=held, part=st.sampled_from(["all", "half", "more"]))
    def commit(self, one: Held | None, part: str) -> None:
        if one is None:
            return
        amount = {"all": None, "half": max(one.amount / 2, Decimal("0.01")).quantize(Decimal("0.01")),
                  "more": one.amount + Decimal("0.01")}[part]  # fmt: skip
        code, _state = self._try(
            lambda: control.commit(self.core, reservation_id=one.id, amount=amount, now=self.now)
        )
        assert code == self._closing(one, "committed", amount)
        if not code and one.status == "reserved":
            one.status, one.committed = "committed", amount or one.amount
            self.drawn += one.committed

    @rule(one=held)
    def release(self, one: Held | None) -> None:
        if one is None:
            return
        code, _state = self._try(lambda: control.release(self.core, reservation_id=one.id, now=self.now))
        assert code == self._closing(one, "released", None)
        if not code:
            one.status = "released"

    @rule(amount=amounts)
    def repay(self, amount: Decimal) -> None:
        code, _line = self._try(
            lambda: control.repay(self.core, line_id=self.line.pk, amount=amount, currency="CNY", reference="x",
                                  now=self.now)
        )  # fmt: skip
        assert code == ("repayment_exceeds_utilised" if amount > self.drawn else "")
        if not code:
            self.drawn -= amount

    @rule(minutes=st.integers(1, 40))
    def wait(self, minutes: int) -> None:
        self.now += dt.timedelta(minutes=minutes)

    @rule()
    def expire(self) -> None:
        control.expire_all_due(now=self.now)
        self.run_out()

    @rule()
    def turn(self) -> None:
        act = services.unfreeze_line if self.frozen else services.freeze_line
        act(self.reviewer.actor, line_id=self.line.pk, reason="x", now=self.now)
        self.frozen = not self.frozen

    @rule(share=st.sampled_from([Decimal("0.50"), Decimal("0.90")]))
    def lower(self, share: Decimal) -> None:
        limit = (self.limit * share).quantize(Decimal("0.01"))
        code, _line = self._try(
            lambda: services.lower_limit(self.reviewer.actor, line_id=self.line.pk, limit=limit, reason="x", now=self.now)
        )  # fmt: skip
        assert code == ("limit_below_use" if limit < self.limit - self.room() else "")
        if not code:
            self.limit = limit

    @invariant()
    def the_books_agree(self) -> None:
        line = books(self.line.pk)
        assert (line.limit, line.utilised) == (self.limit, self.drawn)
        # What has run out may still be held until it is needed, never the other way round.
        assert self.limit - self.drawn - self.room() <= line.reserved
        statuses = dict(Reservation.objects.values_list("pk", "status"))
        for one in self.known:
            stored = statuses[one.id]
            assert stored == one.status or (
                one.status == "reserved" and stored == "expired" and one.until <= self.now
            )

    def _answer(self, amount: Decimal) -> str:
        if self.frozen:
            return "line_not_available"
        return "insufficient_limit" if amount > self.room() else ""

    def _closing(self, one: Held, wanted: str, amount: Decimal | None) -> str:
        if one.status == wanted and amount in (None, one.committed):
            return ""
        if one.status == "expired" or (one.status == "reserved" and one.until <= self.now):
            return "reservation_expired"
        if one.status != "reserved":
            return "reservation_final"
        return "exceeds_reservation" if amount is not None and amount > one.amount else ""

    def _try(self, act: object) -> tuple[str, object]:
        """(code of the refusal or "", answer); a refusal undoes what was done, as the request's end would."""
        try:
            with transaction.atomic():
                return "", act()
        except DomainError as error:
            return error.code, None


def test_any_order_of_acts_agrees_with_a_ledger_kept_by_hand(inside: House, hq_risk: Person) -> None:
    machine = type("Line", (LineMachine,), {"house": inside, "reviewer": hq_risk})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=12, stateful_step_count=25, deadline=None, derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip
