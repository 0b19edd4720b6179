"""Early warnings in words: a figure against what its rule compares it with, for lists, records and worklists."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext as _

from credit_rating.models import Signal
from credit_rating.policies.caps import TIE_LABELS
from credit_rating.policies.classes import LABELS
from credit_rating.policies.warnings import GROUP, Rule, name_of
from crm_site.accounts.banks import home_currency
from crm_site.lib import formats
from crm_site.lib.money import from_minor
from crm_site.lib.tenancy import require_bank
from customers.conditions import say_value
from customers.facts import FACTS, Fact

SIGNS = {"=": "=", "!=": "≠", "<": "<", "<=": "≤", ">": ">", ">=": "≥"}


def figure_words(fact: Fact, value: str) -> str:
    """A stored value of a fact in words, with its unit unless the fact's name says it: "Days past due 19", not "19 days"."""
    if fact.type == "money":
        return formats.money_full(from_minor(int(value)), home_currency(require_bank()))
    if fact.type == "percent":
        return str(formats.percent(Decimal(value) / 10_000, 1))
    if fact.type == "choice":
        codes = {str(stored): code for code, stored in fact.stored.items()}
        return str(fact.choices.get(codes.get(value, value), value))
    if fact.type == "bool":
        return _("yes") if value in ("t", "true") else _("no")
    return _counted(fact, value)


def _counted(fact: Fact, value: object) -> str:
    unit = str(fact.unit)
    is_said = unit.casefold() in str(fact.label).casefold().split()
    return str(value) if is_said else f"{value} {unit}".strip()


def figures_of(signal: Signal, names: Mapping[int, str]) -> list[tuple[str, str]]:
    """(fact, value in words) of what a warning was opened by. `names`: of the members of groups that the reader sees."""
    told = {name: value for name, value in signal.figures.items() if value is not None}
    if signal.code == GROUP and not signal.is_raised:
        unseen = _("a connected customer") if told.get("connected") else _("a member of its group")
        label = _("Connected customer") if told.get("connected") else _("Member of the group")
        return [(label, names.get(told["member"]) or unseen), *_of_member(told, names)]
    return [
        (str(FACTS[name].label), figure_words(FACTS[name], value)) if name in FACTS else (name, str(value))
        for name, value in told.items()
    ]


def _of_member(
    figures: Mapping[str, Any], names: Mapping[int, str] | None = None
) -> Iterator[tuple[str, str]]:
    """`names`: None where nobody may be named, whoever reads it."""
    if "tie" in figures:
        share = formats.percent(Decimal(figures["tie_share"]), 1) if "tie_share" in figures else ""
        parts = [" ".join(filter(None, (str(TIE_LABELS[figures["tie"]]), share)))]
        if "via" in figures:
            parts.append(
                _("through %s") % ((names or {}).get(figures["via"]) or _("another customer of the bank"))
            )
        yield _("Tie"), " · ".join(parts)
    if "member_days" in figures:
        fact = FACTS["days_past_due"]
        yield str(fact.label), _counted(fact, figures["member_days"])
    if "member_class" in figures:
        yield str(FACTS["loan_class"].label), str(LABELS[figures["member_class"]])


def task_params(signal: Signal, rule: Rule | None) -> dict[str, Any]:
    """What `say` needs. `rule`: the one that made the warning, as it was then (None: raised, or of the group).

    No member of a group is named: who has the task may not see it.
    """
    figures = {
        name: value
        for name, value in signal.figures.items()
        if value is not None and name not in ("member", "connected")
    }
    parts = [part for part in rule.parts if part["fact"] in figures] if rule else []
    return {
        "code": signal.code, "name": signal.name, "level": signal.level, "as_of": signal.opened_on.isoformat(),
        "figures": {} if signal.is_raised else figures,
        "rule": [[part["fact"], part["op"], part.get("value")] for part in parts],
    }  # fmt: skip


def say(params: Mapping[str, Any]) -> str:
    """Why it is on the worklist: the rule, each figure against its threshold, and the day on which that was so."""
    name = name_of(str(params["code"]), str(params["name"]))
    figures = params.get("figures") or {}
    said = [
        f"{FACTS[fact].label} {figure_words(FACTS[fact], figures[fact])}{_threshold(FACTS[fact], op, value)}"
        for fact, op, value in params.get("rule", ())
    ]
    said += [f"{label} {text}" for label, text in _of_member(figures)]
    if not said:
        return name
    told = {
        "name": name,
        "figures": _(", ").join(said),
        "day": formats.day(dt.date.fromisoformat(params["as_of"])),
    }
    return _("%(name)s: %(figures)s · as of %(day)s") % told


def _threshold(fact: Fact, op: str, value: Any) -> str:
    return f" ({SIGNS[op]} {say_value(fact, value)})" if op in SIGNS else ""
