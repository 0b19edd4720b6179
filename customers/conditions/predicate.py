"""A condition as one SQL predicate."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BooleanField, F, Func
from django.db.models.sql.compiler import SQLCompiler
from django.utils.translation import gettext as _

from crm_site.lib.money import to_minor
from crm_site.lib.permissions import Actor
from crm_site.lib.tenancy import require_bank
from customers.conditions.parsing import ME, Condition, ConditionError, Leaf, Node, parse
from customers.facts import KNOWN, Fact


@dataclass
class _Compiler:
    """Turns nodes into SQL, collecting parameters in the order of their placeholders."""

    names: Mapping[str, str]
    actor: Actor | None
    params: list[Any]

    def sql(self, node: Node) -> str:
        if isinstance(node, Leaf):
            return self.leaf(node)
        if node.how == "not":
            return f"NOT {self.sql(node.parts[0])}"
        if not node.parts:
            return "TRUE" if node.how == "all" else "FALSE"
        return f"({(' AND ' if node.how == 'all' else ' OR ').join(self.sql(part) for part in node.parts)})"

    def leaf(self, leaf: Leaf) -> str:
        known = leaf.fact.known.format(**self.names)
        if leaf.op in KNOWN:
            return f"({known})" if leaf.op == "not_null" else f"(NOT ({known}))"
        compared = self.fitting(leaf, leaf.fact.fits) if leaf.fact.fits else self.compare(leaf)
        return f"(({known}) AND {compared})" if known else f"({compared})"

    def fitting(self, leaf: Leaf, sql_of: Callable[[str], str]) -> str:
        codes = leaf.value if isinstance(leaf.value, tuple) else (leaf.value,)
        fits = " OR ".join(f"({sql_of(code).format(**self.names)})" for code in codes)
        return f"NOT ({fits})" if leaf.op == "!=" else f"({fits})"

    def compare(self, leaf: Leaf) -> str:
        sql, op = leaf.fact.sql.format(**self.names), leaf.op
        if op == "within":
            self.params.extend([require_bank(), leaf.value])
            return f"{sql} IN ({_WITHIN})"
        values = leaf.value if isinstance(leaf.value, tuple) else (leaf.value,)
        self.params.extend(self.stored(leaf.fact, value) for value in values)
        if op == "in":
            return f"{sql} IN ({', '.join(['%s'] * len(values))})"
        if op == "between":
            return f"{sql} BETWEEN %s AND %s"
        if op == "starts_with":
            return f"starts_with({sql}, %s)"
        return f"{sql} {'<>' if op == '!=' else op} %s"

    def stored(self, fact: Fact, value: Any) -> Any:
        if fact.type in ("money", "percent"):
            return to_minor(value)
        if fact.type == "staff" and value == ME:
            if self.actor is None or self.actor.staff_id is None:
                raise ConditionError(_("Nobody in particular is asking: “me” means nothing here."))
            return self.actor.staff_id
        return fact.stored.get(value, value)


_WITHIN = (
    "SELECT u.id FROM accounts_orgunit u JOIN accounts_orgunit t ON t.bank_id = u.bank_id"
    " AND u.lft BETWEEN t.lft AND t.rgt WHERE t.bank_id = %s AND t.id = %s"
)


def compile_condition(
    condition: Condition | None,
    *,
    c: str = "customers_customer",
    s: str = "customers_standing",
    as_of: dt.date,
    actor: Actor | None = None,
    dated: bool = False,
) -> tuple[str, list[Any]]:
    """A parameterised SQL predicate that is true or false, never null, with its parameters.

    `c`, `s`: aliases of the customer and its figures. `as_of`: the business date. `actor`: who "me" is, and
    whose facts these may be. Raises ConditionError.
    """
    node = parse(condition, actor=actor, dated=dated)
    if node is None:
        return "TRUE", []
    compiler = _Compiler({"c": c, "s": s, "as_of": f"DATE '{as_of.isoformat()}'"}, actor, [])
    return compiler.sql(node), compiler.params


class StandingSQL(Func):
    """SQL of ours as an expression of a Standing queryset, over the aliases of the customer and its figures.

    With `customer` it brings its own join, so that it also holds in count() and values().
    """

    def __init__(self, *, customer: bool = True) -> None:
        super().__init__(F("customer__number" if customer else "deposits_adb"), F("deposits_adb"))

    def compiled(self, c: str, s: str) -> tuple[str, list[Any]]:
        """The SQL over these two aliases, with its parameters."""
        raise NotImplementedError

    def as_sql(
        self,
        compiler: SQLCompiler,
        connection: BaseDatabaseWrapper,
        function: str | None = None,
        template: str | None = None,
        arg_joiner: str | None = None,
        **extra_context: Any,
    ) -> tuple[str, tuple[Any, ...]]:
        """No function's template: the compiled SQL itself."""
        aliases = (compiler.quote_name_unless_alias(e.alias) for e in self.get_source_expressions())
        sql, params = self.compiled(*aliases)
        return sql, tuple(params)


class Matches(StandingSQL):
    """The condition as a filter of a Standing queryset: `.filter(Matches(condition, as_of=day, actor=actor))`."""

    output_field = BooleanField()
    conditional = True

    def __init__(self, condition: Condition | None, *, as_of: dt.date, actor: Actor | None = None) -> None:
        super().__init__()
        self.condition, self.as_of, self.actor = condition, as_of, actor
        parse(condition, actor=actor)

    def compiled(self, c: str, s: str) -> tuple[str, list[Any]]:
        return compile_condition(self.condition, c=c, s=s, as_of=self.as_of, actor=self.actor)
