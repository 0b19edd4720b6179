"""A customer in a request's body: the columns of the feeds customers and prospects, and what the CRM owns."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from rest_framework import serializers

from crm_site.lib.api.fields import StrictSerializer, Text
from customers.ingest.columns import Column
from customers.ingest.docs import cell_of, column_schema
from customers.ingest.single import RowRefused, feed_of
from customers.models import Customer
from customers.models.parties import CRM_OWNED

COLUMNS: dict[str, Column] = {
    column.name: column
    for is_prospect in (True, False)
    for column in feed_of(is_prospect=is_prospect).columns
}


class ProfileIn(StrictSerializer):
    """What the CRM owns of a customer; no feed ever overwrites it."""

    occupation = Text(max_length=80, allow_blank=True, required=False)
    employer = Text(max_length=120, allow_blank=True, required=False)
    family_note = Text(max_length=400, allow_blank=True, required=False)
    experience_note = Text(max_length=400, allow_blank=True, required=False)
    preference_note = Text(max_length=400, allow_blank=True, required=False)
    needs_note = Text(max_length=400, allow_blank=True, required=False)
    contact_language = Text(max_length=10, allow_blank=True, required=False)


@dataclass
class Written:
    """A body, read: cells by column as text (empty: clear it), CRM-owned fields, and which of the two it is to be."""

    cells: dict[str, str] = field(default_factory=dict)
    profile: dict[str, str] = field(default_factory=dict)
    is_prospect: bool | None = None


def party_schema(required: tuple[str, ...]) -> dict[str, Any]:
    """JSON schema of the body, from the feeds' columns and ProfileIn."""
    lengths = {column.name: column.max_length for column in Customer._meta.local_concrete_fields}
    profile = {
        name: {
            "type": "string",
            "maxLength": lengths[name],
            "description": "CRM-owned; no feed overwrites it",
        }
        for name in CRM_OWNED
    }
    prospect = {
        "type": "boolean",
        "description": "A prospect; it may come without a number. false makes a prospect a customer.",
    }
    columns = {
        name: column_schema(column) for name, column in COLUMNS.items() if name != "number" or required
    }
    schema = {
        "type": "object",
        "additionalProperties": False,
        "properties": {**columns, "is_prospect": prospect, **profile},
    }
    if required:
        schema["required"] = [name for name in required if name != "number"]
    return schema


def read_party(data: Any, *, without: tuple[str, ...] = ()) -> Written:
    """The body as what is to be written; ValidationError for unknown fields and wrong JSON types."""
    if not isinstance(data, dict):
        raise serializers.ValidationError("A JSON object.")
    written, refused = Written(), {}
    profile = {name: value for name, value in data.items() if name in ProfileIn().fields}
    for name, value in data.items():
        if name == "is_prospect":
            if isinstance(value, bool):
                written.is_prospect = value
            else:
                refused[name] = [serializers.ErrorDetail("Neither true nor false.", code="bad_boolean")]
        elif name in COLUMNS and name not in without:
            try:
                written.cells[name] = cell_of(COLUMNS[name], value)
            except ValueError as error:
                refused[name] = [serializers.ErrorDetail(str(error), code="invalid")]
        elif name not in profile:
            refused[str(name)] = [serializers.ErrorDetail("Unknown field.", code="unknown_field")]
    checked = ProfileIn(data=profile)
    if not checked.is_valid() or refused:
        raise serializers.ValidationError({**checked.errors, **refused})
    written.profile = dict(checked.validated_data)
    return written


@contextmanager
def refusals() -> Iterator[None]:
    """The feeds' row errors as the API's."""
    try:
        yield
    except RowRefused as refused:
        errors: dict[str, list[serializers.ErrorDetail]] = {}
        for error in refused.errors:
            errors.setdefault(error.field, []).append(serializers.ErrorDetail(error.message, code=error.code))
        raise serializers.ValidationError(errors) from refused
