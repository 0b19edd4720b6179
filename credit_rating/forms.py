"""Cleaning of what the credit pages are told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from credit_rating.policies import Column, Shape, Table

MAX_ROWS = 200


@dataclass(frozen=True, slots=True)
class CellField:
    """A cell as the page draws it: its column, its name in the form, what is written in it and what is wrong."""

    column: Column
    name: str
    value: Any
    fault: str

    @property
    def options(self) -> list[tuple[str, Any, bool]]:
        """(code, label, chosen) of a choice."""
        chosen = self.value if isinstance(self.value, (list, tuple)) else [str(self.value or "")]
        return [(code, label, code in chosen) for code, label in self.column.choices]

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
        return [self._cell(c, c.name, given.get(c.name)) for c in self.shape.params]

    def tables(self) -> Iterator[tuple[Table, list[tuple[str, list[CellField]]], str]]:
        """(table, [(row's name, cells)], what is wrong with the table)."""
        for table in self.shape.tables:
            rows = (self.body.get("tables") or {}).get(table.name) or []
            drawn = [
                (f"{table.name}-{i}",
                 [self._cell(c, f"{table.name}-{i}-{c.name}", row.get(c.name)) for c in table.columns])
                for i, row in enumerate(rows)
            ]  # fmt: skip
            yield table, drawn, self.faults.get(table.name, "")

    def _cell(self, column: Column, name: str, value: Any) -> CellField:
        return CellField(column, name, "" if value is None else value, self.faults.get(name, ""))


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


class ProposalForm(forms.Form):
    """From which day a version is to be in force."""

    valid_from = forms.DateField(label=_("In force from"), widget=forms.DateInput(attrs={"type": "date"}))
