"""What a credit policy may say: parameters and tables of typed columns.

A policy's body is data: {"params": {name: text}, "tables": {name: [{column: text}]}}. A shape declares the columns;
`read` turns a body into typed values, or raises PolicyFault naming each cell that is wrong. The page that edits a
policy is drawn from the shape as well, so that a new policy needs a declaration and no page.

Types and their values: money Decimal with two decimals in the bank's currency; percent Decimal fraction (written
"10" for 10%); number Decimal; whole int; text str; flag bool; choice str; choices tuple[str, ...]. An empty cell of an
optional column is None ("" for text).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from django.utils.translation import gettext as _

from crm_site.accounts.banks import home_currency
from crm_site.lib.errors import DomainError
from crm_site.lib.formats import amount_unit
from crm_site.lib.registry import Registry
from crm_site.lib.tenancy import require_bank

Cell = Any
HUNDRED = Decimal(100)


class PolicyFault(DomainError):
    """A policy's body is not what its shape asks for; `fields` maps "param" or "table-row-column" to the fault."""


@dataclass(frozen=True, slots=True)
class Column:
    """A typed value. `choices`: (code, label) pairs for choice and choices; `unit`: shown beside the field; `words`: how
    a text is read to people, where what is stored is a code; `words_in`: the same where it takes the row to say it;
    `fallback`: what a parameter says, as it is stored, in a version that is older than the question."""

    name: str
    label: Any
    type: str = "text"
    choices: Sequence[tuple[str, Any]] = ()
    required: bool = True
    minimum: Decimal | None = None
    maximum: Decimal | None = None
    unit: Any = ""
    help: Any = ""
    words: Callable[[str], str] = str
    fallback: Any = None
    words_in: Callable[[Mapping[str, Any]], str] | None = None

    def read(self, value: Any, row: Mapping[str, Any]) -> str:
        """A text as people read it in its row."""
        return self.words_in(row) if self.words_in else self.words(str(value))

    @property
    def shown_unit(self) -> str:
        """What stands beside its figures: of amounts the bank's currency."""
        return amount_unit(home_currency(require_bank())) if self.type == "money" else str(self.unit)


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of columns. `key`: columns that no two rows may share; `named_by`: where there is no key, columns that
    people know a row by; `minimum`: least number of rows."""

    name: str
    label: Any
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    named_by: tuple[str, ...] = ()
    minimum: int = 1
    help: Any = ""


@dataclass(frozen=True, slots=True)
class Body:
    """A policy's typed values: what engines and pages read."""

    params: Mapping[str, Cell]
    tables: Mapping[str, Sequence[Mapping[str, Cell]]]


def _no_check(body: Body) -> Mapping[str, str]:
    return {}


@dataclass(frozen=True, slots=True)
class Shape:
    """A policy subject. `default(kind)` is the body that comes with a bank; `by_kind`: whether customer kinds have
    policies of their own; `check(body)` holds across cells and returns the faults by field ("" for the whole)."""

    subject: str
    label: Any
    description: Any
    default: Callable[[str], Mapping[str, Any]]
    params: tuple[Column, ...] = ()
    tables: tuple[Table, ...] = ()
    by_kind: bool = False
    check: Callable[[Body], Mapping[str, str]] = field(default=_no_check)


SHAPES: Registry[Shape] = Registry("credit policy")


def add_shape(shape: Shape) -> Shape:
    """Make a policy known; in AppConfig.ready() through credit_rating.policies."""
    return SHAPES.add(shape.subject, shape)


def read(shape: Shape, body: Mapping[str, Any]) -> Body:
    """The typed values of a body. Raises PolicyFault with a fault for each wrong cell."""
    faults: dict[str, str] = {}
    given = body.get("params") or {}
    params = {c.name: _value(c, given.get(c.name, c.fallback), c.name, faults) for c in shape.params}
    tables = {
        table.name: _rows(table, (body.get("tables") or {}).get(table.name) or [], faults)
        for table in shape.tables
    }
    found = Body(params, tables)
    if not faults:
        faults.update(shape.check(found))
    if faults:
        raise PolicyFault(faults.get("", _("The policy has faults.")), code="policy_body", fields=faults)
    return found


def _rows(
    table: Table, rows: Sequence[Mapping[str, Any]], faults: dict[str, str]
) -> tuple[Mapping[str, Cell], ...]:
    if len(rows) < table.minimum:
        faults[table.name] = _("At least one row is needed.")
    found: list[Mapping[str, Cell]] = []
    seen: set[tuple[Cell, ...]] = set()
    for number, row in enumerate(rows):
        where = f"{table.name}-{number}"
        values = {c.name: _value(c, row.get(c.name), f"{where}-{c.name}", faults) for c in table.columns}
        key = tuple(values[name] for name in table.key)
        if table.key and key in seen:
            faults.setdefault(f"{where}-{table.key[0]}", _("This row is there twice."))
        seen.add(key)
        found.append(values)
    return tuple(found)


def _value(column: Column, given: Any, where: str, faults: dict[str, str]) -> Cell:
    if column.type == "flag":
        return given is True or str(given).lower() in ("true", "on", "1")
    if column.type == "choices":
        return _codes(column, given, where, faults)
    text = "" if given is None else str(given).strip()
    if not text:
        if column.required:
            faults[where] = _("This is needed.")
        return "" if column.type == "text" else None
    if column.type == "text":
        return text
    if column.type == "choice":
        if text not in {code for code, _label in column.choices}:
            faults[where] = _("This is not one of the choices.")
        return text
    return _number(column, text, where, faults)


def _codes(column: Column, given: Any, where: str, faults: dict[str, str]) -> tuple[str, ...]:
    codes = tuple(str(code) for code in (given or ()))
    if set(codes) - {code for code, _label in column.choices}:
        faults[where] = _("This is not one of the choices.")
    if column.required and not codes:
        faults[where] = _("This is needed.")
    return codes


def _number(column: Column, text: str, where: str, faults: dict[str, str]) -> Cell:
    try:
        value = Decimal(text.replace(",", ""))
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite():
        faults[where] = _("Write a number.")
        return None
    if column.minimum is not None and value < column.minimum:
        faults[where] = _("It must be at least %s.") % column.minimum
    elif column.maximum is not None and value > column.maximum:
        faults[where] = _("It must be at most %s.") % column.maximum
    elif column.type == "whole" and value != value.to_integral_value():
        faults[where] = _("Write a whole number.")
    elif column.type == "money" and value != value.quantize(Decimal("0.01")):
        faults[where] = _("An amount has two decimals.")
    if where in faults:
        return None
    if column.type == "percent":
        return value / HUNDRED
    return int(value) if column.type == "whole" else value
