"""A condition read: raw JSON to checked nodes, and back to its canonical form."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from django.utils.translation import gettext as _

from crm_site.lib.errors import DomainError
from crm_site.lib.money import to_minor
from crm_site.lib.permissions import Actor, may
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
    return raw if isinstance(raw, str) and raw in fact.choices else _refuse()


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
        value = [plain(v) for v in node.value] if isinstance(node.value, tuple) else plain(node.value)
        return {"fact": node.fact.name, "op": node.op, "value": value}
    if node.how == "not":
        return {"not": _as_json(node.parts[0])}
    return {node.how: [_as_json(part) for part in node.parts]}


def plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return str(value)
    return value.isoformat() if isinstance(value, dt.date) else value
