"""A condition as a sentence."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from crm_site.accounts.models import OrgUnit, Staff
from customers.conditions.parsing import ME, Condition, Leaf, Node, parse
from customers.facts import KNOWN, Fact


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
        return str(fact.label if yes else fact.otherwise or _("not: %s") % fact.label)
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


def say_value(fact: Fact, raw: Any) -> str:
    """What a comparison compares a fact with, in words: a figure, a day or a choice. Raises ConditionError."""
    node = parse({"fact": fact.name, "op": "=", "value": raw})
    return _say_value(fact, node.value, {}) if isinstance(node, Leaf) else ""


def _say_value(fact: Fact, value: Any, names: Mapping[tuple[str, int], str]) -> str:
    if fact.type in ("unit", "staff"):
        return _("me") if value == ME else names.get((fact.type, value), "?")
    if fact.type == "choice":
        return str(fact.choices.get(value, "?"))
    if isinstance(value, Decimal):
        text = f"{value:,.2f}".removesuffix(".00").replace("-", "−")
        return f"{text}%" if fact.type == "percent" else text
    if isinstance(value, int) and fact.unit:
        return f"{value} {fact.unit}"
    return value.isoformat() if isinstance(value, dt.date) else str(value)
