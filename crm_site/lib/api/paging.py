"""Lists page by key: an opaque cursor over (sort column, id); page 20,000 costs what page 1 costs."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import json
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError as NotThisType
from django.db.models import Q, QuerySet
from rest_framework.exceptions import ValidationError
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response

from crm_site.lib.api.changes import HEADER, changes_until, tracks_changes

DEFAULT, MOST = 50, 500
PAGING = ("limit", "cursor", "sort")


def _bad(field: str, message: str) -> ValidationError:
    return ValidationError({field: [message]}, code="invalid")


def page_limit(params: Any) -> int:
    """The `limit` parameter; raises ValidationError outside 1..500."""
    text = params.get("limit", str(DEFAULT))
    if not text.isascii() or not text.isdigit() or len(text) > 9 or not 1 <= int(text) <= MOST:
        raise _bad("limit", f"A whole number from 1 to {MOST}.")
    return int(text)


def encode_cursor(sort: str, value: Any, key: int) -> str:
    if isinstance(value, Decimal | dt.date | dt.datetime):
        value = str(value)
    return base64.urlsafe_b64encode(json.dumps([sort, value, key]).encode()).decode().rstrip("=")


def decode_cursor(text: str, sort: str) -> tuple[Any, int]:
    """(value, key) of a cursor of this sort; raises ValidationError for anything else."""
    try:
        kept, value, key = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        if kept != sort or type(key) is not int or abs(key) >= 2**63 or not isinstance(value, str | int):
            raise ValueError
        if abs(value) >= 2**63 if isinstance(value, int) else "\0" in value:
            raise ValueError
    except (ValueError, binascii.Error, UnicodeDecodeError, TypeError) as error:
        raise _bad("cursor", "Not a cursor of this list and sort.") from error
    return value, key


class KeyPagination(BasePagination):
    """`?limit=&cursor=&sort=`: the view names its `sorts` ({public name: column}) and `key` (default "id").

    The first sort is the default; "-" before a name turns it round.
    """

    def paginate_queryset(self, queryset: QuerySet, request: Request, view: Any = None) -> list[Any]:
        limit = page_limit(request.query_params)
        sorts: dict[str, str] = view.sorts
        sort = request.query_params.get("sort", next(iter(sorts)))
        if sort.removeprefix("-") not in sorts:
            raise _bad("sort", f"One of {', '.join(sorts)}, with or without a leading '-'.")
        column, key = sorts[sort.removeprefix("-")], getattr(view, "key", "id")
        down = sort.startswith("-")
        cursor = request.query_params.get("cursor")
        if cursor:
            value, last = decode_cursor(cursor, sort)
            step = "lt" if down else "gt"
            if column == key:
                queryset = queryset.filter(**{f"{key}__{step}": last})
            else:
                try:
                    queryset = queryset.filter(**{f"{column}__{step}e": value}).filter(
                        Q(**{f"{column}__{step}": value}) | Q(**{f"{key}__{step}": last})
                    )
                except (ValueError, TypeError, NotThisType) as error:
                    raise _bad("cursor", "Not a cursor of this list and sort.") from error
        sign = "-" if down else ""
        order = [f"{sign}{key}"] if column == key else [f"{sign}{column}", f"{sign}{key}"]
        self.until = changes_until() if not cursor and tracks_changes(view) else None
        rows = list(queryset.order_by(*order)[: limit + 1])
        self.next = None
        if len(rows) > limit:
            last_row = rows[limit - 1]
            self.next = encode_cursor(sort, _walk(last_row, column), _walk(last_row, key))
        return rows[:limit]

    def get_paginated_response(self, data: Any) -> Response:
        headers = {HEADER: self.until.isoformat()} if self.until else None
        return Response({"results": data, "next": self.next}, headers=headers)

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        return {
            "type": "object",
            "required": ["results", "next"],
            "properties": {"results": schema, "next": {"type": ["string", "null"]}},
        }

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        names = list(getattr(view, "sorts", {"id": "id"}))
        return [
            {
                "name": "limit",
                "in": "query",
                "schema": {"type": "integer", "minimum": 1, "maximum": MOST, "default": DEFAULT},
            },
            {"name": "cursor", "in": "query", "schema": {"type": "string"}},
            {
                "name": "sort",
                "in": "query",
                "schema": {"type": "string", "enum": [*names, *(f"-{n}" for n in names)]},
            },
        ]


def _walk(row: Any, path: str) -> Any:
    for part in path.split("__"):
        row = row[part] if isinstance(row, dict) else getattr(row, part)
    return row
