"""The night of credit lines: what has ended expires, what needs somebody becomes work; and what lists may ask."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from credit_rating import nightly
from credit_rating.models import CreditLine, LineEvent
from credit_rating.services import control
from crm_site.lib.registry import WORK_REASONS, RunContext
from crm_site.work.models import Task
from customers.conditions import Matches
from customers.models import FxRate, Standing
from customers.nightly import customer_ranges
from tests.conftest import NOW, TODAY, House, Person
from tests.credit_rating.lines import a_line, core_banking

DAY = TODAY  # the business date of the night


def in_days(days: int) -> dt.date:
    return DAY + dt.timedelta(days=days)


def night(house: House, day: dt.date = DAY, *, is_newest: bool = True) -> int:
    ctx = RunContext(house.id, 1, 1, day, is_newest)
    return sum(nightly.lines(ctx, chunk).rows_changed for chunk in customer_ranges(house.id))


def use(house: House, line: CreditLine, amount: str) -> None:
    core, day = core_banking(house), line.expires_on
    held = control.reserve(core, line_id=line.pk, amount=Decimal(amount), currency=line.currency, reference="x",
                           day=min(day, TODAY), now=NOW)  # fmt: skip
    control.commit(core, reservation_id=held.id, now=NOW)


def reasons() -> list[str]:
    return sorted(Task.objects.open().values_list("reason", flat=True))


def test_a_line_expires_after_its_last_day_with_an_event_and_a_task(inside: House, rm: Person) -> None:
    ended, lives = a_line(inside, expires_on=DAY), a_line(inside, expires_on=in_days(400))
    ended.customer.responsible = rm.staff
    ended.customer.save()
    use(inside, ended, "10.00")
    assert night(inside) == 2
    assert night(inside) == 0
    ended.refresh_from_db()
    lives.refresh_from_db()
    assert (ended.status, lives.status) == ("expired", "active")
    assert LineEvent.objects.filter(line=ended).first().kind == "expired"
    (task,) = Task.objects.open()
    assert (task.reason, task.owner_id, task.customer_id) == ("line_expired", rm.staff.pk, ended.customer_id)
    said = WORK_REASONS["line_expired"].sentence(task.params)
    assert ended.number in said and "10.00" in said
    night(inside, in_days(40))
    assert not Task.objects.open().exists()


def test_a_night_for_a_past_date_leaves_lines_alone(inside: House) -> None:
    line = a_line(inside, expires_on=in_days(-100), starts_on=in_days(-300))
    assert night(inside, in_days(-30), is_newest=False) == 0
    line.refresh_from_db()
    assert line.status == "active"


def test_expiry_and_review_become_work_by_the_policys_days(inside: House) -> None:
    a_line(inside, expires_on=in_days(31))
    a_line(inside, expires_on=in_days(32))
    due = a_line(inside, expires_on=in_days(500))
    CreditLine.objects.filter(pk=due.pk).update(review_on=in_days(31))
    night(inside)
    assert reasons() == ["line_expiring", "line_review"]


def test_a_line_used_to_nine_tenths_is_watched(inside: House) -> None:
    almost, full = a_line(inside), a_line(inside)
    use(inside, almost, "899.99")
    use(inside, full, "900.00")
    night(inside)
    (task,) = Task.objects.open()
    assert task.params["line_id"] == full.pk
    assert "90%" in WORK_REASONS["line_use"].sentence(task.params)
    control.repay(
        core_banking(inside), line_id=full.pk, amount=Decimal(1), currency="CNY", reference="r", now=NOW
    )
    night(inside, in_days(1))
    assert not Task.objects.open().exists()


def found(fact: str, op: str, value: object, actor: object) -> bool:
    matches = Matches({"fact": fact, "op": op, "value": value}, as_of=DAY, actor=actor)
    return Standing.objects.filter(matches).exists()


def test_lists_may_ask_for_lines(inside: House, hq_risk: Person) -> None:
    line = a_line(inside, expires_on=in_days(20))
    use(inside, line, "250.00")
    actor = hq_risk.actor
    assert found("lines_limit", "=", "1000.00", actor)
    assert found("lines_utilisation_pct", "=", "25", actor)
    assert found("line_expires_days", "<=", 20, actor)
    assert not found("line_expires_days", "<", 20, actor)
    FxRate.objects.create(currency="USD", rate_date=DAY, rate=Decimal(7))
    a_line(inside, currency="USD", expires_on=in_days(50))
    assert found("lines_limit", "=", "8000.00", actor)
    CreditLine.objects.update(status="expired")
    assert found("lines_limit", "=", "0.00", actor)
    assert not found("line_expires_days", "not_null", None, actor)
