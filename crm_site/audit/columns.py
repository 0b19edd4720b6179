"""How the values of audited tables' columns read. They come from the trigger as JSON: an amount in minor units, a choice
by its code, a reference by its key.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.apps import apps
from django.db import models
from django.utils.timezone import localtime
from django.utils.translation import gettext as _

from crm_site.lib import formats
from crm_site.lib.money import MoneyField, from_minor
from crm_site.lib.permissions import Actor
from crm_site.lib.registry import CUSTOMER_NUMBERS, SUBJECTS

CUSTOMERS = "customers_customer"


@cache
def _fields(table: str) -> Mapping[str, Any]:
    """column -> field of a table's model; empty for a table without one."""
    model = next((model for model in apps.get_models() if model._meta.db_table == table), None)
    return {str(field.column): field for field in model._meta.concrete_fields} if model else {}


def _refers_to(field: Any) -> str:
    """The table a column's keys are of; "" for a plain value."""
    return field.related_model._meta.db_table if isinstance(field, models.ForeignKey) else ""


@dataclass(frozen=True)
class Reader:
    """Reads the values of one table aloud. `names`: (table, key) -> the name of what a reference points at."""

    table: str
    currency: str
    names: Mapping[tuple[str, int], str]

    def say(self, column: str, value: Any) -> str:
        """A recorded value in words; "–" for none."""
        if value is None or value in ("", [], {}):
            return formats.UNKNOWN
        if isinstance(value, bool):
            return _("yes") if value else _("no")
        field = _fields(self.table).get(column)
        if isinstance(field, MoneyField) and isinstance(value, int):
            return formats.money_full(from_minor(value), self.currency)
        if field is not None and field.choices:
            return str(dict(field.flatchoices).get(value, value))
        if isinstance(field, models.DateTimeField) and isinstance(value, str):
            return _moment(value)
        if isinstance(value, int) and field is not None:
            return self.names.get((_refers_to(field), value), str(value))
        if isinstance(value, (dict, list)):
            return json.dumps(value, ensure_ascii=False)
        return str(value)


def _moment(text: str) -> str:
    """A recorded time in the bank's time zone, to the second."""
    try:
        at = dt.datetime.fromisoformat(text)
    except ValueError:
        return text
    return f"{localtime(at):%Y-%m-%d %H:%M:%S}" if at.tzinfo else text


def reader(actor: Actor, table: str, values: Iterable[tuple[str, Any]], *, currency: str) -> Reader:
    """A reader for these (column, value) pairs: what they refer to by name or number, customers only as the actor
    may see them. A statement for each table that is referred to.
    """
    wanted: dict[type[models.Model], set[int]] = {}
    fields = _fields(table)
    for column, value in values:
        field = fields.get(column)
        if isinstance(field, models.ForeignKey) and isinstance(value, int):
            wanted.setdefault(field.related_model, set()).add(value)
    names: dict[tuple[str, int], str] = {}
    for model, keys in wanted.items():
        target = model._meta.db_table
        if target == CUSTOMERS:
            for numbers_of in CUSTOMER_NUMBERS:
                names |= {(target, pk): number for pk, number in numbers_of(keys).items()}
            for subjects in SUBJECTS:
                names |= {(target, pk): subject.name for pk, subject in subjects(actor, keys).items()}
        elif called := next((one for one in ("name", "number") if _has(model, one)), None):
            found = model._default_manager.filter(pk__in=keys).values_list("pk", called)
            names |= {(target, pk): name for pk, name in found}
    return Reader(table, currency, names)


def _has(model: type[models.Model], name: str) -> bool:
    return any(field.name == name for field in model._meta.concrete_fields)
