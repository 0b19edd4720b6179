"""A customer in a request's body: the columns of the feeds customers and prospects, and what the CRM owns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from rest_framework import serializers

from crm_site.lib.api.fields import StrictSerializer, Text, unknown_field
from crm_site.lib.errors import DomainError
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
    """A body, read: cells by column as text (empty: clear it), CRM-owned fields, and which of the two it is to be.

    `faults`: of its JSON by field, unknown ones too. With any it is written for the faults that the feeds' rules find
    besides, and taken back (`refusals`).
    """

    cells: dict[str, str] = field(default_factory=dict)
    profile: dict[str, str] = field(default_factory=dict)
    is_prospect: bool | None = None
    faults: dict[str, Any] = field(default_factory=dict)


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
    """The body as what is to be written. Raises ValidationError for what is no object."""
    if not isinstance(data, dict):
        raise serializers.ValidationError("A JSON object.")
    written = Written()
    refused = written.faults
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
            refused[str(name)] = [unknown_field()]
    checked = ProfileIn(data=profile)
    if checked.is_valid():
        written.profile = dict(checked.validated_data)
    refused |= checked.errors
    return written


@contextmanager
def refusals(faults: Mapping[str, Any]) -> Iterator[None]:
    """The feeds' row errors as the API's, and those of the body's JSON beside them: nothing is written with either."""
    errors: dict[str, Any] = {}
    try:
        with transaction.atomic():
            yield
            if faults:
                raise serializers.ValidationError(dict(faults))
    except RowRefused as refused:
        for error in refused.errors:
            errors.setdefault(error.field, []).append(serializers.ErrorDetail(error.message, code=error.code))
        raise serializers.ValidationError({**errors, **faults}) from refused
    except DomainError as error:
        if faults:  # the body first: what stands in the way of it may have gone when it is sent again
            raise serializers.ValidationError(dict(faults)) from error
        raise
