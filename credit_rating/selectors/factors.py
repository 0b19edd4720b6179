"""A customer's values of factor sources, each with where it comes from and of which day (credit_rating.factors)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from django.db.models import Max, Q, QuerySet

from credit_rating.collection import Collected
from credit_rating.engine.cards import Value
from credit_rating.engine.ratios import RATIOS, compute_ratio
from credit_rating.factors import ANSWER, COMPANY, SOURCES
from credit_rating.models import Statement, credit_kind
from credit_rating.selectors.collection import collected
from credit_rating.selectors.statements import statements_of
from crm_site.accounts.models import Bank
from crm_site.lib.permissions import Actor
from customers.models import Customer, MonthEnd, Standing

YEAR_DAYS = Decimal("365.25")
ARREARS_MONTHS = 366  # days back that worst_arrears looks
_RATIOS = {ratio.code: ratio for ratio in RATIOS}


@dataclass(frozen=True, slots=True)
class Found:
    """A value: Decimal (percentages as fractions, money in the bank's currency) or an answer's code.

    `detail`: the year of a statement, or the origin of a collected value (words.SOURCES)."""

    value: Value
    as_of: dt.date
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Held:
    """What the data hold of a customer, read with those of many others (selectors.many). `statements`: newest first;
    `newest`: the bank's business date; `worst`: the longest days past due of a year's month-ends with debts."""

    collected: dict[str, Collected]
    statements: list[Statement]
    standing: Standing | None
    newest: dt.date | None
    worst: int | None


def held_on(standing: Standing | None, newest: dt.date | None, day: dt.date) -> dt.date | None:
    """The date a standing's figures are of: what did not move since an earlier night holds on the newest one too."""
    if standing is None or standing.as_of is None:
        return None
    return max(standing.as_of, min(newest, day)) if newest else standing.as_of


class Facts:
    """What is known of a customer on a day: nothing that is of a later day. Each kind of data is read once, unless it
    is `held` already."""

    def __init__(self, actor: Actor, customer: Customer, day: dt.date, held: Held | None = None) -> None:
        self.actor, self.customer, self.day, self._held = actor, customer, day, held
        self._collected: dict[str, Collected] | None = held.collected if held else None
        self._statements: list[Statement] | None = None
        if held:
            self._statements = [s for s in held.statements if s.report_date <= day]
        self._standing: Standing | None = held.standing if held else None
        self._has_standing = held is not None

    def of(self, source: str) -> Found | None:
        """The value of a source; None when the data do not give it."""
        origin = SOURCES[source].origin
        if origin == ANSWER:
            return None
        if origin == "ratio":
            return self._ratio(source)
        if origin == "collected":
            return self._asked(source)
        return _READERS[source](self)

    @property
    def standing(self) -> Standing | None:
        """Figures of the newest business date; None before the first night."""
        if not self._has_standing:
            found = Standing.objects.visible_to(self.actor).filter(
                customer=self.customer, as_of__isnull=False
            )
            self._standing, self._has_standing = found.first(), True
        return self._standing

    @property
    def held_on(self) -> dt.date | None:
        """The date its figures are of."""
        at = self.standing
        if at is None:
            return None
        if self._held:
            return held_on(at, self._held.newest, self.day)
        newest = Bank.objects.values_list("business_date", flat=True).get(pk=self.customer.bank_id)
        return held_on(at, newest, self.day)

    def _ratio(self, code: str) -> Found | None:
        if self._statements is None:
            is_company = credit_kind(self.customer) in COMPANY
            found = statements_of(self.actor, self.customer) if is_company else []
            self._statements = [s for s in found if s.report_date <= self.day]
        if not self._statements:
            return None
        newest = self._statements[0]
        figures = {s.year: s.amounts for s in self._statements}
        value = compute_ratio(_RATIOS[code], figures, newest.year).value
        return None if value is None else Found(value, newest.report_date, str(newest.year))

    def _asked(self, code: str) -> Found | None:
        if self._collected is None:
            self._collected = collected(self.actor, self.customer)
        cell = self._collected.get(code)
        if cell is None or cell.as_of > self.day:
            return None
        value: Value = Decimal(cell.value) if SOURCES[code].is_number else cell.value
        return Found(value, cell.as_of, cell.source)

    def _number(self, code: str) -> tuple[Decimal, dt.date] | None:
        found = self._asked(code)
        if found is None or not isinstance(found.value, Decimal):
            return None
        return found.value, found.as_of

    def years_since(self, date: dt.date | None) -> Found | None:
        if date is None or date > self.day:
            return None
        return Found((Decimal((self.day - date).days) / YEAR_DAYS).quantize(Decimal("0.1")), self.day)

    def quotient(self, above: str, below: str) -> Found | None:
        """One collected amount over another, as of the older of both; None without one or over nothing."""
        top, bottom = self._number(above), self._number(below)
        if top is None or bottom is None or bottom[0] <= 0:
            return None
        return Found((top[0] / bottom[0]).quantize(Decimal("0.0001")), min(top[1], bottom[1]))

    def household_net(self) -> Found | None:
        """Income of the trade and wages, less the trade's costs; wages that were not told count as none."""
        income, costs = self._number("household_income"), self._number("household_costs")
        if income is None or costs is None:
            return None
        wages = self._number("household_wages")
        return Found(income[0] - costs[0] + (wages[0] if wages else 0), min(income[1], costs[1]))

    def deposits(self) -> Found | None:
        at, on = self.standing, self.held_on
        return Found(at.deposits_adb, on) if at and on else None

    def days_past_due(self) -> Found | None:
        """Of today's loans; a customer who owes nothing has no arrears to be told of."""
        at, on = self.standing, self.held_on
        if at is None or on is None or not (at.loans or at.days_past_due):
            return None
        return Found(Decimal(at.days_past_due), on)

    def worst_arrears(self) -> Found | None:
        """The longest days past due of today and of the month-ends of a year; None for who owed nothing in it."""
        at, on = self.standing, self.held_on
        if at is None or on is None:
            return None
        if self._held:
            worst = self._held.worst
        else:
            owed = owing_months(on).filter(customer=self.customer)
            worst = owed.aggregate(worst=Max("days_past_due"))["worst"]
        if worst is None and not at.loans and not at.days_past_due:
            return None
        return Found(Decimal(max(worst or 0, at.days_past_due)), on)


def owing_months(on: dt.date) -> QuerySet[MonthEnd]:
    """The month-ends of the year up to a day at which customers owed something."""
    since = on - dt.timedelta(days=ARREARS_MONTHS)
    months = MonthEnd.objects.filter(month_end__gt=since, month_end__lte=on)
    return months.filter(Q(days_past_due__gt=0) | Q(loans__gt=Decimal(0)))


_READERS: dict[str, Callable[[Facts], Found | None]] = {
    "tenure_years": lambda facts: facts.years_since(facts.customer.customer_since),
    "age_years": lambda facts: facts.years_since(facts.customer.birth_date),
    "company_years": lambda facts: facts.years_since(facts.customer.founded_date),
    "deposits_adb": Facts.deposits,
    "days_past_due": Facts.days_past_due,
    "worst_arrears": Facts.worst_arrears,
    "debt_service_share": lambda facts: facts.quotient("monthly_debt_service", "monthly_income"),
    "household_net_income": Facts.household_net,
    "household_debt_share": lambda facts: facts.quotient("household_debts", "household_assets"),
}
