"""About whom early warning speaks, and for whom of them its rules hold on a day (C10).

The night asks it before it writes warnings; a version that nobody has published yet is tried by the same.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.db import connection

from credit_rating.contagion import touched_by_group
from credit_rating.policies.shapes import Body
from credit_rating.policies.warnings import GROUP, Rule, contagion_of, rules_of
from customers.conditions import compile_condition
from customers.facts import FACTS

# Early warning is about debtors: customers with a loan, a line that lives or is still drawn, or a guarantee they have given.
_DEBTORS = """
SELECT s.customer_id FROM customers_standing s
WHERE s.bank_id = %(bank)s AND s.customer_id BETWEEN %(lo)s AND %(hi)s AND (s.loans > 0 OR s.overdue_amount > 0)
UNION SELECT l.customer_id FROM credit_rating_creditline l WHERE l.bank_id = %(bank)s
    AND l.customer_id BETWEEN %(lo)s AND %(hi)s
    AND (l.status IN ('active', 'frozen') OR l.status = 'expired' AND l.reserved + l.utilised > 0)
UNION SELECT g.guarantor_id FROM credit_rating_guarantee g WHERE g.bank_id = %(bank)s
    AND g.guarantor_id BETWEEN %(lo)s AND %(hi)s AND g.status = 'active'
"""


def debtors_in(bank_id: int, lo: int, hi: int) -> list[int]:
    """The debtors among the customers of a range of ids."""
    with connection.cursor() as cursor:
        cursor.execute(_DEBTORS, {"bank": bank_id, "lo": lo, "hi": hi})
        return [row[0] for row in cursor.fetchall()]


def signalled(
    bank_id: int, body: Body, debtors: list[int], day: dt.date
) -> dict[str, dict[int, dict[str, Any]]]:
    """rule -> debtor -> the figures it compares, of those for whom the rules of a policy hold; GROUP: as contagion says."""
    found = _fitting(bank_id, list(rules_of(body)), debtors, day)
    return {**found, GROUP: touched_by_group(debtors, contagion_of(body), day)}


def _fitting(
    bank_id: int, rules: list[Rule], debtors: list[int], day: dt.date
) -> dict[str, dict[int, dict[str, Any]]]:
    """rule -> the debtors for whom it holds, with the figures it compares (as facts store them). Each debtor is read
    once for all rules; a rule's figures are reckoned only where it holds."""
    names = {"c": "c", "s": "s", "as_of": f"DATE '{day.isoformat()}'"}
    told: list[list[str]] = []
    cases: list[str] = []
    params: list[Any] = []
    for rule in rules:
        facts = [FACTS[name] for name in rule.facts if FACTS[name].sql]
        figures = ", ".join(f"({fact.sql.format(**names)})::text" for fact in facts)
        holds, given = compile_condition(rule.condition, c="c", s="s", as_of=day)
        told.append([fact.name for fact in facts])
        cases.append(f"CASE WHEN {holds} THEN ARRAY[{figures}]::text[] END AS told_{len(cases)}")
        params += given
    found: dict[str, dict[int, dict[str, Any]]] = {rule.code: {} for rule in rules}
    if not rules:
        return found
    columns = ", ".join(f"told_{place}" for place in range(len(cases)))
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT * FROM (SELECT c.id, {', '.join(cases)} FROM customers_customer c JOIN customers_standing s"
            " ON s.bank_id = c.bank_id AND s.customer_id = c.id WHERE c.bank_id = %s AND c.id = ANY(%s::bigint[])"
            f" OFFSET 0) debtor WHERE num_nonnulls({columns}) > 0",
            [*params, bank_id, debtors],
        )
        for customer, *figures_of in cursor.fetchall():
            for rule, facts_of, values in zip(rules, told, figures_of, strict=True):
                if values is not None:
                    found[rule.code][customer] = dict(zip(facts_of, values, strict=True))
    return found
