"""The one condition language: and/or/not over facts, compiled to one SQL predicate and said in a sentence.

    {"all": [...]}   {"any": [...]}   {"not": c}   {"fact": name, "op": op, "value": v}

Empty ({} or None) means everybody. Truth is two-valued: a comparison with an unknown value is false, and its
`not` is true. Values: money and percent as decimal strings, dates ISO 8601, tiers and choices by code, a unit by
id, a person by id or "me". Tier policies, list filters, drill-downs and audiences all go through here.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from django.db.models import BooleanField, F, Func
from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from crm_site.accounts.models import OrgUnit, Staff
from crm_site.lib.errors import DomainError
from crm_site.lib.money import to_minor
from crm_site.lib.permissions import Actor, may
from crm_site.lib.tenancy import require_bank
from customers.facts import FACTS, KNOWN, Fact

Condition = Mapping[str, Any]
MAX_DEPTH, MAX_LEAVES, MAX_VALUES, MAX_TEXT = 8, 100, 200, 200
_BIGINT = 2**63 - 1
_INT = 2**31 - 1
_AMOUNT = Decimal(10) ** 15
ME = "me"


class ConditionError(DomainError):
    """A condition that cannot be understood. `path` says which part: "all.0.value"."""

    def __init__(self, message: str, path: Sequence[str | int] = ()) -> None:
        self.path = ".".join(str(step) for step in path)
        super().__init__(message, code="condition", fields={self.path: message})


@dataclass(frozen=True, slots=True)
class Leaf:
    """A comparison. `value` is canonical: Decimal, int, date, bool, str, or a tuple of them."""

    fact: Fact
    op: str
    value: Any


@dataclass(frozen=True, slots=True)
class Group:
    """`how`: "all", "any" or "not" (of its single part)."""

    how: str
    parts: tuple[Node, ...]


Node = Leaf | Group


# -- understanding ----------------------------------------------------------------------------------------------


@dataclass
class _Parser:
    """Walks a raw condition; counts its comparisons."""

    actor: Actor | None
    dated: bool
    leaves: int = 0

    def node(self, raw: Any, path: tuple[str | int, ...], depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise ConditionError(_("The condition is nested too deeply."), path)
        if not isinstance(raw, Mapping):
            raise ConditionError(_("A condition is an object."), path)
        if "fact" in raw:
            return self.leaf(raw, path)
        if len(raw) != 1 or (how := next(iter(raw))) not in ("all", "any", "not"):
            raise ConditionError(_("A condition is “all”, “any”, “not” or a comparison of a fact."), path)
        if how == "not":
            return Group("not", (self.node(raw["not"], (*path, "not"), depth + 1),))
        parts = raw[how]
        if not isinstance(parts, (list, tuple)):
            raise ConditionError(_("“%s” takes a list.") % how, (*path, how))
        return Group(how, tuple(self.node(part, (*path, how, i), depth + 1) for i, part in enumerate(parts)))

    def leaf(self, raw: Condition, path: tuple[str | int, ...]) -> Leaf:
        self.leaves += 1
        if self.leaves > MAX_LEAVES:
            raise ConditionError(_("The condition has too many parts."), path)
        if unknown := set(raw) - {"fact", "op", "value"}:
            raise ConditionError(_("Unknown field “%s”.") % min(map(str, unknown)), path)
        fact = self.fact(raw["fact"], (*path, "fact"))
        return Leaf(fact, *_operation(fact, raw, path))

    def fact(self, name: Any, path: tuple[str | int, ...]) -> Fact:
        fact = FACTS[name] if isinstance(name, str) and name in FACTS else None
        if fact is None or (self.actor is not None and not may(self.actor, fact.permission)):
            raise ConditionError(_("There is no fact “%s”.") % str(name)[:40], path)
        if self.dated and not fact.dated:
            raise ConditionError(
                _("“%s” is known for the newest date only and cannot decide a tier.") % fact.label, path
            )
        return fact


def parse(condition: Condition | None, *, actor: Actor | None = None, dated: bool = False) -> Node | None:
    """The condition as checked nodes; None for everybody.

    With an actor, facts that it may not see are unknown. `dated`: only facts known for any business date
    (tier policies). Raises ConditionError.
    """
    if condition is None or condition == {}:
        return None
    return _Parser(actor, dated).node(condition, (), 1)


def _operation(fact: Fact, raw: Condition, path: tuple[str | int, ...]) -> tuple[str, Any]:
    op = raw.get("op")
    if not isinstance(op, str) or op not in fact.operators:
        raise ConditionError(
            _("“%(fact)s” cannot be compared with “%(op)s”.") % {"fact": fact.label, "op": str(op)[:20]},
            (*path, "op"),
        )
    value, at = raw.get("value"), (*path, "value")
    if op in KNOWN:
        if value not in (None, ""):
            raise ConditionError(_("This comparison takes no value."), at)
        return op, None
    if op not in ("between", "in"):
        return op, _value(fact, value, at)
    if not isinstance(value, (list, tuple)) or not value or len(value) > MAX_VALUES:
        raise ConditionError(_("A list of values is needed here."), at)
    values = tuple(_value(fact, one, (*at, i)) for i, one in enumerate(value))
    if op == "between" and len(values) != 2:
        raise ConditionError(_("“Between” takes a lower and an upper value."), at)
    return op, values


def _value(fact: Fact, raw: Any, path: tuple[str | int, ...]) -> Any:
    try:
        return _READERS[fact.type](fact, raw)
    except (ValueError, TypeError, InvalidOperation, OverflowError):
        raise ConditionError(
            _("“%(value)s” is no value for “%(fact)s”.") % {"value": str(raw)[:40], "fact": fact.label}, path
        ) from None


def _amount(fact: Fact, raw: Any) -> Decimal:
    if isinstance(raw, bool) or not isinstance(raw, (str, int, float, Decimal)):
        raise TypeError
    amount = Decimal(str(raw).strip().replace(",", ""))
    if not amount.is_finite() or abs(amount) >= _AMOUNT:
        raise ValueError
    to_minor(amount)
    return amount.quantize(Decimal("0.01"))


def _whole(fact: Fact, raw: Any) -> int:
    if isinstance(raw, bool) or not isinstance(raw, (str, int)) or len(str(raw)) > 20:
        raise TypeError
    number = int(raw)
    if abs(number) > (_INT if fact.type in ("int", "days") else _BIGINT):
        raise ValueError
    return number


def _day(fact: Fact, raw: Any) -> dt.date:
    if isinstance(raw, dt.date):
        return raw
    return dt.date.fromisoformat(raw)


def _truth(fact: Fact, raw: Any) -> bool:
    if isinstance(raw, bool):
        return raw
    return {"true": True, "false": False}[raw] if raw in ("true", "false") else _refuse()


def _refuse() -> Any:
    raise ValueError


def _code(fact: Fact, raw: Any) -> str:
    return raw if isinstance(raw, str) and raw in fact.options else _refuse()


def _person(fact: Fact, raw: Any) -> int | str:
    return ME if raw == ME else _whole(fact, raw)


def _text(fact: Fact, raw: Any) -> str:
    if not isinstance(raw, str) or not raw or len(raw) > MAX_TEXT or "\x00" in raw:
        raise ValueError
    return raw


_READERS: dict[str, Callable[[Fact, Any], Any]] = {
    "money": _amount,
    "percent": _amount,
    "int": _whole,
    "days": _whole,
    "date": _day,
    "bool": _truth,
    "choice": _code,
    "unit": _whole,
    "staff": _person,
    "text": _text,
}


def validate(
    condition: Condition | None, *, actor: Actor | None = None, dated: bool = False
) -> dict[str, Any]:
    """The condition in its canonical JSON form ({} = everybody). Raises ConditionError."""
    node = parse(condition, actor=actor, dated=dated)
    return {} if node is None else _as_json(node)


def _as_json(node: Node) -> dict[str, Any]:
    if isinstance(node, Leaf):
        if node.op in KNOWN:
            return {"fact": node.fact.name, "op": node.op}
        value = [_plain(v) for v in node.value] if isinstance(node.value, tuple) else _plain(node.value)
        return {"fact": node.fact.name, "op": node.op, "value": value}
    if node.how == "not":
        return {"not": _as_json(node.parts[0])}
    return {node.how: [_as_json(part) for part in node.parts]}


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return str(value)
    return value.isoformat() if isinstance(value, dt.date) else value


# -- addresses and forms ----------------------------------------------------------------------------------------


def from_query(text: str, *, actor: Actor | None = None) -> dict[str, Any]:
    """The canonical condition of an address's `c` parameter; "" means everybody. Raises ConditionError."""
    if not text:
        return {}
    if len(text) > 16_384:
        raise ConditionError(_("The condition has too many parts."))
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError):
        raise ConditionError(_("The condition is not readable.")) from None
    return validate(raw, actor=actor)


def to_query(condition: Condition | None) -> str:
    """The condition as the `c` parameter of an address: compact JSON, "" for everybody."""
    return json.dumps(condition, ensure_ascii=False, separators=(",", ":")) if condition else ""


def both(*conditions: Condition | None) -> dict[str, Any]:
    """All of the given conditions; empty ones are left out and nested "all" are flattened."""
    parts: list[Any] = []
    for condition in conditions:
        if condition:
            parts.extend(condition["all"] if set(condition) == {"all"} else [condition])
    if not parts:
        return {}
    return dict(parts[0]) if len(parts) == 1 else {"all": parts}


def fact_is(name: str, value: Any, op: str = "=") -> dict[str, Any]:
    """One comparison, for code that builds drill-downs."""
    return {"fact": name, "op": op, "value": _plain(value)}


def rows_of(condition: Condition | None) -> list[dict[str, Any]] | None:
    """A flat list of comparisons for a filter form; None when the condition is not a plain "all" of them."""
    if not condition:
        return []
    parts = condition["all"] if set(condition) == {"all"} else [condition]
    return [dict(part) for part in parts] if all("fact" in part for part in parts) else None


def from_rows(rows: Iterable[Condition]) -> dict[str, Any]:
    """The condition that a filter form's rows say together."""
    return both(*rows)


# -- SQL --------------------------------------------------------------------------------------------------------


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
        compared = self.cases(leaf) if leaf.fact.cases else self.compare(leaf)
        return f"(({known}) AND {compared})" if known else f"({compared})"

    def cases(self, leaf: Leaf) -> str:
        codes = leaf.value if isinstance(leaf.value, tuple) else (leaf.value,)
        fits = " OR ".join(f"({leaf.fact.cases[code].format(**self.names)})" for code in codes)
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


class Matches(Func):
    """The condition as a filter of a Standing queryset: `.filter(Matches(condition, as_of=day, actor=actor))`.

    Brings its own join to the customer, so that it also holds in count() and values().
    """

    output_field = BooleanField()
    conditional = True

    def __init__(self, condition: Condition | None, *, as_of: dt.date, actor: Actor | None = None) -> None:
        super().__init__(F("customer__number"), F("deposits_adb"))
        self.condition, self.as_of, self.actor = condition, as_of, actor
        parse(condition, actor=actor)

    def as_sql(  # type: ignore[override]  # no function's template: the compiled condition itself
        self, compiler: Any, connection: Any, **context: Any
    ) -> tuple[str, list[Any]]:
        customer, standing = (
            compiler.quote_name_unless_alias(e.alias) for e in self.get_source_expressions()
        )
        return compile_condition(self.condition, c=customer, s=standing, as_of=self.as_of, actor=self.actor)


# -- words ------------------------------------------------------------------------------------------------------


def sentence(condition: Condition | None, language: str | None = None) -> str:
    """The condition in words in a language (default: the active one). Raises ConditionError.

    Names of units and people are looked up in the active bank; an unknown id reads "?".
    """
    with translation.override(language or translation.get_language()):
        node = parse(condition)
        if node is None:
            return _("Everybody")
        names = _names(node)
        return _say(node, names, top=True)


def _leaves(node: Node) -> Iterable[Leaf]:
    if isinstance(node, Leaf):
        yield node
    else:
        for part in node.parts:
            yield from _leaves(part)


def _names(node: Node) -> dict[tuple[str, int], str]:
    wanted: dict[str, set[int]] = {"unit": set(), "staff": set()}
    for leaf in _leaves(node):
        if leaf.fact.type in wanted and leaf.value is not None:
            values = leaf.value if isinstance(leaf.value, tuple) else (leaf.value,)
            wanted[leaf.fact.type].update(v for v in values if isinstance(v, int))
    found: dict[tuple[str, int], str] = {}
    if wanted["unit"]:
        units = OrgUnit.objects.filter(pk__in=wanted["unit"]).values_list("pk", "name")
        found.update({("unit", pk): name for pk, name in units})
    if wanted["staff"]:
        people = Staff.objects.filter(pk__in=wanted["staff"]).values_list("pk", "name")
        found.update({("staff", pk): name for pk, name in people})
    return found


def _say(node: Node, names: Mapping[tuple[str, int], str], *, top: bool = False) -> str:
    if isinstance(node, Leaf):
        return _say_leaf(node, names)
    if node.how == "not":
        return _("not (%s)") % _say(node.parts[0], names, top=True)
    if not node.parts:
        return _("Everybody") if node.how == "all" else _("Nobody")
    word = (
        pgettext("between two conditions", " and ")
        if node.how == "all"
        else pgettext("between two conditions", " or ")
    )
    said = word.join(_say(part, names) for part in node.parts)
    return said if top or len(node.parts) == 1 else pgettext("conditions that belong together", "(%s)") % said


def _say_leaf(leaf: Leaf, names: Mapping[tuple[str, int], str]) -> str:
    fact, op = leaf.fact, leaf.op
    if fact.type == "bool" and op in ("=", "!="):
        yes = leaf.value == (op == "=")
        return str(fact.label) if yes else _("not: %s") % fact.label
    words = {"fact": str(fact.label)}
    if op == "between":
        words["low"], words["high"] = (_say_value(fact, one, names) for one in leaf.value)
    elif op == "in":
        words["value"] = pgettext("between two values", " or ").join(
            _say_value(fact, one, names) for one in leaf.value
        )
    elif op not in KNOWN:
        words["value"] = _say_value(fact, leaf.value, names)
    return _patterns(fact)[op] % words


def _patterns(fact: Fact) -> dict[str, str]:
    """How each operator reads. Dates and choices have words of their own."""
    patterns = {
        "=": _("%(fact)s is %(value)s"),
        "!=": _("%(fact)s is not %(value)s"),
        "<": _("%(fact)s below %(value)s"),
        "<=": _("%(fact)s at most %(value)s"),
        ">": _("%(fact)s above %(value)s"),
        ">=": _("%(fact)s at least %(value)s"),
        "between": _("%(fact)s from %(low)s to %(high)s"),
        "in": _("%(fact)s is %(value)s"),
        "within": _("%(fact)s is %(value)s or below it"),
        "starts_with": _("%(fact)s begins with %(value)s"),
        "is_null": _("%(fact)s is not known"),
        "not_null": _("%(fact)s is known"),
    }
    if fact.type == "date":
        patterns |= {
            "<": _("%(fact)s before %(value)s"),
            "<=": _("%(fact)s until %(value)s"),
            ">": _("%(fact)s after %(value)s"),
            ">=": _("%(fact)s from %(value)s on"),
        }
    if fact.type == "staff":
        patterns["is_null"] = _("without %(fact)s")
    return patterns


def _say_value(fact: Fact, value: Any, names: Mapping[tuple[str, int], str]) -> str:
    if fact.type in ("unit", "staff"):
        return _("me") if value == ME else names.get((fact.type, value), "?")
    if fact.type == "choice":
        return str(fact.options[value])
    if isinstance(value, Decimal):
        text = f"{value:,.2f}".removesuffix(".00").replace("-", "−")
        return f"{text}%" if fact.type == "percent" else text
    if isinstance(value, int) and fact.unit:
        return f"{value} {fact.unit}"
    return value.isoformat() if isinstance(value, dt.date) else str(value)
