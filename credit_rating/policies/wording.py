"""What a policy's body says, place by place in words: what two versions are compared by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from django.utils.translation import gettext as _

from credit_rating.policies.shapes import Column, Shape, Table
from crm_site.lib import formats


def words_of(shape: Shape, body: Mapping[str, Any], without: Collection[str] = ()) -> dict[str, str]:
    """{place: what stands there} of a body as it is stored; `without`: tables that are left out.

    A place is a parameter, or a cell by its table, the key of its row and its column: a row that only moved is the same.
    """
    given = body.get("params") or {}
    found = {str(column.label): cell_words(column, given.get(column.name), {}) for column in shape.params}
    for table in shape.tables:
        if table.name not in without:
            taken: Counter[str] = Counter()
            for row in (body.get("tables") or {}).get(table.name) or []:
                found |= _row(table, row, taken)
    return found


def _row(table: Table, row: Mapping[str, Any], taken: Counter[str]) -> dict[str, str]:
    """A row by what names it; the second and later ones of a name, and rows without one, are counted."""
    columns, by = {column.name: column for column in table.columns}, table.key or table.named_by
    said = [word for name in by if (word := cell_words(columns[name], row.get(name), row))]
    name = " · ".join([str(table.label), *said])
    taken[name] += 1
    if taken[name] > 1 or not said:
        name = f"{name} · {taken[name]}"
    rest = {
        f"{name} · {column.label}": cell_words(column, row.get(column.name), row)
        for column in table.columns
        if column.name not in by
    }
    return rest or {name: _("yes")}


def cell_words(column: Column, value: Any, row: Mapping[str, Any]) -> str:
    """A stored cell in words, with its unit; "" for an empty one."""
    if column.type == "flag":
        return _("yes") if value in (True, "true") else _("no")
    if column.type in ("choice", "choices"):
        chosen = value if isinstance(value, (list, tuple)) else [value]
        labels = dict(column.choices)
        return _(", ").join(str(labels.get(code, code)) for code in chosen if code)
    if value in (None, ""):
        return ""
    text = _amount(value) if column.type == "money" else column.read(value, row)
    return f"{text} {column.shown_unit or ('%' if column.type == 'percent' else '')}".strip()


def _amount(value: Any) -> str:
    try:
        return formats.number(Decimal(str(value)), 2)
    except InvalidOperation:
        return str(value)
