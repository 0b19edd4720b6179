"""Ratings and line calculations of many customers at once: the data are read together, each is reckoned as ever.

`selectors.ratings.assess_by` and `selectors.calculations.reckon_by` are the rules; here is only the reading. A customer
with guarantees, with a group or on the register of related parties goes the way of one: those are few, and what they
rest on reaches far.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.db.models import Max

from credit_rating.collection import read_values
from credit_rating.factors import COMPANY
from credit_rating.models import CollectionStatus, InformationForm, Statement, credit_kind
from credit_rating.selectors.at_stake import capital_on, stakes_of
from credit_rating.selectors.calculations import (
    Basis,
    Reckoning,
    Terms,
    WhatIf,
    basis_of,
    inputs_of,
    policies_on,
    reckon_by,
)
from credit_rating.selectors.exposure import alone, reaching_far
from credit_rating.selectors.external import elsewhere_of_many
from credit_rating.selectors.factors import Facts, Held, held_on, owing_months
from credit_rating.selectors.policies import Policy
from credit_rating.selectors.ratings import Assessed, assess_by, yardstick_on
from credit_rating.selectors.statements import KEPT_YEARS
from crm_site.accounts.models import Bank
from crm_site.lib.permissions import Actor, system_actor
from crm_site.lib.tenancy import require_bank
from customers.models import Customer, Standing

_AS_IS = WhatIf()


@dataclass(frozen=True, slots=True)
class Reckoned:
    """A customer as rated, and the line calculated with `grade`, at most what is `requested`."""

    assessed: Assessed
    grade: str
    reckoning: Reckoning

    @property
    def proposed(self) -> Decimal | None:
        """The line to propose: what was calculated, at most what was asked for."""
        limit = self.reckoning.limit
        return None if limit is None else min(limit, self.reckoning.terms.requested)


def held_of(customers: Sequence[Customer], day: dt.date) -> dict[int, Held]:
    """customer -> what the data hold of it."""
    ids = [c.pk for c in customers]
    forms = InformationForm.objects.filter(customer_id__in=ids, status=CollectionStatus.SUBMITTED)
    newest_forms = forms.order_by("customer_id", "-submitted_at", "-id").distinct("customer_id")
    collected = {
        key: read_values(values) for key, values in newest_forms.values_list("customer_id", "values")
    }
    statements: dict[int, list[Statement]] = defaultdict(list)
    companies = [c.pk for c in customers if credit_kind(c) in COMPANY]
    if companies:
        for statement in Statement.objects.filter(customer_id__in=companies).order_by("-year"):
            if len(statements[statement.customer_id]) < KEPT_YEARS:
                statements[statement.customer_id].append(statement)
    standings = {s.customer_id: s for s in Standing.objects.filter(customer_id__in=ids, as_of__isnull=False)}
    newest = Bank.objects.values_list("business_date", flat=True).get(pk=require_bank())
    worst = _worst(standings, newest, day)
    return {
        key: Held(collected.get(key, {}), statements[key], standings.get(key), newest, worst.get(key))
        for key in ids
    }


def _worst(standings: dict[int, Standing], newest: dt.date | None, day: dt.date) -> dict[int, int]:
    """customer -> longest days past due at the month-ends of the year before the date its figures are of."""
    by_day: dict[dt.date, list[int]] = defaultdict(list)
    for key, standing in standings.items():
        if (on := held_on(standing, newest, day)) is not None:
            by_day[on].append(key)
    found: dict[int, int] = {}
    for on, keys in by_day.items():
        rows = owing_months(on).filter(customer_id__in=keys).order_by().values_list("customer_id")
        found |= dict(rows.annotate(worst=Max("days_past_due")))
    return found


def reckon_many(
    customers: Sequence[Customer],
    *,
    kind: str,
    term_months: int,
    requested: Decimal,
    day: dt.date,
    grade_of: Callable[[Assessed], str] = lambda found: found.grade,
) -> dict[int, Reckoned]:
    """customer -> its rating and line as of a day. All are of one kind. `grade_of`: with which grade the line is
    calculated (the reckoned one, unless a person has said another). Raises NoScorecard."""
    actor, yardstick = _reader(), yardstick_on(kind, day)
    held = held_of(customers, day)
    assessed = {c.pk: assess_by(yardstick, Facts(actor, c, day, held[c.pk]), {}) for c in customers}
    terms = {key: Terms(grade_of(found), term_months, requested) for key, found in assessed.items()}
    lines = calculate_many(customers, terms, held, policies_on(kind, day), day=day)
    return {key: Reckoned(assessed[key], terms[key].grade, line) for key, line in lines.items()}


def calculate_many(
    customers: Sequence[Customer],
    terms: Mapping[int, Terms],
    held: Mapping[int, Held],
    policies: dict[str, Policy],
    *,
    day: dt.date,
) -> dict[int, Reckoning]:
    """customer -> its line calculated as of a day by its own terms: `reckon` for many of one kind. `held`: of held_of;
    `policies`: of policies_on."""
    actor = _reader()
    ids = [c.pk for c in customers]
    reports = elsewhere_of_many(ids, day)
    stakes, capital = stakes_of(ids, day), capital_on(day)
    by_itself = reaching_far(ids, day)
    found = {}
    for customer in customers:
        known, asked = held[customer.pk], terms[customer.pk]
        if customer.pk in by_itself:
            basis = basis_of(actor, customer, asked, day)
        else:
            given = inputs_of(
                credit_kind(customer), known.statements, known.collected, reports.get(customer.pk)
            )
            stake = alone(customer, stakes[customer.pk], policies["caps"].body, capital, asked.requested)
            basis = Basis(given, [], stake)
        found[customer.pk] = reckon_by(policies, customer, asked, basis, day=day, tried=_AS_IS)
    return found


def _reader() -> Actor:
    return system_actor(require_bank(), "campaign")
