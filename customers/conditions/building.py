"""Conditions of addresses and filter forms, and the small ones that code puts together."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from django.utils.translation import gettext as _

from crm_site.lib.permissions import Actor
from customers.conditions.parsing import Condition, ConditionError, plain, validate


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
    return {"fact": name, "op": op, "value": plain(value)}


def rows_of(condition: Condition | None) -> list[dict[str, Any]] | None:
    """A flat list of comparisons for a filter form; None when the condition is not a plain "all" of them."""
    if not condition:
        return []
    parts = condition["all"] if set(condition) == {"all"} else [condition]
    return [dict(part) for part in parts] if all("fact" in part for part in parts) else None


def from_rows(rows: Iterable[Condition]) -> dict[str, Any]:
    """The condition that a filter form's rows say together."""
    return both(*rows)
