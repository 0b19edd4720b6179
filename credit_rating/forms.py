"""Cleaning of what the credit pages are told."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Any, ClassVar
from urllib.parse import urlencode

from django import forms
from django.urls import reverse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from credit_rating.models import LineStatus
from credit_rating.policies import Column, Shape, Table
from credit_rating.policies.grades import GRADES
from credit_rating.selectors.lines import BANDS, LADDER, LATER, LIVES, NO_GRADE, LineQuery
from crm_site.accounts.models import OrgUnitKind, Staff
from crm_site.accounts.selectors import visible_units
from crm_site.lib.money import AmountField
from crm_site.lib.permissions import HEADQUARTERS, SUBTREE, Actor

MAX_ROWS = 200
ALL = "all"
LINE_ACTS = ("activate", "effect", "freeze", "unfreeze", "review", "lower", "close")


@dataclass(frozen=True, slots=True)
class CellField:
    """A cell as the page draws it: its column, its name in the form, what is written in it and what is wrong.
    `row`: what its whole row says; `is_older`: the version is older than the question, and what holds then stands there."""

    column: Column
    name: str
    value: Any
    fault: str
    row: Mapping[str, Any] = field(default_factory=dict)
    is_older: bool = False

    @property
    def options(self) -> list[tuple[str, Any, bool]]:
        """(code, label, chosen) of a choice."""
        chosen = self.value if isinstance(self.value, (list, tuple)) else [str(self.value or "")]
        return [(code, label, code in chosen) for code, label in self.column.choices]

    @property
    def words(self) -> str:
        """A text as people read it."""
        return self.column.read(self.value, self.row)

    @property
    def amount(self) -> Decimal | None:
        """The value of an amount, or None for what is no number."""
        try:
            return Decimal(str(self.value))
        except InvalidOperation:
            return None


class PolicyGrid:
    """A policy's body as a form: its parameters and the rows of its tables.

    A row that is wholly empty is dropped. `faults`: what the service found wrong, by field.
    """

    def __init__(
        self, shape: Shape, body: Mapping[str, Any], faults: Mapping[str, str] | None = None
    ) -> None:
        self.shape, self.body, self.faults = shape, body, dict(faults or {})

    @classmethod
    def posted(cls, shape: Shape, data: Any) -> PolicyGrid:
        """What a person has written; `add` and `remove` (a table's name and row) change the rows."""
        params = {c.name: _given(c, c.name, data) for c in shape.params}
        tables = {table.name: _posted_rows(table, data) for table in shape.tables}
        return cls(shape, {"params": params, "tables": tables})

    @property
    def message(self) -> str:
        """What is wrong with the whole."""
        return self.faults.get("", "")

    def params(self) -> list[CellField]:
        given = self.body.get("params") or {}
        cells = [self._cell(c, c.name, given.get(c.name, c.fallback)) for c in self.shape.params]
        return [
            replace(one, is_older=one.name not in given and one.column.fallback is not None) for one in cells
        ]

    def tables(self) -> Iterator[tuple[Table, list[tuple[str, list[CellField]]], str]]:
        """(table, [(row's name, cells)], what is wrong with the table)."""
        for table in self.shape.tables:
            rows = (self.body.get("tables") or {}).get(table.name) or []
            drawn = [
                (f"{table.name}-{i}",
                 [self._cell(c, f"{table.name}-{i}-{c.name}", row.get(c.name), row) for c in table.columns])
                for i, row in enumerate(rows)
            ]  # fmt: skip
            yield table, drawn, self.faults.get(table.name, "")

    def _cell(self, column: Column, name: str, value: Any, row: Mapping[str, Any] | None = None) -> CellField:
        return CellField(column, name, "" if value is None else value, self.faults.get(name, ""), row or {})


def _given(column: Column, name: str, data: Any) -> Any:
    if column.type == "choices":
        return data.getlist(name)
    if column.type == "flag":
        return "true" if data.get(name) else "false"
    return data.get(name, "").strip()


def _posted_rows(table: Table, data: Any) -> list[dict[str, Any]]:
    try:
        count = min(int(data.get(f"{table.name}-rows", 0)), MAX_ROWS)
    except ValueError:
        count = 0
    rows: list[dict[str, Any]] = []
    for i in range(count):
        where = f"{table.name}-{i}"
        row = {c.name: _given(c, f"{where}-{c.name}", data) for c in table.columns}
        if data.get("remove") != where and any(v not in ("", "false", []) for v in row.values()):
            rows.append(row)
        if data.get("add") == where:
            rows.append({})
    if data.get("add") == table.name:
        rows.append({})
    return rows


class PolicyNoteForm(forms.Form):
    """Why a version is drafted."""

    note = forms.CharField(label=_("Reason"), max_length=400, widget=forms.Textarea(attrs={"rows": 2}))


class LineActForm(forms.Form):
    """What is done to a credit line, and why. `limit`: the new one, when it is lowered."""

    act = forms.ChoiceField(
        choices=[(act, act) for act in LINE_ACTS],
        widget=forms.HiddenInput,
    )
    limit = AmountField(label=_("New limit"), required=False)
    reason = forms.CharField(label=_("Reason"), max_length=400, widget=forms.Textarea(attrs={"rows": 2}))

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        if given.get("act") == "lower" and given.get("limit") is None and "limit" not in self.errors:
            self.add_error("limit", _("This is needed."))
        return given


@dataclass(frozen=True, slots=True)
class FilterOption:
    """An entry of a filter's menu."""

    text: str
    url: str
    is_on: bool


@dataclass(frozen=True, slots=True)
class FilterMenu:
    """A filter of a list: its name, its entries (the first drops it), and what is chosen ("" for nothing)."""

    text: str
    options: list[FilterOption]
    chosen: str


def _month(given: str) -> str:
    """A month ("2027-03") or LATER; "" for anything else."""
    try:
        return given if given == LATER else f"{dt.date.fromisoformat(f'{given}-01'):%Y-%m}"
    except ValueError:
        return ""


@cache
def _address(name: str) -> str:
    """The address of a list, which each entry of its menus begins with."""
    return reverse(name)


class ListFilter:
    """The filters of a list, from its address (`address`, a URL's name) and back."""

    address: ClassVar[str]

    def params(self) -> dict[str, str]:
        """What the address carries."""
        raise NotImplementedError

    def url(self, **change: object) -> str:
        """The address with some filters changed; "" drops one."""
        return self.url_of({k: str(v) for k, v in (self.params() | change).items() if v})

    @classmethod
    def url_of(cls, params: Mapping[str, str]) -> str:
        address = _address(cls.address)
        return f"{address}?{urlencode(params)}" if params else address

    def _menu(
        self, name: str, text: Any, choices: list[tuple[Any, Any]], chosen: Any, none: str = "", **drop: str
    ) -> FilterMenu:
        options = [FilterOption(none or gettext("all"), self.url(**{name: "", **drop}), not chosen)]
        options += [
            FilterOption(str(label), self.url(**{name: code, **drop}), code == chosen)
            for code, label in choices
        ]
        return FilterMenu(str(text), options, next((o.text for o in options[1:] if o.is_on), ""))


class LineFilterForm(ListFilter):
    """The filters of the list of lines, from its address and back. What is no filter is passed over."""

    address = "credit_rating:line-list"

    def __init__(self, actor: Actor, given: Mapping[str, str]) -> None:
        self.actor = actor
        units = visible_units(actor, SUBTREE | HEADQUARTERS)
        self.units = (
            list(units.exclude(kind=OrgUnitKind.HEAD_OFFICE)) if actor.has(SUBTREE | HEADQUARTERS) else []
        )
        self.unit = next((u for u in self.units if str(u.pk) == given.get("unit")), None)
        below = (
            Staff.objects.filter(unit__lft__gte=self.unit.lft, unit__lft__lte=self.unit.rgt)
            if self.unit
            else None
        )
        self.staff = [] if below is None else list(below.order_by("name"))
        self.manager = next((s for s in self.staff if str(s.pk) == given.get("manager")), None)
        self.status = (
            given.get("status", "") if given.get("status") in (*LineStatus.values, LIVES, ALL) else ""
        )
        self.band = given.get("use", "") if given.get("use") in BANDS else ""
        self.within = int(given["within"]) if given.get("within") in {str(days) for days in LADDER} else 0
        self.number = given.get("q", "").strip()[:40]
        self.grade = given.get("grade", "") if given.get("grade") in (*GRADES, NO_GRADE) else ""
        self.ends = _month(given.get("ends", ""))
        group = given.get("group", "")
        self.group = int(group) if group.isascii() and group.isdigit() and len(group) < 19 else 0

    def query(self) -> LineQuery:
        return LineQuery(
            "" if self.status == ALL else self.status, self.unit, self.manager.pk if self.manager else None,
            self.within, self.band, self.number, self.status == ALL or bool(self.number),
            self.grade, self.ends, self.group,
        )  # fmt: skip

    def params(self) -> dict[str, str]:
        """What the address carries."""
        given = {
            "status": self.status, "unit": self.unit and self.unit.pk, "manager": self.manager and self.manager.pk,
            "within": self.within, "use": self.band, "q": self.number,
            "grade": self.grade, "ends": self.ends, "group": self.group,
        }  # fmt: skip
        return {name: str(value) for name, value in given.items() if value}

    def menus(self, labels: Mapping[str, Any]) -> list[FilterMenu]:
        """Menus of what can be chosen; `labels` names the bands of use."""
        rungs = [(days, ngettext("within %s day", "within %s days", days) % days) for days in LADDER]
        menus = [
            self._menu(
                "status",
                _("Status"),
                [(LIVES, gettext("alive")), *LineStatus.choices, (ALL, gettext("every status"))],
                self.status,
                none=gettext("alive or in use"),
            ),
            self._menu("within", _("Ends"), rungs, self.within),
            self._menu("use", _("Use"), [(name, labels[name]) for name in BANDS], self.band),
            self._menu(
                "grade", _("Grade"), [*((g, g) for g in GRADES), (NO_GRADE, _("not rated"))], self.grade
            ),
        ]
        if self.ends:
            month = gettext("later than in a year") if self.ends == LATER else self.ends
            menus.append(self._menu("ends", _("Month of its end"), [(self.ends, month)], self.ends))
        if self.group:
            menus.append(self._menu("group", _("Group"), [(self.group, gettext("one group"))], self.group))
        if self.units:
            units = [(unit.pk, unit.name) for unit in self.units]
            menus.append(self._menu("unit", _("Home branch"), units, self.unit and self.unit.pk, manager=""))
        if self.staff:
            people = [(person.pk, person.name) for person in self.staff]
            menus.append(
                self._menu("manager", _("Relationship manager"), people, self.manager and self.manager.pk)
            )
        return menus
