"""Strict input and exact output: unknown fields are errors, money is a string."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

from rest_framework import serializers


class StrictSerializer(serializers.Serializer):
    """Refuses members it does not know, so that a typing error is never silently dropped."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict):
            known = {name for name, field in self.fields.items() if not field.read_only}
            extra = sorted(str(name) for name in set(data) - known)
            if extra:
                unknown = serializers.ErrorDetail("Unknown field.", code="unknown_field")
                raise serializers.ValidationError({name: [unknown] for name in extra})
        return super().to_internal_value(data)


class MoneyString(serializers.Field):
    """An amount as a string with two decimals ("1234.50"); a JSON number is refused."""

    default_error_messages = {
        "not_string": 'Money is a string such as "1234.50".',
        "invalid": "Not an amount with at most two decimals.",
    }

    def to_representation(self, value: Decimal) -> str:
        return f"{value:.2f}"

    def to_internal_value(self, data: Any) -> Decimal:
        if not isinstance(data, str):
            self.fail("not_string")
        try:
            amount = Decimal(data)
        except InvalidOperation:
            self.fail("invalid")
        exponent = amount.as_tuple().exponent
        if not amount.is_finite() or not isinstance(exponent, int) or exponent < -2 or abs(amount) >= 10**15:
            self.fail("invalid")
        return amount
