"""Line calculations that a synthetic bank's cases rest on: the bank's own engines, policies and files, nothing made up.

`selectors.many.calculate_many` reckons, `services.campaigns.writing` saves: what a saved calculation is, page, campaign and
this one agree on.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connection
from django.db.models import Count

from credit_rating.engine.groups import CONTROL
from credit_rating.models import CreditCase, CreditPolicy, LineCalculation, credit_kind
from credit_rating.models.calculations import content_hash
from credit_rating.selectors.calculations import Reckoning, Terms, as_content, policies_on
from credit_rating.selectors.exposure import related_on
from credit_rating.selectors.factors import Held
from credit_rating.selectors.many import calculate_many
from credit_rating.selectors.policies import Policy
from credit_rating.services.campaigns.writing import calculation_row, insert_calculations
from crm_site.lib.tenancy import require_bank
from customers.models import Customer

# The loans of whom a calculation weighs, as the first night will write them: who asks, groups, related parties.
_LOANS = """
UPDATE customers_standing s SET loans = w.owed
FROM (SELECT l.customer_id, sum(l.outstanding)::bigint AS owed FROM customers_loan l
      WHERE l.bank_id = %(bank)s AND l.status = 'active' AND l.customer_id IN (
          SELECT unnest(%(customers)s::bigint[]) UNION SELECT unnest(%(related)s::bigint[])
          UNION SELECT c.id FROM customers_customer c WHERE c.bank_id = %(bank)s AND c.is_related_party
          UNION SELECT r.customer_id FROM customers_relation r WHERE r.bank_id = %(bank)s AND r.kind = ANY(%(control)s)
          UNION SELECT r.other_id FROM customers_relation r WHERE r.bank_id = %(bank)s AND r.kind = ANY(%(control)s))
      GROUP BY l.customer_id) w
WHERE s.bank_id = %(bank)s AND s.customer_id = w.customer_id AND s.as_of IS NULL
"""


def weigh_loans(customers: Sequence[Customer], date: dt.date) -> None:
    """Let the standing of a bank without a night so far know the loans that caps are asked about."""
    values: dict[str, Any] = {
        "bank": require_bank(), "customers": [c.pk for c in customers], "control": list(CONTROL),
        "related": list(related_on(date).values_list("customer_id", flat=True)),
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_LOANS, values)


class Calculator:
    """Reckons the lines that cases ask for. The policies of a kind are read once until a version of them begins."""

    def __init__(self, grades: Mapping[int, str], held: Mapping[int, Held]) -> None:
        self._grades, self._held = grades, held
        begins = CreditPolicy.objects.exclude(valid_from=None).values_list("valid_from", flat=True)
        self._begins = sorted(set(begins))
        self._policies: dict[tuple[str, int], dict[str, Policy]] = {}

    def lines_of(self, cases: Sequence[CreditCase]) -> dict[int, Reckoning]:
        """customer -> the line that was to be had on the day its case was begun, with the grade of its rating; only of
        what was known by then. Cases of one kind and day are read together."""
        together: dict[tuple[str, dt.date], list[CreditCase]] = defaultdict(list)
        for case in cases:
            together[credit_kind(case.customer), case.prepared_at.date()].append(case)
        found: dict[int, Reckoning] = {}
        for (kind, day), some in together.items():
            terms = {c.customer_id: Terms(self._grades[c.customer_id], c.term_months, c.amount) for c in some}
            customers = [case.customer for case in some]
            found |= calculate_many(customers, terms, self._held, self._policies_on(kind, day), day=day)
        return {
            key: one
            for key, one in found.items()
            if one.limit is not None and all(given.as_of <= one.day for given in one.inputs)
        }

    def _policies_on(self, kind: str, day: dt.date) -> dict[str, Policy]:
        key = (kind, bisect(self._begins, day))
        if key not in self._policies:
            self._policies[key] = policies_on(kind, day)
        return self._policies[key]


def save(found: Mapping[int, Reckoning], cases: Sequence[CreditCase]) -> dict[int, int]:
    """customer -> its saved calculation, made by who has prepared the case, at that moment."""
    kept = LineCalculation.objects.filter(customer_id__in=list(found)).order_by().values_list("customer_id")
    counts = dict(kept.annotate(n=Count("id")))
    rows = []
    for case in cases:
        if case.customer_id in found:
            one = found[case.customer_id]
            content = as_content(one)
            rows.append(
                calculation_row(
                    one, content, content_hash(content), counts.get(case.customer_id, 0), case.prepared_by_id,
                    case.prepared_at,
                )
            )  # fmt: skip
    return insert_calculations(rows)
