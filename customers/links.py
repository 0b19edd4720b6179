"""Addresses of the customer list that pages of every room open."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from customers.conditions import to_query


def urls_for_condition(condition: Mapping[str, Any] | None, sort: str = "-deposits_adb") -> str:
    """The address of the customer list filtered by a condition (contract: /customers/?c=<JSON>&sort=<column>)."""
    query = {"c": to_query(condition)} if condition else {}
    return f"/customers/?{urlencode({**query, 'sort': sort})}"
