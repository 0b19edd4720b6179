"""What the customer list shows, from its address and back: condition, sort, tabs, chips, columns, list context."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.core import signing
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext, pgettext_lazy

from crm_site.lib.permissions import OWN, Actor
from customers.conditions import (
    ConditionError,
    both,
    fact_is,
    from_query,
    from_rows,
    rows_of,
    sentence,
    to_query,
)
from customers.facts import FACTS
from customers.models import SavedView
from customers.selectors.lists import (
    DEFAULT_SORT,
    REAL,
    SORTS,
    CustomerQuery,
    builtin_conditions,
    clean_sort,
)

SALT = "customers.list"
COLUMNS_COOKIE = "customer-columns"
COLUMNS = {
    "number": gettext_lazy("Number"),
    "kind": gettext_lazy("Kind"),
    "industry": gettext_lazy("Industry"),
    "tier": gettext_lazy("Tier"),
    "wealth": gettext_lazy("Wealth level"),
    "months": gettext_lazy("13 months"),
    "change": gettext_lazy("On last month"),
    "balance": gettext_lazy("Deposit balance"),
    "loans": gettext_lazy("Loans"),
    "aum": gettext_lazy("AUM"),
    "overdue": gettext_lazy("Overdue"),
    "churn": pgettext_lazy("probability", "Churn"),
    "contact": gettext_lazy("Last contact"),
    "responsible": pgettext_lazy("customer", "Responsible"),
    "branch": gettext_lazy("Home branch"),
    "next": gettext_lazy("Next"),
}
_OWN_COLUMNS = ("kind", "tier", "wealth", "months", "change", "loans", "aum", "churn", "contact", "next")
_OTHER_COLUMNS = (
    "kind",
    "tier",
    "months",
    "change",
    "loans",
    "aum",
    "churn",
    "responsible",
    "branch",
    "contact",
)
# Filters one click away; each writes rows of the condition language.
_QUICK_DAYS = (30, 60, 90)
_QUICK_CHURN = (30, 50, 70)


@dataclass(frozen=True, slots=True)
class Chip:
    """A part of the filter in words, and the address without it."""

    text: str
    without: str


@dataclass(frozen=True, slots=True)
class Option:
    """An entry of a menu or a tab."""

    text: str
    url: str
    is_on: bool
    view_id: int | None = None


@dataclass(frozen=True, slots=True)
class QuickFilter:
    text: str
    options: Sequence[Option]


def read_query(actor: Actor, given: Mapping[str, str]) -> tuple[CustomerQuery, str]:
    """The list an address asks for, and what is wrong with it ("" = nothing; then everybody real is shown)."""
    sort = clean_sort(given.get("sort", DEFAULT_SORT))
    if "c" not in given:
        return CustomerQuery(REAL, sort), ""
    try:
        return CustomerQuery(from_query(given["c"], actor=actor), sort), ""
    except ConditionError as error:
        return CustomerQuery(REAL, sort), error.message


def list_url(query: CustomerQuery, **more: str) -> str:
    """The address of a list."""
    params = {"c": to_query(query.condition), "sort": query.sort, **more}
    return f"{reverse('customers:customer-list')}?{urlencode(params)}"


def pack(query: CustomerQuery) -> str:
    """A list as an opaque parameter, so that the customer page knows what comes next."""
    return signing.dumps([dict(query.condition), query.sort], salt=SALT, compress=True)


def unpack(actor: Actor, packed: str) -> CustomerQuery | None:
    """The list behind `pack`, or None for a parameter that was changed, is of nothing, or no longer valid."""
    if not packed or len(packed) > 8_000:
        return None
    try:
        condition, sort = signing.loads(packed, salt=SALT)
        return CustomerQuery(from_query(to_query(condition), actor=actor), clean_sort(sort))
    except (signing.BadSignature, ConditionError, ValueError):
        return None


def tabs(actor: Actor, query: CustomerQuery, *, as_of: dt.date) -> list[Option]:
    """Built-in and saved views as tabs; the one that shows this very list is current. One statement."""
    found = []
    for title, condition in builtin_conditions(actor, as_of).values():
        target = CustomerQuery(condition, DEFAULT_SORT)
        found.append(Option(str(title), list_url(target), condition == query.condition))
    for view in SavedView.objects.filter(staff_id=actor.staff_id):
        sort = clean_sort(view.sort)
        is_on = view.condition == query.condition and sort == query.sort
        found.append(Option(view.name, list_url(CustomerQuery(view.condition, sort)), is_on, view.pk))
    return found


def chips(query: CustomerQuery) -> list[Chip]:
    """The filter in parts that can be dropped one by one; that prospects are left out needs no chip."""
    rows = rows_of(query.condition)
    if rows is None:
        parts = query.condition["all"] if set(query.condition) == {"all"} else [query.condition]
        rows = [dict(part) for part in parts]
    found = []
    for position, row in enumerate(rows):
        if row == REAL:
            continue
        rest = both(*(rows[:position] + rows[position + 1 :]))
        found.append(Chip(sentence(row), list_url(CustomerQuery(rest, query.sort))))
    return found


def quick_filters(query: CustomerQuery) -> list[QuickFilter]:
    """Menus that change one row of a plain filter; none where the filter is not a plain "all"."""
    rows = rows_of(query.condition)
    if rows is None:
        return []
    menus = [
        QuickFilter(str(FACTS[name].label), _choices(query, rows, name))
        for name in ("kind", "value_tier", "wealth_level")
    ]
    menus.append(
        QuickFilter(
            _("Last contact"),
            _steps(query, rows, "last_contact", ">", _QUICK_DAYS, _("more than %s days ago")),
        )
    )
    menus.append(
        QuickFilter(
            pgettext("probability", "Churn"),
            _steps(query, rows, "churn", ">=", _QUICK_CHURN, _("at least %s%%")),
        )
    )
    return menus


def _choices(query: CustomerQuery, rows: list[dict[str, Any]], name: str) -> list[Option]:
    mine = next((row for row in rows if row["fact"] == name and row["op"] in ("=", "in")), None)
    chosen = [] if mine is None else list(mine["value"]) if mine["op"] == "in" else [mine["value"]]
    others = [row for row in rows if row is not mine]
    options = []
    for code, label in FACTS[name].choices.items():
        if code == "none":
            continue
        wanted = [c for c in chosen if c != code] if code in chosen else [*chosen, code]
        row = {"fact": name, "op": "in", "value": wanted}
        url = list_url(CustomerQuery(from_rows([*others, row] if wanted else others), query.sort))
        options.append(Option(str(label), url, code in chosen))
    return options


def _steps(
    query: CustomerQuery, rows: list[dict[str, Any]], name: str, op: str, steps: Sequence[int], words: str
) -> list[Option]:
    others = [row for row in rows if row["fact"] != name]
    options = []
    for step in steps:
        row = fact_is(name, step, op)
        is_on = any(
            r["fact"] == name and r["op"] == op and str(r["value"]).split(".")[0] == str(step) for r in rows
        )
        url = list_url(CustomerQuery(from_rows(others if is_on else [*others, row]), query.sort))
        options.append(Option(words % step, url, is_on))
    return options


def columns_for(actor: Actor, given: Mapping[str, str], cookies: Mapping[str, str]) -> tuple[str, ...]:
    """The columns to show: as just chosen, as chosen before, or those the role starts with."""
    text = given.get("columns") or cookies.get(COLUMNS_COOKIE, "")
    chosen = tuple(name for name in text.split(".") if name in COLUMNS)
    return chosen or _first_columns(actor)


def _first_columns(actor: Actor) -> tuple[str, ...]:
    return _OWN_COLUMNS if actor.has(OWN) else _OTHER_COLUMNS


def has_more_columns(actor: Actor, columns: Sequence[str]) -> bool:
    """Whether others are chosen than those a role starts with, which fit a window of 1280: then the table scrolls."""
    return not set(columns) <= set(_first_columns(actor))


def sort_heads(query: CustomerQuery) -> dict[str, dict[str, str]]:
    """For each sortable column: the address that sorts by it (again: the other way), and its direction."""
    heads = {}
    for name, sort in SORTS.items():
        mine = query.by.name == name
        direction = ("" if query.descending else "-") if mine else sort.first
        aria = ("descending" if query.descending else "ascending") if mine else ""
        heads[name] = {"url": list_url(CustomerQuery(query.condition, direction + name)), "aria": aria}
    return heads
