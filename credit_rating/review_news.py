"""What has happened to a customer since its rating was reckoned, so that the rating is looked at again (C2).

Each event is news only while the rating did not know of it: a warning that opened on its day or later, a statement of a
later balance sheet than it used, a report of other banks that tells more than the one of its day (who had none then
has not grown). Rated anew, the same cause asks no more.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django.db.models import Exists, F, OuterRef, Subquery

from credit_rating.factors import SOURCES
from credit_rating.models import Signal, Statement
from credit_rating.policies import Body
from credit_rating.policies.rating_rules import WARNINGS, ReviewReason, events_of, has_grown
from credit_rating.selectors.external import elsewhere_of_many


def news_of(standing: Any, rules: Mapping[str, Body], day: dt.date) -> dict[int, ReviewReason]:
    """rating -> why it is due for review, the gravest reason first: warnings in the order of the policy's choices, a
    newer statement, debts at other banks. `standing`: ratings in force that are not due; `rules`: by kind."""
    found = _grown(standing, rules, day) | _newer_statements(standing, rules) | _warned(standing, rules)
    return dict(sorted(found.items()))


def _warned(standing: Any, rules: Mapping[str, Body]) -> dict[int, ReviewReason]:
    live = Signal.objects.filter(code__in=WARNINGS, ended_on__isnull=True)
    opened: dict[int, list[tuple[str, dt.date]]] = defaultdict(list)
    customers = standing.order_by().values("customer_id")
    for customer, code, on in live.filter(customer_id__in=customers).values_list(
        "customer_id", "code", "opened_on"
    ):
        opened[customer].append((code, on))
    found: dict[int, ReviewReason] = {}
    rows = standing.filter(customer_id__in=list(opened)).values_list("pk", "customer_id", "kind", "as_of")
    for key, customer, kind, as_of in rows:
        events = events_of(rules[kind])
        told = {code for code, on in opened[customer] if on >= as_of}
        reason = next((r for code, r in WARNINGS.items() if code in told and r in events), None)
        if reason is not None:
            found[key] = reason
    return found


def _newer_statements(standing: Any, rules: Mapping[str, Body]) -> dict[int, ReviewReason]:
    kinds = [kind for kind, body in rules.items() if ReviewReason.STATEMENT in events_of(body)]
    statements = Statement.objects.filter(customer=OuterRef("customer"))
    dated = statements.filter(report_date__isnull=False).order_by("-report_date").values("report_date")
    rows = (
        standing.filter(Exists(statements.filter(entered_at__gt=OuterRef("generated_at"))), kind__in=kinds)
        .annotate(newest=Subquery(dated[:1]))
        .values_list("pk", "newest", "content__factors")
    )
    return {
        key: ReviewReason.STATEMENT
        for key, newest, factors in rows.iterator()
        if newest is not None and (used := _used(factors)) and newest > used
    }


def _used(factors: list[dict[str, Any]]) -> dt.date | None:
    """The newest balance sheet that a rating rests on; None where it rests on none."""
    days = [
        dt.date.fromisoformat(factor["as_of"])
        for factor in factors
        if factor["as_of"] and SOURCES[factor["source"]].origin == "ratio"
    ]
    return max(days, default=None)


def _grown(standing: Any, rules: Mapping[str, Body], day: dt.date) -> dict[int, ReviewReason]:
    kinds = [kind for kind, body in rules.items() if ReviewReason.ELSEWHERE in events_of(body)]
    told = standing.filter(
        kind__in=kinds, customer__external_exposures__report_date__gt=F("as_of"),
        customer__external_exposures__report_date__lte=day,
    )  # fmt: skip
    rows = list(told.order_by().values_list("pk", "customer_id", "kind", "as_of").distinct())
    now = _totals([customer for _key, customer, _kind, _as_of in rows], day)
    by_day: dict[dt.date, list[int]] = defaultdict(list)
    for _key, customer, _kind, as_of in rows:
        by_day[as_of].append(customer)
    before = {as_of: _totals(customers, as_of) for as_of, customers in by_day.items()}
    return {
        key: ReviewReason.ELSEWHERE
        for key, customer, kind, as_of in rows
        if (owed := now.get(customer)) is not None
        and (was := before[as_of].get(customer)) is not None
        and has_grown(rules[kind], was, owed)
    }


def _totals(customers: list[int], day: dt.date) -> dict[int, Decimal | None]:
    """customer -> what counts of its debts at other banks by the newest report of a day; None where it is not known."""
    return (
        {customer: report.total for customer, report in elsewhere_of_many(customers, day).items()}
        if customers
        else {}
    )
